// SPDX-License-Identifier: Apache-2.0

package autodiff

import (
	"fmt"

	"github.com/edgenas/edgenas/internal/kernels"
	"gorgonia.org/gorgonia"
)

// loss is the mean cross entropy of softmax(logits) against labels, which are
// not differentiable and stay outside the graph, plus weight times that of an
// auxiliary head. It is the root of every graph here, so its own gradient is 1
// and the backward pass is part of the forward one. Inputs: logits, and those
// of the auxiliary head if there is one. Outputs: the loss, and the gradient of
// each input.
type loss[T kernels.Float] struct {
	n, classes int
	smoothing  float64
	auxiliary  bool
	weight     float64 // of the auxiliary head's loss
	labels     []int32
	correct    []int32 // 1: how many logits are right
}

func (d loss[T]) String() string {
	return fmt.Sprintf("softmax cross entropy n=%d classes=%d smoothing=%g auxiliary=%t×%g",
		d.n, d.classes, d.smoothing, d.auxiliary, d.weight)
}

func (d loss[T]) compile(c *compiler[T], in, out *operands) {
	entropy := func(correct []int32) kernels.SoftmaxCrossEntropy[T] {
		return kernels.SoftmaxCrossEntropy[T]{
			N: d.n, Classes: d.classes, Smoothing: T(d.smoothing), Labels: d.labels, Correct: correct,
		}
	}
	k := &lossKernel[T]{main: entropy(d.correct), weight: T(d.weight)}
	x := c.add(k).read(&k.main.Logits, in.next())
	x.write(&k.main.Loss, out.next(), 1).offer(&k.main.DLogits, out.next(), nil)
	if d.auxiliary {
		k.auxiliary = entropy(make([]int32, 1))
		x.read(&k.auxiliary.Logits, in.next()).offer(&k.auxiliary.DLogits, out.next(), nil).scratch(&k.auxiliary.Loss, 1)
	}
}

func (loss[T]) differentiate(b *grapher[T], in gorgonia.Nodes, out, _ *gorgonia.Node, _ []bool) (g gorgonia.Nodes) {
	for i := range in {
		g = append(g, b.pick(out, 1+i))
	}
	return g
}

// lossKernel is the sum of two losses, or one.
type lossKernel[T kernels.Float] struct {
	main, auxiliary kernels.SoftmaxCrossEntropy[T]
	weight          T
}

func (k *lossKernel[T]) Run(p *kernels.Workers) {
	k.main.Run(p)
	if k.auxiliary.Logits == nil {
		return
	}
	k.auxiliary.Run(p)
	k.main.Loss[0] += k.weight * k.auxiliary.Loss[0]
	for i := range k.auxiliary.DLogits {
		k.auxiliary.DLogits[i] *= k.weight
	}
}

// SPDX-License-Identifier: Apache-2.0

package autodiff

import (
	"fmt"

	"github.com/edgenas/edgenas/internal/kernels"
	"gorgonia.org/gorgonia"
)

// loss is the mean cross entropy of softmax(logits) against labels, which are
// not differentiable and stay outside the graph. It is the root of every
// graph here, so its own gradient is 1 and the backward pass is part of the
// forward one. Input: logits. Outputs: the loss, dlogits.
type loss[T kernels.Float] struct {
	n, classes int
	smoothing  float64
	labels     []int32
	correct    []int32 // 1: how many logits are right
}

func (d loss[T]) String() string {
	return fmt.Sprintf("softmax cross entropy n=%d classes=%d smoothing=%g", d.n, d.classes, d.smoothing)
}

func (d loss[T]) compile(c *compiler[T], in, out []value) {
	k := &kernels.SoftmaxCrossEntropy[T]{N: d.n, Classes: d.classes, Smoothing: T(d.smoothing), Labels: d.labels, Correct: d.correct}
	c.add(k).read(&k.Logits, in[0]).write(&k.Loss, out[0], 1).offer(&k.DLogits, out[1], nil)
}

func (loss[T]) differentiate(b *grapher[T], _ gorgonia.Nodes, out, _ *gorgonia.Node, _ []bool) gorgonia.Nodes {
	return gorgonia.Nodes{b.pick(out, 1)}
}

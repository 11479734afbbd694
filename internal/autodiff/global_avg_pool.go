// SPDX-License-Identifier: Apache-2.0

package autodiff

import (
	"fmt"

	"github.com/edgenas/edgenas/internal/kernels"
	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// globalAvgPool is the mean over all pixels of an image. Input: x.
type globalAvgPool[T kernels.Float] struct{ n, hw, c int }

func (d globalAvgPool[T]) String() string {
	return fmt.Sprintf("global avg pool %+v", struct{ n, hw, c int }(d))
}

func (d globalAvgPool[T]) compile(c *compiler[T], in, out *operands) {
	k := &kernels.GlobalAvgPool[T]{N: d.n, HW: d.hw, C: d.c}
	c.add(k).read(&k.X, in.next()).write(&k.Y, out.next(), d.n*d.c)
}

func (d globalAvgPool[T]) differentiate(
	b *grapher[T], in gorgonia.Nodes, _, grad *gorgonia.Node, want []bool,
) gorgonia.Nodes {
	out := make(gorgonia.Nodes, 1)
	if want[0] {
		out[0] = b.apply(globalAvgPoolGrad[T](d), []tensor.Shape{in[0].Shape()}, grad)
	}
	return out
}

// globalAvgPoolGrad is the gradient of globalAvgPool. Input: dy.
type globalAvgPoolGrad[T kernels.Float] globalAvgPool[T]

func (d globalAvgPoolGrad[T]) String() string { return globalAvgPool[T](d).String() + " backward" }
func (d globalAvgPoolGrad[T]) adds(int) bool  { return true }

func (d globalAvgPoolGrad[T]) compile(c *compiler[T], in, out *operands) {
	k := &kernels.GlobalAvgPoolBackward[T]{N: d.n, HW: d.hw, C: d.c}
	c.add(k).grad(&k.DY, in.next()).offer(&k.DX, out.next(), &k.Add)
}

// SPDX-License-Identifier: Apache-2.0

package autodiff

import (
	"github.com/edgenas/edgenas/internal/kernels"
	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// relu is max(0, x), where no convolution takes it in. Input: x.
type relu[T kernels.Float] struct{}

func (relu[T]) String() string { return "relu" }

func (relu[T]) compile(c *compiler[T], in, out *operands) {
	k := &kernels.ReLU[T]{}
	from := in.next()
	c.add(k).read(&k.X, from).write(&k.Y, out.next(), c.values[from].size)
}

// differentiate masks by the output: it is positive where the input is, and
// the input may then be given up earlier.
func (relu[T]) differentiate(b *grapher[T], in gorgonia.Nodes, out, grad *gorgonia.Node, want []bool) gorgonia.Nodes {
	g := make(gorgonia.Nodes, 1)
	if want[0] {
		g[0] = b.apply(reluGrad[T]{}, []tensor.Shape{in[0].Shape()}, out, grad)
	}
	return g
}

// reluGrad is the gradient of relu. Inputs: y, dy.
type reluGrad[T kernels.Float] struct{}

func (reluGrad[T]) String() string { return "relu backward" }
func (reluGrad[T]) adds(int) bool  { return true }

func (reluGrad[T]) compile(c *compiler[T], in, out *operands) {
	k := &kernels.ReLUBackward[T]{}
	c.add(k).read(&k.X, in.next()).grad(&k.DY, in.next()).offer(&k.DX, out.next(), &k.Add)
}

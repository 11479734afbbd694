// SPDX-License-Identifier: Apache-2.0

package autodiff

import (
	"fmt"

	"github.com/edgenas/edgenas/internal/kernels"
	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// linear is a fully connected layer. Inputs: x, weights, bias.
type linear[T kernels.Float] struct{ n, in, out int }

func (d linear[T]) String() string { return fmt.Sprintf("linear %+v", struct{ n, in, out int }(d)) }

func (d linear[T]) compile(c *compiler[T], in, out []value) {
	k := &kernels.Linear[T]{N: d.n, In: d.in, Out: d.out}
	c.add(k).read(&k.X, in[0]).read(&k.Weights, in[1]).read(&k.Bias, in[2]).write(&k.Y, out[0], d.n*d.out)
}

func (d linear[T]) differentiate(b *grapher[T], in gorgonia.Nodes, _, grad *gorgonia.Node, want []bool) gorgonia.Nodes {
	all := b.apply(linearGrad[T](d), []tensor.Shape{in[0].Shape(), in[1].Shape(), in[2].Shape()}, in[0], in[1], grad)
	out := gorgonia.Nodes{nil, b.pick(all, 1), b.pick(all, 2)}
	if want[0] {
		out[0] = b.pick(all, 0)
	}
	return out
}

// linearGrad gives dx, dweights and dbias of linear. Inputs: x, weights, dy.
type linearGrad[T kernels.Float] linear[T]

func (d linearGrad[T]) String() string       { return linear[T](d).String() + " backward" }
func (d linearGrad[T]) adds(output int) bool { return output == 0 }

func (d linearGrad[T]) compile(c *compiler[T], in, out []value) {
	k := &kernels.LinearBackward[T]{N: d.n, In: d.in, Out: d.out}
	c.add(k).read(&k.X, in[0]).read(&k.Weights, in[1]).grad(&k.DY, in[2]).
		offer(&k.DX, out[0], &k.Add).offer(&k.DW, out[1], nil).offer(&k.DB, out[2], nil)
}

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

func (d linear[T]) compile(c *compiler[T], in, out *operands) {
	k := &kernels.Linear[T]{N: d.n, In: d.in, Out: d.out}
	x := c.add(k).read(&k.X, in.next()).read(&k.Weights, in.next()).read(&k.Bias, in.next())
	x.write(&k.Y, out.next(), d.n*d.out)
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

func (d linearGrad[T]) compile(c *compiler[T], in, out *operands) {
	k := &kernels.LinearBackward[T]{N: d.n, In: d.in, Out: d.out}
	x := c.add(k).read(&k.X, in.next()).read(&k.Weights, in.next()).grad(&k.DY, in.next())
	x.offer(&k.DX, out.next(), &k.Add).offer(&k.DW, out.next(), nil).offer(&k.DB, out.next(), nil)
}

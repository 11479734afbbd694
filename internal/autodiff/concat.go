// SPDX-License-Identifier: Apache-2.0

package autodiff

import (
	"fmt"

	"github.com/edgenas/edgenas/internal/kernels"
	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// concat lays the channels of maps of m pixels side by side. Inputs: the maps.
type concat[T kernels.Float] struct {
	m        int
	channels []int
}

func (d concat[T]) String() string { return fmt.Sprintf("concat %d×%v", d.m, d.channels) }

func (d concat[T]) compile(c *compiler[T], in, out *operands) {
	k := &kernels.Concat[T]{M: d.m, Channels: d.channels, Xs: make([][]T, len(d.channels))}
	x := c.add(k)
	n := 0
	for i, v := range in.take(len(d.channels)) {
		x.read(&k.Xs[i], v)
		n += d.m * d.channels[i]
	}
	x.write(&k.Y, out.next(), n)
}

func (d concat[T]) differentiate(b *grapher[T], in gorgonia.Nodes, _, grad *gorgonia.Node, want []bool) gorgonia.Nodes {
	shapes := make([]tensor.Shape, len(in))
	for i, n := range in {
		shapes[i] = n.Shape()
	}
	all := b.apply(concatGrad[T](d), shapes, grad)
	g := make(gorgonia.Nodes, len(in))
	for i := range in {
		switch {
		case !want[i]:
		case len(in) == 1:
			g[i] = all
		default:
			g[i] = b.pick(all, i)
		}
	}
	return g
}

// concatGrad hands each map its channels of the gradient. Input: dy.
type concatGrad[T kernels.Float] concat[T]

func (d concatGrad[T]) String() string { return concat[T](d).String() + " backward" }
func (d concatGrad[T]) adds(int) bool  { return true }

func (d concatGrad[T]) compile(c *compiler[T], in, out *operands) {
	n := len(d.channels)
	k := &kernels.ConcatBackward[T]{M: d.m, Channels: d.channels, DXs: make([][]T, n), Add: make([]bool, n)}
	x := c.add(k).grad(&k.DY, in.next())
	for i, v := range out.take(n) {
		x.offer(&k.DXs[i], v, &k.Add[i])
	}
}

// SPDX-License-Identifier: Apache-2.0

package autodiff

import (
	"github.com/edgenas/edgenas/internal/kernels"
	"gorgonia.org/gorgonia"
)

// add is the sum of its inputs.
type add[T kernels.Float] struct{}

func (add[T]) String() string { return "add" }

func (add[T]) compile(c *compiler[T], in, out *operands) {
	terms := in.take(len(*in))
	k := &kernels.Add[T]{Xs: make([][]T, len(terms))}
	x := c.add(k)
	for i, v := range terms {
		x.read(&k.Xs[i], v)
	}
	x.write(&k.Y, out.next(), c.values[terms[0]].size)
}

// differentiate hands the gradient to every input as it is.
func (add[T]) differentiate(_ *grapher[T], in gorgonia.Nodes, _, grad *gorgonia.Node, want []bool) gorgonia.Nodes {
	g := make(gorgonia.Nodes, len(in))
	for i := range in {
		if want[i] {
			g[i] = grad
		}
	}
	return g
}

// fanIn adds one more contribution to a gradient, where the operation that
// computes it cannot do so itself. It is a kernel.
type fanIn[T kernels.Float] struct {
	add         bool
	x, y        []T
	copy, accum kernels.Add[T]
}

func (f *fanIn[T]) Run(p *kernels.Workers) {
	if f.add {
		f.accum.Run(p)
	} else {
		f.copy.Run(p)
	}
}

// fanIn adds in to out, or copies it if nothing is there yet.
func (c *compiler[T]) fanIn(in, out value) {
	f := &fanIn[T]{}
	x := c.add(f).grad(&f.x, in).offer(&f.y, out, &f.add)
	x.ready = func() {
		f.copy = kernels.Add[T]{Xs: [][]T{f.x}, Y: f.y}
		f.accum = kernels.Add[T]{Xs: [][]T{f.y, f.x}, Y: f.y}
	}
}

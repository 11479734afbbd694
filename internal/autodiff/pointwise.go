// SPDX-License-Identifier: Apache-2.0

package autodiff

import (
	"fmt"
	"slices"

	"github.com/edgenas/edgenas/internal/kernels"
	"github.com/edgenas/edgenas/ops"
	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// pointwise is a 1×1 convolution of maps side by side, rectifying them if relu.
// Inputs: the maps, then the weights. Outputs: y, and its statistics (mean and
// inverse of the standard deviation).
type pointwise[T kernels.Float] struct {
	kernels.PointwiseShape
	relu bool
}

func (d pointwise[T]) String() string {
	return fmt.Sprintf("pointwise %+v relu=%t", d.PointwiseShape, d.relu)
}

func (d pointwise[T]) outShape() tensor.Shape { return tensor.Shape{d.N, d.H, d.W, d.Out} }

func (d pointwise[T]) compile(c *compiler[T], in, out *operands) {
	n := len(d.Channels)
	k := &kernels.Pointwise[T]{
		PointwiseShape: d.PointwiseShape, ReLUIn: d.relu, Epsilon: ops.BatchNormEpsilon, Xs: make([][]T, n),
	}
	x := c.add(k)
	for i, v := range in.take(n) {
		x.read(&k.Xs[i], v)
	}
	x.read(&k.Weights, in.next()).write(&k.Y, out.next(), size(d.outShape()))
	x.writeStatistics(out.next(), d.Out, &k.Mean, &k.InvStd)
	x.scratch(&k.Scratch, k.ScratchLen(c.pool.Threads()))
}

func (d pointwise[T]) differentiate(
	b *grapher[T], in gorgonia.Nodes, out, grad *gorgonia.Node, want []bool,
) gorgonia.Nodes {
	return b.gradients(pointwiseGrad[T](d), in, len(in), want, grad, b.pick(out, 0))
}

// pointwiseGrad gives the gradients of all inputs of pointwise. Inputs: those
// of pointwise, dy, y.
type pointwiseGrad[T kernels.Float] pointwise[T]

func (d pointwiseGrad[T]) String() string       { return pointwise[T](d).String() + " backward" }
func (d pointwiseGrad[T]) adds(output int) bool { return output < len(d.Channels) }

func (d pointwiseGrad[T]) compile(c *compiler[T], in, out *operands) {
	n := len(d.Channels)
	maps, weights, dy, y := in.take(n), in.next(), in.next(), in.next()
	k := &pointwiseBackward[T]{kernels.PointwiseBackward[T]{
		PointwiseShape: d.PointwiseShape, ReLUIn: d.relu, Add: make([]bool, n), Xs: make([][]T, n), DXs: make([][]T, n),
	}, y}
	x := c.add(k).grad(&k.DY, dy)
	for i, v := range maps {
		x.read(&k.Xs[i], v).offer(&k.DXs[i], out.next(), &k.Add[i])
	}
	x.read(&k.Weights, weights).offer(&k.DWeights, out.next(), nil).scratch(&k.Scratch, k.ScratchLen(c.pool.Threads()))
}

// pointwiseBackward is a kernel that knows which value the operation wrote, so
// that it can take over the gradient of the batch norm that follows.
type pointwiseBackward[T kernels.Float] struct {
	kernels.PointwiseBackward[T]
	y value
}

// isPointwise reports whether node v is a 1×1 convolution of whole maps, and
// which map it reads, directly or through a ReLU.
func (l *lowering[T]) isPointwise(v ops.Value) (from ops.Value, relu, ok bool) {
	n := l.from.Nodes[v]
	whole := n.Kind == ops.Conv && n.Groups == 1 && !n.Bias && n.Window == ops.Same(1, 1, 1)
	if !whole || l.chains[v] != nil || l.absorbed[v] {
		return 0, false, false
	}
	from, relu = l.beforeReLU(n.In[0])
	return from, relu, true
}

// beforeReLU returns what ReLU v reads, or v itself if it is not a ReLU.
func (l *lowering[T]) beforeReLU(v ops.Value) (from ops.Value, relu bool) {
	if r := l.from.Nodes[v]; r.Kind == ops.ReLU {
		return r.In[0], true
	}
	return v, false
}

// onlyPointwiseRead reports whether all readers of v, or of its ReLU, are
// pointwise convolutions or factorized reduces, which can read several maps as
// if they were concatenated.
func (l *lowering[T]) onlyPointwiseRead(v ops.Value) bool {
	return v != l.from.Out && v != l.from.Aux && !slices.ContainsFunc(l.readers[v], func(r ops.Value) bool {
		if l.from.Nodes[r].Kind == ops.ReLU {
			return l.from.Nodes[v].Kind != ops.Concat || !l.onlyPointwiseRead(r)
		}
		_, _, ok := l.isPointwise(r)
		return !ok && !l.reducing[r]
	})
}

// pointwise adds a 1×1 convolution of the map from, or of the maps that from
// concatenates.
func (l *lowering[T]) pointwise(i ops.Value, n ops.Node, from ops.Value, relu bool) error {
	args, channels, err := l.sideBySide(n, from)
	if err != nil {
		return err
	}
	d := pointwise[T]{kernels.PointwiseShape{
		N: n.Shape.N, H: n.Shape.H, W: n.Shape.W, Out: n.Shape.C, Channels: channels,
	}, relu}
	all := l.apply(d, []tensor.Shape{d.outShape(), {2 * d.Out}}, append(args, l.learned(n)...)...)
	l.nodes[i], l.known[i] = l.pick(all, 0), known{all, 0}
	return nil
}

// sideBySide returns the map from, which convolution n reads, or the maps that
// from concatenates, and their channels.
func (l *lowering[T]) sideBySide(n ops.Node, from ops.Value) (args gorgonia.Nodes, channels []int, err error) {
	maps := []ops.Value{from}
	if l.nodes[from] == nil && l.from.Nodes[from].Kind == ops.Concat {
		maps = l.from.Nodes[from].In
	}
	for _, v := range maps {
		if l.nodes[v] == nil {
			return nil, nil, fmt.Errorf("autodiff: %s: a conv reads zeros", n.Name)
		}
		args, channels = append(args, l.nodes[v]), append(channels, l.from.Shape(v).C)
	}
	return args, channels, nil
}

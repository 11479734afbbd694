// SPDX-License-Identifier: Apache-2.0

package autodiff

import (
	"fmt"

	"github.com/edgenas/edgenas/internal/kernels"
	"github.com/edgenas/edgenas/ops"
	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// factorizedReduce is 1×1 convolutions side by side that skip pixels, of maps
// side by side, rectifying them if relu. Inputs: the maps, then each
// convolution's weights. Outputs: y, and its statistics (mean and inverse of
// the standard deviation).
type factorizedReduce[T kernels.Float] struct {
	kernels.FactorizedReduceShape
	relu bool
}

func (d factorizedReduce[T]) String() string {
	return fmt.Sprintf("factorized reduce %+v relu=%t", d.FactorizedReduceShape, d.relu)
}

func (d factorizedReduce[T]) outShape() tensor.Shape {
	return tensor.Shape{d.N, d.OutH(), d.OutW(), d.Out()}
}

func (d factorizedReduce[T]) compile(c *compiler[T], in, out *operands) {
	n := len(d.Channels)
	k := &kernels.FactorizedReduce[T]{
		FactorizedReduceShape: d.FactorizedReduceShape, ReLUIn: d.relu, Epsilon: ops.BatchNormEpsilon,
		Xs: make([][]T, n), Weights: make([][]T, len(d.Outs)),
	}
	x := c.add(k)
	for i, v := range in.take(n) {
		x.read(&k.Xs[i], v)
	}
	for i, v := range in.take(len(d.Outs)) {
		x.read(&k.Weights[i], v)
	}
	x.write(&k.Y, out.next(), size(d.outShape())).writeStatistics(out.next(), d.Out(), &k.Mean, &k.InvStd)
	x.scratch(&k.Scratch, k.ScratchLen(c.pool.Threads()))
}

func (d factorizedReduce[T]) differentiate(
	b *grapher[T], in gorgonia.Nodes, out, grad *gorgonia.Node, want []bool,
) gorgonia.Nodes {
	return b.gradients(factorizedReduceGrad[T](d), in, len(in), want, grad, b.pick(out, 0))
}

// factorizedReduceGrad gives the gradients of all inputs of factorizedReduce.
// Inputs: those of factorizedReduce, dy, y.
type factorizedReduceGrad[T kernels.Float] factorizedReduce[T]

func (d factorizedReduceGrad[T]) String() string {
	return factorizedReduce[T](d).String() + " backward"
}
func (d factorizedReduceGrad[T]) adds(output int) bool { return output < len(d.Channels) }

func (d factorizedReduceGrad[T]) compile(c *compiler[T], in, out *operands) {
	n, m := len(d.Channels), len(d.Outs)
	maps, weights, dy, y := in.take(n), in.take(m), in.next(), in.next()
	k := &factorizedReduceBackward[T]{kernels.FactorizedReduceBackward[T]{
		FactorizedReduceShape: d.FactorizedReduceShape, ReLUIn: d.relu, Add: make([]bool, n),
		Xs: make([][]T, n), DXs: make([][]T, n), Weights: make([][]T, m), DWeights: make([][]T, m),
	}, y}
	x := c.add(k).grad(&k.DY, dy)
	for i, v := range maps {
		x.read(&k.Xs[i], v).offer(&k.DXs[i], out.next(), &k.Add[i])
	}
	for i, v := range weights {
		x.read(&k.Weights[i], v).offer(&k.DWeights[i], out.next(), nil)
	}
	x.scratch(&k.Scratch, k.ScratchLen(c.pool.Threads()))
}

// factorizedReduceBackward is a kernel that knows which value the operation
// wrote, so that it can take over the gradient of the batch norm that follows.
type factorizedReduceBackward[T kernels.Float] struct {
	kernels.FactorizedReduceBackward[T]
	y value
}

// factorizedReduces finds 1×1 convolutions side by side that read one map at
// every few pixels, the first from row and column 0 on, the next from 1 on, and
// so on. Their concatenation stands for them all.
func (l *lowering[T]) factorizedReduces() {
	l.reduces, l.reducing = map[ops.Value]bool{}, map[ops.Value]bool{}
	for i, n := range l.from.Nodes {
		if n.Kind == ops.Concat && l.isFactorizedReduce(n) {
			l.reduces[ops.Value(i)] = true
			for _, v := range n.In {
				l.reducing[v] = true
			}
		}
	}
}

func (l *lowering[T]) isFactorizedReduce(n ops.Node) bool {
	x, stride := l.from.Nodes[n.In[0]].In, l.from.Nodes[n.In[0]].Window.Stride
	for i, v := range n.In {
		w := ops.Same(1, stride, 1)
		w.Crop = i
		c := l.from.Nodes[v]
		skips := c.Kind == ops.Conv && c.Groups == 1 && !c.Bias && c.Window == w && i < stride
		if !skips || c.In[0] != x[0] || len(l.readers[v]) != 1 || v == l.from.Out || v == l.from.Aux {
			return false
		}
	}
	return stride > 1
}

// factorizedReduce adds the convolutions that n lays side by side.
func (l *lowering[T]) factorizedReduce(i ops.Value, n ops.Node) error {
	first := l.from.Nodes[n.In[0]]
	from, relu := l.beforeReLU(first.In[0])
	in := l.from.Shape(from)
	d := factorizedReduce[T]{kernels.FactorizedReduceShape{N: in.N, H: in.H, W: in.W, Stride: first.Window.Stride}, relu}
	args, channels, err := l.sideBySide(first, from)
	if err != nil {
		return err
	}
	d.Channels = channels
	for _, v := range n.In {
		args, d.Outs = append(args, l.learned(l.from.Nodes[v])...), append(d.Outs, l.from.Shape(v).C)
	}
	all := l.apply(d, []tensor.Shape{d.outShape(), {2 * d.Out()}}, args...)
	l.nodes[i], l.known[i] = l.pick(all, 0), known{all, 0}
	return nil
}

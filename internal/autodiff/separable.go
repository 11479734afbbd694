// SPDX-License-Identifier: Apache-2.0

package autodiff

import (
	"fmt"

	"github.com/edgenas/edgenas/internal/kernels"
	"github.com/edgenas/edgenas/ops"
	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// separable is a chain of depthwise separable convolutions, each with a ReLU
// before it, and a batch norm between each two. Inputs: x, then for each stage
// the depthwise and the pointwise weights, and scale and shift of the batch
// norm behind it if that has them and is not the last stage's. Outputs: y, the
// statistics of each stage's output (mean and inverse of the standard
// deviation), and the outputs of all stages but the last.
type separable[T kernels.Float] struct {
	name   string
	stages []kernels.SeparableShape
	affine []bool // the batch norm behind each stage but the last
}

func (d separable[T]) String() string {
	return fmt.Sprintf("separable %s %+v affine=%t", d.name, d.stages, d.affine)
}

func (d separable[T]) last() int { return len(d.stages) - 1 }

// statistics is where those of a stage's output begin in the second output.
func (d separable[T]) statistics(stage int) int {
	at := 0
	for _, s := range d.stages[:stage] {
		at += 2 * s.Out
	}
	return at
}

func outShape(s kernels.SeparableShape) tensor.Shape {
	return tensor.Shape{s.N, s.OutH(), s.OutW(), s.Out}
}

// shapes are those of the outputs.
func (d separable[T]) shapes() []tensor.Shape {
	out := []tensor.Shape{outShape(d.stages[d.last()]), {d.statistics(len(d.stages))}}
	for _, s := range d.stages[:d.last()] {
		out = append(out, outShape(s))
	}
	return out
}

// separableInputs are the inputs of separable, or their gradients.
type separableInputs struct {
	x      value
	stages []separableStage
}

type separableStage struct {
	depth, point value
	affine       bool
	scale, shift value // if affine
}

func (d separable[T]) inputs(in *operands) separableInputs {
	s := separableInputs{x: in.next()}
	for i := range d.stages {
		stage := separableStage{depth: in.next(), point: in.next()}
		if stage.affine = i < d.last() && d.affine[i]; stage.affine {
			stage.scale, stage.shift = in.next(), in.next()
		}
		s.stages = append(s.stages, stage)
	}
	return s
}

func (d separable[T]) compile(c *compiler[T], in, out *operands) {
	n := len(d.stages)
	k := &kernels.SeparableChain[T]{Stages: make([]kernels.Separable[T], n), Norms: make([]kernels.ChainNorm[T], n-1)}
	x := c.add(k)
	var statistics, scratch []T
	coefficients, scratchLen := make([][]T, n), 0
	inputs, y, stats, between := d.inputs(in), out.next(), out.next(), out.take(n-1)
	x.read(&k.Stages[0].X, inputs.x)
	for i := range k.Stages {
		s, of, to := &k.Stages[i], inputs.stages[i], y
		s.SeparableShape, s.Epsilon = d.stages[i], ops.BatchNormEpsilon
		x.read(&s.Depth, of.depth).read(&s.Point, of.point)
		if i < d.last() {
			to = between[i]
		}
		if of.affine {
			x.read(&k.Norms[i].Gamma, of.scale).read(&k.Norms[i].Beta, of.shift)
		}
		x.write(&s.Y, to, size(outShape(s.SeparableShape)))
		if i > 0 {
			x.scratch(&coefficients[i], 2*s.C)
		}
		scratchLen = max(scratchLen, s.ScratchLen(c.pool.Threads()))
	}
	x.write(&statistics, stats, d.statistics(n)).scratch(&scratch, scratchLen)
	x.ready = func() {
		for i := range k.Stages {
			s := &k.Stages[i]
			own := statistics[d.statistics(i):]
			s.Mean, s.InvStd, s.Scratch = own[:s.Out], own[s.Out:][:s.Out], scratch
			if i > 0 {
				s.X, s.Scale, s.Shift = k.Stages[i-1].Y, coefficients[i][:s.C], coefficients[i][s.C:]
			}
		}
	}
}

func (d separable[T]) differentiate(
	b *grapher[T], in gorgonia.Nodes, out, grad *gorgonia.Node, want []bool,
) gorgonia.Nodes {
	more := gorgonia.Nodes{grad, b.pick(out, 0), b.pick(out, 1)}
	for i := range d.last() {
		more = append(more, b.pick(out, 2+i))
	}
	return b.gradients(separableGrad[T](d), in, len(in), want, more...)
}

// separableGrad gives the gradients of all inputs of separable. Inputs: those
// of separable, dy, y, the statistics, the outputs of all stages but the last.
type separableGrad[T kernels.Float] separable[T]

func (d separableGrad[T]) String() string       { return separable[T](d).String() + " backward" }
func (d separableGrad[T]) adds(output int) bool { return output == 0 }

func (d separableGrad[T]) compile(c *compiler[T], in, out *operands) {
	n := len(d.stages)
	last := n - 1
	inputs, dy, y, stats, outputs := separable[T](d).inputs(in), in.next(), in.next(), in.next(), in.take(last)
	gradients := separable[T](d).inputs(out)
	k := &separableBackward[T]{kernels.SeparableChainBackward[T]{
		Stages: make([]kernels.SeparableBackward[T], n), InvStd: make([][]T, n), Norms: make([]kernels.ChainNorm[T], n-1),
	}, y}
	x := c.add(k).grad(&k.Stages[last].DY, dy)
	var statistics, scratch []T
	x.read(&statistics, stats)
	between, coefficients, scratchLen := make([][]T, n), make([][]T, n), 0
	x.read(&k.Stages[0].X, inputs.x).offer(&k.Stages[0].DX, gradients.x, &k.Stages[0].Add)
	for i := range k.Stages {
		s, of, grad := &k.Stages[i], inputs.stages[i], gradients.stages[i]
		s.SeparableShape = d.stages[i]
		x.read(&s.Depth, of.depth).offer(&s.DDepth, grad.depth, nil)
		x.read(&s.Point, of.point).offer(&s.DPoint, grad.point, nil)
		if of.affine {
			norm := &k.Norms[i]
			x.read(&norm.Gamma, of.scale).offer(&norm.DGamma, grad.scale, nil)
			x.read(&norm.Beta, of.shift).offer(&norm.DBeta, grad.shift, nil)
		}
		if i > 0 {
			x.read(&s.X, outputs[i-1]).scratch(&between[i], s.N*s.H*s.W*s.C).scratch(&coefficients[i], 7*s.C)
		}
		scratchLen = max(scratchLen, s.ScratchLen(c.pool.Threads()))
	}
	x.scratch(&scratch, scratchLen)
	x.ready = func() {
		for i := range k.Stages {
			s := &k.Stages[i]
			s.Scratch = scratch
			if i == 0 {
				continue
			}
			own, part := statistics[separable[T](d).statistics(i-1):], func(j int) []T { return coefficients[i][j*s.C:][:s.C] }
			s.Mean, k.InvStd[i] = own[:s.C], own[s.C:][:s.C]
			s.Scale, s.Shift, s.Sum, s.Dot, s.DX = part(0), part(1), part(2), part(3), between[i]
			before := &k.Stages[i-1]
			before.A, before.B, before.D, before.DY, before.Y = part(4), part(5), part(6), between[i], s.X
		}
	}
}

// separableBackward is a kernel that knows which value the operation wrote, so
// that it can take over the gradient of the batch norm or mixture that follows.
type separableBackward[T kernels.Float] struct {
	kernels.SeparableChainBackward[T]
	y value
}

// separables finds chains of depthwise separable convolutions with a ReLU
// before each: the last pointwise convolution of each stands for them all.
func (l *lowering[T]) separables() {
	l.chains, l.absorbed = map[ops.Value][]ops.Value{}, map[ops.Value]bool{}
	only := func(v ops.Value) bool { return len(l.readers[v]) == 1 && v != l.from.Out && v != l.from.Aux }
	for i, n := range l.from.Nodes {
		if n.Kind != ops.Conv || n.Groups != 1 || n.Bias || n.Window != ops.Same(1, 1, 1) {
			continue
		}
		depth := l.from.Nodes[n.In[0]]
		if depth.Kind != ops.Conv || depth.Groups != depth.Shape.C || depth.Groups < 2 || depth.Bias || !only(n.In[0]) ||
			depth.Window.Kernel < depth.Window.Stride || 2*depth.Window.Pad != (depth.Window.Kernel-1)*depth.Window.Dilation {
			continue
		}
		relu := l.from.Nodes[depth.In[0]]
		if relu.Kind != ops.ReLU || l.from.Shape(depth.In[0]).C != depth.Groups {
			continue
		}
		l.absorbed[n.In[0]] = true
		var chain []ops.Value
		norm := l.from.Nodes[relu.In[0]]
		alone := only(depth.In[0]) && only(relu.In[0]) && norm.Kind == ops.BatchNorm && only(norm.In[0])
		if alone && l.chains[norm.In[0]] != nil {
			chain = l.chains[norm.In[0]]
			delete(l.chains, norm.In[0])
			l.absorbed[norm.In[0]], l.absorbed[relu.In[0]] = true, true
		}
		l.chains[ops.Value(i)] = append(chain, ops.Value(i))
	}
}

// separable adds a chain of separable convolutions, given by its pointwise ones.
func (l *lowering[T]) separable(chain []ops.Value) error {
	var d separable[T]
	var args gorgonia.Nodes
	var sources []runningSource[T]
	for i, v := range chain {
		point := l.from.Nodes[v]
		depth := l.from.Nodes[point.In[0]]
		relu := l.from.Nodes[depth.In[0]]
		if i == 0 {
			args = append(args, l.nodes[relu.In[0]])
			if args[0] == nil {
				return fmt.Errorf("autodiff: %s: a conv reads zeros", depth.Name)
			}
		} else {
			norm := l.from.Nodes[relu.In[0]]
			d.affine = append(d.affine, norm.Affine)
			args = append(args, l.learned(norm)...)
			before := d.stages[i-1]
			sources = append(sources, l.statistics(norm, before.N*before.OutH()*before.OutW(), d.statistics(i-1), nil))
		}
		s := depthwiseShape(l.from.Shape(depth.In[0]), depth.Window)
		d.stages = append(d.stages, kernels.SeparableShape{DepthwiseShape: s, Out: point.Shape.C})
		args = append(append(args, l.learned(depth)...), l.learned(point)...)
		d.name = point.Name
	}
	all := l.apply(d, d.shapes(), args...)
	v := chain[d.last()]
	l.nodes[v] = l.pick(all, 0)
	l.running[all] = sources
	l.known[v] = known{all, d.statistics(d.last())}
	return nil
}

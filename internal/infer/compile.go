// SPDX-License-Identifier: Apache-2.0

package infer

import (
	"fmt"
	"math"

	"github.com/edgenas/edgenas/internal/arena"
	"github.com/edgenas/edgenas/internal/kernels"
	"github.com/edgenas/edgenas/ops"
)

// UnsupportedError says that the runtime has no kernel for a node.
type UnsupportedError struct {
	Node   string
	Reason string
}

func (e *UnsupportedError) Error() string {
	return fmt.Sprintf("infer: %s: not supported: %s", e.Node, e.Reason)
}

// CompileTrained compiles a network in training form: it fuses g and folds w
// first.
func CompileTrained(g *ops.Graph, w ops.Weights, pool *kernels.Workers) (*Program, error) {
	fused := ops.Fuse(g)
	folded, err := fused.FoldWeights(w)
	if err != nil {
		return nil, fmt.Errorf("infer: %w", err)
	}
	return Compile(fused, folded, pool)
}

// Compile makes a program that runs g on pool with a copy of the weights w.
// The number of images is the graph's (see [ops.Graph.WithBatch]). A graph
// need not be fused; one that is runs faster.
//
// It returns an error if w lacks a parameter of g or has one that is not
// finite, and an [UnsupportedError] for a mixture and for a convolution in
// groups that is not depthwise.
func Compile(g *ops.Graph, w ops.Weights, pool *kernels.Workers) (*Program, error) {
	if err := w.Check(g); err != nil {
		return nil, fmt.Errorf("infer: %w", err)
	}
	b := planBuffers(g)
	c := compiler{g: g, w: w, threads: pool.Threads()}
	kernel := make([]bound, len(g.Nodes))
	scratch := make([]int, len(g.Nodes)) // buffer of each node
	for i, n := range g.Nodes {
		var err error
		if kernel[i], err = c.kernel(n); err != nil {
			return nil, err
		}
		scratch[i] = b.add(arena.Span{Len: kernel[i].scratch, First: i, Last: i})
	}
	offsets, total := arena.Place(b.lives, nil)
	p := &Program{pool: pool, arena: c.slab.Make(total)}
	buffer := func(b, n int) []float32 { return p.arena[offsets[b]:][:n:n] }
	value := func(v ops.Value) value { return value{g.Shape(v), buffer(b.of[v], g.Shape(v).Len())} }
	for i, n := range g.Nodes {
		y := value(ops.Value(i))
		if n.Kind == ops.Input {
			p.inputs = append(p.inputs, y)
			continue
		}
		m := memory{y: y.data, scratch: buffer(scratch[i], kernel[i].scratch)}
		for _, v := range n.In {
			m.xs = append(m.xs, value(v).data)
		}
		if n.Accumulate {
			m.residual = m.xs[1]
		}
		kernel[i].bind(m)
		key, _ := g.Key(n)
		p.steps = append(p.steps, Step{n.Name, key, kernel[i].Kernel})
	}
	p.output = value(g.Out)
	p.Execute() // kernels make their plans on the first run
	return p, nil
}

// bound is a kernel that gets its memory once the arena is planned.
type bound struct {
	kernels.Kernel
	scratch int // elements
	bind    func(m memory)
}

// memory is what a kernel reads and writes.
type memory struct {
	xs                   [][]float32 // the node's inputs
	residual, y, scratch []float32   // residual is nil unless the node accumulates
}

type compiler struct {
	g       *ops.Graph
	w       ops.Weights
	threads int
	slab    kernels.Slab[float32] // all that a run reads and writes
}

// kernel returns the kernel of a node; an input has none.
func (c *compiler) kernel(n ops.Node) (bound, error) {
	if n.Kind == ops.Input {
		return bound{}, nil
	}
	x, y := c.g.Shape(n.In[0]), n.Shape
	switch n.Kind {
	case ops.Conv:
		switch {
		case n.Groups == 1:
			return c.conv(n), nil
		case n.Groups == x.C && n.Groups == y.C:
			return c.depthwise(n), nil
		}
		return bound{}, &UnsupportedError{n.Name,
			fmt.Sprintf("convolution of %d channels to %d in %d groups, neither dense nor depthwise", x.C, y.C, n.Groups)}
	case ops.BatchNorm:
		k := &kernels.ScaleShift[float32]{M: x.N * x.H * x.W, C: x.C, ReLUOut: n.ReLUOut}
		k.Scale, k.Shift = c.scaleShift(n)
		return bound{k, 0, func(m memory) { k.X, k.Y = m.xs[0], m.y }}, nil
	case ops.ReLU:
		k := &kernels.ReLU[float32]{}
		return bound{k, 0, func(m memory) { k.X, k.Y = m.xs[0], m.y }}, nil
	case ops.MaxPool:
		k := &kernels.MaxPool[float32]{PoolShape: poolShape(x, n.Window)}
		return bound{k, k.ScratchLen(c.threads), func(m memory) {
			k.X, k.Residual, k.Y, k.Scratch = m.xs[0], m.residual, m.y, m.scratch
		}}, nil
	case ops.AvgPool:
		k := &kernels.AvgPool[float32]{PoolShape: poolShape(x, n.Window)}
		return bound{k, k.ScratchLen(c.threads), func(m memory) {
			k.X, k.Residual, k.Y, k.Scratch = m.xs[0], m.residual, m.y, m.scratch
		}}, nil
	case ops.Add:
		k := &kernels.Add[float32]{ReLUOut: n.ReLUOut}
		return bound{k, 0, func(m memory) { k.Xs, k.Y = m.xs, m.y }}, nil
	case ops.Concat:
		k := &kernels.Concat[float32]{M: y.N * y.H * y.W}
		for _, v := range n.In {
			k.Channels = append(k.Channels, c.g.Shape(v).C)
		}
		return bound{k, 0, func(m memory) { k.Xs, k.Y = m.xs, m.y }}, nil
	case ops.Zero:
		k := &zero{}
		return bound{k, 0, func(m memory) { k.y = m.y }}, nil
	case ops.GlobalAvgPool:
		k := &kernels.GlobalAvgPool[float32]{N: x.N, HW: x.H * x.W, C: x.C}
		return bound{k, 0, func(m memory) { k.X, k.Y = m.xs[0], m.y }}, nil
	case ops.Linear:
		k := &kernels.Linear[float32]{N: x.N, In: x.C, Out: y.C, Weights: c.slab.Make(x.C * y.C),
			Bias: c.copyOf(n.Name + ".bias")}
		kernels.OIHWToHWIO(k.Weights, c.w[n.Name+".weight"].Data, y.C, x.C, 1)
		return bound{k, 0, func(m memory) { k.X, k.Y = m.xs[0], m.y }}, nil
	}
	return bound{}, &UnsupportedError{n.Name, n.Kind.String()}
}

func (c *compiler) conv(n ops.Node) bound {
	x, w := c.g.Shape(n.In[0]), n.Window
	s := kernels.ConvShape{N: x.N, H: x.H, W: x.W, In: x.C, Out: n.Shape.C, Kernel: w.Kernel, Stride: w.Stride, Pad: w.Pad,
		Dilation: w.Dilation, Crop: w.Crop}
	k := &kernels.Conv[float32]{ConvShape: s, ReLUIn: n.ReLUIn, ReLUOut: n.ReLUOut,
		Packed: c.slab.Make(s.PackedLen()), Bias: c.bias(n)}
	from := c.w[n.Name+".weight"].Data
	weights := make([]float32, len(from))
	kernels.OIHWToHWIO(weights, from, s.Out, s.In, s.Kernel)
	kernels.PackConv(s, k.Packed, weights)
	return bound{k, k.ScratchLen(c.threads), func(m memory) {
		k.X, k.Residual, k.Y, k.Scratch = m.xs[0], m.residual, m.y, m.scratch
	}}
}

func (c *compiler) depthwise(n ops.Node) bound {
	x, w := c.g.Shape(n.In[0]), n.Window
	s := kernels.DepthwiseShape{N: x.N, H: x.H, W: x.W, C: x.C, Kernel: w.Kernel, Stride: w.Stride, Pad: w.Pad,
		Dilation: w.Dilation}
	from := c.w[n.Name+".weight"].Data
	k := &kernels.Depthwise[float32]{DepthwiseShape: s, ReLUIn: n.ReLUIn, ReLUOut: n.ReLUOut,
		Weights: c.slab.Make(len(from)), Bias: c.bias(n)}
	kernels.OIHWToHWIO(k.Weights, from, s.C, 1, s.Kernel)
	return bound{k, k.ScratchLen(c.threads), func(m memory) {
		k.X, k.Residual, k.Y, k.Scratch = m.xs[0], m.residual, m.y, m.scratch
	}}
}

// bias returns a convolution's bias, its own or a folded one, or nil.
func (c *compiler) bias(n ops.Node) []float32 {
	if n.Bias || len(n.Folded) > 0 {
		return c.copyOf(n.Name + ".bias")
	}
	return nil
}

func (c *compiler) copyOf(name string) []float32 {
	from := c.w[name].Data
	to := c.slab.Make(len(from))
	copy(to, from)
	return to
}

// scaleShift returns a batch norm's inference form: γ/√(var+ε) and β − mean·scale.
func (c *compiler) scaleShift(n ops.Node) (scale, shift []float32) {
	scale, shift = c.slab.Make(n.Shape.C), c.slab.Make(n.Shape.C)
	mean, variance := c.w[n.Name+".running_mean"].Data, c.w[n.Name+".running_var"].Data
	for i := range scale {
		gamma, beta := 1.0, 0.0
		if n.Affine {
			gamma, beta = float64(c.w[n.Name+".weight"].Data[i]), float64(c.w[n.Name+".bias"].Data[i])
		}
		gamma /= math.Sqrt(float64(variance[i]) + ops.BatchNormEpsilon)
		scale[i], shift[i] = float32(gamma), float32(beta-float64(mean[i])*gamma)
	}
	return scale, shift
}

func poolShape(x ops.Shape, w ops.Window) kernels.PoolShape {
	return kernels.PoolShape{N: x.N, H: x.H, W: x.W, C: x.C, Kernel: w.Kernel, Stride: w.Stride, Pad: w.Pad}
}

// zero writes a map of zeros.
type zero struct{ y []float32 }

func (k *zero) Run(*kernels.Workers) { clear(k.y) }

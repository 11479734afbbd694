// SPDX-License-Identifier: Apache-2.0

package kernels

import "fmt"

// DepthwiseShape is the extents of a depthwise convolution: X is N,H,W,C, the
// weights are Kernel,Kernel,C, Y is N,OutH,OutW,C. Dilation 0 means 1.
type DepthwiseShape struct{ N, H, W, C, Kernel, Stride, Pad, Dilation int }

// OutH is the output height.
func (s DepthwiseShape) OutH() int { return outExtent(s.H, s.Kernel, s.Stride, s.Pad, s.Dilation) }

// OutW is the output width.
func (s DepthwiseShape) OutW() int { return outExtent(s.W, s.Kernel, s.Stride, s.Pad, s.Dilation) }

func (s DepthwiseShape) xLen() int       { return s.N * s.H * s.W * s.C }
func (s DepthwiseShape) yLen() int       { return s.N * s.OutH() * s.OutW() * s.C }
func (s DepthwiseShape) weightsLen() int { return s.Kernel * s.Kernel * s.C }

func (s DepthwiseShape) check() {
	if min(s.N, s.H, s.W, s.C, s.Kernel, s.Stride) < 1 || min(s.Pad, s.Dilation) < 0 || min(s.OutH(), s.OutW()) < 1 {
		panic(fmt.Sprintf("kernels: depthwise: bad shape %+v", s))
	}
}

// dense is the dense shape whose gather a depthwise convolution has.
func (s DepthwiseShape) dense() ConvShape {
	return ConvShape{s.N, s.H, s.W, s.C, s.C, s.Kernel, s.Stride, s.Pad, s.Dilation, 0}
}

// depthwise is the plan of a depthwise convolution, forward or backward: a
// gather, or, where nothing is to be applied to the source and there are loops
// for it, the images as they lie in memory.
type depthwise struct {
	g     gather
	taps  [][]tapOffsets // for each row phase and column phase
	plane *plane         // or nil
}

// tapOffsets are the distances of a phase pair's taps in the working copy and
// in the weights, as lists and as a window.
type tapOffsets struct {
	x, w   []int
	window window
}

func newDepthwise(g gather, kernel int) *depthwise {
	d := &depthwise{g: g}
	for _, rp := range g.rows.phases {
		var row []tapOffsets
		for _, cp := range g.cols.phases {
			var o tapOffsets
			o.x, _ = g.segments(rp, cp, false)
			for _, r := range rp.taps {
				for _, c := range cp.taps {
					o.w = append(o.w, (r.t*kernel+c.t)*g.c)
				}
			}
			o.window = windowOf(o.x, o.w)
			row = append(row, o)
		}
		d.taps = append(d.taps, row)
	}
	return d
}

// windowOf is the window whose taps lie so and have these numbers.
func windowOf(at, number []int) (w window) {
	if len(at) == 0 {
		return w
	}
	w = window{rows: 1, cols: len(at), first: at[0], number: number[0]}
	if len(at) > 1 {
		w.col, w.numberCol = at[1]-at[0], number[1]-number[0]
	}
	for t := 1; t < len(at); t++ {
		if at[t]-at[t-1] != w.col || number[t]-number[t-1] != w.numberCol {
			w.rows, w.cols, w.row, w.numberRow = len(at)/t, t, at[t]-at[0], number[t]-number[0]
			break
		}
	}
	return w
}

// eachRow calls do for every destination row of a piece: its index among all
// rows of the batch, its row phase, and where its source starts in the working copy.
func (g *gather) eachRow(piece int, do func(row, phase, source int)) {
	image, images, unit, units := g.at(piece)
	for i := range images {
		for u := range units {
			for k, p := range g.rows.phases {
				if unit+u < p.count {
					do((image+i)*g.rows.dest+p.first+(unit+u)*g.rows.every, k, i*g.imageLen()+u*g.rows.step*g.width*g.c)
				}
			}
		}
	}
}

// depthRow writes a destination row, as micro.depth does.
func depthRow[T Float](d *depthwise, m *micro[T], phase int, y, mask, residual, x, weights, bias []T, floor T) {
	g := &d.g
	for k, p := range g.cols.phases {
		o, at := &d.taps[phase][k], p.first*g.c
		m.depth(depthOperands[T]{y: y[at:], mask: tail(mask, at), residual: tail(residual, at), yCol: g.cols.every * g.c,
			x: x, xCol: g.cols.step * g.c, w: weights, window: o.window, bias: bias, floor: floor, cols: p.count, c: g.c})
	}
}

// workLen is the length of a thread's working copy.
func (d *depthwise) workLen() int {
	if d.plane != nil {
		return 0
	}
	return d.g.workLen()
}

// planePiece writes a piece of the batch, as micro.depthPlane does.
func planePiece[T Float](d *depthwise, m *micro[T], piece int, y, mask, residual, x, weights, bias []T, floor T) {
	g := &d.g
	image, images, unit, units := g.at(piece)
	for i := image; i < image+images; i++ {
		to := (i*g.rows.dest + unit) * g.cols.dest * g.c
		m.depthPlane(y[to:], tail(mask, to), tail(residual, to), x[i*g.rows.source*g.cols.source*g.c:], weights, bias,
			floor, d.plane, unit, units)
	}
}

// Depthwise is a convolution of each channel with its own window:
//
//	Y = post(weights ∗ pre(X) + Bias + Residual)
//
// The fields are as in [Conv]; nothing is packed.
// Source: Howard et al., MobileNets, 2017, §3.1.
type Depthwise[T Float] struct {
	DepthwiseShape
	ReLUIn, ReLUOut                        bool
	X, Weights, Bias, Residual, Y, Scratch []T

	plan *depthwise
	key  convKey
}

func (c *Depthwise[T]) planFor(threads int) *depthwise {
	if key := (convKey{c.dense(), c.ReLUIn, threads}); c.plan == nil || key != c.key {
		c.check()
		c.plan, c.key = newDepthwise(c.dense().forward(!c.ReLUIn, threads), c.Kernel), key
		if !c.ReLUIn {
			c.plan.plane = planeOf[T](c.plan.g, c.Kernel)
		}
	}
	return c.plan
}

// ScratchLen returns the length that Scratch must have for so many threads.
func (c *Depthwise[T]) ScratchLen(threads int) int { return threads * c.planFor(threads).workLen() }

// Run computes Y.
func (c *Depthwise[T]) Run(p *Workers) {
	d := c.planFor(p.Threads())
	need("depthwise", "X", c.X, c.xLen())
	need("depthwise", "Weights", c.Weights, c.weightsLen())
	optional("depthwise", "Bias", c.Bias, c.C)
	optional("depthwise", "Residual", c.Residual, c.yLen())
	need("depthwise", "Y", c.Y, c.yLen())
	need("depthwise", "Scratch", c.Scratch, c.ScratchLen(p.Threads()))
	p.For(d.g.pieces(), (*depthwiseTask[T])(c))
}

type depthwiseTask[T Float] Depthwise[T]

func (c *depthwiseTask[T]) Do(piece, worker int) {
	d, m := c.plan, loops[T]()
	g := &d.g
	if d.plane != nil {
		planePiece(d, m, piece, c.Y, nil, c.Residual, c.X, c.Weights, c.Bias, floorOf[T](c.ReLUOut))
		return
	}
	x := load(g, m, piece, c.X, c.Scratch[worker*g.workLen():], entry[T]{relu: c.ReLUIn})
	width := g.cols.dest * g.c
	g.eachRow(piece, func(row, phase, source int) {
		y := c.Y[row*width:][:width]
		depthRow(d, m, phase, y, nil, tail(c.Residual, row*width), x[source:], c.Weights, c.Bias, floorOf[T](c.ReLUOut))
	})
}

// start sets a row to residual + bias, either of which may be nil.
func start[T Float](y, residual, bias []T) {
	switch {
	case residual == nil && bias == nil:
		clear(y)
	case residual == nil:
		for n := copy(y, bias); n < len(y); n *= 2 {
			copy(y[n:], y[:n])
		}
	default:
		copy(y, residual)
		for c := len(bias); c > 0 && len(y) > 0; y = y[c:] {
			for i, b := range bias {
				y[i] += b
			}
		}
	}
}

// DepthwiseBackwardData is the gradient of a depthwise convolution in its
// input, as [ConvBackwardData].
type DepthwiseBackwardData[T Float] struct {
	DepthwiseShape
	ReLUIn, Add                 bool
	X, Weights, DY, DX, Scratch []T

	plan *depthwise
	key  convKey
}

func (c *DepthwiseBackwardData[T]) planFor(threads int) *depthwise {
	if key := (convKey{c.dense(), false, threads}); c.plan == nil || key != c.key {
		c.check()
		c.plan, c.key = newDepthwise(c.dense().backward(threads), c.Kernel), key
		c.plan.plane = planeOf[T](c.plan.g, c.Kernel)
	}
	return c.plan
}

// ScratchLen returns the length that Scratch must have for so many threads.
func (c *DepthwiseBackwardData[T]) ScratchLen(threads int) int {
	return threads * c.planFor(threads).workLen()
}

// Run computes DX.
func (c *DepthwiseBackwardData[T]) Run(p *Workers) {
	d := c.planFor(p.Threads())
	need("depthwise backward data", "Weights", c.Weights, c.weightsLen())
	need("depthwise backward data", "DY", c.DY, c.yLen())
	need("depthwise backward data", "DX", c.DX, c.xLen())
	need("depthwise backward data", "Scratch", c.Scratch, c.ScratchLen(p.Threads()))
	if c.ReLUIn {
		need("depthwise backward data", "X", c.X, c.xLen())
	}
	p.For(d.g.pieces(), (*depthwiseBackwardDataTask[T])(c))
}

type depthwiseBackwardDataTask[T Float] DepthwiseBackwardData[T]

func (c *depthwiseBackwardDataTask[T]) Do(piece, worker int) {
	d, m := c.plan, loops[T]()
	g := &d.g
	width := g.cols.dest * g.c
	if d.plane != nil {
		var mask, before []T
		if c.ReLUIn {
			mask = c.X
		}
		if c.Add {
			before = c.DX
		}
		planePiece(d, m, piece, c.DX, mask, before, c.DY, c.Weights, nil, floorOf[T](false))
		return
	}
	dy := load(g, m, piece, c.DY, c.Scratch[worker*g.workLen():], entry[T]{})
	g.eachRow(piece, func(row, phase, source int) {
		dx := c.DX[row*width:][:width]
		var mask, before []T
		if c.ReLUIn {
			mask = c.X[row*width:][:width]
		}
		if c.Add {
			before = dx
		}
		depthRow(d, m, phase, dx, mask, before, dy[source:], c.Weights, nil, floorOf[T](false))
	})
}

// DepthwiseBackwardWeights is the gradient of a depthwise convolution in its
// weights, as [ConvBackwardWeights].
type DepthwiseBackwardWeights[T Float] struct {
	DepthwiseShape
	ReLUIn             bool
	X, DY, DW, Scratch []T

	plan *depthwise
	key  convKey
}

func (c *DepthwiseBackwardWeights[T]) planned() *depthwise {
	if key := (convKey{c.dense(), c.ReLUIn, 1}); c.plan == nil || key != c.key {
		c.check()
		g := c.dense().forward(!c.ReLUIn, 1)
		g.images = 1
		c.plan, c.key = newDepthwise(g, c.Kernel), key
	}
	return c.plan
}

// ScratchLen returns the length that Scratch must have for so many threads.
func (c *DepthwiseBackwardWeights[T]) ScratchLen(threads int) int {
	_, n := parts(c.N)
	return n*c.weightsLen() + threads*c.planned().g.workLen()
}

// Run computes DW.
func (c *DepthwiseBackwardWeights[T]) Run(p *Workers) {
	c.planned()
	need("depthwise backward weights", "X", c.X, c.xLen())
	need("depthwise backward weights", "DY", c.DY, c.yLen())
	need("depthwise backward weights", "DW", c.DW, c.weightsLen())
	need("depthwise backward weights", "Scratch", c.Scratch, c.ScratchLen(p.Threads()))
	_, n := parts(c.N)
	p.For(n, (*depthwiseBackwardWeightsTask[T])(c))
	size := c.weightsLen()
	copy(c.DW, c.Scratch[:size])
	for i := 1; i < n; i++ {
		loops[T]().add(c.DW[:size], c.DW, c.Scratch[i*size:], floorOf[T](false))
	}
}

type depthwiseBackwardWeightsTask[T Float] DepthwiseBackwardWeights[T]

func (c *depthwiseBackwardWeightsTask[T]) Do(part, worker int) {
	d, m := c.plan, loops[T]()
	g, o := &d.g, &d.taps[0][0]
	images, n := parts(c.N)
	dw := c.Scratch[part*c.weightsLen():][:c.weightsLen()]
	work := c.Scratch[n*c.weightsLen()+worker*g.workLen():]
	clear(dw)
	xRow, dyRow := g.rows.step*g.width*g.c, g.cols.dest*g.c
	for piece := part * images * g.bands(); piece < min((part+1)*images, c.N)*g.bands(); piece++ {
		image, _, unit, units := g.at(piece)
		x := load(g, m, piece, c.X, work, entry[T]{relu: c.ReLUIn})
		m.tapsGrad(tapsOperands[T]{dw: dw, woff: o.w, x: x, xRow: xRow, xCol: g.cols.step * g.c, xoff: o.x,
			dy: c.DY[(image*g.rows.dest+unit)*dyRow:], dyRow: dyRow, dyCol: g.c, rows: units, cols: g.cols.dest, c: g.c})
	}
}

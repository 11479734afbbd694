// SPDX-License-Identifier: Apache-2.0

package kernels

import "fmt"

// ConvShape is the extents of a dense convolution: X is N,H,W,In, the weights
// are Kernel,Kernel,In,Out, Y is N,OutH,OutW,Out. Dilation 0 means 1. The first
// Crop rows and columns of X are left out; where there is padding, nothing may be.
type ConvShape struct{ N, H, W, In, Out, Kernel, Stride, Pad, Dilation, Crop int }

// OutH is the output height.
func (s ConvShape) OutH() int { return outExtent(s.H-s.Crop, s.Kernel, s.Stride, s.Pad, s.Dilation) }

// OutW is the output width.
func (s ConvShape) OutW() int { return outExtent(s.W-s.Crop, s.Kernel, s.Stride, s.Pad, s.Dilation) }

func (s ConvShape) xLen() int       { return s.N * s.H * s.W * s.In }
func (s ConvShape) yLen() int       { return s.N * s.OutH() * s.OutW() * s.Out }
func (s ConvShape) weightsLen() int { return s.Kernel * s.Kernel * s.In * s.Out }

func (s ConvShape) check() {
	if min(s.N, s.H, s.W, s.In, s.Out, s.Kernel, s.Stride) < 1 ||
		min(s.Pad, s.Dilation, s.Crop) < 0 || s.Pad*s.Crop > 0 || min(s.OutH(), s.OutW()) < 1 {
		panic(fmt.Sprintf("kernels: conv: bad shape %+v", s))
	}
}

func outExtent(in, kernel, stride, pad, dilation int) int {
	if rest := in + 2*pad - (kernel-1)*max(1, dilation) - 1; rest >= 0 {
		return rest/stride + 1
	}
	return 0
}

// forward is the gather of the output from the input.
func (s ConvShape) forward(inPlace bool, threads int) gather {
	d := max(1, s.Dilation)
	return newGather(s.N, s.In,
		forwardAxis(s.H, s.OutH(), s.Kernel, s.Stride, s.Pad-s.Crop, d),
		forwardAxis(s.W, s.OutW(), s.Kernel, s.Stride, s.Pad-s.Crop, d), inPlace, threads)
}

// backward is the gather of the input's gradient from the output's.
func (s ConvShape) backward(threads int) gather {
	d := max(1, s.Dilation)
	return newGather(s.N, s.Out,
		backwardAxis(s.H, s.OutH(), s.Kernel, s.Stride, s.Pad-s.Crop, d),
		backwardAxis(s.W, s.OutW(), s.Kernel, s.Stride, s.Pad-s.Crop, d), true, threads)
}

// PackedLen is the length of the packed weights.
func (s ConvShape) PackedLen() int {
	return (s.Out + panel - 1) / panel * panel * s.Kernel * s.Kernel * s.In
}

// PackConv lays weights [Kernel][Kernel][In][Out] out as [Conv] reads them,
// [⌈Out/16⌉][Kernel][Kernel][In][16] with zeros in the gaps. dst has PackedLen elements.
func PackConv[T Float](s ConvShape, dst, weights []T) {
	s.check()
	need("conv", "weights", weights, s.weightsLen())
	need("conv", "packed", dst, s.PackedLen())
	d := newDense(s.forward(true, 1), s.Kernel, s.Out, loops[T]().convRows)
	pack(d, dst, weights, s.In*s.Out, s.Out, 1)
}

// Conv is a dense convolution with what is commonly fused around it:
//
//	Y = post(weights ∗ pre(X) + Bias + Residual)
//
// pre is a ReLU if ReLUIn, post if ReLUOut. Bias (Out) and Residual (like Y)
// are left out if nil; Residual may be Y. If Packed is nil, Run packs Weights
// into Scratch first, or their transforms (conv_winograd.go); else it uses Packed (see
// [PackConv]), and Weights may be nil.
type Conv[T Float] struct {
	ConvShape
	ReLUIn, ReLUOut                                bool
	X, Weights, Packed, Bias, Residual, Y, Scratch []T

	plan   *dense
	tiles  *tiling // if Packed is nil and minimal filtering pays
	key    convKey
	packed bool
	args   denseArgs[T]
}

// convKey is what a plan depends on. The first Run makes the plan, as does one
// after a change of the fields in it.
type convKey struct {
	ConvShape
	reluIn  bool
	threads int
}

// planFor makes a plan: c.tiles, or if that is nil c.plan.
func (c *Conv[T]) planFor(threads int) {
	key, packed := convKey{c.ConvShape, c.ReLUIn, threads}, c.Packed != nil
	if key == c.key && packed == c.packed {
		return
	}
	c.check()
	m := loops[T]()
	c.key, c.packed, c.plan, c.tiles = key, packed, nil, nil
	if !packed && c.winograd() && m.product != nil {
		c.tiles = c.forwardTiling()
	} else {
		c.plan = newDense(c.forward(!c.ReLUIn, threads), c.Kernel, c.Out, m.convRows)
	}
}

// ScratchLen returns the length that Scratch must have for so many threads; it is
// smaller if Packed is set.
func (c *Conv[T]) ScratchLen(threads int) int {
	c.planFor(threads)
	if c.tiles != nil {
		return c.tiles.weightsLen() + threads*c.tiles.workLen()
	}
	n := threads * c.plan.workLen()
	if c.Packed == nil {
		n += c.PackedLen()
	}
	return n
}

// Run computes Y.
func (c *Conv[T]) Run(p *Workers) {
	c.planFor(p.Threads())
	need("conv", "X", c.X, c.xLen())
	need("conv", "Y", c.Y, c.yLen())
	optional("conv", "Bias", c.Bias, c.Out)
	optional("conv", "Residual", c.Residual, c.yLen())
	need("conv", "Scratch", c.Scratch, c.ScratchLen(p.Threads()))
	c.args = denseArgs[T]{x: c.X, packed: c.Packed, bias: c.Bias, y: c.Y, residual: c.Residual,
		reluIn: c.ReLUIn, floor: floorOf[T](c.ReLUOut), work: c.Scratch}
	a := &c.args
	if c.Packed == nil {
		need("conv", "Weights", c.Weights, c.weightsLen())
	}
	if c.tiles != nil {
		a.split(c.tiles.weightsLen())
		p.For(c.tiles.weightPieces(), (*convWeightsTask[T])(c))
		p.For(c.tiles.pieces(), (*convTask[T])(c))
		return
	}
	d := c.plan
	if c.Packed == nil {
		a.split(d.packed)
		pack(d, a.packed, c.Weights, c.In*c.Out, c.Out, 1)
	}
	need("conv", "Packed", a.packed, d.packed)
	p.For(d.g.pieces(), (*convTask[T])(c))
}

// split takes the packed weights from the start of the working memory.
func (a *denseArgs[T]) split(packed int) { a.packed, a.work = a.work[:packed], a.work[packed:] }

// convWeightsTask transforms the weights.
type convWeightsTask[T Float] Conv[T]

func (c *convWeightsTask[T]) Do(piece, worker int) {
	transformWeights(c.tiles, piece, worker, c.Weights, false, &c.args)
}

type convTask[T Float] Conv[T]

func (c *convTask[T]) Do(piece, worker int) {
	if c.tiles != nil {
		runTiles(c.tiles, piece, worker, &c.args)
	} else {
		runDense(c.plan, piece, worker, &c.args)
	}
}

// ConvBackwardData is the gradient of a dense convolution in its input:
//
//	DX = [X > 0] · convᵀ(DY)   (+ DX if Add)
//
// where the mask is there only if ReLUIn; X may be nil otherwise.
type ConvBackwardData[T Float] struct {
	ConvShape
	ReLUIn, Add                 bool
	X, Weights, DY, DX, Scratch []T

	plan  *dense
	tiles *tiling // if minimal filtering pays
	key   convKey
	args  denseArgs[T]
}

// planFor makes a plan: c.tiles, or if that is nil c.plan.
func (c *ConvBackwardData[T]) planFor(threads int) {
	key := convKey{c.ConvShape, false, threads}
	if key == c.key {
		return
	}
	c.check()
	m := loops[T]()
	c.key, c.plan, c.tiles = key, nil, nil
	if c.winograd() && m.product != nil {
		c.tiles = c.backwardTiling()
	} else {
		c.plan = newDense(c.backward(threads), c.Kernel, c.In, m.convRows)
	}
}

// ScratchLen returns the length that Scratch must have for so many threads.
func (c *ConvBackwardData[T]) ScratchLen(threads int) int {
	c.planFor(threads)
	if c.tiles != nil {
		return c.tiles.weightsLen() + threads*c.tiles.workLen()
	}
	return c.plan.packed + threads*c.plan.workLen()
}

// Run computes DX.
func (c *ConvBackwardData[T]) Run(p *Workers) {
	c.planFor(p.Threads())
	need("conv backward data", "Weights", c.Weights, c.weightsLen())
	need("conv backward data", "DY", c.DY, c.yLen())
	need("conv backward data", "DX", c.DX, c.xLen())
	need("conv backward data", "Scratch", c.Scratch, c.ScratchLen(p.Threads()))
	c.args = denseArgs[T]{x: c.DY, y: c.DX, floor: floorOf[T](false), work: c.Scratch}
	if c.ReLUIn {
		need("conv backward data", "X", c.X, c.xLen())
		c.args.mask = c.X
	}
	if c.Add {
		c.args.residual = c.DX
	}
	if c.tiles != nil {
		c.args.split(c.tiles.weightsLen())
		p.For(c.tiles.weightPieces(), (*convBackwardDataWeightsTask[T])(c))
		p.For(c.tiles.pieces(), (*convBackwardDataTask[T])(c))
		return
	}
	c.args.split(c.plan.packed)
	pack(c.plan, c.args.packed, c.Weights, c.In*c.Out, 1, c.Out)
	p.For(c.plan.g.pieces(), (*convBackwardDataTask[T])(c))
}

// convBackwardDataWeightsTask transforms the weights.
type convBackwardDataWeightsTask[T Float] ConvBackwardData[T]

func (c *convBackwardDataWeightsTask[T]) Do(piece, worker int) {
	transformWeights(c.tiles, piece, worker, c.Weights, true, &c.args)
}

type convBackwardDataTask[T Float] ConvBackwardData[T]

func (c *convBackwardDataTask[T]) Do(piece, worker int) {
	if c.tiles != nil {
		runTiles(c.tiles, piece, worker, &c.args)
	} else {
		runDense(c.plan, piece, worker, &c.args)
	}
}

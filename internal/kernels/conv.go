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
	if min(s.N, s.H, s.W, s.In, s.Out, s.Kernel, s.Stride) < 1 || min(s.Pad, s.Dilation, s.Crop) < 0 || s.Pad*s.Crop > 0 || min(s.OutH(), s.OutW()) < 1 {
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
// into Scratch first; else it uses Packed (see [PackConv]), and Weights may be nil.
type Conv[T Float] struct {
	ConvShape
	ReLUIn, ReLUOut                                bool
	X, Weights, Packed, Bias, Residual, Y, Scratch []T

	plan *dense
	key  convKey
	args denseArgs[T]
}

// convKey is what a plan depends on. The first Run makes the plan, as does one
// after a change of the fields in it.
type convKey struct {
	ConvShape
	reluIn  bool
	threads int
}

func (c *Conv[T]) planFor(threads int) *dense {
	if key := (convKey{c.ConvShape, c.ReLUIn, threads}); c.plan == nil || key != c.key {
		c.check()
		c.plan = newDense(c.forward(!c.ReLUIn, threads), c.Kernel, c.Out, loops[T]().convRows)
		c.key = key
	}
	return c.plan
}

// ScratchLen is the length of Scratch for a pool of so many threads; it is
// smaller if Packed is set.
func (c *Conv[T]) ScratchLen(threads int) int {
	n := threads * c.planFor(threads).workLen()
	if c.Packed == nil {
		n += c.PackedLen()
	}
	return n
}

// Run computes Y.
func (c *Conv[T]) Run(p *Pool) {
	d := c.planFor(p.Threads())
	need("conv", "X", c.X, c.xLen())
	need("conv", "Y", c.Y, c.yLen())
	optional("conv", "Bias", c.Bias, c.Out)
	optional("conv", "Residual", c.Residual, c.yLen())
	need("conv", "Scratch", c.Scratch, c.ScratchLen(p.Threads()))
	work, packed := c.Scratch, c.Packed
	if packed == nil {
		need("conv", "Weights", c.Weights, c.weightsLen())
		packed, work = work[:d.packed], work[d.packed:]
		pack(d, packed, c.Weights, c.In*c.Out, c.Out, 1)
	}
	need("conv", "Packed", packed, d.packed)
	c.args = denseArgs[T]{x: c.X, packed: packed, bias: c.Bias, y: c.Y, residual: c.Residual,
		reluIn: c.ReLUIn, floor: floorOf[T](c.ReLUOut), work: work}
	p.For(d.g.pieces(), (*convTask[T])(c))
}

type convTask[T Float] Conv[T]

func (c *convTask[T]) Do(piece, worker int) { runDense(c.plan, piece, worker, &c.args) }

// ConvBackwardData is the gradient of a dense convolution in its input:
//
//	DX = [X > 0] · convᵀ(DY)   (+ DX if Add)
//
// where the mask is there only if ReLUIn; X may be nil otherwise.
type ConvBackwardData[T Float] struct {
	ConvShape
	ReLUIn, Add                 bool
	X, Weights, DY, DX, Scratch []T

	plan *dense
	key  convKey
	args denseArgs[T]
}

func (c *ConvBackwardData[T]) planFor(threads int) *dense {
	if key := (convKey{c.ConvShape, false, threads}); c.plan == nil || key != c.key {
		c.check()
		c.plan = newDense(c.backward(threads), c.Kernel, c.In, loops[T]().convRows)
		c.key = key
	}
	return c.plan
}

// ScratchLen is the length of Scratch for a pool of so many threads.
func (c *ConvBackwardData[T]) ScratchLen(threads int) int {
	d := c.planFor(threads)
	return d.packed + threads*d.workLen()
}

// Run computes DX.
func (c *ConvBackwardData[T]) Run(p *Pool) {
	d := c.planFor(p.Threads())
	need("conv backward data", "Weights", c.Weights, c.weightsLen())
	need("conv backward data", "DY", c.DY, c.yLen())
	need("conv backward data", "DX", c.DX, c.xLen())
	need("conv backward data", "Scratch", c.Scratch, c.ScratchLen(p.Threads()))
	c.args = denseArgs[T]{x: c.DY, packed: c.Scratch[:d.packed], y: c.DX, floor: floorOf[T](false), work: c.Scratch[d.packed:]}
	if c.ReLUIn {
		need("conv backward data", "X", c.X, c.xLen())
		c.args.mask = c.X
	}
	if c.Add {
		c.args.residual = c.DX
	}
	pack(d, c.args.packed, c.Weights, c.In*c.Out, 1, c.Out)
	p.For(d.g.pieces(), (*convBackwardDataTask[T])(c))
}

type convBackwardDataTask[T Float] ConvBackwardData[T]

func (c *convBackwardDataTask[T]) Do(piece, worker int) { runDense(c.plan, piece, worker, &c.args) }

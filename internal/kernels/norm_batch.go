// SPDX-License-Identifier: Apache-2.0

package kernels

import "math"

// BatchNorm normalises each channel by the statistics of this batch
// (training form). X and Y are M rows (N·H·W) of C channels:
//
//	Y = Gamma·(X − Mean)·InvStd + Beta,  InvStd = 1/√(variance + Epsilon)
//
// Gamma and Beta nil is 1 and 0. Mean and InvStd (C) are results that the
// backward pass needs; with Given they are inputs, and the
// running ones stay. RunningMean and RunningVar (C), unless nil, are moved by
// Momentum towards the batch's mean and unbiased variance, PyTorch's rule. Y
// may be X.
// Source: Ioffe, Szegedy, Batch Normalization, 2015, algorithm 1.
type BatchNorm[T Float] struct {
	M, C                                                              int
	Given                                                             bool
	Epsilon, Momentum                                                 T
	X, Gamma, Beta, Y, Mean, InvStd, RunningMean, RunningVar, Scratch []T
}

// ScratchLen is the length of Scratch.
func (b *BatchNorm[T]) ScratchLen(int) int { return (3*rowChunks{b.M, b.C}.count() + 2) * b.C }

// Run computes Y, Mean, InvStd and the running statistics.
func (b *BatchNorm[T]) Run(p *Workers) {
	checkRows("batch norm", b.M, b.C)
	need("batch norm", "X", b.X, b.M*b.C)
	need("batch norm", "Y", b.Y, b.M*b.C)
	need("batch norm", "Mean", b.Mean, b.C)
	need("batch norm", "InvStd", b.InvStd, b.C)
	optional("batch norm", "Gamma", b.Gamma, b.C)
	optional("batch norm", "Beta", b.Beta, b.C)
	optional("batch norm", "RunningMean", b.RunningMean, b.C)
	optional("batch norm", "RunningVar", b.RunningVar, b.C)
	need("batch norm", "Scratch", b.Scratch, b.ScratchLen(p.Threads()))
	r := rowChunks{b.M, b.C}
	if !b.Given {
		p.For(r.count(), (*batchNormMoments[T])(b))
	}
	scale, shift := b.Scratch[:b.C], b.Scratch[b.C:2*b.C]
	for ch := range b.C {
		if !b.Given {
			b.statistics(r, ch)
		}
	}
	normMap(scale, shift, b.Gamma, b.Beta, b.Mean, b.InvStd)
	p.For(r.count(), (*batchNormApply[T])(b))
}

// normMap is a batch norm as an affine map of each channel. gamma and beta nil
// is 1 and 0.
func normMap[T Float](scale, shift, gamma, beta, mean, invstd []T) {
	for ch := range scale {
		g, b := 1.0, 0.0
		if gamma != nil {
			g = float64(gamma[ch])
		}
		if beta != nil {
			b = float64(beta[ch])
		}
		g *= float64(invstd[ch])
		scale[ch], shift[ch] = T(g), T(b-g*float64(mean[ch]))
	}
}

// statistics sets a channel's mean and inverse deviation, and moves the running ones.
func (b *BatchNorm[T]) statistics(r rowChunks, ch int) {
	mean, squares := combine(r, b.Scratch[2*b.C:], ch)
	b.Mean[ch], b.InvStd[ch] = T(mean), T(1/math.Sqrt(squares/float64(b.M)+float64(b.Epsilon)))
	if b.RunningMean != nil {
		b.RunningMean[ch] += b.Momentum * (T(mean) - b.RunningMean[ch])
		b.RunningVar[ch] += b.Momentum * (T(squares/float64(max(1, b.M-1))) - b.RunningVar[ch])
	}
}

// batchNormMoments takes the statistics of a chunk.
type batchNormMoments[T Float] BatchNorm[T]

func (b *batchNormMoments[T]) Do(chunk, _ int) {
	at, rows := rowChunks{b.M, b.C}.at(chunk)
	moments(loops[T](), b.Scratch[(2+3*chunk)*b.C:], b.X[at:], rows, b.C)
}

// batchNormApply writes a chunk of Y.
type batchNormApply[T Float] BatchNorm[T]

func (b *batchNormApply[T]) Do(chunk, _ int) {
	at, rows := rowChunks{b.M, b.C}.at(chunk)
	loops[T]().affine(b.Y[at:], b.X[at:], b.Scratch, b.Scratch[b.C:], floorOf[T](false), rows, b.C, b.C, false)
}

// BatchNormBackward is the gradient of [BatchNorm]. DX, or DX + it if Add;
// DGamma and DBeta (C); Coefs (3·C): DX is DY·a + X·b + d, channel by channel.
// Each of the four may be nil. Gamma nil is 1. With Normalised, X is what the
// norm without Gamma and Beta made of its input, for one that ran in place.
type BatchNormBackward[T Float] struct {
	M, C                                                          int
	Add, Normalised                                               bool
	X, Gamma, Mean, InvStd, DY, DX, DGamma, DBeta, Coefs, Scratch []T
}

// ScratchLen is the length of Scratch.
func (b *BatchNormBackward[T]) ScratchLen(int) int { return (2*rowChunks{b.M, b.C}.count() + 3) * b.C }

// Run computes DX, DGamma and DBeta.
func (b *BatchNormBackward[T]) Run(p *Workers) {
	const kernel = "batch norm backward"
	checkRows(kernel, b.M, b.C)
	need(kernel, "X", b.X, b.M*b.C)
	need(kernel, "DY", b.DY, b.M*b.C)
	optional(kernel, "DX", b.DX, b.M*b.C)
	need(kernel, "Mean", b.Mean, b.C)
	need(kernel, "InvStd", b.InvStd, b.C)
	optional(kernel, "Gamma", b.Gamma, b.C)
	optional(kernel, "DGamma", b.DGamma, b.C)
	optional(kernel, "DBeta", b.DBeta, b.C)
	optional(kernel, "Coefs", b.Coefs, 3*b.C)
	need(kernel, "Scratch", b.Scratch, b.ScratchLen(p.Threads()))
	r := rowChunks{b.M, b.C}
	if b.Normalised && b.Gamma != nil {
		panic("kernels: batch norm backward: the input of a scaled norm is not known from its output")
	}
	clear(b.Scratch[:b.C]) // what sums are taken from whose mean is 0
	p.For(r.count(), (*batchNormSums[T])(b))
	a, x, d := b.Scratch[:b.C], b.Scratch[b.C:2*b.C], b.Scratch[2*b.C:3*b.C]
	for ch := range b.C {
		sum := total(r, b.Scratch[3*b.C:], 2*b.C, ch)
		dot := total(r, b.Scratch[4*b.C:], 2*b.C, ch)
		scale, mean, invstd := 1.0, float64(b.Mean[ch]), float64(b.InvStd[ch])
		switch {
		case b.Normalised: // X has mean 0 and deviation 1, and was scaled by InvStd
			scale, mean, invstd = invstd, 0, 1
		case b.Gamma != nil:
			scale = float64(b.Gamma[ch])
		}
		fa, fx, fd := normGradient(scale, mean, invstd, sum, dot, b.M)
		a[ch], x[ch], d[ch] = T(fa), T(fx), T(fd)
		if b.DGamma != nil {
			b.DGamma[ch] = T(dot * invstd)
		}
		if b.DBeta != nil {
			b.DBeta[ch] = T(sum)
		}
	}
	copy(b.Coefs, b.Scratch[:3*b.C])
	if b.DX != nil {
		p.For(r.count(), (*batchNormGradient[T])(b))
	}
}

// normGradient gives the coefficients of a normalised channel's gradient,
// dx = a·dy + b·x + d, from sum = Σ dy and dot = Σ dy·(x − mean) over m rows:
//
//	dx = scale·invstd·(dy − sum/m − (x−mean)·invstd²·dot/m)
func normGradient(scale, mean, invstd, sum, dot float64, m int) (a, b, d float64) {
	a = scale * invstd
	b = -a * invstd * invstd * dot / float64(m)
	return a, b, -a*sum/float64(m) - b*mean
}

// batchNormSums sums dy and dy·(x − mean) over a chunk.
type batchNormSums[T Float] BatchNormBackward[T]

func (b *batchNormSums[T]) Do(chunk, _ int) {
	at, rows := rowChunks{b.M, b.C}.at(chunk)
	sums := b.Scratch[(3+2*chunk)*b.C:][:2*b.C]
	clear(sums)
	zero, mean := b.Scratch[:b.C], b.Mean
	if b.Normalised {
		mean = zero
	}
	loops[T]().reduce(sums, sums[b.C:], b.DY[at:], zero, b.X[at:], mean, floorOf[T](false), rows, b.C, b.C)
}

// batchNormGradient writes a chunk of DX.
type batchNormGradient[T Float] BatchNormBackward[T]

func (b *batchNormGradient[T]) Do(chunk, _ int) {
	at, rows := rowChunks{b.M, b.C}.at(chunk)
	loops[T]().affine2(b.DX[at:], b.DY[at:], b.X[at:], b.Scratch, b.Scratch[b.C:], b.Scratch[2*b.C:], rows, b.C, b.C,
		b.Add)
}

// ScaleShift is the inference form of batch norm, for one that cannot be
// folded into a convolution: Y = X·Scale + Shift for each channel, and a ReLU
// if ReLUOut. Y may be X.
type ScaleShift[T Float] struct {
	M, C               int
	ReLUOut            bool
	X, Scale, Shift, Y []T
}

// Run computes Y.
func (s *ScaleShift[T]) Run(p *Workers) {
	checkRows("scale and shift", s.M, s.C)
	need("scale and shift", "X", s.X, s.M*s.C)
	need("scale and shift", "Y", s.Y, s.M*s.C)
	need("scale and shift", "Scale", s.Scale, s.C)
	need("scale and shift", "Shift", s.Shift, s.C)
	p.For(rowChunks{s.M, s.C}.count(), (*scaleShiftTask[T])(s))
}

type scaleShiftTask[T Float] ScaleShift[T]

func (s *scaleShiftTask[T]) Do(chunk, _ int) {
	at, rows := rowChunks{s.M, s.C}.at(chunk)
	loops[T]().affine(s.Y[at:], s.X[at:], s.Scale, s.Shift, floorOf[T](s.ReLUOut), rows, s.C, s.C, false)
}

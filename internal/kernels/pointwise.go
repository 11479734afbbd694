// SPDX-License-Identifier: Apache-2.0

package kernels

import (
	"fmt"
	"math"
	"slices"
)

// PointwiseShape is the extents of a 1×1 convolution of maps side by side:
// X[i] is N,H,W,Channels[i], the weights are ΣChannels,Out, Y is N,H,W,Out.
type PointwiseShape struct {
	N, H, W, Out int
	Channels     []int
}

// In is the number of channels that the maps have together.
func (s PointwiseShape) In() int { return together(s.Channels) }

// together is the number of channels of maps side by side.
func together(channels []int) (n int) {
	for _, c := range channels {
		n += c
	}
	return n
}

func (s PointwiseShape) pixels() int { return s.H * s.W }
func (s PointwiseShape) yLen() int   { return s.N * s.pixels() * s.Out }

// Pointwise is a 1×1 convolution of maps side by side, with the ReLU before it
// and the statistics of the batch norm behind it:
//
//	Y = Weights·max(0, Xs[0] ⧺ Xs[1] ⧺ …)
//
// Nothing is rectified without ReLUIn. Mean and InvStd (Out), unless nil, are
// results: the mean of Y over all pixels, and 1/√(variance + Epsilon). A cell
// of DARTS begins with two, each on the nodes of a cell before it.
// Source: Liu, Simonyan and Yang, DARTS, 2019, §3.1 (their ReLUConvBN).
type Pointwise[T Float] struct {
	PointwiseShape
	ReLUIn                            bool
	Epsilon                           T
	Xs                                [][]T
	Weights, Y, Mean, InvStd, Scratch []T

	plan *block1x1[T]
}

// block1x1 is the plan of a 1×1 convolution, forward or backward: an image is
// taken some rows at a time, which stay in the cache.
type block1x1[T Float] struct {
	in, rows int
	point    pointwise     // forward
	grad     pointwiseGrad // backward: that of the weights
	back     pointwiseBack // backward: that of the maps
	one      []T           // for every channel
}

// blockLen elements of the maps side by side stay in the second-level cache.
const blockLen = 16 << 10

func planPointwise[T Float](s PointwiseShape, backward bool) *block1x1[T] {
	if len(s.Channels) == 0 || min(s.N, s.H, s.W, s.Out) < 1 {
		panic(fmt.Sprintf("kernels: pointwise: bad shape %+v", s))
	}
	p := &block1x1[T]{in: s.In()}
	for _, c := range s.Channels {
		checkRows("pointwise", 1, c)
	}
	p.one = rowOf(slices.Max(s.Channels), T(1))
	m := loops[T]()
	p.rows = min(s.H, max(1, blockLen/(s.W*p.in)))
	if !backward {
		p.point = newPointwise(m, p.in, s.Out, p.rows, s.W, p.in, s.W*p.in, s.Out, s.W*s.Out)
		return p
	}
	p.grad = newPointwiseGrad(m, p.in, s.Out)
	p.back = newPointwiseBack(m, s.Channels, func(in int, _ bool) pointwise {
		return newPointwise(m, s.Out, in, p.rows, s.W, p.grad.wide, s.W*p.grad.wide, in, s.W*in)
	})
	return p
}

// side lays rows of the maps of an image side by side in x.
func (p *block1x1[T]) side(m *micro[T], s *PointwiseShape, x []T, xs [][]T, first, pixels int, relu bool) {
	at := 0
	for i, c := range s.Channels {
		lay(m, x[at:], p.in, xs[i][first*c:], c, p.one, relu, pixels, c)
		at += c
	}
}

func (s *Pointwise[T]) planned() *block1x1[T] {
	if s.plan == nil {
		s.plan = planPointwise[T](s.PointwiseShape, false)
	}
	return s.plan
}

// workLen is a block of the maps and a tile.
func (s *Pointwise[T]) workLen() int {
	p := s.plan
	return p.rows*s.W*p.in + p.point.tileLen()
}

// ScratchLen returns the length that Scratch must have for so many threads.
func (s *Pointwise[T]) ScratchLen(threads int) int {
	p := s.planned()
	return panel + p.point.packedLen() + s.N*momentParts*s.Out + threads*s.workLen()
}

// Run computes Y and its statistics. The shape must stay what it was in the first run.
func (s *Pointwise[T]) Run(pool *Workers) {
	const kernel = "pointwise"
	p := s.planned()
	for i, c := range s.Channels {
		need(kernel, "Xs", s.Xs[i], s.N*s.pixels()*c)
	}
	need(kernel, "Weights", s.Weights, p.in*s.Out)
	need(kernel, "Y", s.Y, s.yLen())
	optional(kernel, "Mean", s.Mean, s.Out)
	optional(kernel, "InvStd", s.InvStd, s.Out)
	need(kernel, "Scratch", s.Scratch, s.ScratchLen(pool.Threads()))
	clear(s.Scratch[:panel])
	packPointwise(&p.point, s.Scratch[panel:], s.Weights, s.Out, 1)
	pool.For(s.N, (*pointwiseTask[T])(s))
	if s.Mean != nil {
		equalMoments(s.Mean, s.InvStd, s.Scratch[panel+p.point.packedLen():], s.N, s.Out, s.pixels(), s.Epsilon)
	}
}

// pointwiseTask does an image.
type pointwiseTask[T Float] Pointwise[T]

func (s *pointwiseTask[T]) Do(image, worker int) {
	p, m := s.plan, loops[T]()
	size := (*Pointwise[T])(s).workLen()
	zero, packed := s.Scratch[:panel], s.Scratch[panel:][:p.point.packedLen()]
	partial := s.Scratch[panel+len(packed):][:s.N*momentParts*s.Out]
	work := s.Scratch[panel+len(packed)+len(partial)+worker*size:][:size]
	x, tile := work[:p.rows*s.W*p.in], work[p.rows*s.W*p.in:]
	y := s.Y[image*s.pixels()*s.Out:][:s.pixels()*s.Out]
	sums := partial[image*momentParts*s.Out:][:momentParts*s.Out]
	clear(sums)
	for first := 0; first < s.H; first += p.rows {
		rows := min(p.rows, s.H-first)
		from, in := image*s.pixels()+first*s.W, x
		if len(s.Xs) == 1 && !s.ReLUIn {
			in = s.Xs[0][from*p.in:]
		} else {
			p.side(m, &s.PointwiseShape, x, s.Xs, from, rows*s.W, s.ReLUIn)
		}
		out := y[first*s.W*s.Out:]
		runPointwise(&p.point, m, out, nil, nil, in, packed, tile, zero, rows)
		if s.Mean != nil { // deviations from the image's first pixel
			m.reduce(sums, sums[s.Out:], out, y, out, y, floorOf[T](false), rows*s.W, s.Out, s.Out)
		}
	}
	centre(sums, y, s.Out, s.pixels())
}

// PointwiseBackward is the gradient of [Pointwise]. Of Y's gradient it has DY,
// or, if A is not nil, DY·A + Y·B + D, as [SeparableBackward]. DWeights is the
// gradient in the weights, nil if not wanted. DXs[i] is that in Xs[i], + DXs[i]
// if Add[i]; nil if not wanted.
type PointwiseBackward[T Float] struct {
	PointwiseShape
	ReLUIn                                     bool
	Add                                        []bool
	Xs, DXs                                    [][]T
	Weights, DY, A, B, D, Y, DWeights, Scratch []T

	plan *block1x1[T]
}

func (s *PointwiseBackward[T]) planned() *block1x1[T] {
	if s.plan == nil {
		s.plan = planPointwise[T](s.PointwiseShape, true)
	}
	return s.plan
}

func (s *PointwiseBackward[T]) gradient() behindNorm[T] {
	return behindNorm[T]{s.DY, s.Y, s.A, s.B, s.D}
}

// workLen is blocks of the maps, of dy and of the maps' gradient, and a tile.
func (s *PointwiseBackward[T]) workLen() int {
	p, block := s.plan, s.plan.rows*s.W
	return block*p.in + p.grad.rows + block*p.grad.wide + block*p.in + p.back.tileLen()
}

// ScratchLen returns the length that Scratch must have for so many threads.
func (s *PointwiseBackward[T]) ScratchLen(threads int) int {
	p := s.planned()
	_, n := parts(s.N)
	return panel + p.back.packed + n*p.grad.length() + threads*s.workLen()
}

// Run computes the gradients. The shape must stay what it was in the first run.
func (s *PointwiseBackward[T]) Run(pool *Workers) {
	const kernel = "pointwise backward"
	p := s.planned()
	need(kernel, "Add", s.Add, len(s.Channels))
	for i, c := range s.Channels {
		need(kernel, "Xs", s.Xs[i], s.N*s.pixels()*c)
		optional(kernel, "DXs", s.DXs[i], s.N*s.pixels()*c)
	}
	need(kernel, "Weights", s.Weights, p.in*s.Out)
	s.gradient().check(kernel, s.yLen(), s.Out)
	optional(kernel, "DWeights", s.DWeights, p.in*s.Out)
	need(kernel, "Scratch", s.Scratch, s.ScratchLen(pool.Threads()))
	clear(s.Scratch[:panel])
	packPointwiseBack(&p.back, s.Scratch[panel:], s.Weights)
	_, n := parts(s.N)
	pool.For(n, (*pointwiseBackwardTask[T])(s))
	if s.DWeights != nil {
		pool.For(len(p.grad.blocks), (*pointwiseSumTask[T])(s))
	}
}

// pointwiseBackwardTask does a part of the batch.
type pointwiseBackwardTask[T Float] PointwiseBackward[T]

func (s *pointwiseBackwardTask[T]) Do(part, worker int) {
	k, p, m := (*PointwiseBackward[T])(s), s.plan, loops[T]()
	images, n := parts(s.N)
	gradient := k.gradient()
	zero, packed := s.Scratch[:panel], s.Scratch[panel:][:p.back.packed]
	rest, size := s.Scratch[panel+len(packed):], p.grad.length()
	dw := rest[part*size:][:size]
	work := rest[n*size+worker*k.workLen():][:k.workLen()]
	block, wide := p.rows*s.W, p.grad.wide
	x, work := work[:block*p.in+p.grad.rows], work[block*p.in+p.grad.rows:]
	dyBlock, work := work[:block*wide], work[block*wide:]
	dx, tile := work[:block*p.in], work[block*p.in:]
	if s.DWeights != nil {
		clear(dw)
	}
	wanted := slices.ContainsFunc(s.DXs, func(d []T) bool { return d != nil })
	for at := part * images * s.pixels(); at < min((part+1)*images, s.N)*s.pixels(); at += s.pixels() {
		for first := 0; first < s.H; first += p.rows {
			rows := min(p.rows, s.H-first)
			from, pixels := at+first*s.W, rows*s.W
			dy := gradient.rows(m, dyBlock, wide, from*s.Out, pixels, s.Out)
			if s.DWeights != nil {
				p.side(m, &s.PointwiseShape, x, s.Xs, from, pixels, s.ReLUIn)
				addPointwiseGrad(&p.grad, m, dw, x, p.in, dy, wide, pixels)
			}
			if !wanted {
				continue
			}
			if p.back.all {
				runPointwise(&p.back.maps[0].pointwise, m, dx, nil, nil, dy, packed, tile, zero, rows)
			}
			in := 0
			for i, c := range s.Channels {
				if s.DXs[i] != nil {
					to := s.DXs[i][from*c:][:pixels*c]
					var mask, before []T
					if s.ReLUIn {
						mask = s.Xs[i][from*c:]
					}
					if s.Add[i] {
						before = to
					}
					if p.back.all {
						m.depth(depthOperands[T]{y: to, mask: mask, residual: before, yCol: c, x: dx[in:], xCol: p.in, w: p.one,
							window: oneTap, floor: floorOf[T](false), cols: pixels, c: c})
					} else {
						runPointwise(&p.back.maps[i].pointwise, m, to, mask, before, dy, packed[p.back.maps[i].packed:], tile, zero, rows)
					}
				}
				in += c
			}
		}
	}
}

// pointwiseSumTask adds up a piece of the parts' gradients of the weights.
type pointwiseSumTask[T Float] PointwiseBackward[T]

func (s *pointwiseSumTask[T]) Do(piece, _ int) {
	p := s.plan
	_, n := parts(s.N)
	sumPointwiseGrad(&p.grad, s.DWeights, s.Scratch[panel+p.back.packed:], piece, p.grad.length(), n)
}

// centre turns an image's sums, Σ and Σ² of the deviations from its first
// pixel, into its mean and its sum of squared deviations.
func centre[T Float](sums, first []T, c, pixels int) {
	n := T(pixels)
	sum, dot := sums[:c], sums[c:2*c]
	for ch, v := range sum {
		sum[ch], dot[ch] = first[ch]+v/n, max(0, dot[ch]-v*v/n)
	}
}

// equalMoments is the mean and 1/√(variance + epsilon) of each channel, of n
// images' means and squared deviations over so many pixels each.
func equalMoments[T Float](mean, invstd, partial []T, n, c, pixels int, epsilon T) {
	for first := 0; first < c; first += panel {
		var sum, squares [panel]float64
		width := min(panel, c-first)
		for i := range n {
			for j, v := range partial[i*momentParts*c+first:][:width] {
				sum[j] += float64(v)
			}
		}
		for j := range sum {
			sum[j] /= float64(n)
		}
		for i := range n {
			part := partial[i*momentParts*c+first:]
			for j, v := range part[c:][:width] {
				d := float64(part[j]) - sum[j]
				squares[j] += float64(v) + d*d*float64(pixels)
			}
		}
		for j := range width {
			mean[first+j] = T(sum[j])
			invstd[first+j] = T(1 / math.Sqrt(squares[j]/float64(n*pixels)+float64(epsilon)))
		}
	}
}

// SPDX-License-Identifier: Apache-2.0

package kernels

import (
	"fmt"
	"slices"
)

// FactorizedReduceShape is the extents of 1×1 convolutions of maps side by side,
// X[m] of N,H,W,Channels[m], that each read every Stride-th row and column:
// number i, with weights ΣChannels,Outs[i], begins at row and column i. Their
// outputs lie side by side: Y is N,OutH,OutW,ΣOuts.
type FactorizedReduceShape struct {
	N, H, W, Stride int
	Channels, Outs  []int
}

// In is the number of channels that the maps have together.
func (s FactorizedReduceShape) In() int { return together(s.Channels) }

// Out is the number of channels of Y.
func (s FactorizedReduceShape) Out() int { return together(s.Outs) }

// OutH is the number of rows of Y.
func (s FactorizedReduceShape) OutH() int { return (s.H + s.Stride - 1) / s.Stride }

// OutW is the number of columns of Y.
func (s FactorizedReduceShape) OutW() int { return (s.W + s.Stride - 1) / s.Stride }

func (s FactorizedReduceShape) pixels() int    { return s.OutH() * s.OutW() }
func (s FactorizedReduceShape) xLen(m int) int { return s.N * s.H * s.W * s.Channels[m] }
func (s FactorizedReduceShape) yLen() int      { return s.N * s.pixels() * s.Out() }

// at is the pixel of an image that convolution i reads first for row r of Y.
func (s FactorizedReduceShape) at(i, r int) int { return (r*s.Stride+i)*s.W + i }

// FactorizedReduce is 1×1 convolutions side by side that skip pixels, with the
// ReLU before them and the statistics of the batch norm behind them:
//
//	Y[h,w] = ⧺_i Weights[i]·max(0, (Xs[0] ⧺ Xs[1] ⧺ …)[Stride·h+i, Stride·w+i])
//
// ReLUIn, Mean and InvStd are as in [Pointwise].
// Source: the code published with Liu, Simonyan and Yang, DARTS, 2019.
type FactorizedReduce[T Float] struct {
	FactorizedReduceShape
	ReLUIn                   bool
	Epsilon                  T
	Xs, Weights              [][]T
	Y, Mean, InvStd, Scratch []T

	plan *reduction[T]
}

// reduction is the plan of a factorized reduce, forward or backward: an image
// is taken some rows of Y at a time.
type reduction[T Float] struct {
	in                int // channels of the maps
	out, outW, pixels int // of Y
	rows, block       int // that are taken together, and their pixels
	convs             []strided
	packed            int // length of all packed weights
	wide              int // backward: channels of dy as it is read
	gradRows          int // backward: in rounded up to what the loops of the weight gradients take
	partial           int // backward: length of the weight gradients
	one               []T // for every channel
}

// strided is a convolution of a factorized reduce.
type strided struct {
	point           pointwise     // forward
	grad            pointwiseGrad // backward: that of the weights
	back            pointwiseBack // backward: that of the maps
	first, out      int           // its channels of Y
	packed, partial int           // where its packed weights and its weight gradients begin
}

func planReduction[T Float](s FactorizedReduceShape, backward bool) *reduction[T] {
	last := len(s.Outs) - 1 // Y is as large for the last one as for the first
	if min(s.N, s.H, s.W, s.Stride) < 1 || len(s.Channels) == 0 || last < 0 || last >= s.Stride ||
		(s.H-last+s.Stride-1)/s.Stride != s.OutH() || (s.W-last+s.Stride-1)/s.Stride != s.OutW() {
		panic(fmt.Sprintf("kernels: factorized reduce: bad shape %+v", s))
	}
	m := loops[T]()
	p := &reduction[T]{in: s.In(), out: s.Out(), outW: s.OutW(), pixels: s.pixels()}
	p.one = rowOf(p.in, T(1))
	for _, c := range s.Channels {
		checkRows("factorized reduce", 1, c)
	}
	p.rows = min(s.OutH(), max(1, blockLen/(p.outW*p.in)))
	p.block = p.rows * p.outW
	first := 0
	for _, out := range s.Outs {
		checkRows("factorized reduce", 1, out)
		c := strided{first: first, out: out, packed: p.packed, partial: p.partial}
		if backward {
			c.grad = newPointwiseGrad(m, p.in, out)
			p.wide, p.gradRows = max(p.wide, first+c.grad.wide), max(p.gradRows, c.grad.rows)
			p.partial += c.grad.length()
		} else {
			c.point = newPointwise(m, p.in, out, p.rows, p.outW, p.in, p.outW*p.in, p.out, p.outW*p.out)
			p.packed += c.point.packedLen()
		}
		first += out
		p.convs = append(p.convs, c)
	}
	if !backward {
		return p
	}
	for i := range p.convs {
		c := &p.convs[i]
		c.back = newPointwiseBack(m, s.Channels, func(in int, all bool) pointwise {
			yCol, yRow := s.Stride*in, s.Stride*s.W*in
			if all {
				yCol, yRow = in, p.outW*in
			}
			return newPointwise(m, c.out, in, p.rows, p.outW, p.wide, p.outW*p.wide, yCol, yRow)
		})
		c.packed = p.packed
		p.packed += c.back.packed
	}
	return p
}

// tileLen is the working memory of runPointwise.
func (p *reduction[T]) tileLen() (n int) {
	for i := range p.convs {
		n = max(n, p.convs[i].point.tileLen(), p.convs[i].back.tileLen())
	}
	return n
}

// read lays the pixels of an image side by side that convolution i reads for rows of Y.
func (p *reduction[T]) read(m *micro[T], s *FactorizedReduceShape, x []T, xs [][]T, image, i, first, rows int,
	relu bool) {
	at := 0
	for j, c := range s.Channels {
		for r := range rows {
			from := xs[j][(image*s.H*s.W+s.at(i, first+r))*c:]
			lay(m, x[r*p.outW*p.in+at:], p.in, from, s.Stride*c, p.one, relu, p.outW, c)
		}
		at += c
	}
}

func (s *FactorizedReduce[T]) planned() *reduction[T] {
	if s.plan == nil {
		s.plan = planReduction[T](s.FactorizedReduceShape, false)
	}
	return s.plan
}

// workLen is a block of the map and a tile.
func (s *FactorizedReduce[T]) workLen() int { return s.plan.block*s.plan.in + s.plan.tileLen() }

// ScratchLen returns the length that Scratch must have for so many threads.
func (s *FactorizedReduce[T]) ScratchLen(threads int) int {
	p := s.planned()
	return panel + p.packed + s.N*momentParts*p.out + threads*s.workLen()
}

// Run computes Y and its statistics. The shape must stay what it was in the first run.
func (s *FactorizedReduce[T]) Run(pool *Workers) {
	const kernel = "factorized reduce"
	p := s.planned()
	for i := range s.Channels {
		need(kernel, "Xs", s.Xs[i], s.xLen(i))
	}
	need(kernel, "Y", s.Y, s.yLen())
	optional(kernel, "Mean", s.Mean, p.out)
	optional(kernel, "InvStd", s.InvStd, p.out)
	need(kernel, "Scratch", s.Scratch, s.ScratchLen(pool.Threads()))
	clear(s.Scratch[:panel])
	for i := range p.convs {
		c := &p.convs[i]
		need(kernel, "Weights", s.Weights[i], p.in*c.out)
		packPointwise(&c.point, s.Scratch[panel+c.packed:], s.Weights[i], c.out, 1)
	}
	pool.For(s.N, (*reduceTask[T])(s))
	if s.Mean != nil {
		equalMoments(s.Mean, s.InvStd, s.Scratch[panel+p.packed:], s.N, p.out, p.pixels, s.Epsilon)
	}
}

// reduceTask does an image.
type reduceTask[T Float] FactorizedReduce[T]

func (s *reduceTask[T]) Do(image, worker int) {
	p, m := s.plan, loops[T]()
	size := (*FactorizedReduce[T])(s).workLen()
	zero, packed := s.Scratch[:panel], s.Scratch[panel:][:p.packed]
	partial := s.Scratch[panel+p.packed:][:s.N*momentParts*p.out]
	work := s.Scratch[panel+p.packed+len(partial)+worker*size:][:size]
	x, tile := work[:p.block*p.in], work[p.block*p.in:]
	y := s.Y[image*p.pixels*p.out:][:p.pixels*p.out]
	sums := partial[image*momentParts*p.out:][:momentParts*p.out]
	clear(sums)
	for first := 0; first < s.OutH(); first += p.rows {
		rows := min(p.rows, s.OutH()-first)
		out := y[first*p.outW*p.out:]
		for i := range p.convs {
			c := &p.convs[i]
			p.read(m, &s.FactorizedReduceShape, x, s.Xs, image, i, first, rows, s.ReLUIn)
			runPointwise(&c.point, m, out[c.first:], nil, nil, x, packed[c.packed:], tile, zero, rows)
		}
		if s.Mean != nil { // deviations from the image's first pixel
			m.reduce(sums, sums[p.out:], out, y, out, y, floorOf[T](false), rows*p.outW, p.out, p.out)
		}
	}
	centre(sums, y, p.out, p.pixels)
}

// FactorizedReduceBackward is the gradient of [FactorizedReduce]. DY, A, B, D
// and Y are as in [PointwiseBackward]. DWeights[i] is the gradient in
// Weights[i], and DXs[i] that in Xs[i], + DXs[i] if Add[i]; nil if not wanted.
// Pixels that nothing reads have the gradient zero.
type FactorizedReduceBackward[T Float] struct {
	FactorizedReduceShape
	ReLUIn                     bool
	Add                        []bool
	Xs, DXs, Weights, DWeights [][]T
	DY, A, B, D, Y, Scratch    []T

	plan *reduction[T]
}

func (s *FactorizedReduceBackward[T]) planned() *reduction[T] {
	if s.plan == nil {
		s.plan = planReduction[T](s.FactorizedReduceShape, true)
	}
	return s.plan
}

func (s *FactorizedReduceBackward[T]) gradient() behindNorm[T] {
	return behindNorm[T]{s.DY, s.Y, s.A, s.B, s.D}
}

// workLen is blocks of the map, of dy and of the map's gradient, and a tile.
func (s *FactorizedReduceBackward[T]) workLen() int {
	p := s.plan
	return p.block*p.in + p.gradRows + p.block*p.wide + p.block*p.in + p.tileLen()
}

// ScratchLen returns the length that Scratch must have for so many threads.
func (s *FactorizedReduceBackward[T]) ScratchLen(threads int) int {
	p := s.planned()
	_, n := parts(s.N)
	return panel + p.packed + n*p.partial + threads*s.workLen()
}

// Run computes the gradients. The shape must stay what it was in the first run.
func (s *FactorizedReduceBackward[T]) Run(pool *Workers) {
	const kernel = "factorized reduce backward"
	p := s.planned()
	need(kernel, "Add", s.Add, len(s.Channels))
	for i := range s.Channels {
		need(kernel, "Xs", s.Xs[i], s.xLen(i))
		optional(kernel, "DXs", s.DXs[i], s.xLen(i))
	}
	s.gradient().check(kernel, s.yLen(), p.out)
	need(kernel, "Scratch", s.Scratch, s.ScratchLen(pool.Threads()))
	clear(s.Scratch[:panel])
	for i := range p.convs {
		c := &p.convs[i]
		need(kernel, "Weights", s.Weights[i], p.in*c.out)
		optional(kernel, "DWeights", s.DWeights[i], p.in*c.out)
		packPointwiseBack(&c.back, s.Scratch[panel+c.packed:], s.Weights[i])
	}
	_, n := parts(s.N)
	pool.For(n, (*reduceBackwardTask[T])(s))
	pool.For(len(p.convs), (*reduceSumTask[T])(s))
}

// reduceBackwardTask does a part of the batch.
type reduceBackwardTask[T Float] FactorizedReduceBackward[T]

func (s *reduceBackwardTask[T]) Do(part, worker int) {
	k, p, m := (*FactorizedReduceBackward[T])(s), s.plan, loops[T]()
	images, n := parts(s.N)
	gradient := k.gradient()
	zero, packed := s.Scratch[:panel], s.Scratch[panel:][:p.packed]
	rest := s.Scratch[panel+p.packed:]
	dw := rest[part*p.partial:][:p.partial]
	work := rest[n*p.partial+worker*k.workLen():][:k.workLen()]
	x, work := work[:p.block*p.in+p.gradRows], work[p.block*p.in+p.gradRows:]
	dyBlock, work := work[:p.block*p.wide], work[p.block*p.wide:]
	dx, tile := work[:p.block*p.in], work[p.block*p.in:]
	clear(dw)
	wanted := slices.ContainsFunc(s.DXs, func(d []T) bool { return d != nil })
	for image := part * images; image < min((part+1)*images, s.N); image++ {
		for first := 0; first < s.OutH(); first += p.rows {
			rows := min(p.rows, s.OutH()-first)
			begin := (image*p.pixels + first*p.outW) * p.out
			dy := gradient.rows(m, dyBlock, p.wide, begin, rows*p.outW, p.out)
			for j, c := range s.Channels {
				if s.DXs[j] != nil && !s.Add[j] {
					clear(s.DXs[j][(image*s.H*s.W+s.at(0, first))*c : (image*s.H*s.W+min(s.H*s.W, s.at(0, first+rows)))*c])
				}
			}
			for i := range p.convs {
				c := &p.convs[i]
				if s.DWeights[i] != nil {
					p.read(m, &s.FactorizedReduceShape, x, s.Xs, image, i, first, rows, s.ReLUIn)
					addPointwiseGrad(&c.grad, m, dw[c.partial:], x, p.in, dy[c.first:], p.wide, rows*p.outW)
				}
				if wanted {
					s.back(m, i, dx, dy[c.first:], packed[c.packed:], tile, zero, image, first, rows)
				}
			}
		}
	}
}

// back writes, or adds, to an image's gradients what convolution i gives for
// rows of Y.
func (s *reduceBackwardTask[T]) back(m *micro[T], i int, dx, dy, packed, tile, zero []T, image, first, rows int) {
	p, c, in := s.plan, &s.plan.convs[i], 0
	if c.back.all {
		runPointwise(&c.back.maps[0].pointwise, m, dx, nil, nil, dy, packed, tile, zero, rows)
	}
	for j, n := range s.Channels {
		var mask, before []T
		if s.ReLUIn {
			mask = s.Xs[j]
		}
		if s.Add[j] {
			before = s.DXs[j]
		}
		at := (image*s.H*s.W + s.at(i, first)) * n
		switch {
		case s.DXs[j] == nil:
		case !c.back.all:
			k := &c.back.maps[j]
			runPointwise(&k.pointwise, m, s.DXs[j][at:], tail(mask, at), tail(before, at), dy, packed[k.packed:], tile, zero,
				rows)
		default:
			for r := range rows {
				at := at + r*s.Stride*s.W*n
				m.depth(depthOperands[T]{y: s.DXs[j][at:], mask: tail(mask, at), residual: tail(before, at),
					yCol: s.Stride * n, x: dx[r*p.outW*p.in+in:], xCol: p.in, w: p.one, window: oneTap,
					floor: floorOf[T](false), cols: p.outW, c: n})
			}
		}
		in += n
	}
}

// reduceSumTask adds up the parts' gradients of a convolution's weights.
type reduceSumTask[T Float] FactorizedReduceBackward[T]

func (s *reduceSumTask[T]) Do(i, _ int) {
	p, c := s.plan, &s.plan.convs[i]
	_, n := parts(s.N)
	if s.DWeights[i] == nil {
		return
	}
	for piece := range c.grad.blocks {
		sumPointwiseGrad(&c.grad, s.DWeights[i], s.Scratch[panel+p.packed+c.partial:], piece, p.partial, n)
	}
}

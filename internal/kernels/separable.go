// SPDX-License-Identifier: Apache-2.0

package kernels

import "fmt"

// SeparableShape is the extents of a depthwise convolution and the pointwise
// one behind it: X is N,H,W,C, the depthwise weights are Kernel,Kernel,C, the
// pointwise ones C,Out, Y is N,OutH,OutW,Out.
type SeparableShape struct {
	DepthwiseShape
	Out int
}

func (s SeparableShape) yLen() int { return s.N * s.OutH() * s.OutW() * s.Out }

func (s SeparableShape) check() {
	s.DepthwiseShape.check()
	if s.Out < 1 {
		panic(fmt.Sprintf("kernels: separable: bad shape %+v", s))
	}
}

// Separable is a depthwise separable convolution with the batch norm and the
// ReLU before it, and the statistics of the batch norm behind it:
//
//	Y = Point·(Depth ∗ max(0, X·Scale + Shift))
//
// Scale and Shift (C) are left out if nil. Mean and InvStd (Out), unless nil,
// are results: the mean of Y over all pixels, and 1/√(variance + Epsilon).
// What lies between stays in the cache: an image is taken through both
// convolutions a few rows at a time.
// Source: Howard et al., MobileNets, 2017, §3.1.
type Separable[T Float] struct {
	SeparableShape
	Epsilon                                                 T
	X, Scale, Shift, Depth, Point, Y, Mean, InvStd, Scratch []T

	plan *separable
}

// separable is the plan of a separable convolution, forward or backward.
type separable struct {
	SeparableShape
	depth  *depthwise    // the depthwise convolution of one image
	bare   bool          // the working copy of X has no padding
	rows   int           // output rows that are taken together
	point  pointwise     // forward: their pointwise convolution
	grad   pointwiseGrad // backward: that of the pointwise weights
	back   *depthwise    // backward: the depthwise gradient of one image
	dpoint pointwise     // backward: the pointwise gradient, written where back reads
}

// blockPixels of a depthwise output stay in the first-level cache until the
// pointwise convolution has read them.
const blockPixels = 96

func planSeparable[T Float](s SeparableShape, backward bool) *separable {
	s.check()
	one := s.dense()
	one.N = 1
	whole := func(g gather) gather {
		g.images, g.units = 1, g.rows.units
		return g
	}
	p := &separable{SeparableShape: s, depth: newDepthwise(whole(one.forward(false, 1)), s.Kernel)}
	p.rows = min(s.OutH(), max(1, blockPixels/s.OutW()))
	m := loops[T]()
	if !backward {
		p.depth.plane = planeOf[T](p.depth.g, s.Kernel)
		p.bare = p.depth.plane != nil
		p.point = newPointwise(m, s.C, s.Out, p.rows, s.OutW(), s.C, s.OutW()*s.C, s.Out, s.OutW()*s.Out)
		return p
	}
	g := whole(one.backward(1))
	left, top := -p.depth.g.cols.lo, -p.depth.g.rows.lo
	if left < 0 || top < 0 || left+s.W > p.depth.g.width || top+s.H > p.depth.g.rows.span(s.OutH()) ||
		-g.cols.lo+s.OutW() > g.width || -g.rows.lo+s.OutH() > g.rows.span(g.rows.units) {
		panic(fmt.Sprintf("kernels: separable: %+v does not read all of its input", s))
	}
	p.back = newDepthwise(g, s.Kernel)
	back, depth := planeOf[T](g.padded(), s.Kernel), planeOf[T](p.depth.g, s.Kernel)
	if p.bare = back != nil && depth != nil; p.bare {
		p.back.plane, p.depth.plane = back, depth
	} else {
		p.depth.plane = planeOf[T](p.depth.g.padded(), s.Kernel)
	}
	p.grad = newPointwiseGrad(m, s.C, s.Out)
	p.dpoint = newPointwise(m, s.Out, s.C, p.rows, s.OutW(), p.grad.wide, s.OutW()*p.grad.wide, s.C, g.width*s.C)
	return p
}

// copyLen is the length of the working copy of an image of X.
func (p *separable) copyLen() int {
	if p.bare {
		return p.H * p.W * p.C
	}
	return p.depth.g.imageLen()
}

// loadSeparable makes the working copy of an image.
func loadSeparable[T Float](p *separable, m *micro[T], work, x []T, e entry[T]) {
	if p.bare {
		e.apply(m, work, x, p.C)
		return
	}
	load(&p.depth.g, m, 0, x, work, e)
}

// depthRows writes rows of the depthwise output from the working copy x.
func depthRows[T Float](p *separable, m *micro[T], z, x, weights []T, first, rows int) {
	g, c := &p.depth.g, p.C
	if p.depth.plane != nil {
		m.depthPlane(z, nil, nil, x, weights, nil, floorOf[T](false), p.depth.plane, first, rows)
		return
	}
	for r := range rows {
		depthRow(p.depth, m, 0, z[r*p.OutW()*c:], nil, nil, x[(first+r)*g.rows.step*g.width*c:], weights, nil,
			floorOf[T](false))
	}
}

// momentParts are the moments of an image's output: mean, squared deviations.
const momentParts = 2

func (s *Separable[T]) planned() *separable {
	if s.plan == nil || s.plan.SeparableShape != s.SeparableShape {
		s.plan = planSeparable[T](s.SeparableShape, false)
	}
	return s.plan
}

// workLen is a working copy, a block of the depthwise output and a tile.
func (s *Separable[T]) workLen() int {
	p := s.plan
	return p.copyLen() + p.rows*p.OutW()*p.C + p.point.tileLen()
}

// ScratchLen returns the length that Scratch must have for so many threads.
func (s *Separable[T]) ScratchLen(threads int) int {
	p := s.planned()
	return panel + p.point.packedLen() + p.N*momentParts*p.Out + threads*s.workLen()
}

// Run computes Y and its statistics.
func (s *Separable[T]) Run(pool *Workers) {
	const kernel = "separable"
	p := s.planned()
	need(kernel, "X", s.X, s.xLen())
	optional(kernel, "Scale", s.Scale, s.C)
	optional(kernel, "Shift", s.Shift, s.C)
	need(kernel, "Depth", s.Depth, s.weightsLen())
	need(kernel, "Point", s.Point, s.C*s.Out)
	need(kernel, "Y", s.Y, s.yLen())
	optional(kernel, "Mean", s.Mean, s.Out)
	optional(kernel, "InvStd", s.InvStd, s.Out)
	need(kernel, "Scratch", s.Scratch, s.ScratchLen(pool.Threads()))
	clear(s.Scratch[:panel])
	packPointwise(&p.point, s.Scratch[panel:], s.Point, s.Out, 1)
	pool.For(s.N, (*separableTask[T])(s))
	if s.Mean == nil {
		return
	}
	equalMoments(s.Mean, s.InvStd, s.Scratch[panel+p.point.packedLen():], s.N, s.Out, p.OutH()*p.OutW(), s.Epsilon)
}

// separableTask does an image.
type separableTask[T Float] Separable[T]

func (s *separableTask[T]) Do(image, worker int) {
	p, m := s.plan, loops[T]()
	size := (*Separable[T])(s).workLen()
	zero, packed := s.Scratch[:panel], s.Scratch[panel:][:p.point.packedLen()]
	partial := s.Scratch[panel+len(packed):][:p.N*momentParts*p.Out]
	work := s.Scratch[panel+len(packed)+len(partial)+worker*size:][:size]
	x, rest := work[:p.copyLen()], work[p.copyLen():]
	z, tile := rest[:p.rows*p.OutW()*p.C], rest[p.rows*p.OutW()*p.C:]
	loadSeparable(p, m, x, s.X[image*p.H*p.W*p.C:][:p.H*p.W*p.C], entry[T]{true, s.Scale, s.Shift})
	y := s.Y[image*p.OutH()*p.OutW()*p.Out:][:p.OutH()*p.OutW()*p.Out]
	sums := partial[image*momentParts*p.Out:][:momentParts*p.Out]
	sum, dot := sums[:p.Out], sums[p.Out:2*p.Out]
	next := following(s.X, image, p.N, worker)
	clear(sums)
	for first := 0; first < p.OutH(); first += p.rows {
		rows := min(p.rows, p.OutH()-first)
		prefetch(share(next, first, rows, p.OutH()))
		depthRows(p, m, z, x, s.Depth, first, rows)
		prefetch(share(y, first+rows, p.rows, p.OutH()))
		out := y[first*p.OutW()*p.Out:]
		runPointwise(&p.point, m, out, nil, nil, z, packed, tile, zero, rows)
		if s.Mean != nil { // deviations from the image's first pixel
			m.reduce(sum, dot, out, y, out, y, floorOf[T](false), rows*p.OutW(), p.Out, p.Out)
		}
	}
	centre(sums, y, p.Out, p.OutH()*p.OutW())
}

// SeparableBackward is the gradient of [Separable]. Of Y's gradient it has DY,
// or, if A is not nil, what becomes of a gradient DY behind a batch norm of Y:
//
//	dy = DY·A + Y·B + D  (channel by channel)
//
// DDepth and DPoint are the gradients in the weights, nil if not wanted. DX is
// that in X, + DX if Add. With Scale, DX is the gradient in X·Scale + Shift,
// and Sum and Dot (C) are Σ DX and Σ DX·(X − Mean): what the batch norm before
// needs to carry it further.
type SeparableBackward[T Float] struct {
	SeparableShape
	Add                                                                                        bool
	X, Scale, Shift, Mean, Depth, Point, DY, A, B, D, Y, DDepth, DPoint, DX, Sum, Dot, Scratch []T

	plan *separable
}

func (s *SeparableBackward[T]) planned() *separable {
	if s.plan == nil || s.plan.SeparableShape != s.SeparableShape {
		s.plan = planSeparable[T](s.SeparableShape, true)
	}
	return s.plan
}

func (s *SeparableBackward[T]) gradient() behindNorm[T] {
	return behindNorm[T]{s.DY, s.Y, s.A, s.B, s.D}
}

// partLen is a part's weight gradients, depthwise and pointwise.
func (s *SeparableBackward[T]) partLen() int {
	return s.weightsLen() + s.plan.grad.length()
}

// workLen is working copies of X and of the depthwise output's gradient, blocks
// of the depthwise output and of dy, and a tile.
func (s *SeparableBackward[T]) workLen() int {
	p := s.plan
	block := p.rows * p.OutW()
	return p.copyLen() + p.back.g.imageLen() + block*p.C + p.grad.rows + block*p.grad.wide + p.dpoint.tileLen()
}

// ScratchLen returns the length that Scratch must have for so many threads.
func (s *SeparableBackward[T]) ScratchLen(threads int) int {
	p := s.planned()
	_, n := parts(s.N)
	return max(panel, s.C) + p.dpoint.packedLen() + n*s.partLen() + s.N*2*s.C + threads*s.workLen()
}

// Run computes the gradients.
func (s *SeparableBackward[T]) Run(pool *Workers) {
	const kernel = "separable backward"
	p := s.planned()
	need(kernel, "X", s.X, s.xLen())
	need(kernel, "Depth", s.Depth, s.weightsLen())
	need(kernel, "Point", s.Point, s.C*s.Out)
	s.gradient().check(kernel, s.yLen(), s.Out)
	optional(kernel, "DX", s.DX, s.xLen())
	optional(kernel, "DDepth", s.DDepth, s.weightsLen())
	optional(kernel, "DPoint", s.DPoint, s.C*s.Out)
	if s.Scale != nil {
		need(kernel, "Scale", s.Scale, s.C)
		need(kernel, "Shift", s.Shift, s.C)
		need(kernel, "Mean", s.Mean, s.C)
		need(kernel, "Sum", s.Sum, s.C)
		need(kernel, "Dot", s.Dot, s.C)
	}
	need(kernel, "Scratch", s.Scratch, s.ScratchLen(pool.Threads()))
	zeros := max(panel, s.C)
	clear(s.Scratch[:zeros])
	packPointwise(&p.dpoint, s.Scratch[zeros:], s.Point, 1, s.Out)
	_, n := parts(s.N)
	pool.For(n, (*separableBackwardTask[T])(s))
	pool.For(1+len(p.grad.blocks), (*separableSumTask[T])(s))
	if s.Scale == nil || s.DX == nil {
		return
	}
	sums := s.Scratch[zeros+p.dpoint.packedLen()+n*s.partLen():]
	for ch := range s.C {
		var sum, dot float64
		for i := range s.N {
			sum += float64(sums[i*2*s.C+ch])
			dot += float64(sums[(i*2+1)*s.C+ch])
		}
		s.Sum[ch], s.Dot[ch] = T(sum), T(dot)
	}
}

// separableSumTask adds up the parts' gradients: of the depthwise weights, or
// of a piece of the pointwise ones.
type separableSumTask[T Float] SeparableBackward[T]

func (s *separableSumTask[T]) Do(piece, _ int) {
	k, p, m := (*SeparableBackward[T])(s), s.plan, loops[T]()
	_, n := parts(s.N)
	size, depth := k.partLen(), p.weightsLen()
	partial := s.Scratch[max(panel, p.C)+p.dpoint.packedLen():]
	switch {
	case piece > 0 && s.DPoint != nil:
		sumPointwiseGrad(&p.grad, s.DPoint, partial[depth:], piece-1, size, n)
	case piece == 0 && s.DDepth != nil:
		sum := s.DDepth[:depth]
		copy(sum, partial)
		for i := 1; i < n; i++ {
			m.add(sum, sum, partial[i*size:][:depth], floorOf[T](false))
		}
	}
}

// clearAround clears what the working copy of a gather has around an image of
// rows × cols.
func clearAround[T Float](work []T, g *gather, rows, cols int) {
	width, top, left, inside := g.width*g.c, -g.rows.lo, -g.cols.lo*g.c, cols*g.c
	clear(work[:top*width])
	for r := top; r < top+rows; r++ {
		row := work[r*width:][:width]
		clear(row[:left])
		clear(row[left+inside:])
	}
	clear(work[(top+rows)*width : g.imageLen()])
}

// separableBackwardTask does a part of the batch.
type separableBackwardTask[T Float] SeparableBackward[T]

func (s *separableBackwardTask[T]) Do(part, worker int) {
	k, p, m := (*SeparableBackward[T])(s), s.plan, loops[T]()
	images, n := parts(s.N)
	gradient := k.gradient()
	zero, rest := s.Scratch[:max(panel, p.C)], s.Scratch[max(panel, p.C):]
	packed, rest := rest[:p.dpoint.packedLen()], rest[p.dpoint.packedLen():]
	partial := rest[part*k.partLen():][:k.partLen()]
	rest = rest[n*k.partLen():]
	sums, rest := rest[:p.N*2*p.C], rest[p.N*2*p.C:]
	clear(partial)
	ddepth, dpoint := partial[:p.weightsLen()], partial[p.weightsLen():]

	work := rest[worker*k.workLen():][:k.workLen()]
	take := func(n int) []T {
		t := work[:n]
		work = work[n:]
		return t
	}
	f, g := &p.depth.g, &p.back.g
	block := p.rows * p.OutW()
	x, dz := take(p.copyLen()), take(g.imageLen())
	z, dyBlock := take(block*p.C+p.grad.rows), take(block*p.grad.wide)
	tile := take(p.dpoint.tileLen())
	clearAround(dz, g, p.OutH(), p.OutW())
	inside := dz[(-g.rows.lo*g.width-g.cols.lo)*p.C:]

	size := p.OutH() * p.OutW() * p.Out
	for image := part * images; image < min((part+1)*images, p.N); image++ {
		in := s.X[image*p.H*p.W*p.C:][:p.H*p.W*p.C]
		loadSeparable(p, m, x, in, entry[T]{true, s.Scale, s.Shift})
		next := ahead(s.X, (image+1)*len(in), len(in))
		for first := 0; first < p.OutH(); first += p.rows {
			rows := min(p.rows, p.OutH()-first)
			at, pixels := image*size+first*p.OutW()*p.Out, rows*p.OutW()
			dy := gradient.rows(m, dyBlock, p.grad.wide, at, pixels, p.Out)
			prefetch(ahead(s.DY, at+size, pixels*p.Out))
			if s.DPoint != nil {
				depthRows(p, m, z, x, s.Depth, first, rows)
				addPointwiseGrad(&p.grad, m, dpoint, z, p.C, dy, p.grad.wide, pixels)
			}
			if s.A != nil {
				prefetch(ahead(s.Y, at+size, pixels*p.Out))
			}
			prefetch(share(next, first, rows, p.OutH()))
			runPointwise(&p.dpoint, m, inside[first*g.width*p.C:], nil, nil, dy, packed, tile, zero, rows)
		}
		switch {
		case s.DDepth == nil:
		case p.bare: // the same products: what each element of X has to do with dz
			o := &p.back.taps[0][0]
			m.tapsGrad(tapsOperands[T]{dw: ddepth, woff: o.w, x: dz, xRow: g.width * p.C, xCol: p.C, xoff: o.x, dy: x,
				dyRow: p.W * p.C, dyCol: p.C, rows: p.H, cols: p.W, c: p.C})
		default:
			o := &p.depth.taps[0][0]
			m.tapsGrad(tapsOperands[T]{dw: ddepth, woff: o.w, x: x, xRow: f.rows.step * f.width * p.C,
				xCol: f.cols.step * p.C, xoff: o.x, dy: inside, dyRow: g.width * p.C, dyCol: p.C, rows: p.OutH(),
				cols: p.OutW(), c: p.C})
		}
		if s.DX == nil {
			continue
		}
		dx := s.DX[image*p.H*p.W*p.C:][:len(in)]
		var before []T
		if s.Add {
			before = dx
		}
		if p.back.plane != nil {
			m.depthPlane(dx, x, before, dz, s.Depth, nil, floorOf[T](false), p.back.plane, 0, p.H)
		} else {
			g.eachRow(0, func(r, phase, source int) {
				at := r * p.W * p.C
				depthRow(p.back, m, phase, dx[at:][:p.W*p.C], x[((r-f.rows.lo)*f.width-f.cols.lo)*p.C:], tail(before, at),
					dz[source:], s.Depth, nil, floorOf[T](false))
			})
		}
		if s.Scale != nil {
			part := sums[image*2*p.C:][:2*p.C]
			clear(part)
			m.reduce(part, part[p.C:], dx, zero, in, s.Mean, floorOf[T](false), p.H*p.W, p.C, p.C)
		}
	}
}

// SPDX-License-Identifier: Apache-2.0

package kernels

// maxPool is the plan of a max pooling, forward.
//
// The usual window, 3×3 with stride 1 and padding 1, has a loop of its own,
// micro.peak3, where the platform has one.
type maxPool[T Float] struct {
	shape   PoolShape
	threads int
	outside []T // a row of −∞, if it has
	runs    []poolRun
}

// peaks reports whether s has loops of its own: peak3 and those of its gradient.
func peaks[T Float](s PoolShape) bool {
	return s.Kernel == 3 && s.Stride == 1 && s.Pad == 1 && loops[T]().peak3 != nil
}

// rowOf returns n elements v.
func rowOf[T Float](n int, v T) []T {
	s := make([]T, n)
	for i := range s {
		s[i] = v
	}
	return s
}

func newMaxPool[T Float](s PoolShape, threads int) *maxPool[T] {
	s.check()
	p := &maxPool[T]{shape: s, threads: threads, runs: s.runs()}
	if peaks[T](s) {
		p.outside = rowOf(s.W*s.C, floorOf[T](false))
	}
	return p
}

// MaxPool is the maximum over each window; padding never wins, nor does NaN.
// Residual, if not nil, is added; it may be Y. Mean and InvStd (C), unless nil,
// are results: the mean of Y over all pixels, and 1/√(variance + Epsilon).
type MaxPool[T Float] struct {
	PoolShape
	Epsilon                               T
	X, Residual, Y, Mean, InvStd, Scratch []T

	plan *maxPool[T]
}

func (c *MaxPool[T]) planFor(threads int) *maxPool[T] {
	if c.plan == nil || c.plan.shape != c.PoolShape || c.plan.threads != threads {
		c.plan = newMaxPool[T](c.PoolShape, threads)
	}
	return c.plan
}

// ScratchLen returns the length that Scratch must have for so many threads: each
// image's moments, and a row of maxima for each thread.
func (c *MaxPool[T]) ScratchLen(threads int) int {
	c.planFor(threads)
	return c.momentsLen() + threads*c.OutW()*c.C
}

// Run computes Y and its statistics.
func (c *MaxPool[T]) Run(p *Workers) {
	c.planFor(p.Threads())
	need("max pool", "X", c.X, c.xLen())
	optional("max pool", "Residual", c.Residual, c.yLen())
	need("max pool", "Y", c.Y, c.yLen())
	need("max pool", "Scratch", c.Scratch, c.ScratchLen(p.Threads()))
	optional("max pool", "Mean", c.Mean, c.C)
	optional("max pool", "InvStd", c.InvStd, c.C)
	p.For(c.N*c.OutH()/c.pieceRows(p.Threads(), c.Mean != nil), (*maxPoolTask[T])(c))
	if c.Mean != nil {
		equalMoments(c.Mean, c.InvStd, c.Scratch, c.N, c.C, c.OutH()*c.OutW(), c.Epsilon)
	}
}

// maxPoolTask does some output rows.
type maxPoolTask[T Float] MaxPool[T]

func (c *maxPoolTask[T]) Do(piece, worker int) {
	m, plan, width := loops[T](), c.plan, c.OutW()*c.C
	rows := c.pieceRows(plan.threads, c.Mean != nil)
	for row := piece * rows; row < (piece+1)*rows; row++ {
		y := c.Y[row*width:][:width]
		best := y
		if c.Residual != nil {
			best = c.Scratch[c.momentsLen()+worker*width:][:width]
		}
		x, o := c.X[row/c.OutH()*c.H*c.W*c.C:], row%c.OutH()
		if plan.outside != nil {
			fetchRow(m, y, c.X, row, c.PoolShape)
			m.peak3(best, rowOr(x, o-1, c.H, width, plan.outside), x[o*width:], rowOr(x, o+1, c.H, width, plan.outside), c.W,
				c.C, c.C)
		} else {
			for _, r := range plan.runs {
				w, start := c.taps(o, r)
				m.peak(best[r.output*c.C:], c.C, x[start:], c.Stride*c.C, w, r.n, c.C)
			}
		}
		if c.Residual != nil {
			m.add(y, c.Residual[row*width:][:width], best, floorOf[T](false))
		}
		if c.Mean != nil {
			rowMoments(m, c.Scratch, c.Y, row, c.PoolShape)
		}
	}
}

// rowOr returns row r of an image of h rows, or outside if there is no such row.
func rowOr[T Float](x []T, r, h, width int, outside []T) []T {
	if r < 0 || r >= h {
		return outside
	}
	return x[r*width:]
}

// rowMoments adds output row row of the batch, just written, to its image's
// sums, and after the last one makes them moments.
func rowMoments[T Float](m *micro[T], moments, y []T, row int, s PoolShape) {
	image, o, width := row/s.OutH(), row%s.OutH(), s.OutW()*s.C
	sums, first := moments[image*momentParts*s.C:][:momentParts*s.C], y[image*s.OutH()*width:]
	if o == 0 {
		clear(sums)
	}
	m.reduce(sums, sums[s.C:], y[row*width:], first, y[row*width:], first, floorOf[T](false), s.OutW(), s.C, s.C)
	if o+1 == s.OutH() {
		centre(sums, first, s.C, s.OutH()*s.OutW())
	}
}

// maxPoolBackward is the plan of a max pooling's gradient.
//
// With the loops of its own it runs down an image's rows: a window's gradient
// goes to the first of three rows whose maximum of three columns is greatest,
// and from there to the first of these columns, all at once in micro.peakGrad
// or row by row in micro.share and micro.spread. Else it is a gather of Y's
// gradient, beside which lies which tap each window's maximum is from; an image
// is taken band by band, and what two bands both read is kept.
type maxPoolBackward[T Float] struct {
	shape   PoolShape
	threads int
	outside []T // a row of −∞, if it has the loops
	depthwise
	runs    []poolRun
	workLen int // of each thread's working memory
}

// bandElements of the working copies stay in the first-level cache.
const bandElements = 8 << 10

// Working rows of micro.peakGrad have, for each group of channels, the last of
// which may not be full, their maxima and then their gradients.
const peakGradGroup = 8

// peakGradAt returns the place of channel ch's maximum in a pixel.
func peakGradAt(ch int) int { return ch/peakGradGroup*2*peakGradGroup + ch%peakGradGroup }

// peakGradPixel returns the number of elements of a pixel of c channels.
func peakGradPixel(c int) int { return (c + peakGradGroup - 1) / peakGradGroup * 2 * peakGradGroup }

// peakGradGap is padding after each working row. Without it, a pixel and the
// pixel below it can be a power of two apart; the processor compares only the
// low 12 bits of addresses when it matches loads with earlier stores (4K
// aliasing), and would stall.
const peakGradGap = 512

// shareRows is the number of working rows of a gradient by peak3, share and
// spread: three of maxima, three of gradients, one of dy, two that nobody reads.
const shareRows = 9

func newMaxPoolBackward[T Float](s PoolShape, threads int) *maxPoolBackward[T] {
	s.check()
	if peaks[T](s) {
		b := &maxPoolBackward[T]{shape: s, threads: threads, outside: rowOf(s.W*s.C, floorOf[T](false))}
		if b.workLen = shareRows * s.W * s.C; loops[T]().peakGrad != nil {
			b.workLen = 2 * b.peakGradRow()
		}
		return b
	}
	g := s.backward(threads)
	g.images, g.units = 1, min(g.rows.units, max(1, bandElements/(2*g.width*g.c)-(g.rows.span(1)-1)))
	b := &maxPoolBackward[T]{shape: s, threads: threads, depthwise: *newDepthwise(g, s.Kernel), runs: s.runs()}
	b.workLen = 2 * g.workLen()
	return b
}

// peakGradRow is the length of a working row of micro.peakGrad and the gap.
func (b *maxPoolBackward[T]) peakGradRow() int {
	return b.shape.W*peakGradPixel(b.shape.C) + peakGradGap
}

// MaxPoolBackward is the gradient of [MaxPool] in X: DX, or DX + it if Add.
// All of a window's gradient goes to its first maximum, rows before columns;
// where that is −∞ it may be lost. Y's gradient is DY, or, if A is not nil, what
// becomes of DY behind a batch norm of Y, DY·A + Y·B + D (channel by channel);
// Y is then what [MaxPool] makes of X without a residual, or, with Mean and
// InvStd (C) of it, (that − Mean)·InvStd, for a batch norm that ran in place.
type MaxPoolBackward[T Float] struct {
	PoolShape
	Add                                          bool
	X, DY, A, B, D, Y, Mean, InvStd, DX, Scratch []T

	plan *maxPoolBackward[T]
}

func (c *MaxPoolBackward[T]) planFor(threads int) *maxPoolBackward[T] {
	if c.plan == nil || c.plan.shape != c.PoolShape || c.plan.threads != threads {
		c.plan = newMaxPoolBackward[T](c.PoolShape, threads)
	}
	return c.plan
}

// ScratchLen returns the length that Scratch must have for so many threads: the
// coefficients of a norm in place, and each thread's working memory.
func (c *MaxPoolBackward[T]) ScratchLen(threads int) int {
	return 2*c.C + threads*c.planFor(threads).workLen
}

// work is a thread's working memory.
func (c *MaxPoolBackward[T]) work(worker int) []T {
	return c.Scratch[2*c.C+worker*c.plan.workLen:][:c.plan.workLen]
}

func (c *MaxPoolBackward[T]) gradient() behindNorm[T] {
	return behindNorm[T]{c.DY, c.Y, c.A, c.B, c.D}
}

// Run computes DX.
func (c *MaxPoolBackward[T]) Run(p *Workers) {
	const kernel = "max pool backward"
	c.planFor(p.Threads())
	need(kernel, "X", c.X, c.xLen())
	c.gradient().check(kernel, c.yLen(), c.C)
	optional(kernel, "Mean", c.Mean, c.C)
	optional(kernel, "InvStd", c.InvStd, c.C)
	need(kernel, "DX", c.DX, c.xLen())
	need(kernel, "Scratch", c.Scratch, c.ScratchLen(p.Threads()))
	switch {
	case c.plan.outside == nil:
		p.For(c.N, (*maxPoolBackwardTask[T])(c))
	case loops[T]().peakGrad != nil:
		if c.A != nil && c.Mean != nil {
			for ch := range c.C {
				b := c.B[ch] * c.InvStd[ch]
				c.Scratch[ch], c.Scratch[c.C+ch] = b, c.D[ch]-b*c.Mean[ch]
			}
		}
		p.For(c.N, (*peakGradTask[T])(c))
	default:
		p.For(c.N, (*shareTask[T])(c))
	}
}

// peakGradTask does an image with peakGrad.
type peakGradTask[T Float] MaxPoolBackward[T]

func (c *peakGradTask[T]) Do(image, worker int) {
	m, plan, width := loops[T](), c.plan, c.W*c.C
	row := plan.peakGradRow()
	work := (*MaxPoolBackward[T])(c).work(worker)
	high, mid := work[:row-peakGradGap], work[row:2*row-peakGradGap]
	for i := range mid {
		mid[i] = floorOf[T](false) // as if there were a row above the image
	}
	for o := -1; o <= c.H; o++ { // of windows, from one above the image to one below
		at := (image*c.H + o) * width
		var g behindNorm[T]
		if o >= 0 && o < c.H {
			g = behindNorm[T]{dy: c.DY[at:]}
			if c.A != nil { // peakGrad knows the maximum
				g.a, g.b, g.d = c.A, c.B, c.D
				if c.Mean != nil {
					g.b, g.d = c.Scratch[:c.C], c.Scratch[c.C:2*c.C]
				}
			}
		}
		var dx, x []T
		if o > 0 {
			dx, x = c.DX[at-width:], c.X[at-width:]
		}
		below := plan.outside
		if o+1 < c.H {
			below = c.X[at+width:]
		}
		m.peakGrad(dx, x, below, high, mid, g, c.W, c.C, width, c.Add)
		high, mid = mid, high
	}
}

// shareTask does an image with share and spread.
type shareTask[T Float] MaxPoolBackward[T]

func (c *shareTask[T]) Do(image, worker int) {
	m, width := loops[T](), c.W*c.C
	work := (*MaxPoolBackward[T])(c).work(worker)
	x, dx := c.X[image*c.H*width:][:c.H*width], c.DX[image*c.H*width:][:c.H*width]
	gradient := (*MaxPoolBackward[T])(c).gradient()
	slot := func(i int) []T { return work[i*width:][:width] }
	high := func(r int) []T { // the greatest of three columns
		if r < 0 || r >= c.H {
			return c.plan.outside
		}
		return slot(r % 3)
	}
	share := func(r int) []T { // their gradient
		switch {
		case r < 0:
			return slot(7)
		case r >= c.H:
			return slot(8)
		}
		return slot(3 + r%3)
	}
	find := func(r int) { m.peak3(high(r), x[r*width:], x[r*width:], x[r*width:], c.W, c.C, c.C) }
	find(0)
	clear(share(0))
	clear(slot(7))
	for o := range c.H {
		at := (image*c.H + o) * width
		prefetch(dx[o*width:][:width])
		prefetch(ahead(c.X, at+3*width, width))
		gradient.ahead(at+width, width)
		if o+1 < c.H {
			find(o + 1)
		}
		dy := gradient.rows(m, slot(6), c.C, at, c.W, c.C)
		m.share(share(o-1), share(o), share(o+1), high(o-1), high(o), high(o+1), dy)
		if o > 0 {
			m.spread(dx[(o-1)*width:], x[(o-1)*width:], share(o-1), c.W, c.C, c.C, c.Add)
		}
	}
	m.spread(dx[(c.H-1)*width:], x[(c.H-1)*width:], share(c.H-1), c.W, c.C, c.C, c.Add)
}

// maxPoolBackwardTask does an image.
type maxPoolBackwardTask[T Float] MaxPoolBackward[T]

func (c *maxPoolBackwardTask[T]) Do(image, worker int) {
	b, m := c.plan, loops[T]()
	g := &b.g
	work := (*MaxPoolBackward[T])(c).work(worker)
	dy, from := work[:g.workLen()], work[g.workLen():]
	clear(dy) // the zeros beside it stay
	row, kept := g.width*c.C, 0
	for band := range g.bands() {
		piece := image*g.bands() + band
		_, _, unit, units := g.at(piece)
		copy(dy[:kept*row], dy[g.units*row:])
		copy(from[:kept*row], from[g.units*row:])
		for r := kept; r < g.rows.span(units); r++ {
			c.fill(image, unit+g.rows.lo+r, dy[r*row:][:row], from[r*row:][:row])
		}
		kept = g.rows.span(g.units) - g.units
		g.eachRow(piece, func(r, phase, source int) {
			for k, p := range g.cols.phases {
				dx := c.DX[(r*c.W+p.first)*c.C:]
				m.pickGrad(dx, g.cols.every*c.C, dy[source:], from[source:], c.C, b.taps[phase][k].window, p.count, c.C, c.Add)
			}
		})
	}
}

// fill copies row o of Y's gradient, zeros outside of it, and finds where the
// maxima are. Beside them from may hold anything: no gradient is there.
func (c *maxPoolBackwardTask[T]) fill(image, o int, dy, from []T) {
	m, left, width := loops[T](), -c.plan.g.cols.lo*c.C, c.OutW()*c.C
	if o < 0 || o >= c.OutH() {
		clear(dy)
		return
	}
	gradient := (*MaxPoolBackward[T])(c).gradient()
	row := gradient.rows(m, dy[left:], c.C, (image*c.OutH()+o)*c.OutW()*c.C, c.OutW(), c.C)
	copy(dy[left:][:width], row)
	for _, run := range c.plan.runs {
		w, start := c.taps(o, run)
		m.pick(from[left+run.output*c.C:], c.C, c.X[image*c.H*c.W*c.C+start:], c.Stride*c.C, w, run.n, c.C)
	}
}

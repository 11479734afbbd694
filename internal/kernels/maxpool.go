// SPDX-License-Identifier: Apache-2.0

package kernels

// maxPool is the plan of a max pooling, forward.
type maxPool[T Float] struct {
	shape   PoolShape
	threads int
	runs    []poolRun
	rows    []T // a row of maxima for each thread
}

func newMaxPool[T Float](s PoolShape, threads int) *maxPool[T] {
	s.check()
	return &maxPool[T]{shape: s, threads: threads, runs: s.runs(), rows: make([]T, threads*s.OutW()*s.C)}
}

// MaxPool is the maximum over each window; padding never wins, nor does NaN.
// Residual, if not nil, is added; it may be Y.
type MaxPool[T Float] struct {
	PoolShape
	X, Residual, Y []T

	plan *maxPool[T]
}

// Run computes Y.
func (c *MaxPool[T]) Run(p *Pool) {
	if c.plan == nil || c.plan.shape != c.PoolShape || c.plan.threads != p.Threads() {
		c.plan = newMaxPool[T](c.PoolShape, p.Threads())
	}
	need("max pool", "X", c.X, c.xLen())
	optional("max pool", "Residual", c.Residual, c.yLen())
	need("max pool", "Y", c.Y, c.yLen())
	p.For(c.N*c.OutH()/c.pieceRows(p.Threads()), (*maxPoolTask[T])(c))
}

// maxPoolTask does some output rows.
type maxPoolTask[T Float] MaxPool[T]

func (c *maxPoolTask[T]) Do(piece, worker int) {
	m, plan, width := loops[T](), c.plan, c.OutW()*c.C
	rows := c.pieceRows(plan.threads)
	for row := piece * rows; row < (piece+1)*rows; row++ {
		y := c.Y[row*width:][:width]
		best := y
		if c.Residual != nil {
			best = plan.rows[worker*width:][:width]
		}
		for _, r := range plan.runs {
			w, start := c.taps(row%c.OutH(), r)
			m.peak(best[r.output*c.C:], c.C, c.X[row/c.OutH()*c.H*c.W*c.C+start:], c.Stride*c.C, w, r.n, c.C)
		}
		if c.Residual != nil {
			m.add(y, c.Residual[row*width:][:width], best, floorOf[T](false))
		}
	}
}

// maxPoolBackward is the plan of a max pooling's gradient: a gather of Y's
// gradient, beside which lies which tap each window's maximum is from. An image
// is taken band by band, and what two bands both read is kept.
type maxPoolBackward[T Float] struct {
	shape   PoolShape
	threads int
	depthwise
	runs []poolRun
	work []T // for each thread, working copies of Y's gradient and of the maxima's taps
}

// bandElements of the working copies stay in the first-level cache.
const bandElements = 8 << 10

func newMaxPoolBackward[T Float](s PoolShape, threads int) *maxPoolBackward[T] {
	s.check()
	g := s.backward(threads)
	g.images, g.units = 1, min(g.rows.units, max(1, bandElements/(2*g.width*g.c)-(g.rows.span(1)-1)))
	b := &maxPoolBackward[T]{shape: s, threads: threads, depthwise: *newDepthwise(g, s.Kernel), runs: s.runs()}
	b.work = make([]T, threads*2*g.workLen())
	return b
}

// MaxPoolBackward is the gradient of [MaxPool] in X: DX, or DX + it if Add.
// All of a window's gradient goes to its first maximum, rows before columns.
type MaxPoolBackward[T Float] struct {
	PoolShape
	Add       bool
	X, DY, DX []T

	plan *maxPoolBackward[T]
}

// Run computes DX.
func (c *MaxPoolBackward[T]) Run(p *Pool) {
	if c.plan == nil || c.plan.shape != c.PoolShape || c.plan.threads != p.Threads() {
		c.plan = newMaxPoolBackward[T](c.PoolShape, p.Threads())
	}
	need("max pool backward", "X", c.X, c.xLen())
	need("max pool backward", "DY", c.DY, c.yLen())
	need("max pool backward", "DX", c.DX, c.xLen())
	p.For(c.N, (*maxPoolBackwardTask[T])(c))
}

// maxPoolBackwardTask does an image.
type maxPoolBackwardTask[T Float] MaxPoolBackward[T]

func (c *maxPoolBackwardTask[T]) Do(image, worker int) {
	b, m := c.plan, loops[T]()
	g := &b.g
	work := b.work[worker*2*g.workLen():][:2*g.workLen()]
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
	copy(dy[left:], c.DY[(image*c.OutH()+o)*width:][:width])
	for _, run := range c.plan.runs {
		w, start := c.taps(o, run)
		m.pick(from[left+run.output*c.C:], c.C, c.X[image*c.H*c.W*c.C+start:], c.Stride*c.C, w, run.n, c.C)
	}
}

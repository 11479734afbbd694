// SPDX-License-Identifier: Apache-2.0

package kernels

// avgPool is the plan of an average pooling: a depthwise convolution whose
// weights are all 1/count, with windows cut off at the borders.
//
// The usual window, 3×3 with stride 1 and padding 1, has a loop of its own,
// micro.box: the sum over three rows is shared by three windows.
type avgPool[T Float] struct {
	shape   PoolShape
	threads int
	box     bool
	outside []T // a row of zeros, if box
	runs    []poolRun
	inverse [][]T // for each count, 1/count for every channel
}

func newAvgPool[T Float](s PoolShape, threads int) *avgPool[T] {
	s.check()
	a := &avgPool[T]{shape: s, threads: threads}
	if s.Kernel == 3 && s.Stride == 1 && s.Pad == 1 && s.W > 1 {
		a.box, a.outside = true, make([]T, s.W*s.C)
		return a
	}
	a.runs = s.runs()
	for count := range s.Kernel*s.Kernel + 1 {
		v := make([]T, s.C)
		for ch := range v {
			v[ch] = 1 / T(count)
		}
		a.inverse = append(a.inverse, v)
	}
	return a
}

// boxRow computes row r of an image of y from rows r−1, r, r+1 of x, those
// outside left out. Forward,
// the weights are those of the window of row r, and the first and last column
// are multiplied by 3/2 afterwards, for their windows are two columns wide;
// backward, each row has the weight of its own window, and so have the columns.
func (a *avgPool[T]) boxRow(y []T, rows [3][]T, r int, backward, add bool) {
	s := a.shape
	var weights [3]T
	for i := range rows {
		row, window := r+i-1, r
		if backward {
			window = row
		}
		if row < 0 || row >= s.H {
			rows[i] = a.outside
		} else {
			first, end := s.window(window, s.H)
			weights[i] = 1 / T(3*(end-first))
		}
	}
	pre, post := T(1), T(1.5)
	if backward {
		pre, post = post, pre
	}
	loops[T]().box(y, rows, weights, pre, post, s.W, s.C, s.C, add)
}

// AvgPool is the mean over each window; padding is not counted.
// Residual, if not nil, is added; it may be Y. Mean and InvStd are as in [MaxPool].
type AvgPool[T Float] struct {
	PoolShape
	Epsilon                               T
	X, Residual, Y, Mean, InvStd, Scratch []T

	plan *avgPool[T]
}

func (c *AvgPool[T]) planFor(threads int) *avgPool[T] {
	if c.plan == nil || c.plan.shape != c.PoolShape || c.plan.threads != threads {
		c.plan = newAvgPool[T](c.PoolShape, threads)
	}
	return c.plan
}

// ScratchLen is the length of Scratch: each image's moments.
func (c *AvgPool[T]) ScratchLen(threads int) int {
	c.planFor(threads)
	return c.momentsLen()
}

// Run computes Y and its statistics.
func (c *AvgPool[T]) Run(p *Workers) {
	c.planFor(p.Threads())
	need("average pool", "X", c.X, c.xLen())
	optional("average pool", "Residual", c.Residual, c.yLen())
	need("average pool", "Y", c.Y, c.yLen())
	need("average pool", "Scratch", c.Scratch, c.ScratchLen(p.Threads()))
	optional("average pool", "Mean", c.Mean, c.C)
	optional("average pool", "InvStd", c.InvStd, c.C)
	p.For(c.N*c.OutH()/c.pieceRows(p.Threads(), c.Mean != nil), (*avgPoolTask[T])(c))
	if c.Mean != nil {
		equalMoments(c.Mean, c.InvStd, c.Scratch, c.N, c.C, c.OutH()*c.OutW(), c.Epsilon)
	}
}

// avgPoolTask does some output rows.
type avgPoolTask[T Float] AvgPool[T]

func (c *avgPoolTask[T]) Do(piece, _ int) {
	a, m := c.plan, loops[T]()
	rows, width := c.pieceRows(a.threads, c.Mean != nil), c.OutW()*c.C
	for row := piece * rows; row < (piece+1)*rows; row++ {
		x, o, at := c.X[row/c.OutH()*c.H*c.W*c.C:], row%c.OutH(), row*width
		y := c.Y[at:][:width]
		if a.box {
			fetchRow(m, y, c.X, row, c.PoolShape)
			if c.Residual != nil {
				copy(y, c.Residual[at:])
			}
			a.boxRow(y, [3][]T{rowOr(x, o-1, c.H, width, nil), x[o*width:], rowOr(x, o+1, c.H, width, nil)}, o, false,
				c.Residual != nil)
		} else {
			for _, r := range a.runs {
				w, start := c.taps(o, r)
				inverse := a.inverse[w.rows*w.cols]
				m.depth(depthOperands[T]{y: y[r.output*c.C:], residual: tail(c.Residual, at+r.output*c.C), yCol: c.C,
					x: x[start:], xCol: c.Stride * c.C, w: inverse, window: w.unnumbered(), floor: floorOf[T](false),
					cols: r.n, c: c.C})
			}
		}
		if c.Mean != nil {
			rowMoments(m, c.Scratch, c.Y, row, c.PoolShape)
		}
	}
}

// unnumbered is the window with all numbers 0: every tap has the same weights.
func (w window) unnumbered() window {
	w.number, w.numberRow, w.numberCol = 0, 0, 0
	return w
}

// avgPoolBackward is the plan of an average pooling's gradient: that of box,
// or a gather of Y's gradient, which is divided by the counts as it is copied.
type avgPoolBackward[T Float] struct {
	avgPool[T]
	depthwise
	one, zero []T // for every channel
	workLen   int // of each thread's working copy; of box, three rows
}

func newAvgPoolBackward[T Float](s PoolShape, threads int) *avgPoolBackward[T] {
	b := &avgPoolBackward[T]{avgPool: *newAvgPool[T](s, threads)}
	if b.box {
		b.workLen = 3 * s.W * s.C
		return b
	}
	b.depthwise = *newDepthwise(s.backward(threads), s.Kernel)
	for _, row := range b.taps {
		for k := range row {
			row[k].window = row[k].window.unnumbered()
		}
	}
	b.one, b.zero, b.workLen = b.inverse[1], make([]T, s.C), b.g.workLen()
	return b
}

// AvgPoolBackward is the gradient of [AvgPool] in X: DX, or DX + it if Add. Y's
// gradient is as in [MaxPoolBackward].
type AvgPoolBackward[T Float] struct {
	PoolShape
	Add                         bool
	DY, A, B, D, Y, DX, Scratch []T

	plan *avgPoolBackward[T]
}

func (c *AvgPoolBackward[T]) planFor(threads int) *avgPoolBackward[T] {
	if c.plan == nil || c.plan.shape != c.PoolShape || c.plan.threads != threads {
		c.plan = newAvgPoolBackward[T](c.PoolShape, threads)
	}
	return c.plan
}

// ScratchLen returns the length that Scratch must have for so many threads.
func (c *AvgPoolBackward[T]) ScratchLen(threads int) int {
	return threads * c.planFor(threads).workLen
}

// work is a thread's working memory.
func (c *AvgPoolBackward[T]) work(worker int) []T {
	return c.Scratch[worker*c.plan.workLen:][:c.plan.workLen]
}

func (c *AvgPoolBackward[T]) gradient() behindNorm[T] {
	return behindNorm[T]{c.DY, c.Y, c.A, c.B, c.D}
}

// Run computes DX.
func (c *AvgPoolBackward[T]) Run(p *Workers) {
	const kernel = "average pool backward"
	c.planFor(p.Threads())
	c.gradient().check(kernel, c.yLen(), c.C)
	need(kernel, "DX", c.DX, c.xLen())
	need(kernel, "Scratch", c.Scratch, c.ScratchLen(p.Threads()))
	if c.plan.box {
		p.For(c.N, (*boxBackwardTask[T])(c))
		return
	}
	p.For(c.plan.g.pieces(), (*avgPoolBackwardTask[T])(c))
}

// boxBackwardTask does an image.
type boxBackwardTask[T Float] AvgPoolBackward[T]

func (c *boxBackwardTask[T]) Do(image, worker int) {
	m, width := loops[T](), c.W*c.C
	work := (*AvgPoolBackward[T])(c).work(worker)
	gradient := (*AvgPoolBackward[T])(c).gradient()
	row := func(r int) []T {
		if r >= c.H {
			return nil
		}
		return gradient.rows(m, work[r%3*width:][:width], c.C, (image*c.H+r)*width, c.W, c.C)
	}
	rows := [3][]T{nil, nil, row(0)}
	for r := range c.H {
		at := (image*c.H + r) * width
		prefetch(c.DX[at:][:width])
		gradient.ahead(at+2*width, width)
		rows = [3][]T{rows[1], rows[2], row(r + 1)}
		c.plan.boxRow(c.DX[at:], rows, r, true, c.Add)
	}
}

// avgPoolBackwardTask does a piece.
type avgPoolBackwardTask[T Float] AvgPoolBackward[T]

func (c *avgPoolBackwardTask[T]) Do(piece, worker int) {
	b, m := c.plan, loops[T]()
	g, width := &b.g, c.W*c.C
	dy := (*AvgPoolBackward[T])(c).work(worker)
	c.load(piece, dy)
	g.eachRow(piece, func(row, phase, source int) {
		dx := c.DX[row*width:][:width]
		var before []T
		if c.Add {
			before = dx
		}
		depthRow(&b.depthwise, m, phase, dx, nil, before, dy[source:], b.one, nil, floorOf[T](false))
	})
}

// load makes a piece's working copy of Y's gradient.
func (c *avgPoolBackwardTask[T]) load(piece int, work []T) {
	b, m := c.plan, loops[T]()
	g, gradient := &b.g, (*AvgPoolBackward[T])(c).gradient()
	image, images, unit, units := g.at(piece)
	for i := range images {
		for r := range g.rows.span(units) {
			o := unit*g.rows.step + g.rows.lo + r
			row := work[i*g.imageLen()+r*g.width*c.C:][:g.width*c.C]
			clear(row)
			if o < 0 || o >= c.OutH() {
				continue
			}
			first, end := c.window(o, c.H)
			at := row[-g.cols.lo*c.C:]
			dy := gradient.rows(m, at, c.C, ((image+i)*c.OutH()+o)*c.OutW()*c.C, c.OutW(), c.C)
			for _, run := range b.runs {
				m.affine(row[(run.output-g.cols.lo)*c.C:], dy[run.output*c.C:], b.inverse[(end-first)*run.width], b.zero,
					floorOf[T](false), run.n, c.C, c.C, false)
			}
		}
	}
}

// SPDX-License-Identifier: Apache-2.0

package kernels

// maxPool is the plan of a max pooling. Each thread has two rows: the maxima
// of an output row, and which tap each came from.
type maxPool[T Float] struct {
	shape   PoolShape
	threads int
	runs    []poolRun
	rows    []T
}

// planMaxPool returns plan, or a new one if it is not for s and threads.
func planMaxPool[T Float](plan *maxPool[T], s PoolShape, threads int) *maxPool[T] {
	if plan != nil && plan.shape == s && plan.threads == threads {
		return plan
	}
	s.check()
	return &maxPool[T]{shape: s, threads: threads, runs: s.runs(), rows: make([]T, threads*2*s.OutW()*s.C)}
}

// eachTap calls do for the taps of output row o, rows before columns, with
// runs of n elements that start at element out of the output row and at
// element in of the image. t says which tap of its window it is.
func (p *maxPool[T]) eachTap(o int, do func(t T, out, in, n int)) {
	s := p.shape
	first, end := s.window(o, s.H)
	for row := first; row < end; row++ {
		for _, r := range p.runs {
			for col := range r.width {
				t, in := T((row-first)*s.Kernel+col), (row*s.W+r.first+col)*s.C
				if s.Stride == 1 {
					do(t, r.output*s.C, in, r.n*s.C)
					continue
				}
				for i := range r.n {
					do(t, (r.output+i)*s.C, in+i*s.Stride*s.C, s.C)
				}
			}
		}
	}
}

// pick finds the maxima of output row o of image x, and the taps they are from.
func (p *maxPool[T]) pick(x []T, o, worker int) (best, from []T) {
	m, n := loops[T](), p.shape.OutW()*p.shape.C
	best, from = p.rows[worker*2*n:][:n], p.rows[(worker*2+1)*n:][:n]
	for i := range best {
		best[i], from[i] = floorOf[T](false), 0
	}
	p.eachTap(o, func(t T, out, in, n int) { m.pick(best[out:][:n], from[out:][:n], x[in:][:n], t) })
	return best, from
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
	c.plan = planMaxPool(c.plan, c.PoolShape, p.Threads())
	need("max pool", "X", c.X, c.xLen())
	optional("max pool", "Residual", c.Residual, c.yLen())
	need("max pool", "Y", c.Y, c.yLen())
	p.For(c.N*c.OutH(), (*maxPoolTask[T])(c))
}

// maxPoolTask does an output row.
type maxPoolTask[T Float] MaxPool[T]

func (c *maxPoolTask[T]) Do(row, worker int) {
	best, _ := c.plan.pick(c.X[row/c.OutH()*c.H*c.W*c.C:], row%c.OutH(), worker)
	y := c.Y[row*len(best):][:len(best)]
	if c.Residual == nil {
		copy(y, best)
	} else {
		loops[T]().add(y, c.Residual[row*len(best):][:len(best)], best, floorOf[T](false))
	}
}

// MaxPoolBackward is the gradient of [MaxPool] in X: DX, or DX + it if Add.
// All of a window's gradient goes to its first maximum, rows before columns.
type MaxPoolBackward[T Float] struct {
	PoolShape
	Add       bool
	X, DY, DX []T

	plan *maxPool[T]
}

// Run computes DX.
func (c *MaxPoolBackward[T]) Run(p *Pool) {
	c.plan = planMaxPool(c.plan, c.PoolShape, p.Threads())
	need("max pool backward", "X", c.X, c.xLen())
	need("max pool backward", "DY", c.DY, c.yLen())
	need("max pool backward", "DX", c.DX, c.xLen())
	p.For(c.N, (*maxPoolBackwardTask[T])(c))
}

// maxPoolBackwardTask does an image.
type maxPoolBackwardTask[T Float] MaxPoolBackward[T]

func (c *maxPoolBackwardTask[T]) Do(image, worker int) {
	m, size := loops[T](), c.H*c.W*c.C
	x, dx := c.X[image*size:][:size], c.DX[image*size:][:size]
	if !c.Add {
		clear(dx)
	}
	for o := range c.OutH() {
		_, from := c.plan.pick(x, o, worker)
		dy := c.DY[(image*c.OutH()+o)*len(from):][:len(from)]
		c.plan.eachTap(o, func(t T, out, in, n int) { m.pickGrad(dx[in:][:n], dy[out:][:n], from[out:][:n], t) })
	}
}

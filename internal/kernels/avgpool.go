// SPDX-License-Identifier: Apache-2.0

package kernels

import "fmt"

// PoolShape is the extents of a pooling: X is N,H,W,C, Y is N,OutH,OutW,C.
// Pad is at most Kernel/2, so that every window has an element of X.
type PoolShape struct{ N, H, W, C, Kernel, Stride, Pad int }

// OutH is the output height.
func (s PoolShape) OutH() int { return outExtent(s.H, s.Kernel, s.Stride, s.Pad, 1) }

// OutW is the output width.
func (s PoolShape) OutW() int { return outExtent(s.W, s.Kernel, s.Stride, s.Pad, 1) }

func (s PoolShape) xLen() int { return s.N * s.H * s.W * s.C }
func (s PoolShape) yLen() int { return s.N * s.OutH() * s.OutW() * s.C }

func (s PoolShape) check() {
	if min(s.N, s.H, s.W, s.C, s.Kernel, s.Stride) < 1 || s.Pad < 0 || 2*s.Pad > s.Kernel || min(s.OutH(), s.OutW()) < 1 {
		panic(fmt.Sprintf("kernels: pool: bad shape %+v", s))
	}
}

// window is the part of output o's window that lies in the input: first ≤ i < end.
func (s PoolShape) window(o, in int) (first, end int) {
	return max(0, o*s.Stride-s.Pad), min(in, o*s.Stride-s.Pad+s.Kernel)
}

// poolRun is n neighbouring outputs of a row whose windows have the same
// width and begin Stride apart.
type poolRun struct{ output, n, first, width int }

func (s PoolShape) runs() (runs []poolRun) {
	for o := range s.OutW() {
		first, end := s.window(o, s.W)
		r := poolRun{o, 1, first, end - first}
		if last := len(runs) - 1; last >= 0 && runs[last].width == r.width && runs[last].first+runs[last].n*s.Stride == first {
			runs[last].n++
		} else {
			runs = append(runs, r)
		}
	}
	return runs
}

// avgPool is the plan of an average pooling: a depthwise convolution whose
// weights are all 1/count, with windows cut off at the borders.
//
// The usual window, 3×3 with stride 1 and padding 1, has a loop of its own,
// micro.box: the sum over three rows is shared by three windows.
type avgPool[T Float] struct {
	shape   PoolShape
	box     bool
	outside []T // a row of zeros, if box
	runs    []poolRun
	taps    [][]int // for each width, the elements of a window of full height
	zeros   []int   // every tap has the same weights
	inverse [][]T   // for each count, 1/count for every channel
}

func newAvgPool[T Float](s PoolShape) *avgPool[T] {
	s.check()
	a := &avgPool[T]{shape: s}
	if s.Kernel == 3 && s.Stride == 1 && s.Pad == 1 && s.W > 1 {
		a.box, a.outside = true, make([]T, s.W*s.C)
		return a
	}
	a.runs, a.zeros = s.runs(), make([]int, s.Kernel*s.Kernel)
	for width := range s.Kernel + 1 {
		var taps []int
		for r := range s.Kernel {
			for c := range width {
				taps = append(taps, (r*s.W+c)*s.C)
			}
		}
		a.taps = append(a.taps, taps)
	}
	for count := range s.Kernel*s.Kernel + 1 {
		v := make([]T, s.C)
		for ch := range v {
			v[ch] = 1 / T(count)
		}
		a.inverse = append(a.inverse, v)
	}
	return a
}

// boxRow computes row r of an image of y from rows r−1, r, r+1 of x. Forward,
// the weights are those of the window of row r, and the first and last column
// are multiplied by 3/2 afterwards, for their windows are two columns wide;
// backward, each row has the weight of its own window, and so have the columns.
func (a *avgPool[T]) boxRow(y, x []T, r int, backward, add bool) {
	s := a.shape
	var rows [3][]T
	var weights [3]T
	for i := range rows {
		row, window := r+i-1, r
		if backward {
			window = row
		}
		rows[i] = a.outside
		if row >= 0 && row < s.H {
			first, end := s.window(window, s.H)
			rows[i], weights[i] = x[row*s.W*s.C:], 1/T(3*(end-first))
		}
	}
	pre, post := T(1), T(1.5)
	if backward {
		pre, post = post, pre
	}
	loops[T]().box(y, rows[0], rows[1], rows[2], weights[0], weights[1], weights[2], pre, post, s.W, s.C, s.C, add)
}

// AvgPool is the mean over each window; padding is not counted.
// Residual, if not nil, is added; it may be Y.
type AvgPool[T Float] struct {
	PoolShape
	X, Residual, Y []T

	plan *avgPool[T]
}

// Run computes Y.
func (c *AvgPool[T]) Run(p *Pool) {
	if c.plan == nil || c.plan.shape != c.PoolShape {
		c.plan = newAvgPool[T](c.PoolShape)
	}
	need("average pool", "X", c.X, c.xLen())
	optional("average pool", "Residual", c.Residual, c.yLen())
	need("average pool", "Y", c.Y, c.yLen())
	p.For(c.N, (*avgPoolTask[T])(c))
}

// avgPoolTask does an image.
type avgPoolTask[T Float] AvgPool[T]

func (c *avgPoolTask[T]) Do(image, _ int) {
	a, m := c.plan, loops[T]()
	width := c.OutW() * c.C
	for o := range c.OutH() {
		at := (image*c.OutH() + o) * width
		y := c.Y[at:][:width]
		if a.box {
			if c.Residual != nil {
				copy(y, c.Residual[at:])
			}
			a.boxRow(y, c.X[image*c.H*width:], o, false, c.Residual != nil)
			continue
		}
		start(y, tail(c.Residual, at), nil)
		first, end := c.window(o, c.H)
		for _, r := range a.runs {
			n := (end - first) * r.width
			x := c.X[((image*c.H+first)*c.W+r.first)*c.C:]
			m.taps(y[r.output*c.C:], c.C, x, c.Stride*c.C, a.taps[r.width][:n], a.inverse[n], a.zeros[:n], r.n, c.C)
		}
	}
}

// AvgPoolBackward is the gradient of [AvgPool] in X: DX, or DX + it if Add.
type AvgPoolBackward[T Float] struct {
	PoolShape
	Add    bool
	DY, DX []T

	plan *avgPool[T]
}

// Run computes DX.
func (c *AvgPoolBackward[T]) Run(p *Pool) {
	if c.plan == nil || c.plan.shape != c.PoolShape {
		c.plan = newAvgPool[T](c.PoolShape)
	}
	need("average pool backward", "DY", c.DY, c.yLen())
	need("average pool backward", "DX", c.DX, c.xLen())
	p.For(c.N, (*avgPoolBackwardTask[T])(c))
}

// avgPoolBackwardTask does an image. Without box, each row of DY is added to
// the rows that its windows cover, one tap at a time.
type avgPoolBackwardTask[T Float] AvgPoolBackward[T]

func (c *avgPoolBackwardTask[T]) Do(image, _ int) {
	a, m := c.plan, loops[T]()
	size := c.H * c.W * c.C
	dx := c.DX[image*size:][:size]
	if a.box {
		for r := range c.H {
			a.boxRow(dx[r*c.W*c.C:], c.DY[image*size:], r, true, c.Add)
		}
		return
	}
	if !c.Add {
		clear(dx)
	}
	for o := range c.OutH() {
		dy := c.DY[(image*c.OutH()+o)*c.OutW()*c.C:]
		first, end := c.window(o, c.H)
		for row := first; row < end; row++ {
			for _, r := range a.runs {
				inverse := a.inverse[(end-first)*r.width]
				for t := range r.width {
					m.taps(dx[(row*c.W+r.first+t)*c.C:], c.Stride*c.C, dy[r.output*c.C:], c.C, a.zeros[:1], inverse, a.zeros[:1], r.n, c.C)
				}
			}
		}
	}
}

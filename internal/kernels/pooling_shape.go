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

// momentsLen returns the number of moments of all images.
func (s PoolShape) momentsLen() int { return s.N * momentParts * s.C }

func (s PoolShape) check() {
	if min(s.N, s.H, s.W, s.C, s.Kernel, s.Stride) < 1 || s.Pad < 0 || 2*s.Pad > s.Kernel || min(s.OutH(), s.OutW()) < 1 {
		panic(fmt.Sprintf("kernels: pool: bad shape %+v", s))
	}
}

// window returns the part of output o's window that lies in the input: first ≤ i < end.
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
		if last := len(runs) - 1; last >= 0 && runs[last].width == r.width &&
			runs[last].first+runs[last].n*s.Stride == first {
			runs[last].n++
		} else {
			runs = append(runs, r)
		}
	}
	return runs
}

// taps returns the window of output row o in a run, and the element of X at which
// it starts. A tap's number is C times its place in the window that is not cut off.
func (s PoolShape) taps(o int, r poolRun) (w window, start int) {
	first, end := s.window(o, s.H)
	top, left := first-(o*s.Stride-s.Pad), r.first-(r.output*s.Stride-s.Pad)
	w = window{rows: end - first, cols: r.width, row: s.W * s.C, col: s.C, number: (top*s.Kernel + left) * s.C,
		numberRow: s.Kernel * s.C, numberCol: s.C}
	return w, (first*s.W + r.first) * s.C
}

// fetchRow prefetches what row row of the batch, y, and the row after it need
// with stride 1. The loops take some channels of all pixels at a time; where that
// order skips cache lines, no processor predicts it. For loops that prefetch the
// next row themselves, it takes an image's first row only.
func fetchRow[T Float](m *micro[T], y, x []T, row int, s PoolShape) {
	if s.C > panel && (!m.fetches || row%s.OutH() == 0) {
		prefetch(y)
		prefetch(ahead(x, (row+2)*s.W*s.C, s.W*s.C))
	}
}

// pieceRows returns the number of output rows in a piece of work: those of an
// image, or one row if there are fewer images than threads and an image may be
// divided.
func (s PoolShape) pieceRows(threads int, whole bool) int {
	if s.N < threads && !whole {
		return 1
	}
	return s.OutH()
}

// backward returns the gather of X's gradient from Y's, which it copies.
func (s PoolShape) backward(threads int) gather {
	return newGather(s.N, s.C,
		backwardAxis(s.H, s.OutH(), s.Kernel, s.Stride, s.Pad, 1),
		backwardAxis(s.W, s.OutW(), s.Kernel, s.Stride, s.Pad, 1), false, threads)
}

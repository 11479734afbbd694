// SPDX-License-Identifier: Apache-2.0

package kernels

import "math"

// panel is the number of output channels that the dense convolution's inner
// loops compute at once: two AVX2 registers, one of AVX-512, four of NEON.
const panel = 16

// micro is the table of inner loops. Everything that is worth assembly is one
// of these; the rest of the package is plain Go around them. Each field's
// comment gives the loop it equals; the portable functions in
// loops_portable.go are these loops.
//
// Rules for an implementation: it adds in the order written. Vector
// implementations fuse multiply-adds where loops_twin_test.go does, so all have the
// same bits; portable ones leave that to the compiler. An implementation reads
// and writes nothing outside the elements that the loop touches. Slices are
// long enough (the callers check). No output overlaps an input unless said so.
// More than ten operands are a struct.
type micro[T Float] struct {
	// name says which instructions the loops use.
	name string

	// convRows is the number of pixels that conv computes at once.
	convRows int

	// conv is a panel of a dense convolution, for len(xoff) pixels, a multiple
	// of convRows. With at(i,s,k) = x[xoff[i]+segs[s]+k] and j = 0…15:
	//
	//	acc[i][j] = bias[j] + Σ_s Σ_{k<seglen} at(i,s,k) · w[(s·seglen+k)·16+j]
	//	v[i][j]   = (mask == nil || mask[yoff[i]+j] > 0 ? acc[i][j] : 0) + (residual == nil ? 0 : residual[yoff[i]+j])
	//	y[yoff[i]+j] = max(floor, v[i][j])
	//
	// The sum runs in one order (s, then k) with one accumulator, so tiling
	// never changes its bits. max keeps NaN. residual and mask may alias y: a
	// tile reads all of them before it writes. Pixels may repeat within a
	// tile. segs may be empty.
	conv func(convOperands[T])

	// outerRows is the number of rows of dw that outer computes at once.
	outerRows int

	// outer adds to a panel of weight gradients, for k < n, a multiple of
	// outerRows, and j = 0…15, in the order r, c with one accumulator:
	//
	//	dw[k·16+j] += Σ_{r<rows} Σ_{c<cols} x[r·xRow+c·xCol+k] · dy[r·dyRow+c·dyCol+j]
	outer func(dw []T, n int, x, dy []T, rows, cols, xRow, xCol, dyRow, dyCol int)

	// point is a row of a 1×1 convolution, for i < pixels and the channels j of
	// the blocks, which end with the last channel of y; nil where conv is as
	// fast, and then so is pointGrad. In each block, whose weights lie behind
	// those of the block before, channel j is number l of its vectors:
	//
	//	acc[i][j] = Σ_{k<depth} x[i·xCol+k] · w[k·wide+l]
	//	y[i·yCol+j] = (mask == nil || mask[i·yCol+j] > 0 ? acc[i][j] : 0) + (residual == nil ? 0 : residual[i·yCol+j])
	//
	// The sum has one accumulator. residual and mask may alias y: where vectors
	// overlap, both are read before either is written. depth is not 0.
	point func(y, mask, residual []T, yCol int, x []T, xCol int, w []T, blocks []pointBlock, pixels, depth int)

	// pointGrad adds to the weight gradients of a 1×1 convolution, laid out as
	// point's weights, for k < n, a multiple of pointRows, in the order i with
	// one accumulator:
	//
	//	dw[k·wide+l] += Σ_{i<pixels} x[i·xCol+k] · dy[i·dyCol+j]
	pointGrad func(dw []T, n int, x []T, xCol int, dy []T, dyCol int, blocks []pointBlock, pixels int)

	// lay lays rows elsewhere, for r < rows and ch < c; nil where depth is as
	// fast. max keeps NaN. y and x do not overlap:
	//
	//	y[r·yRow+ch] = max(floor, x[r·xRow+ch])
	lay func(y []T, yRow int, x []T, xRow int, floor T, rows, c int)

	// depth is a row of a depthwise convolution, for i < cols and ch < c, with
	// Σ_t over the window's taps in order:
	//
	//	acc[i][ch] = (bias == nil ? 0 : bias[ch]) + Σ_t x[i·xCol+at(t)+ch] · w[numberOf(t)+ch]
	//	v[i][ch]   = (mask == nil || mask[i·yCol+ch] > 0 ? acc[i][ch] : 0) + (residual == nil ? 0 : residual[i·yCol+ch])
	//	y[i·yCol+ch] = max(floor, v[i][ch])
	//
	// The sum has one accumulator, so cols never changes its bits. max keeps
	// NaN. residual and mask may alias y. There may be no taps.
	depth func(depthOperands[T])

	// depthPlane is rows first…first+rows−1 of an image of a depthwise
	// convolution, whose taps outside of the image are left out; nil where
	// depth on a padded copy is as fast. With Σ_t over the rows r of p's taps
	// that output row o has, and for each over the columns q that output column
	// i has, in order, it is, for i < p.cols and ch < p.c:
	//
	//	acc[o][i][ch] = (bias == nil ? 0 : bias[ch]) + Σ_t x[o·p.xRow+r.x+i·p.xCol+q.x+ch] · w[r.w+q.w+ch]
	//
	// and y, whose first row is output row first, is made of it as in depth.
	depthPlane func(y, mask, residual, x, w, bias []T, floor T, p *plane, first, rows int)

	// slideStep is 0, or depthPlane is for p.slide > 0 and p.c a multiple of
	// slideStep only: where depth is faster otherwise.
	slideStep int

	// tapsGrad adds to the weight gradients of a depthwise convolution, for
	// every tap t and ch < c, in the order r, i with one accumulator:
	//
	//	dw[woff[t]+ch] += Σ_{r<rows} Σ_{i<cols} x[r·xRow+i·xCol+xoff[t]+ch] · dy[r·dyRow+i·dyCol+ch]
	tapsGrad func(tapsOperands[T])

	// reduce adds sums over rows to each channel ch < c, where Σ is the sum over
	// even rows plus that over odd rows:
	//
	//	sum[ch] += Σ_{r<rows} (u[r·row+ch] − ku[ch])
	//	dot[ch] += Σ_{r<rows} (u[r·row+ch] − ku[ch]) · (max(floor, v[r·row+ch]) − kv[ch])
	//
	// u and v may be the same.
	reduce func(sum, dot, u, ku, v, kv []T, floor T, rows, c, row int)

	// affine scales and shifts each channel, for r < rows and ch < c; y may be x:
	//
	//	v = x[r·row+ch]·scale[ch] + shift[ch] + (add ? y[r·row+ch] : 0)
	//	y[r·row+ch] = max(floor, v)
	affine func(y, x, scale, shift []T, floor T, rows, c, row int, add bool)

	// affine2 combines two inputs in each channel, for r < rows and ch < c; y may be u or v:
	//
	//	y[r·row+ch] = u[r·row+ch]·a[ch] + v[r·row+ch]·b[ch] + d[ch] + (add ? y[r·row+ch] : 0)
	affine2 func(y, u, v, a, b, d []T, rows, c, row int, add bool)

	// relu is y[i] = max(0, x[i]) for i < len(y); max keeps NaN; y may be x.
	relu func(y, x []T)

	// reluGrad is dx[i] = (x[i] > 0 ? dy[i] : 0) + (add ? dx[i] : 0) for i < len(dx); dx may be dy.
	reluGrad func(dx, x, dy []T, add bool)

	// add is y[i] = max(floor, a[i]+b[i]) for i < len(y); max keeps NaN; y may be a or b.
	add func(y, a, b []T, floor T)

	// box is a row of a 3×3 average with stride 1, or of its gradient, for
	// i < cols, at least 2, and ch < c. With
	//
	//	v(i) = (i = 0 or cols−1 ? pre : 1) · (w[0]·x[0][i·col+ch] + w[1]·x[1][i·col+ch] + w[2]·x[2][i·col+ch]),
	//	       and 0 for other i
	//
	// it is
	//
	//	y[i·col+ch] = (i = 0 or cols−1 ? post : 1) · (v(i−1) + v(i) + v(i+1)) + (add ? y[i·col+ch] : 0)
	box func(y []T, x [3][]T, w [3]T, pre, post T, cols, c, col int, add bool)

	// peak3 is a row of a 3×3 max pooling with stride 1, for i < cols and
	// ch < c, where max leaves NaN out and is −∞ if nothing is left; nil where
	// the loops of other windows are as fast, and then so are the next three.
	// With it there is peakGrad, which is taken then, or share and spread:
	//
	//	v(i) = max(a[i·col+ch], b[i·col+ch], d[i·col+ch]), and −∞ for other i
	//	y[i·col+ch] = max(v(i−1), v(i), v(i+1))
	peak3 func(y, a, b, d []T, cols, c, col int)

	// fetches says that box and peak3 ask for what the next row needs as they go:
	// of the third row and of y, cols·col elements on.
	fetches bool

	// peakGrad is a step of the gradient of a 3×3 max pooling with stride 1, down
	// the rows of an image, for i < cols and ch < c. below is the input's next row, x the
	// one two above it, whose gradient dx is. high and mid are working rows: of
	// the row of x, and of the one between. For each of a row's elements they
	// have the maximum of three columns and what the windows gave it so far,
	//
	//	high[i·peakGradPixel(c)+peakGradAt(ch)] and high[i·peakGradPixel(c)+peakGradAt(ch)+peakGradGroup]
	//
	// The window around mid's row gives v to the first of the three rows whose
	// maximum, none of them NaN, is the greatest:
	//
	//	v[i][ch] = g.dy == nil ? 0 : g.dy[i·c+ch], or after a norm
	//	           g.dy[i·c+ch]·g.a[ch] + that maximum·g.b[ch] + g.d[ch]
	//
	// What the row of x has then got goes on as in spread, to dx, unless that is
	// nil. high becomes the working row of below. Elements of the working rows
	// that are of no channel may change. What is needed a step later lies row
	// elements on, for an implementation that fetches it early.
	peakGrad func(dx, x, below, high, mid []T, g behindNorm[T], cols, c, row int, add bool)

	// share hands dy[i], for i < len(dy), to the first of da, db and dd whose
	// value ha[i], hb[i] or hd[i], none of them NaN, is the greatest of the
	// three. da and db are added to, dd is set, to 0 where another one is first.
	share func(da, db, dd, ha, hb, hd, dy []T)

	// spread is a row of the gradient of max(x(i−1), x(i), x(i+1)), NaN and
	// other i being −∞, for i < cols and ch < c: dh[i·col+ch] goes to the first
	// of the three that is greatest, or nowhere if there is none such i:
	//
	//	dx[i·col+ch] = (add ? dx[i·col+ch] : 0) + what goes to i, in ascending order
	spread func(dx, x, dh []T, cols, c, col int, add bool)

	// peak is a row of a max pooling, for i < cols and ch < c, where max leaves
	// NaN out and is −∞ if nothing is left:
	//
	//	y[i·yCol+ch] = max_t x[i·xCol+at(t)+ch]
	peak func(y []T, yCol int, x []T, xCol int, window window, cols, c int)

	// pick is where the maxima of peak are, the first tap's number if −∞. The
	// numbers are integers that T holds.
	//
	//	from[i·col+ch] = numberOf(the first t that has max_t x[i·xCol+at(t)+ch])
	pick func(from []T, col int, x []T, xCol int, window window, cols, c int)

	// pickGrad is a row of the gradient of peak, for i < cols and ch < c:
	//
	//	dx[i·dxCol+ch] = (add ? dx[i·dxCol+ch] : 0) + Σ_t (from[i·col+at(t)+ch] == numberOf(t) ? dy[i·col+at(t)+ch] : 0)
	pickGrad func(dx []T, dxCol int, dy, from []T, col int, window window, cols, c int, add bool)

	filtering[T] // the loops of minimal filtering, conv_winograd_loops.go
}

// window is the taps of a window, rows × cols of them, row by row: where they
// lie, and their numbers, which are where a depthwise convolution's weights lie.
type window struct {
	rows, cols                   int
	first, row, col              int
	number, numberRow, numberCol int
}

// at is where tap (r, q) lies.
func (w window) at(r, q int) int { return w.first + r*w.row + q*w.col }

// numberOf is the number of tap (r, q).
func (w window) numberOf(r, q int) int { return w.number + r*w.numberRow + q*w.numberCol }

// implementation is a table of float32 loops and whether this CPU can run it.
type implementation struct {
	micro[float32]
	usable bool
}

var (
	micro32 = fastest()
	micro64 = portable[float64]()
)

// variants lists all implementations of this platform by speed, the portable one first.
func variants() []implementation {
	return append([]implementation{{portable[float32](), true}}, native()...)
}

// fastest is the last usable variant.
func fastest() (best micro[float32]) {
	for _, im := range variants() {
		if im.usable {
			best = im.micro
		}
	}
	return best
}

// loops returns the table that kernels of type T use.
func loops[T Float]() *micro[T] {
	if m, ok := any(&micro32).(*micro[T]); ok {
		return m
	}
	return any(&micro64).(*micro[T])
}

// floorOf is the floor that makes max(floor, v) a ReLU or nothing.
func floorOf[T Float](relu bool) T {
	if relu {
		return 0
	}
	return T(math.Inf(-1))
}

// convOperands are what micro.conv works on.
type convOperands[T Float] struct {
	y, mask, residual []T
	yoff              []int // of each pixel
	x                 []T
	xoff, segs        []int // of each pixel, and of each run of channels in x
	seglen            int
	w, bias           []T
	floor             T
}

// depthOperands are what micro.depth works on.
type depthOperands[T Float] struct {
	y, mask, residual []T
	yCol              int
	x                 []T
	xCol              int
	w                 []T
	window            window
	bias              []T
	floor             T
	cols, c           int
}

// from leaves out the first channels.
func (o depthOperands[T]) from(channel int) depthOperands[T] {
	o.y, o.mask, o.residual = o.y[channel:], tail(o.mask, channel), tail(o.residual, channel)
	o.x, o.w, o.bias, o.c = o.x[channel:], o.w[channel:], tail(o.bias, channel), o.c-channel
	return o
}

// tapsOperands are what micro.tapsGrad works on.
type tapsOperands[T Float] struct {
	dw                          []T
	woff                        []int // of each tap
	x                           []T
	xRow, xCol                  int
	xoff                        []int // of each tap
	dy                          []T
	dyRow, dyCol, rows, cols, c int
}

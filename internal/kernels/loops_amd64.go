// SPDX-License-Identifier: Apache-2.0

//go:build !noasm

package kernels

import "github.com/klauspost/cpuid/v2"

const (
	lanes        = 8 // float32 in an AVX2 register
	channelStep  = 1 // the last channels are masked
	convVecRows  = 6 // 6 × 2 sums of 8, two registers of weights, two of input: all 16
	outerVecRows = 6

	conv512Rows  = 12 // as many as there are registers for pixel addresses
	outer512Rows = 16 // divides every power-of-two run of channels
)

// tailMask has, four bytes a channel, the masks of the AVX2 loops that work on
// fewer than eight channels: from element 8−n on, n are taken.
//
//lint:ignore U1000 the assembly reads it
var tailMask = [16]uint32{
	^uint32(0), ^uint32(0), ^uint32(0), ^uint32(0), ^uint32(0), ^uint32(0), ^uint32(0), ^uint32(0),
}

// native lists AVX2 with FMA, and AVX-512.
func native() []implementation {
	avx2 := vector("avx2")
	avx2.point, avx2.pointGrad, avx2.lay = pointAVX2, pointGradAVX2, layAVX2
	avx2.slideStep, avx2.depthPlane = slideStep, depthPlaneAVX2
	avx2.tapsGrad = tapsGradAVX2
	avx2.filtering = filteringAVX2
	avx2.peak3, avx2.peakGrad, avx2.fetches = peak3Vector, peakGradVector, true
	avx512 := vector("avx512")
	avx512.convRows, avx512.conv = conv512Rows, conv512
	avx512.outerRows, avx512.outer = outer512Rows, outer512
	avx512.depth, avx512.depthPlane, avx512.tapsGrad = depth512, depthPlane512, tapsGrad512
	avx512.peak, avx512.pick, avx512.pickGrad = peak512, pick512, pickGrad512
	avx512.reduce, avx512.affine, avx512.affine2, avx512.box = reduce512, affine512, affine2512, box512
	avx512.filtering = filteringAVX512
	avx512.peak3, avx512.share, avx512.spread = peak3512, share512, spread512
	return []implementation{
		{avx2, cpuid.CPU.Supports(cpuid.AVX2, cpuid.FMA3)},
		{avx512, cpuid.CPU.Supports(cpuid.AVX2, cpuid.FMA3, cpuid.BMI2, cpuid.AVX512F)},
	}
}

// conv512Vec is micro.conv for whole tiles of conv512Rows pixels.
//
//go:noescape
func conv512Vec(y, mask, residual *float32, yoff *int, x *float32, xoff *int, tiles int, segs *int, nsegs, seglen int,
	w, bias *float32, floor float32)

// outer512Vec is micro.outer for whole tiles of outer512Rows rows; rows, cols and n are not 0.
//
//go:noescape
func outer512Vec(dw *float32, n int, x, dy *float32, rows, cols, xRow, xCol, dyRow, dyCol int)

func conv512(o convOperands[float32]) {
	if len(o.xoff) == 0 {
		return
	}
	convCheck(o)
	conv512Vec(&o.y[0], first(o.mask), first(o.residual), &o.yoff[0], &o.x[0], &o.xoff[0], len(o.xoff)/conv512Rows,
		first(o.segs), len(o.segs), o.seglen, first(o.w), &o.bias[0], o.floor)
}

func outer512(dw []float32, n int, x, dy []float32, rows, cols, xRow, xCol, dyRow, dyCol int) {
	if n == 0 || rows == 0 || cols == 0 {
		return
	}
	if n%outer512Rows != 0 {
		panic("kernels: outer: rows do not fill tiles")
	}
	_ = dw[n*panel-1]
	_ = x[(rows-1)*xRow+(cols-1)*xCol+n-1]
	_ = dy[(rows-1)*dyRow+(cols-1)*dyCol+panel-1]
	outer512Vec(&dw[0], n, &x[0], &dy[0], rows, cols, xRow, xCol, dyRow, dyCol)
}

// depth512Vec is micro.depth; cols and c are not 0.
//
//go:noescape
func depth512Vec(y, mask, residual *float32, yCol int, x *float32, xCol int, w *float32, window *window,
	bias *float32, floor float32, cols, c int)

// tapsGrad512Vec is micro.tapsGrad for taps = 8 or 9; rows, cols and c are not 0.
//
//go:noescape
func tapsGrad512Vec(dw *float32, woff *int, x *float32, xRow, xCol int, xoff *int, dy *float32, dyRow, dyCol, taps,
	rows, cols, c int)

func depth512(o depthOperands[float32]) {
	if o.c <= lanes {
		depthVector(o)
		return
	}
	if o.cols == 0 {
		return
	}
	depthCheck(o)
	depth512Vec(&o.y[0], first(o.mask), first(o.residual), o.yCol, first(o.x), o.xCol, first(o.w), &o.window,
		first(o.bias), o.floor, o.cols, o.c)
}

func tapsGrad512(o tapsOperands[float32]) {
	if o.c <= lanes {
		tapsGradVector(o)
		return
	}
	if len(o.xoff) == 0 || o.rows == 0 || o.cols == 0 {
		return
	}
	tapsGradCheck(o)
	for t, n := 0, 0; t < len(o.xoff); t += n {
		var g tapGroup
		n = g.take(o.xoff[t:], o.woff[t:])
		tapsGrad512Vec(&o.dw[0], &g.w[0], &o.x[0], o.xRow, o.xCol, &g.x[0], &o.dy[0], o.dyRow, o.dyCol, max(n, minTaps),
			o.rows, o.cols, o.c)
	}
}

// peak512Vec is micro.peak; cols and c are not 0.
//
//go:noescape
func peak512Vec(y *float32, yCol int, x *float32, xCol int, window *window, cols, c int)

// pick512Vec is micro.pick; cols and c are not 0.
//
//go:noescape
func pick512Vec(from *float32, col int, x *float32, xCol int, window *window, cols, c int)

// pickGrad512Vec is micro.pickGrad; cols and c are not 0.
//
//go:noescape
func pickGrad512Vec(dx *float32, dxCol int, dy, from *float32, col int, window *window, cols, c int, add bool)

func peak512(y []float32, yCol int, x []float32, xCol int, window window, cols, c int) {
	if c <= lanes {
		peakVector(y, yCol, x, xCol, window, cols, c)
		return
	}
	if cols == 0 {
		return
	}
	_ = y[(cols-1)*yCol+c-1]
	window.check(x, xCol, cols, c)
	peak512Vec(&y[0], yCol, first(x), xCol, &window, cols, c)
}

func pick512(from []float32, col int, x []float32, xCol int, window window, cols, c int) {
	if c <= lanes {
		pickVector(from, col, x, xCol, window, cols, c)
		return
	}
	if cols == 0 {
		return
	}
	_ = from[(cols-1)*col+c-1]
	window.check(x, xCol, cols, c)
	pick512Vec(&from[0], col, first(x), xCol, &window, cols, c)
}

func pickGrad512(dx []float32, dxCol int, dy, from []float32, col int, window window, cols, c int, add bool) {
	if c <= lanes {
		pickGradVector(dx, dxCol, dy, from, col, window, cols, c, add)
		return
	}
	if cols == 0 {
		return
	}
	_ = dx[(cols-1)*dxCol+c-1]
	window.check(dy, col, cols, c)
	window.check(from, col, cols, c)
	pickGrad512Vec(&dx[0], dxCol, first(dy), first(from), col, &window, cols, c, add)
}

// reduce512Vec is micro.reduce; rows and c are not 0.
//
//go:noescape
func reduce512Vec(sum, dot, u, ku, v, kv *float32, floor float32, rows, c, uRow, vRow int)

// affine512Vec is micro.affine; rows and c are not 0.
//
//go:noescape
func affine512Vec(y, x, scale, shift *float32, floor float32, rows, c, row int, add bool)

// affine2512Vec is micro.affine2; rows and c are not 0.
//
//go:noescape
func affine2512Vec(y, u, v, a, b, d *float32, rows, c, row int, add bool)

// box512Vec is micro.box; c is not 0.
//
//go:noescape
func box512Vec(y, a, b, d *float32, wa, wb, wd, pre, post float32, cols, c, col int, add bool)

func reduce512(sum, dot, u, ku, v, kv []float32, floor float32, rows, c, row int) {
	if rows == 0 || c == 0 {
		return
	}
	_, _, _, _ = sum[c-1], dot[c-1], ku[c-1], kv[c-1]
	_, _ = u[(rows-1)*row+c-1], v[(rows-1)*row+c-1]
	reduce512Vec(&sum[0], &dot[0], &u[0], &ku[0], &v[0], &kv[0], floor, rows, c, row, row)
}

func affine512(y, x, scale, shift []float32, floor float32, rows, c, row int, add bool) {
	if rows == 0 || c == 0 {
		return
	}
	_, _, _, _ = y[(rows-1)*row+c-1], x[(rows-1)*row+c-1], scale[c-1], shift[c-1]
	affine512Vec(&y[0], &x[0], &scale[0], &shift[0], floor, rows, c, row, add)
}

func affine2512(y, u, v, a, b, d []float32, rows, c, row int, add bool) {
	if rows == 0 || c == 0 {
		return
	}
	_, _, _ = y[(rows-1)*row+c-1], u[(rows-1)*row+c-1], v[(rows-1)*row+c-1]
	_, _, _ = a[c-1], b[c-1], d[c-1]
	affine2512Vec(&y[0], &u[0], &v[0], &a[0], &b[0], &d[0], rows, c, row, add)
}

func box512(y []float32, x [3][]float32, w [3]float32, pre, post float32, cols, c, col int, add bool) {
	if c == 0 {
		return
	}
	last := (cols-1)*col + c - 1
	_, _, _, _ = y[last], x[0][last], x[1][last], x[2][last]
	box512Vec(&y[0], &x[0][0], &x[1][0], &x[2][0], w[0], w[1], w[2], pre, post, cols, c, col, add)
}

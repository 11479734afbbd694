// SPDX-License-Identifier: Apache-2.0

//go:build (amd64 || arm64) && !noasm

package kernels

// The assembly of each platform (micro_GOARCH.s) implements the functions
// without body below, on whole vectors of lanes elements; the wrappers around
// them check bounds and leave the last, incomplete vector to the portable
// loops. A platform defines lanes, convVecRows, outerVecRows and native.

// vector is the table of this platform's basic vector instructions.
func vector(name string) micro[float32] {
	return micro[float32]{
		name:      name,
		convRows:  convVecRows,
		conv:      convVector,
		outerRows: outerVecRows,
		outer:     outerVector,
		taps:      tapsVector,
		reduce:    reduceVector,
		affine:    affineVector,
		affine2:   affine2Vector,
		relu:      reluVector,
		reluGrad:  reluGradVector,
		add:       addVector,
		box:       boxVector,
		pick:      pickVector,
		pickGrad:  pickGradVector,
	}
}

// convVec is micro.conv for whole tiles of convVecRows pixels.
//
//go:noescape
func convVec(y, mask, residual *float32, yoff *int, x *float32, xoff *int, tiles int, segs *int, nsegs, seglen int, w, bias *float32, floor float32)

// outerVec is micro.outer for whole tiles of outerVecRows rows; rows, cols and n are not 0.
//
//go:noescape
func outerVec(dw *float32, n int, x, dy *float32, rows, cols, xRow, xCol, dyRow, dyCol int)

// tapsVec is micro.taps for c a multiple of lanes; taps, cols and c are not 0.
//
//go:noescape
func tapsVec(y *float32, yCol int, x *float32, xCol int, xoff *int, w *float32, woff *int, taps, cols, c int)

// reduceVec is micro.reduce for c a multiple of lanes; rows and c are not 0.
//
//go:noescape
func reduceVec(sum, dot, u, ku, v, kv *float32, floor float32, rows, c, uRow, vRow int)

// affineVec is micro.affine for c a multiple of lanes; rows and c are not 0.
//
//go:noescape
func affineVec(y, x, scale, shift *float32, floor float32, rows, c, row int, add bool)

// affine2Vec is micro.affine2 for c a multiple of lanes; rows and c are not 0.
//
//go:noescape
func affine2Vec(y, u, v, a, b, d *float32, rows, c, row int, add bool)

// reluVec is micro.relu for n elements, a multiple of lanes, not 0.
//
//go:noescape
func reluVec(y, x *float32, n int)

// reluGradVec is micro.reluGrad for n elements, a multiple of lanes, not 0.
//
//go:noescape
func reluGradVec(dx, x, dy *float32, n int, add bool)

// addVec is micro.add for n elements, a multiple of lanes, not 0.
//
//go:noescape
func addVec(y, a, b *float32, floor float32, n int)

// boxVec is micro.box for c a multiple of lanes, not 0.
//
//go:noescape
func boxVec(y, a, b, d *float32, wa, wb, wd, pre, post float32, cols, c, col int, add bool)

// pickVec is micro.pick for n elements, a multiple of lanes, not 0.
//
//go:noescape
func pickVec(best, from, x *float32, t float32, n int)

// pickGradVec is micro.pickGrad for n elements, a multiple of lanes, not 0.
//
//go:noescape
func pickGradVec(dx, dy, from *float32, t float32, n int)

func convVector(y, mask, residual []float32, yoff []int, x []float32, xoff, segs []int, seglen int, w, bias []float32, floor float32) {
	if len(xoff) == 0 {
		return
	}
	_, _ = yoff[len(xoff)-1], bias[panel-1]
	convVec(&y[0], first(mask), first(residual), &yoff[0], &x[0], &xoff[0], len(xoff)/convVecRows, first(segs), len(segs), seglen, first(w), &bias[0], floor)
}

func outerVector(dw []float32, n int, x, dy []float32, rows, cols, xRow, xCol, dyRow, dyCol int) {
	if n == 0 || rows == 0 || cols == 0 {
		return
	}
	if n%outerVecRows != 0 {
		panic("kernels: outer: rows do not fill tiles")
	}
	_ = dw[n*panel-1]
	_ = x[(rows-1)*xRow+(cols-1)*xCol+n-1]
	_ = dy[(rows-1)*dyRow+(cols-1)*dyCol+panel-1]
	outerVec(&dw[0], n, &x[0], &dy[0], rows, cols, xRow, xCol, dyRow, dyCol)
}

func tapsVector(y []float32, yCol int, x []float32, xCol int, xoff []int, w []float32, woff []int, cols, c int) {
	wide := c &^ (lanes - 1)
	if wide > 0 && cols > 0 && len(xoff) > 0 {
		_, _, _ = y[(cols-1)*yCol+c-1], x[(cols-1)*xCol+c-1], woff[len(xoff)-1]
		tapsVec(&y[0], yCol, &x[0], xCol, &xoff[0], &w[0], &woff[0], len(xoff), cols, wide)
	}
	if wide < c && cols > 0 {
		tapsPortable(y[wide:], yCol, x[wide:], xCol, xoff, w[wide:], woff, cols, c-wide)
	}
}

func reduceVector(sum, dot, u, ku, v, kv []float32, floor float32, rows, c, uRow, vRow int) {
	wide := c &^ (lanes - 1)
	if wide > 0 && rows > 0 {
		_, _, _, _ = sum[c-1], dot[c-1], ku[c-1], kv[c-1]
		_, _ = u[(rows-1)*uRow+c-1], v[(rows-1)*vRow+c-1]
		reduceVec(&sum[0], &dot[0], &u[0], &ku[0], &v[0], &kv[0], floor, rows, wide, uRow, vRow)
	}
	if wide < c && rows > 0 {
		reducePortable(sum[wide:], dot[wide:], u[wide:], ku[wide:], v[wide:], kv[wide:], floor, rows, c-wide, uRow, vRow)
	}
}

func affineVector(y, x, scale, shift []float32, floor float32, rows, c, row int, add bool) {
	wide := c &^ (lanes - 1)
	if wide > 0 && rows > 0 {
		_, _, _, _ = y[(rows-1)*row+c-1], x[(rows-1)*row+c-1], scale[c-1], shift[c-1]
		affineVec(&y[0], &x[0], &scale[0], &shift[0], floor, rows, wide, row, add)
	}
	if wide < c && rows > 0 {
		affinePortable(y[wide:], x[wide:], scale[wide:], shift[wide:], floor, rows, c-wide, row, add)
	}
}

func affine2Vector(y, u, v, a, b, d []float32, rows, c, row int, add bool) {
	wide := c &^ (lanes - 1)
	if wide > 0 && rows > 0 {
		_, _, _ = y[(rows-1)*row+c-1], u[(rows-1)*row+c-1], v[(rows-1)*row+c-1]
		_, _, _ = a[c-1], b[c-1], d[c-1]
		affine2Vec(&y[0], &u[0], &v[0], &a[0], &b[0], &d[0], rows, wide, row, add)
	}
	if wide < c && rows > 0 {
		affine2Portable(y[wide:], u[wide:], v[wide:], a[wide:], b[wide:], d[wide:], rows, c-wide, row, add)
	}
}

func reluVector(y, x []float32) {
	x = x[:len(y)]
	wide := len(y) &^ (lanes - 1)
	if wide > 0 {
		reluVec(&y[0], &x[0], wide)
	}
	reluPortable(y[wide:], x[wide:])
}

func reluGradVector(dx, x, dy []float32, add bool) {
	x, dy = x[:len(dx)], dy[:len(dx)]
	wide := len(dx) &^ (lanes - 1)
	if wide > 0 {
		reluGradVec(&dx[0], &x[0], &dy[0], wide, add)
	}
	reluGradPortable(dx[wide:], x[wide:], dy[wide:], add)
}

func addVector(y, a, b []float32, floor float32) {
	a, b = a[:len(y)], b[:len(y)]
	wide := len(y) &^ (lanes - 1)
	if wide > 0 {
		addVec(&y[0], &a[0], &b[0], floor, wide)
	}
	addPortable(y[wide:], a[wide:], b[wide:], floor)
}

func boxVector(y, a, b, d []float32, wa, wb, wd, pre, post float32, cols, c, col int, add bool) {
	wide, last := c&^(lanes-1), (cols-1)*col+c-1
	if wide > 0 {
		_, _, _, _ = y[last], a[last], b[last], d[last]
		boxVec(&y[0], &a[0], &b[0], &d[0], wa, wb, wd, pre, post, cols, wide, col, add)
	}
	if wide < c {
		boxPortable(y[wide:], a[wide:], b[wide:], d[wide:], wa, wb, wd, pre, post, cols, c-wide, col, add)
	}
}

func pickVector(best, from, x []float32, t float32) {
	from, x = from[:len(best)], x[:len(best)]
	wide := len(best) &^ (lanes - 1)
	if wide > 0 {
		pickVec(&best[0], &from[0], &x[0], t, wide)
	}
	pickPortable(best[wide:], from[wide:], x[wide:], t)
}

func pickGradVector(dx, dy, from []float32, t float32) {
	dy, from = dy[:len(dx)], from[:len(dx)]
	wide := len(dx) &^ (lanes - 1)
	if wide > 0 {
		pickGradVec(&dx[0], &dy[0], &from[0], t, wide)
	}
	pickGradPortable(dx[wide:], dy[wide:], from[wide:], t)
}

// first is a pointer to the first element, or nil.
func first[E any](s []E) *E {
	if len(s) == 0 {
		return nil
	}
	return &s[0]
}

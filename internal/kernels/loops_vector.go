// SPDX-License-Identifier: Apache-2.0

//go:build (amd64 || arm64) && !noasm

package kernels

import "slices"

// The assembly of each platform (loops_GOARCH.s and others) implements the functions
// without body below, on whole vectors of lanes elements. The wrappers around
// them leave the last, incomplete vector to the portable loops, and check that
// every slice has the last element that the assembly touches; conv does so with
// the build tag kernelbounds only (see convCheck). A platform defines lanes,
// channelStep, which divides the channels that the functions take, convVecRows,
// outerVecRows and native.

// vector is the table of this platform's basic vector instructions.
func vector(name string) micro[float32] {
	return micro[float32]{
		name:      name,
		convRows:  convVecRows,
		conv:      convVector,
		outerRows: outerVecRows,
		outer:     outerVector,
		depth:     depthVector,
		tapsGrad:  tapsGradVector,
		reduce:    reduceVector,
		affine:    affineVector,
		affine2:   affine2Vector,
		relu:      reluVector,
		reluGrad:  reluGradVector,
		add:       addVector,
		box:       boxVector,
		peak:      peakVector,
		pick:      pickVector,
		pickGrad:  pickGradVector,
	}
}

// convVec is micro.conv for whole tiles of convVecRows pixels.
//
//go:noescape
func convVec(y, mask, residual *float32, yoff *int, x *float32, xoff *int, tiles int, segs *int, nsegs, seglen int, w,
	bias *float32, floor float32)

// outerVec is micro.outer for whole tiles of outerVecRows rows; rows, cols and n are not 0.
//
//go:noescape
func outerVec(dw *float32, n int, x, dy *float32, rows, cols, xRow, xCol, dyRow, dyCol int)

// depthVec is micro.depth for c a multiple of channelStep; cols and c are not 0.
//
//go:noescape
func depthVec(y, mask, residual *float32, yCol int, x *float32, xCol int, w *float32, window *window, bias *float32,
	floor float32, cols, c int)

// tapsGradVec is micro.tapsGrad for taps = 8 or 9 and c a multiple of channelStep; rows, cols and c are not 0.
//
//go:noescape
func tapsGradVec(dw *float32, woff *int, x *float32, xRow, xCol int, xoff *int, dy *float32, dyRow, dyCol, taps, rows,
	cols, c int)

// reduceVec is micro.reduce for c a multiple of channelStep; rows and c are not 0.
//
//go:noescape
func reduceVec(sum, dot, u, ku, v, kv *float32, floor float32, rows, c, uRow, vRow int)

// affineVec is micro.affine for c a multiple of channelStep; rows and c are not 0.
//
//go:noescape
func affineVec(y, x, scale, shift *float32, floor float32, rows, c, row int, add bool)

// affine2Vec is micro.affine2 for c a multiple of channelStep; rows and c are not 0.
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

// boxVec is micro.box for c a multiple of channelStep, not 0.
//
//go:noescape
func boxVec(y, a, b, d *float32, wa, wb, wd, pre, post float32, cols, c, col int, add bool)

// peakVec is micro.peak for c a multiple of channelStep; cols and c are not 0.
//
//go:noescape
func peakVec(y *float32, yCol int, x *float32, xCol int, window *window, cols, c int)

// pickVec is micro.pick for c a multiple of channelStep; cols and c are not 0.
//
//go:noescape
func pickVec(from *float32, col int, x *float32, xCol int, window *window, cols, c int)

// pickGradVec is micro.pickGrad for c a multiple of channelStep; cols and c are not 0.
//
//go:noescape
func pickGradVec(dx *float32, dxCol int, dy, from *float32, col int, window *window, cols, c int, add bool)

func convVector(o convOperands[float32]) {
	if len(o.xoff) == 0 {
		return
	}
	convCheck(o)
	convVec(&o.y[0], first(o.mask), first(o.residual), &o.yoff[0], &o.x[0], &o.xoff[0], len(o.xoff)/convVecRows,
		first(o.segs), len(o.segs), o.seglen, first(o.w), &o.bias[0], o.floor)
}

// convCheck panics if a slice of micro.conv is too short; there are pixels. The
// search for the greatest offsets takes time in the hottest loop: unless
// boundsChecked, only what needs no search is checked.
func convCheck(o convOperands[float32]) {
	pixels := len(o.xoff)
	_, _ = o.yoff[pixels-1], o.bias[panel-1]
	terms := len(o.segs) * o.seglen
	if terms > 0 {
		_ = o.w[terms*panel-1]
	}
	if !boundsChecked {
		return
	}
	if min(slices.Min(o.xoff), slices.Min(o.yoff[:pixels]), 0) < 0 {
		panic("kernels: conv: a pixel lies before its image")
	}
	last := slices.Max(o.yoff[:pixels]) + panel - 1
	_ = o.y[last]
	if o.mask != nil {
		_ = o.mask[last]
	}
	if o.residual != nil {
		_ = o.residual[last]
	}
	if terms > 0 {
		_ = o.x[slices.Max(o.xoff)+slices.Max(o.segs)+o.seglen-1]
		_ = o.x[slices.Min(o.xoff)+slices.Min(o.segs)]
	}
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

func depthVector(o depthOperands[float32]) {
	wide := o.c &^ (channelStep - 1)
	if wide > 0 && o.cols > 0 {
		depthCheck(o)
		depthVec(&o.y[0], first(o.mask), first(o.residual), o.yCol, first(o.x), o.xCol, first(o.w), &o.window,
			first(o.bias), o.floor, o.cols, wide)
	}
	if wide < o.c && o.cols > 0 {
		depthPortable(o.from(wide))
	}
}

// depthCheck panics if a slice of micro.depth that has a row is too short.
func depthCheck(o depthOperands[float32]) {
	last := (o.cols-1)*o.yCol + o.c - 1
	_ = o.y[last]
	if o.mask != nil {
		_ = o.mask[last]
	}
	if o.residual != nil {
		_ = o.residual[last]
	}
	if o.bias != nil {
		_ = o.bias[o.c-1]
	}
	o.window.check(o.x, o.xCol, o.cols, o.c)
	o.window.checkNumbers(o.w, o.c)
}

// check panics if a tap of a row of pixels lies outside x.
func (w window) check(x []float32, col, cols, c int) {
	if w.rows > 0 && w.cols > 0 {
		_, _ = x[w.first], x[w.at(w.rows-1, w.cols-1)+(cols-1)*col+c-1]
	}
}

// checkNumbers panics if the weights of a tap lie outside w.
func (w window) checkNumbers(weights []float32, c int) {
	if w.rows > 0 && w.cols > 0 {
		corner := w.numberOf(w.rows-1, w.cols-1)
		_ = weights[max(w.number, w.numberOf(w.rows-1, 0), w.numberOf(0, w.cols-1), corner)+c-1]
		_ = weights[min(w.number, w.numberOf(w.rows-1, 0), w.numberOf(0, w.cols-1), corner)]
	}
}

func tapsGradVector(o tapsOperands[float32]) {
	if len(o.xoff) == 0 || o.rows == 0 || o.cols == 0 || o.c == 0 {
		return
	}
	tapsGradCheck(o)
	wide := o.c &^ (channelStep - 1)
	for t, n := 0, 0; wide > 0 && t < len(o.xoff); t += n {
		var g tapGroup
		n = g.take(o.xoff[t:], o.woff[t:])
		tapsGradVec(&o.dw[0], &g.w[0], &o.x[0], o.xRow, o.xCol, &g.x[0], &o.dy[0], o.dyRow, o.dyCol, max(n, minTaps),
			o.rows, o.cols, wide)
	}
	if wide < o.c {
		o.dw, o.x, o.dy, o.c = o.dw[wide:], o.x[wide:], o.dy[wide:], o.c-wide
		tapsGradPortable(o)
	}
}

// The loops of micro.tapsGrad take so many taps at once: enough sums that none
// waits for itself, and no more offsets than there are registers.
const (
	minTaps = 8
	maxTaps = 9
)

// tapGroup has the offsets of taps that are taken together.
type tapGroup struct{ x, w [maxTaps]int }

// take fills the group with the first n taps, groups being about equal. If
// there are too few, the first is repeated, which changes nothing: its sum is
// computed twice and stored twice.
func (g *tapGroup) take(xoff, woff []int) (n int) {
	groups := (len(xoff) + maxTaps - 1) / maxTaps
	n = (len(xoff) + groups - 1) / groups
	copy(g.x[:n], xoff)
	copy(g.w[:n], woff)
	for i := n; i < minTaps; i++ {
		g.x[i], g.w[i] = xoff[0], woff[0]
	}
	return n
}

// tapsGradCheck panics if a slice of micro.tapsGrad is too short; nothing is empty.
func tapsGradCheck(o tapsOperands[float32]) {
	taps := len(o.xoff)
	if len(o.woff) < taps {
		panic("kernels: tapsGrad: taps without weights")
	}
	_ = o.dw[slices.Max(o.woff[:taps])+o.c-1]
	_ = o.x[(o.rows-1)*o.xRow+(o.cols-1)*o.xCol+slices.Max(o.xoff)+o.c-1]
	_ = o.dy[(o.rows-1)*o.dyRow+(o.cols-1)*o.dyCol+o.c-1]
}

func reduceVector(sum, dot, u, ku, v, kv []float32, floor float32, rows, c, row int) {
	wide := c &^ (channelStep - 1)
	if wide > 0 && rows > 0 {
		_, _, _, _ = sum[c-1], dot[c-1], ku[c-1], kv[c-1]
		_, _ = u[(rows-1)*row+c-1], v[(rows-1)*row+c-1]
		reduceVec(&sum[0], &dot[0], &u[0], &ku[0], &v[0], &kv[0], floor, rows, wide, row, row)
	}
	if wide < c && rows > 0 {
		reducePortable(sum[wide:], dot[wide:], u[wide:], ku[wide:], v[wide:], kv[wide:], floor, rows, c-wide, row)
	}
}

func affineVector(y, x, scale, shift []float32, floor float32, rows, c, row int, add bool) {
	wide := c &^ (channelStep - 1)
	if wide > 0 && rows > 0 {
		_, _, _, _ = y[(rows-1)*row+c-1], x[(rows-1)*row+c-1], scale[c-1], shift[c-1]
		affineVec(&y[0], &x[0], &scale[0], &shift[0], floor, rows, wide, row, add)
	}
	if wide < c && rows > 0 {
		affinePortable(y[wide:], x[wide:], scale[wide:], shift[wide:], floor, rows, c-wide, row, add)
	}
}

func affine2Vector(y, u, v, a, b, d []float32, rows, c, row int, add bool) {
	wide := c &^ (channelStep - 1)
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

func boxVector(y []float32, x [3][]float32, w [3]float32, pre, post float32, cols, c, col int, add bool) {
	wide, last := c&^(channelStep-1), (cols-1)*col+c-1
	if wide > 0 {
		_, _, _, _ = y[last], x[0][last], x[1][last], x[2][last]
		boxVec(&y[0], &x[0][0], &x[1][0], &x[2][0], w[0], w[1], w[2], pre, post, cols, wide, col, add)
	}
	if wide < c {
		x = [3][]float32{x[0][wide:], x[1][wide:], x[2][wide:]}
		boxPortable(y[wide:], x, w, pre, post, cols, c-wide, col, add)
	}
}

func peakVector(y []float32, yCol int, x []float32, xCol int, window window, cols, c int) {
	wide := c &^ (channelStep - 1)
	if wide > 0 && cols > 0 {
		_ = y[(cols-1)*yCol+c-1]
		window.check(x, xCol, cols, c)
		peakVec(&y[0], yCol, first(x), xCol, &window, cols, wide)
	}
	if wide < c && cols > 0 {
		peakPortable(y[wide:], yCol, x[wide:], xCol, window, cols, c-wide)
	}
}

func pickVector(from []float32, col int, x []float32, xCol int, window window, cols, c int) {
	wide := c &^ (channelStep - 1)
	if wide > 0 && cols > 0 {
		_ = from[(cols-1)*col+c-1]
		window.check(x, xCol, cols, c)
		pickVec(&from[0], col, first(x), xCol, &window, cols, wide)
	}
	if wide < c && cols > 0 {
		pickPortable(from[wide:], col, x[wide:], xCol, window, cols, c-wide)
	}
}

func pickGradVector(dx []float32, dxCol int, dy, from []float32, col int, window window, cols, c int, add bool) {
	wide := c &^ (channelStep - 1)
	if wide > 0 && cols > 0 {
		_ = dx[(cols-1)*dxCol+c-1]
		window.check(dy, col, cols, c)
		window.check(from, col, cols, c)
		pickGradVec(&dx[0], dxCol, first(dy), first(from), col, &window, cols, wide, add)
	}
	if wide < c && cols > 0 {
		pickGradPortable(dx[wide:], dxCol, dy[wide:], from[wide:], col, window, cols, c-wide, add)
	}
}

// first is a pointer to the first element, or nil.
func first[E any](s []E) *E {
	if len(s) == 0 {
		return nil
	}
	return &s[0]
}

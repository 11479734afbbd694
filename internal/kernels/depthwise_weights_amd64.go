// SPDX-License-Identifier: Apache-2.0

//go:build !noasm

package kernels

// Taps slide if those of a row are one or two pixels of x apart, and so are
// their weights: then a pixel of x meets in dy what the pixel before met, moved
// on, and both are loaded once for all taps of a row. Taps may be taken so in
// any groups: each has its own sum.

// slide3Vec adds to the sums of three rows of three sliding taps: the first of
// row r lies xoff[r] from x and its weight woff[r] from dw, the others follow
// apart pixels (1 or 2) and wTap weights away. cols is more than 2·apart; rows
// and c are not 0. The rest is as in micro.tapsGrad.
//
//go:noescape
func slide3Vec(dw *float32, woff *int, wTap int, x *float32, xRow, xCol int, xoff *int, dy *float32, dyRow, dyCol,
	rows, cols, c, apart int)

// slide2Vec is slide3Vec for five rows of two taps, one pixel apart.
//
//go:noescape
func slide2Vec(dw *float32, woff *int, wTap int, x *float32, xRow, xCol int, xoff *int, dy *float32, dyRow, dyCol,
	rows, cols, c int)

// tapsGradAVX2 lets rows of three taps slide, and rows of five that are one
// pixel apart, as three and two. Other taps gain nothing.
func tapsGradAVX2(o tapsOperands[float32]) {
	run, apart := sliding(o.xoff, o.woff, o.xCol)
	if slides := run == 3 || run == 5 && apart == 1; !slides || o.cols <= 2*apart || o.rows == 0 || o.c == 0 {
		tapsGradVector(o)
		return
	}
	tapsGradCheck(o)
	wTap := o.woff[1] - o.woff[0]
	var g slideGroup
	for t := 0; t < len(o.xoff); t += 3 * run {
		g.take(o.xoff[t:], o.woff[t:], run)
		slide3Vec(&o.dw[0], &g.w[0], wTap, &o.x[0], o.xRow, o.xCol, &g.x[0], &o.dy[0], o.dyRow, o.dyCol, o.rows, o.cols,
			o.c, apart)
	}
	for t := 3; run == 5 && t < len(o.xoff); t += 5 * run {
		g.take(o.xoff[t:], o.woff[t:], run)
		slide2Vec(&o.dw[0], &g.w[0], wTap, &o.x[0], o.xRow, o.xCol, &g.x[0], &o.dy[0], o.dyRow, o.dyCol, o.rows, o.cols,
			o.c)
	}
}

// slideGroup is where the first taps of rows lie, and their weights.
type slideGroup struct{ x, w [5]int }

// take fills the group from a list of taps, run of them in a row. For rows that
// are lacking it has the last again: computed twice and stored twice, it
// changes nothing.
func (g *slideGroup) take(xoff, woff []int, run int) {
	t := 0
	for i := range g.x {
		g.x[i], g.w[i] = xoff[t], woff[t]
		if t+run < len(xoff) {
			t += run
		}
	}
}

// sliding says how many taps a row has and how many pixels they are apart; both
// are 0 if the taps don't slide.
func sliding(xoff, woff []int, xCol int) (run, apart int) {
	taps := len(xoff)
	if taps < 2 || len(woff) < taps {
		return 0, 0
	}
	step, wTap := xoff[1]-xoff[0], woff[1]-woff[0]
	switch step {
	case xCol:
		apart = 1
	case 2 * xCol:
		apart = 2
	default:
		return 0, 0
	}
	for run = 2; run < taps && xoff[run]-xoff[run-1] == step && woff[run]-woff[run-1] == wTap; {
		run++
	}
	if taps%run != 0 {
		return 0, 0
	}
	for first := run; first < taps; first += run {
		for t := first + 1; t < first+run; t++ {
			if xoff[t]-xoff[t-1] != step || woff[t]-woff[t-1] != wTap {
				return 0, 0
			}
		}
	}
	return run, apart
}

// SPDX-License-Identifier: Apache-2.0

//go:build !noasm

package kernels

// peak3Vec is micro.peak3; cols and c are not 0.
//
//go:noescape
func peak3Vec(y, a, b, d *float32, cols, c, col int)

// peak3512Vec is peak3Vec with AVX-512.
//
//go:noescape
func peak3512Vec(y, a, b, d *float32, cols, c, col int)

// peakGradVec is micro.peakGrad, whose working rows have pixels of wide
// elements; cols and c are not 0. dx, dy and a may be nil; x may not. What lies
// row elements after an operand is prefetched.
//
//go:noescape
func peakGradVec(dx, x, below, high, mid, dy, a, b, d *float32, cols, c, col, wide, row int, add bool)

// share512Vec is micro.share for n elements, a multiple of 16, not 0.
//
//go:noescape
func share512Vec(da, db, dd, ha, hb, hd, dy *float32, n int)

// spread512Vec is micro.spread with AVX-512; cols and c are not 0.
//
//go:noescape
func spread512Vec(dx, x, dh *float32, cols, c, col int, add bool)

func peak3Vector(y, a, b, d []float32, cols, c, col int) {
	if peak3Check(y, a, b, d, cols, c, col) {
		peak3Vec(&y[0], &a[0], &b[0], &d[0], cols, c, col)
	}
}

func peak3512(y, a, b, d []float32, cols, c, col int) {
	if peak3Check(y, a, b, d, cols, c, col) {
		peak3512Vec(&y[0], &a[0], &b[0], &d[0], cols, c, col)
	}
}

// peak3Check says whether there is anything to do, and panics if a slice is too short for it.
func peak3Check(y, a, b, d []float32, cols, c, col int) bool {
	if cols == 0 || c == 0 {
		return false
	}
	last := (cols-1)*col + c - 1
	_, _, _, _ = y[last], a[last], b[last], d[last]
	return true
}

func peakGradVector(dx, x, below, high, mid []float32, g behindNorm[float32], cols, c, row int, add bool) {
	if cols == 0 || c == 0 {
		return
	}
	wide, last := peakGradPixel(c), cols*c-1
	_, _, _ = below[last], high[cols*wide-1], mid[cols*wide-1]
	if dx == nil {
		x = below // something that can be read
	} else {
		_ = dx[last]
	}
	_ = x[last]
	if g.dy != nil {
		_ = g.dy[last]
	}
	if g.a != nil {
		_, _, _ = g.a[c-1], g.b[c-1], g.d[c-1]
	}
	peakGradVec(first(dx), &x[0], &below[0], &high[0], &mid[0], first(g.dy), first(g.a), first(g.b), first(g.d), cols, c,
		c, wide, row, add)
}

func share512(da, db, dd, ha, hb, hd, dy []float32) {
	n := len(dy)
	da, db, dd, ha, hb, hd = da[:n], db[:n], dd[:n], ha[:n], hb[:n], hd[:n]
	wide := n &^ (2*lanes - 1)
	if wide > 0 {
		share512Vec(&da[0], &db[0], &dd[0], &ha[0], &hb[0], &hd[0], &dy[0], wide)
	}
	sharePortable(da[wide:], db[wide:], dd[wide:], ha[wide:], hb[wide:], hd[wide:], dy[wide:])
}

func spread512(dx, x, dh []float32, cols, c, col int, add bool) {
	if spreadCheck(dx, x, dh, cols, c, col) {
		spread512Vec(&dx[0], &x[0], &dh[0], cols, c, col, add)
	}
}

// spreadCheck is peak3Check for micro.spread.
func spreadCheck(dx, x, dh []float32, cols, c, col int) bool {
	if cols == 0 || c == 0 {
		return false
	}
	last := (cols-1)*col + c - 1
	_, _, _ = dx[last], x[last], dh[last]
	return true
}

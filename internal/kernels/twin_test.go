// SPDX-License-Identifier: Apache-2.0

package kernels

import (
	"fmt"
	"math"
	"testing"
	"unsafe"
)

// twin is the table of loops in float32 whose bits every vector implementation
// gives: each sum in the one order that implementations use, each multiply-add
// rounded once. Loops that only compare and add are the portable ones.
func twin() micro[float32] {
	m := portable[float32]()
	m.name = "twin"
	m.conv, m.outer, m.point, m.pointGrad = convTwin, outerTwin, pointTwin, pointGradTwin
	m.depth, m.depthPlane, m.tapsGrad = depthTwin, depthPlaneTwin, tapsGradTwin
	m.reduce, m.affine, m.affine2, m.box, m.peakGrad = reduceTwin, affineTwin, affine2Twin, boxTwin, peakGradTwin
	m.inputPoints, m.weightPoints, m.weightTaps = inputPointsTwin, weightPointsTwin, weightTapsTwin
	m.outputPoints, m.outputTile = outputPointsTwin, outputTileTwin
	m.product, m.productGrad = productTwin, productGradTwin
	return m
}

// fma is a·b+c rounded once to float32. The product is exact in float64, but
// the sum is not, and rounding it a second time can go wrong where the first
// result lies in the middle of two float32. So the sum is rounded to odd: where
// it is inexact, its last bit is set, which keeps it off every middle.
func fma(a, b, c float32) float32 {
	p, d := float64(float64(a)*float64(b)), float64(c)
	s := float64(p + d)
	if math.IsInf(s, 0) || math.IsNaN(s) {
		return float32(s)
	}
	v := float64(s - p)
	lost := float64(float64(p-float64(s-v)) + float64(d-v)) // Knuth's two-sum: p + d = s + lost
	if n := math.Float64bits(s); lost != 0 && n&1 == 0 {
		if lost > 0 == (s > 0) {
			n++
		} else {
			n--
		}
		s = math.Float64frombits(n)
	}
	return float32(s)
}

// times is a·b rounded to float32, which no compiler merges with a sum.
func times(a, b float32) float32 { return float32(a * b) }

func TestFMA(t *testing.T) {
	const eps = 1.0 / (1 << 23)
	for _, tt := range []struct {
		name    string
		a, b, c float32
		want    float32
	}{
		{"exact", 3, 5, 2, 17},
		{"cancels", 1 + eps, 1 + eps, -(1 + 2*eps), eps * eps},
		{"overflows", math.MaxFloat32, 2, -math.MaxFloat32, math.MaxFloat32},
		{"infinite", math.MaxFloat32, 2, 0, float32(math.Inf(1))},
	} {
		if got := fma(tt.a, tt.b, tt.c); got != tt.want {
			t.Errorf("%s: fma(%v, %v, %v) = %v, want %v", tt.name, tt.a, tt.b, tt.c, got, tt.want)
		}
	}
	// (2¹²+1)·(2¹²+1) = 2²⁴ + 2¹³ + 1 lies in the middle of two float32, the lower of
	// which is even; c makes it a little more or less, far below float64's last bit.
	a := float32(1<<12 + 1)
	tiny := float32(math.Ldexp(1, -60))
	for c, want := range map[float32]float32{0: 1<<24 + 1<<13, tiny: 1<<24 + 1<<13 + 2, -tiny: 1<<24 + 1<<13} {
		if got := fma(a, a, c); got != want {
			t.Errorf("fma(%v, %v, %v) = %v, want %v", a, a, c, got, want)
		}
	}
	if twice := float32(math.FMA(float64(a), float64(a), float64(tiny))); twice == 1<<24+1<<13+2 {
		t.Error("rounding twice gives the right result: the case shows nothing")
	}
}

func convTwin(y, mask, residual []float32, yoff []int, x []float32, xoff, segs []int, seglen int, w, bias []float32,
	floor float32) {
	var sums [][panel]float32 // all of a tile are there before one is written: pixels may repeat
	for _, at := range xoff {
		acc := [panel]float32(bias)
		for s, seg := range segs {
			for k := range seglen {
				for j := range acc {
					acc[j] = fma(x[at+seg+k], w[(s*seglen+k)*panel+j], acc[j])
				}
			}
		}
		sums = append(sums, acc)
	}
	before := append([]float32(nil), y...)
	read := func(operand []float32, i int) []float32 {
		switch {
		case operand == nil:
			return nil
		case &operand[0] == &y[0]:
			return before[yoff[i]:]
		}
		return operand[yoff[i]:]
	}
	for i := range xoff {
		finish(y[yoff[i]:], sums[i][:], read(mask, i), read(residual, i), floor)
	}
}

func outerTwin(dw []float32, n int, x, dy []float32, rows, cols, xRow, xCol, dyRow, dyCol int) {
	for k := range n {
		for j := range panel {
			acc := dw[k*panel+j]
			for r := range rows {
				for c := range cols {
					acc = fma(x[r*xRow+c*xCol+k], dy[r*dyRow+c*dyCol+j], acc)
				}
			}
			dw[k*panel+j] = acc
		}
	}
}

func pointTwin(y, mask, residual []float32, yCol int, x []float32, xCol int, w []float32, blocks []pointBlock,
	pixels, depth int) {
	for i := range pixels {
		w := w
		for _, b := range blocks {
			var sums [3][pointVector]float32 // all of a block are there before one is written
			for v := range b.vectors {
				var acc [pointVector]float32
				for k := range depth {
					for l := range acc {
						acc[l] = fma(x[i*xCol+k], w[k*b.wide()+v*pointVector+l], acc[l])
					}
				}
				at := i*yCol + b.channel(v)
				finish(sums[v][:], acc[:], tail(mask, at), tail(residual, at), floorOf[float32](false))
			}
			for v := range b.vectors {
				copy(y[i*yCol+b.channel(v):], sums[v][:])
			}
			w = w[depth*b.wide():]
		}
	}
}

func pointGradTwin(dw []float32, n int, x []float32, xCol int, dy []float32, dyCol int, blocks []pointBlock,
	pixels int) {
	for _, b := range blocks {
		for k := range n {
			for v := range b.vectors {
				for l := range pointVector {
					acc := &dw[k*b.wide()+v*pointVector+l]
					for i := range pixels {
						*acc = fma(x[i*xCol+k], dy[i*dyCol+b.channel(v)+l], *acc)
					}
				}
			}
		}
		dw = dw[n*b.wide():]
	}
}

func depthTwin(y, mask, residual []float32, yCol int, x []float32, xCol int, w []float32, window window,
	bias []float32, floor float32, cols, c int) {
	for i := range cols {
		for ch := range c {
			var acc float32
			if bias != nil {
				acc = bias[ch]
			}
			for r := range window.rows {
				for q := range window.cols {
					acc = fma(x[i*xCol+window.at(r, q)+ch], w[window.numberOf(r, q)+ch], acc)
				}
			}
			at := i*yCol + ch
			finish(y[at:], []float32{acc}, tail(mask, at), tail(residual, at), floor)
		}
	}
}

func depthPlaneTwin(y, mask, residual, x, w, bias []float32, floor float32, p *plane, first, rows int) {
	for o := first; o < first+rows; o++ {
		for i := range p.cols {
			at := ((o-first)*p.cols + i) * p.c
			depthTwin(y[at:], tail(mask, at), tail(residual, at), 0, x, 0, w, p.window(o, i), bias, floor, 1, p.c)
		}
	}
}

func tapsGradTwin(dw []float32, woff []int, x []float32, xRow, xCol int, xoff []int, dy []float32,
	dyRow, dyCol, rows, cols, c int) {
	for t, at := range xoff {
		for ch := range c {
			acc := &dw[woff[t]+ch]
			for r := range rows {
				for i := range cols {
					*acc = fma(x[r*xRow+i*xCol+at+ch], dy[r*dyRow+i*dyCol+ch], *acc)
				}
			}
		}
	}
}

func reduceTwin(sum, dot, u, ku, v, kv []float32, floor float32, rows, c, uRow, vRow int) {
	for ch := range c {
		var sums, dots [2]float32 // of even and odd rows
		for r := range rows {
			d := u[r*uRow+ch] - ku[ch]
			sums[r%2] += d
			dots[r%2] = fma(d, atLeast(floor, v[r*vRow+ch])-kv[ch], dots[r%2])
		}
		sum[ch] += sums[0] + sums[1]
		dot[ch] += dots[0] + dots[1]
	}
}

func affineTwin(y, x, scale, shift []float32, floor float32, rows, c, row int, add bool) {
	for r := range rows {
		for ch := range c {
			at := r*row + ch
			v := fma(x[at], scale[ch], shift[ch])
			if add {
				v += y[at]
			}
			y[at] = atLeast(floor, v)
		}
	}
}

func affine2Twin(y, u, v, a, b, d []float32, rows, c, row int, add bool) {
	for r := range rows {
		for ch := range c {
			at := r*row + ch
			s := fma(u[at], a[ch], fma(v[at], b[ch], d[ch]))
			if add {
				s += y[at]
			}
			y[at] = s
		}
	}
}

func boxTwin(y, a, b, d []float32, wa, wb, wd, pre, post float32, cols, c, col int, add bool) {
	for ch := range c {
		value := func(i int) float32 {
			if i < 0 || i >= cols {
				return 0
			}
			at := i*col + ch
			v := fma(wd, d[at], fma(wb, b[at], times(wa, a[at])))
			if i == 0 || i+1 == cols {
				v = times(pre, v)
			}
			return v
		}
		for i := range cols {
			at, factor := i*col+ch, float32(1)
			if i == 0 || i+1 == cols {
				factor = post
			}
			var to float32
			if add {
				to = y[at]
			}
			y[at] = fma(factor, value(i-1)+value(i)+value(i+1), to)
		}
	}
}

func peakGradTwin(dx, x, below, high, mid []float32, g behindNorm[float32], cols, c, col, row int, add bool) {
	if g.a == nil {
		peakGradPortable(dx, x, below, high, mid, g, cols, c, col, row, add)
		return
	}
	// The gradient behind the norm first, each from the maximum of its window.
	dy := make([]float32, len(g.dy))
	for ch := range c {
		for i := range cols {
			at, w := i*col+ch, i*peakGradPixel(c)+peakGradAt(ch)
			most := max(high[w], mid[w])
			for _, j := range []int{i - 1, i, i + 1} {
				if j >= 0 && j < cols {
					most = max(most, number(below[j*col+ch]))
				}
			}
			dy[at] = fma(g.dy[at], g.a[ch], fma(most, g.b[ch], g.d[ch]))
		}
	}
	peakGradPortable(dx, x, below, high, mid, behindNorm[float32]{dy: dy}, cols, c, col, row, add)
}

// eachPoint calls f with the first element of x and of y of each channel.
func eachPoint(ys, xs strides, planes, rows, c int, f func(y, x, ch int)) {
	for p := range planes {
		for r := range rows {
			for ch := range c {
				f(ys.at(p, r)+ch, xs.at(p, r)+ch, ch)
			}
		}
	}
}

func inputPointsTwin(y []float32, ys strides, x []float32, xs strides, planes, rows, c int, floor float32) {
	const sum = pointA*pointA + pointB*pointB
	eachPoint(ys, xs, planes, rows, c, func(to, from, _ int) {
		var d [6]float32
		for t := range d {
			d[t] = atLeast(floor, x[from+t*xs.tap])
		}
		y[to] = fma(-sum, d[2], d[0]+d[4])
		y[to+5*ys.tap] = fma(-sum, d[3], d[5]+d[1])
		even, odd := fma(-pointB*pointB, d[2], d[4]), fma(-pointB*pointB, d[1], d[3])
		y[to+ys.tap], y[to+2*ys.tap] = fma(pointA, odd, even), fma(-pointA, odd, even)
		even, odd = fma(-pointA*pointA, d[2], d[4]), fma(-pointA*pointA, d[1], d[3])
		y[to+3*ys.tap], y[to+4*ys.tap] = fma(pointB, odd, even), fma(-pointB, odd, even)
	})
}

func weightPointsTwin(y []float32, ys strides, x []float32, xs strides, planes, rows, c int) {
	eachPoint(ys, xs, planes, rows, c, func(to, from, _ int) {
		g0, g1, g2 := x[from], x[from+xs.tap], x[from+2*xs.tap]
		y[to], y[to+5*ys.tap] = g0, g2
		even, odd := times(weightA, fma(pointA*pointA, g2, g0)), times(weightA*pointA, g1)
		y[to+ys.tap], y[to+2*ys.tap] = even+odd, even-odd
		even, odd = times(weightB, fma(pointB*pointB, g2, g0)), times(weightB*pointB, g1)
		y[to+3*ys.tap], y[to+4*ys.tap] = even+odd, even-odd
	})
}

// halves adds and subtracts the points ±a and ±b.
func halves(x []float32, tap int) (evenA, oddA, evenB, oddB float32) {
	return x[tap] + x[2*tap], x[tap] - x[2*tap], x[3*tap] + x[4*tap], x[3*tap] - x[4*tap]
}

func weightTapsTwin(y []float32, ys strides, x []float32, xs strides, planes, rows, c int) {
	eachPoint(ys, xs, planes, rows, c, func(to, from, _ int) {
		evenA, oddA, evenB, oddB := halves(x[from:], xs.tap)
		g0, g2 := x[from], x[from+5*xs.tap]
		y[to] = fma(weightB, evenB, fma(weightA, evenA, g0))
		y[to+ys.tap] = fma(weightB*pointB, oddB, times(weightA*pointA, oddA))
		y[to+2*ys.tap] = fma(weightB*pointB*pointB, evenB, fma(weightA*pointA*pointA, evenA, g2))
	})
}

func outputPointsTwin(y []float32, ys strides, x []float32, xs strides, planes, rows, c int) {
	eachPoint(ys, xs, planes, rows, c, func(to, from, _ int) {
		y0, y1, y2, y3 := x[from], x[from+xs.tap], x[from+2*xs.tap], x[from+3*xs.tap]
		y[to], y[to+5*ys.tap] = y0, y3
		even, odd := fma(pointA*pointA, y2, y0), fma(cubeA, y3, times(pointA, y1))
		y[to+ys.tap], y[to+2*ys.tap] = even+odd, even-odd
		even, odd = fma(pointB*pointB, y2, y0), fma(cubeB, y3, times(pointB, y1))
		y[to+3*ys.tap], y[to+4*ys.tap] = even+odd, even-odd
	})
}

func outputTileTwin(y []float32, ys strides, x []float32, xs strides, planes, rows, c int,
	mask, residual, bias []float32, taps int, floor float32) {
	eachPoint(ys, xs, planes, rows, c, func(to, from, ch int) {
		evenA, oddA, evenB, oddB := halves(x[from:], xs.tap)
		tile := [tileSide]float32{
			x[from] + evenA + evenB,
			fma(pointB, oddB, times(pointA, oddA)),
			fma(pointB*pointB, evenB, times(pointA*pointA, evenA)),
			fma(cubeB, oddB, fma(cubeA, oddA, x[from+5*xs.tap])),
		}
		for t, v := range tile[:taps] {
			if bias != nil {
				v += bias[ch]
			}
			at := to + t*ys.tap
			finish(y[at:], []float32{v}, tail(mask, at), tail(residual, at), floor)
		}
	})
}

func productTwin(y, x, w []float32, points, rows, depth, cols, xPoint, yPoint int) {
	for p := range points {
		for i := range rows {
			for j := range cols {
				var acc float32
				for k := range depth {
					acc = fma(x[p*xPoint+i*depth+k], w[(p*depth+k)*cols+j], acc)
				}
				y[p*yPoint+i*cols+j] = acc
			}
		}
	}
}

func productGradTwin(dw, x, dy []float32, points, rows, in, out, xPoint, dyPoint int, add bool) {
	for p := range points {
		for i := range in {
			for j := range out {
				to := &dw[(p*in+i)*out+j]
				var acc float32
				if add {
					acc = *to
				}
				for t := range rows {
					acc = fma(x[p*xPoint+t*in+i], dy[p*dyPoint+t*out+j], acc)
				}
				*to = acc
			}
		}
	}
}

// twinned is m, each of whose loops is checked: its twin does the same on copies
// of the operands, and the test fails unless both leave the same bits, NaN and
// the sign of zero apart. Loops that m lacks are lacking.
func twinned(t *testing.T, m micro[float32]) *micro[float32] {
	want := twin()
	out := m
	// run calls both with their own operands and compares all of these.
	run := func(loop string, call func(c *copies, m *micro[float32]), operands ...[]float32) {
		t.Helper()
		c := &copies{}
		for _, s := range operands {
			c.of(s)
		}
		call(c, &want)
		call(nil, &m)
		if i, got, twin := c.differ(); i >= 0 {
			t.Fatalf("%s: %s: element %d is %v (%#08x), its twin %v (%#08x)", m.name, loop, i,
				got, math.Float32bits(got), twin, math.Float32bits(twin))
		}
	}
	out.conv = func(y, mask, residual []float32, yoff []int, x []float32, xoff, segs []int, seglen int,
		w, bias []float32, floor float32) {
		if len(xoff) == 0 {
			return
		}
		run("conv", func(c *copies, m *micro[float32]) {
			rows := out.convRows // a tile reads everything before it writes
			if c == nil {
				rows = len(xoff)
			}
			for i := 0; i < len(xoff); i += rows {
				tile := i + rows
				m.conv(c.of(y), c.of(mask), c.of(residual), yoff[i:tile], x, xoff[i:tile], segs, seglen, w, bias, floor)
			}
		}, y, mask, residual)
	}
	out.outer = func(dw []float32, n int, x, dy []float32, rows, cols, xRow, xCol, dyRow, dyCol int) {
		run("outer", func(c *copies, m *micro[float32]) {
			m.outer(c.of(dw), n, x, dy, rows, cols, xRow, xCol, dyRow, dyCol)
		}, dw)
	}
	if m.point != nil {
		out.point = func(y, mask, residual []float32, yCol int, x []float32, xCol int, w []float32,
			blocks []pointBlock, pixels, depth int) {
			run("point", func(c *copies, m *micro[float32]) {
				m.point(c.of(y), c.of(mask), c.of(residual), yCol, x, xCol, w, blocks, pixels, depth)
			}, y, mask, residual)
		}
		out.pointGrad = func(dw []float32, n int, x []float32, xCol int, dy []float32, dyCol int,
			blocks []pointBlock, pixels int) {
			run("pointGrad", func(c *copies, m *micro[float32]) {
				m.pointGrad(c.of(dw), n, x, xCol, dy, dyCol, blocks, pixels)
			}, dw)
		}
	}
	if m.lay != nil {
		out.lay = func(y []float32, yRow int, x []float32, xRow int, floor float32, rows, c int) {
			run("lay", func(o *copies, m *micro[float32]) { m.lay(o.of(y), yRow, x, xRow, floor, rows, c) }, y)
		}
	}
	out.depth = func(y, mask, residual []float32, yCol int, x []float32, xCol int, w []float32, win window,
		bias []float32, floor float32, cols, c int) {
		run("depth", func(o *copies, m *micro[float32]) {
			m.depth(o.of(y), o.of(mask), o.of(residual), yCol, x, xCol, w, win, bias, floor, cols, c)
		}, y, mask, residual)
	}
	if m.depthPlane != nil {
		out.depthPlane = func(y, mask, residual, x, w, bias []float32, floor float32, p *plane, first, rows int) {
			run("depthPlane", func(c *copies, m *micro[float32]) {
				m.depthPlane(c.of(y), c.of(mask), c.of(residual), x, w, bias, floor, p, first, rows)
			}, y, mask, residual)
		}
	}
	out.tapsGrad = func(dw []float32, woff []int, x []float32, xRow, xCol int, xoff []int, dy []float32,
		dyRow, dyCol, rows, cols, c int) {
		run("tapsGrad", func(o *copies, m *micro[float32]) {
			m.tapsGrad(o.of(dw), woff, x, xRow, xCol, xoff, dy, dyRow, dyCol, rows, cols, c)
		}, dw)
	}
	out.reduce = func(sum, dot, u, ku, v, kv []float32, floor float32, rows, c, uRow, vRow int) {
		run("reduce", func(o *copies, m *micro[float32]) {
			m.reduce(o.of(sum), o.of(dot), u, ku, v, kv, floor, rows, c, uRow, vRow)
		}, sum, dot)
	}
	out.affine = func(y, x, scale, shift []float32, floor float32, rows, c, row int, add bool) {
		run("affine", func(o *copies, m *micro[float32]) {
			m.affine(o.of(y), o.of(x), scale, shift, floor, rows, c, row, add)
		}, y, x)
	}
	out.affine2 = func(y, u, v, a, b, d []float32, rows, c, row int, add bool) {
		run("affine2", func(o *copies, m *micro[float32]) {
			m.affine2(o.of(y), o.of(u), o.of(v), a, b, d, rows, c, row, add)
		}, y, u, v)
	}
	out.relu = func(y, x []float32) {
		run("relu", func(o *copies, m *micro[float32]) { m.relu(o.of(y), o.of(x)) }, y, x)
	}
	out.reluGrad = func(dx, x, dy []float32, add bool) {
		run("reluGrad", func(o *copies, m *micro[float32]) { m.reluGrad(o.of(dx), o.of(x), o.of(dy), add) }, dx, x, dy)
	}
	out.add = func(y, a, b []float32, floor float32) {
		run("add", func(o *copies, m *micro[float32]) { m.add(o.of(y), o.of(a), o.of(b), floor) }, y, a, b)
	}
	out.box = func(y, a, b, d []float32, wa, wb, wd, pre, post float32, cols, c, col int, add bool) {
		run("box", func(o *copies, m *micro[float32]) {
			m.box(o.of(y), a, b, d, wa, wb, wd, pre, post, cols, c, col, add)
		}, y)
	}
	if m.peak3 != nil {
		out.peak3 = func(y, a, b, d []float32, cols, c, col int) {
			run("peak3", func(o *copies, m *micro[float32]) { m.peak3(o.of(y), a, b, d, cols, c, col) }, y)
		}
	}
	if m.peakGrad != nil {
		out.peakGrad = func(dx, x, below, high, mid []float32, g behindNorm[float32], cols, c, col, row int, add bool) {
			run("peakGrad", func(o *copies, m *micro[float32]) {
				m.peakGrad(o.of(dx), x, below, o.of(high), o.of(mid), g, cols, c, col, row, add)
				if o != nil { // elements of no channel may differ
					o.leaveOut(high, func(at int) bool { return !peakGradOf(at, cols, c) })
					o.leaveOut(mid, func(at int) bool { return !peakGradOf(at, cols, c) })
				}
			}, dx, high, mid)
		}
	}
	if m.share != nil {
		out.share = func(da, db, dd, ha, hb, hd, dy []float32) {
			run("share", func(o *copies, m *micro[float32]) {
				m.share(o.of(da), o.of(db), o.of(dd), ha, hb, hd, dy)
			}, da, db, dd)
		}
		out.spread = func(dx, x, dh []float32, cols, c, col int, add bool) {
			run("spread", func(o *copies, m *micro[float32]) { m.spread(o.of(dx), x, dh, cols, c, col, add) }, dx)
		}
	}
	out.peak = func(y []float32, yCol int, x []float32, xCol int, win window, cols, c int) {
		run("peak", func(o *copies, m *micro[float32]) { m.peak(o.of(y), yCol, x, xCol, win, cols, c) }, y)
	}
	out.pick = func(from []float32, col int, x []float32, xCol int, win window, cols, c int) {
		run("pick", func(o *copies, m *micro[float32]) { m.pick(o.of(from), col, x, xCol, win, cols, c) }, from)
	}
	out.pickGrad = func(dx []float32, dxCol int, dy, from []float32, col int, win window, cols, c int, add bool) {
		run("pickGrad", func(o *copies, m *micro[float32]) {
			m.pickGrad(o.of(dx), dxCol, dy, from, col, win, cols, c, add)
		}, dx)
	}
	if m.product == nil {
		return &out
	}
	out.inputPoints = func(y []float32, ys strides, x []float32, xs strides, planes, rows, c int, floor float32) {
		run("inputPoints", func(o *copies, m *micro[float32]) {
			m.inputPoints(o.of(y), ys, x, xs, planes, rows, c, floor)
		}, y)
	}
	points := func(name string, of func(m *micro[float32]) func([]float32, strides, []float32, strides, int, int, int)) func(
		[]float32, strides, []float32, strides, int, int, int) {
		return func(y []float32, ys strides, x []float32, xs strides, planes, rows, c int) {
			run(name, func(o *copies, m *micro[float32]) { of(m)(o.of(y), ys, x, xs, planes, rows, c) }, y)
		}
	}
	type transform = func([]float32, strides, []float32, strides, int, int, int)
	out.weightPoints = points("weightPoints", func(m *micro[float32]) transform { return m.weightPoints })
	out.weightTaps = points("weightTaps", func(m *micro[float32]) transform { return m.weightTaps })
	out.outputPoints = points("outputPoints", func(m *micro[float32]) transform { return m.outputPoints })
	out.outputTile = func(y []float32, ys strides, x []float32, xs strides, planes, rows, c int,
		mask, residual, bias []float32, taps int, floor float32) {
		run("outputTile", func(o *copies, m *micro[float32]) {
			m.outputTile(o.of(y), ys, o.of(x), xs, planes, rows, c, o.of(mask), o.of(residual), bias, taps, floor)
		}, y, x, mask, residual)
	}
	out.product = func(y, x, w []float32, points, rows, depth, cols, xPoint, yPoint int) {
		run("product", func(o *copies, m *micro[float32]) {
			m.product(o.of(y), x, w, points, rows, depth, cols, xPoint, yPoint)
		}, y)
	}
	out.productGrad = func(dw, x, dy []float32, points, rows, in, out, xPoint, dyPoint int, add bool) {
		run("productGrad", func(o *copies, m *micro[float32]) {
			m.productGrad(o.of(dw), x, dy, points, rows, in, out, xPoint, dyPoint, add)
		}, dw)
	}
	return &out
}

// peakGradOf says whether an element of a working row of peakGrad is of a channel.
func peakGradOf(at, cols, c int) bool {
	at %= peakGradPixel(c)
	for ch := range c {
		if first := peakGradAt(ch); at == first || at == first+peakGradGroup {
			return true
		}
	}
	return false
}

// copies are operands and what the twin makes of them. Operands that begin at
// the same element have one copy, so that what is in place stays so.
type copies struct {
	operands, copied [][]float32
}

// of is the copy of s; s itself if there are no copies, or s is empty.
func (c *copies) of(s []float32) []float32 {
	if c == nil || len(s) == 0 {
		return s
	}
	for i, o := range c.operands {
		if unsafe.SliceData(o) == unsafe.SliceData(s) {
			if len(s) != len(o) {
				panic(fmt.Sprintf("operands of %d and %d elements begin at the same one", len(o), len(s)))
			}
			return c.copied[i]
		}
	}
	c.operands, c.copied = append(c.operands, s), append(c.copied, clone(s))
	return c.copied[len(c.copied)-1]
}

// leaveOut marks elements of s that may become anything.
func (c *copies) leaveOut(s []float32, which func(at int) bool) {
	copied := c.of(s)
	for i := range copied {
		if which(i) {
			copied[i] = leftOut
		}
	}
}

// leftOut is a NaN that no loop makes.
var leftOut = math.Float32frombits(0x7fc54321)

// differ is the first element whose bits the twin has not; -1 if there is none.
func (c *copies) differ() (at int, got, want float32) {
	for i, s := range c.operands {
		for j, v := range s {
			w := c.copied[i][j]
			if v != w && !(v != v && w != w) && math.Float32bits(w) != math.Float32bits(leftOut) {
				return j, v, w
			}
		}
	}
	return -1, 0, 0
}

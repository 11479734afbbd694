// SPDX-License-Identifier: Apache-2.0

package kernels

import (
	"math"
	"slices"
	"testing"
)

// The twin is the order of every sum, written down once: the loops of loops.go
// for float32, a scalar at a time, with each multiply-add that the vector
// implementations fuse. They give its bits, on every processor, but for the
// sign of zeros and the payload of NaN, which instruction sets define
// differently. Loops without multiply-adds are the portable ones.

// twinOf returns the twin with the loops and the tile sizes of an implementation.
func twinOf(m *micro[float32]) *micro[float32] {
	twin := *m
	twin.name = "twin of " + m.name
	twin.conv, twin.outer, twin.depth, twin.tapsGrad = convTwin, outerTwin, depthTwin, tapsGradTwin
	twin.reduce, twin.affine, twin.affine2, twin.box = reduceTwin, affineTwin, affine2Twin, boxTwin
	twin.relu, twin.reluGrad, twin.add = reluPortable[float32], reluGradPortable[float32], addPortable[float32]
	twin.peak, twin.pick, twin.pickGrad = peakPortable[float32], pickPortable[float32], pickGradPortable[float32]
	if m.point != nil {
		twin.point, twin.pointGrad = pointTwin, pointGradTwin
	}
	if m.lay != nil {
		twin.lay = layPortable[float32]
	}
	if m.depthPlane != nil {
		twin.depthPlane = depthPlaneTwin
	}
	if m.peak3 != nil {
		twin.peak3 = peak3Portable[float32]
	}
	if m.peakGrad != nil {
		twin.peakGrad = peakGradTwin
	}
	if m.share != nil {
		twin.share, twin.spread = sharePortable[float32], spreadPortable[float32]
	}
	if m.product != nil {
		twin.filtering = filtering[float32]{
			inputPoints: inputPointsTwin, weightPoints: weightPointsTwin, weightTaps: weightTapsTwin,
			outputPoints: outputPointsTwin, outputTile: outputTileTwin,
			productRows: m.productRows, product: productTwin, productGrad: productGradTwin,
		}
	}
	return &twin
}

// fma returns x·y + z, rounded once. The product is exact in float64; the sum is
// rounded to odd there, which keeps enough of what is lost to round it to
// float32 as if nothing were. (math.FMA rounds to float64 to even, and the
// conversion rounds again.)
func fma(x, y, z float32) float32 {
	p, q := float64(x)*float64(y), float64(z)
	sum := p + q
	if math.IsInf(sum, 0) || sum != sum {
		return float32(sum)
	}
	back := sum - p
	if lost := (p - (sum - back)) + (q - back); lost != 0 && math.Float64bits(sum)&1 == 0 {
		sum = math.Nextafter(sum, math.Copysign(math.Inf(1), lost))
	}
	return float32(sum)
}

func TestFMA(t *testing.T) {
	power := func(e int) float32 { return float32(math.Ldexp(1, e)) }
	x := 1 + power(-12) // x² is 1 + 2⁻¹¹ + 2⁻²⁴, halfway between two float32
	even, odd := 1+power(-11), 1+power(-11)+power(-23)
	for _, tt := range []struct {
		name          string
		x, y, z, want float32
	}{
		{"exact", 3, 5, 7, 22},
		{"halfway", x, x, 0, even},
		{"above halfway", x, x, power(-40), odd},
		{"above halfway, which float64 cannot tell", x, x, power(-60), odd},
		{"below halfway, which float64 cannot tell", x, x, -power(-60), even},
		{"above an odd halfway", power(-24), 1, odd, 1 + power(-11) + power(-22)},
		{"below an odd halfway, which float64 cannot tell", -power(-60), 1, odd, odd},
		{"infinity", float32(math.Inf(1)), 1, 1, float32(math.Inf(1))},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := fma(tt.x, tt.y, tt.z); got != tt.want {
				t.Errorf("fma(%v, %v, %v) is %x, want %x", tt.x, tt.y, tt.z, math.Float32bits(got), math.Float32bits(tt.want))
			}
		})
	}
	if float32(math.FMA(float64(x), float64(x), math.Ldexp(1, -60))) == odd {
		t.Error("rounding twice gives the same bits: the case shows nothing")
	}
	if v := fma(float32(math.NaN()), 1, 1); v == v {
		t.Errorf("fma of NaN is %v", v)
	}
}

func convTwin(o convOperands[float32]) {
	mask, residual := slices.Clone(o.mask), slices.Clone(o.residual) // a tile reads them before it writes
	for i, at := range o.xoff {
		tile := slices.Clone(o.bias[:panel])
		for j := range tile {
			for s, seg := range o.segs {
				for k, v := range o.x[at+seg:][:o.seglen] {
					tile[j] = fma(v, o.w[(s*o.seglen+k)*panel+j], tile[j])
				}
			}
		}
		to := o.yoff[i]
		finish(o.y[to:], tile, tail(mask, to), tail(residual, to), o.floor)
	}
}

func outerTwin(dw []float32, n int, x, dy []float32, rows, cols, xRow, xCol, dyRow, dyCol int) {
	for k := range n {
		for j := range panel {
			for r := range rows {
				for c := range cols {
					dw[k*panel+j] = fma(x[r*xRow+c*xCol+k], dy[r*dyRow+c*dyCol+j], dw[k*panel+j])
				}
			}
		}
	}
}

func pointTwin(y, mask, residual []float32, yCol int, x []float32, xCol int, w []float32, blocks []pointBlock, pixels,
	depth int) {
	for i := range pixels {
		w := w
		for _, b := range blocks {
			var sums [3][pointVector]float32 // all of a block are there before any is written
			for v := range b.vectors {
				acc := make([]float32, pointVector)
				for l := range acc {
					for k, u := range x[i*xCol:][:depth] {
						acc[l] = fma(u, w[k*b.wide()+v*pointVector+l], acc[l])
					}
				}
				at := i*yCol + b.channel(v)
				finish(sums[v][:], acc, tail(mask, at), tail(residual, at), floorOf[float32](false))
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
			for l := range b.wide() {
				d, j := &dw[k*b.wide()+l], b.channel(l/pointVector)+l%pointVector
				for i := range pixels {
					*d = fma(x[i*xCol+k], dy[i*dyCol+j], *d)
				}
			}
		}
		dw = dw[n*b.wide():]
	}
}

func depthTwin(o depthOperands[float32]) {
	for i := range o.cols {
		acc := make([]float32, o.c)
		copy(acc, o.bias)
		for ch := range acc {
			for r := range o.window.rows {
				for q := range o.window.cols {
					acc[ch] = fma(o.x[i*o.xCol+o.window.at(r, q)+ch], o.w[o.window.numberOf(r, q)+ch], acc[ch])
				}
			}
		}
		if to := i * o.yCol; o.c > 0 {
			finish(o.y[to:], acc, tail(o.mask, to), tail(o.residual, to), o.floor)
		}
	}
}

func depthPlaneTwin(y, mask, residual, x, w, bias []float32, floor float32, p *plane, first, rows int) {
	for o := first; o < first+rows; o++ {
		for i := range p.cols {
			at := ((o-first)*p.cols + i) * p.c
			depthTwin(depthOperands[float32]{y: y[at:], mask: tail(mask, at), residual: tail(residual, at), x: x, w: w,
				window: p.window(o, i), bias: bias, floor: floor, cols: 1, c: p.c})
		}
	}
}

func tapsGradTwin(o tapsOperands[float32]) {
	for t, at := range o.xoff {
		for ch := range o.c {
			d := &o.dw[o.woff[t]+ch]
			for r := range o.rows {
				for i := range o.cols {
					*d = fma(o.x[r*o.xRow+i*o.xCol+at+ch], o.dy[r*o.dyRow+i*o.dyCol+ch], *d)
				}
			}
		}
	}
}

// reduceTwin adds even rows and odd rows, then both, then what was there.
func reduceTwin(sum, dot, u, ku, v, kv []float32, floor float32, rows, c, row int) {
	for ch := range c {
		var sums, dots [2]float32
		for r := range rows {
			d := u[r*row+ch] - ku[ch]
			sums[r%2] += d
			dots[r%2] = fma(d, atLeast(floor, v[r*row+ch])-kv[ch], dots[r%2])
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

func boxTwin(y []float32, x [3][]float32, w [3]float32, pre, post float32, cols, c, col int, add bool) {
	for ch := range c {
		value := func(i int) float32 {
			if i < 0 || i >= cols {
				return 0
			}
			at := i*col + ch
			v := fma(w[2], x[2][at], fma(w[1], x[1][at], float32(w[0]*x[0][at])))
			if i == 0 || i == cols-1 {
				v = float32(v * pre)
			}
			return v
		}
		line := make([]float32, cols) // y may be a row of x
		for i := range line {
			line[i] = value(i-1) + value(i) + value(i+1)
		}
		for i, s := range line {
			at, factor, to := i*col+ch, float32(1), float32(0)
			if i == 0 || i == cols-1 {
				factor = post
			}
			if add {
				to = y[at]
			}
			y[at] = fma(factor, s, to)
		}
	}
}

// peakGradTwin computes the windows' gradients, and leaves the rest, which only
// compares and adds, to the portable loop.
func peakGradTwin(dx, x, below, high, mid []float32, g behindNorm[float32], cols, c, row int, add bool) {
	if g.a != nil {
		dy := slices.Clone(g.dy)
		lowest := floorOf[float32](false)
		for ch := range c {
			for i := range cols {
				at, w := i*c+ch, i*peakGradPixel(c)+peakGradAt(ch)
				greatest := max(high[w], mid[w], number(below[at]))
				if i > 0 {
					greatest = max(greatest, number(below[at-c]))
				}
				if i+1 < cols {
					greatest = max(greatest, number(below[at+c]))
				}
				dy[at] = fma(g.dy[at], g.a[ch], fma(max(lowest, greatest), g.b[ch], g.d[ch]))
			}
		}
		g = behindNorm[float32]{dy: dy}
	}
	peakGradPortable(dx, x, below, high, mid, g, cols, c, row, add)
}

// transform applies f to the taps of every plane, row and channel of a transform.
func transform(y []float32, ys strides, yTaps int, x []float32, xs strides, xTaps, planes, rows, c int,
	f func(y, x []float32)) {
	in, out := make([]float32, xTaps), make([]float32, yTaps)
	for p := range planes {
		for r := range rows {
			for ch := range c {
				for t := range in {
					in[t] = x[xs.at(p, r)+t*xs.tap+ch]
				}
				f(out, in)
				for t, v := range out {
					y[ys.at(p, r)+t*ys.tap+ch] = v
				}
			}
		}
	}
}

func inputPointsTwin(y []float32, ys strides, x []float32, xs strides, planes, rows, c int, floor float32) {
	const sum = pointA*pointA + pointB*pointB
	transform(y, ys, tileSpan, x, xs, tileSpan, planes, rows, c, func(y, x []float32) {
		for t, v := range x {
			x[t] = atLeast(floor, v)
		}
		y[0], y[5] = fma(-sum, x[2], x[0]+x[4]), fma(-sum, x[3], x[1]+x[5])
		even, odd := fma(-pointB*pointB, x[2], x[4]), fma(-pointB*pointB, x[1], x[3])
		y[1], y[2] = fma(pointA, odd, even), fma(-pointA, odd, even)
		even, odd = fma(-pointA*pointA, x[2], x[4]), fma(-pointA*pointA, x[1], x[3])
		y[3], y[4] = fma(pointB, odd, even), fma(-pointB, odd, even)
	})
}

func weightPointsTwin(y []float32, ys strides, x []float32, xs strides, planes, rows, c int) {
	transform(y, ys, tileSpan, x, xs, 3, planes, rows, c, func(y, x []float32) {
		y[0], y[5] = x[0], x[2]
		even, odd := float32(weightA*fma(pointA*pointA, x[2], x[0])), float32(weightA*pointA*x[1])
		y[1], y[2] = even+odd, even-odd
		even, odd = float32(weightB*fma(pointB*pointB, x[2], x[0])), float32(weightB*pointB*x[1])
		y[3], y[4] = even+odd, even-odd
	})
}

func weightTapsTwin(y []float32, ys strides, x []float32, xs strides, planes, rows, c int) {
	transform(y, ys, 3, x, xs, tileSpan, planes, rows, c, func(y, x []float32) {
		evenA, oddA, evenB, oddB := x[1]+x[2], x[1]-x[2], x[3]+x[4], x[3]-x[4]
		y[0] = fma(weightB, evenB, fma(weightA, evenA, x[0]))
		y[1] = fma(weightB*pointB, oddB, float32(weightA*pointA*oddA))
		y[2] = fma(weightB*pointB*pointB, evenB, fma(weightA*pointA*pointA, evenA, x[5]))
	})
}

func outputPointsTwin(y []float32, ys strides, x []float32, xs strides, planes, rows, c int) {
	transform(y, ys, tileSpan, x, xs, tileSide, planes, rows, c, func(y, x []float32) {
		y[0], y[5] = x[0], x[3]
		even, odd := fma(pointA*pointA, x[2], x[0]), fma(cubeA, x[3], float32(pointA*x[1]))
		y[1], y[2] = even+odd, even-odd
		even, odd = fma(pointB*pointB, x[2], x[0]), fma(cubeB, x[3], float32(pointB*x[1]))
		y[3], y[4] = even+odd, even-odd
	})
}

func outputTileTwin(y []float32, ys strides, x []float32, xs strides, planes, rows, c int, mask, residual,
	bias []float32, taps int, floor float32) {
	for p := range planes {
		for r := range rows {
			for ch := range c {
				v := func(t int) float32 { return x[xs.at(p, r)+t*xs.tap+ch] }
				evenA, oddA, evenB, oddB := v(1)+v(2), v(1)-v(2), v(3)+v(4), v(3)-v(4)
				tile := [tileSide]float32{
					v(0) + evenA + evenB,
					fma(pointB, oddB, float32(pointA*oddA)),
					fma(pointB*pointB, evenB, float32(pointA*pointA*evenA)),
					fma(cubeB, oddB, fma(cubeA, oddA, v(5))),
				}
				for t, v := range tile[:taps] {
					if bias != nil {
						v += bias[ch]
					}
					at := ys.at(p, r) + t*ys.tap + ch
					finish(y[at:], []float32{v}, tail(mask, at), tail(residual, at), floor)
				}
			}
		}
	}
}

func productTwin(y, x, w []float32, points, rows, depth, cols, xPoint, yPoint int) {
	for p := range points {
		for i := range rows {
			for j := range cols {
				var acc float32
				for k, v := range x[p*xPoint+i*depth:][:depth] {
					acc = fma(v, w[(p*depth+k)*cols+j], acc)
				}
				y[p*yPoint+i*cols+j] = acc
			}
		}
	}
}

func productGradTwin(dw, x, dy []float32, points, rows, in, out, xPoint, dyPoint int, add bool) {
	if !add {
		clear(dw[:points*in*out])
	}
	for p := range points {
		for i := range in {
			for j := range out {
				d := &dw[(p*in+i)*out+j]
				for t := range rows {
					*d = fma(x[p*xPoint+t*in+i], dy[p*dyPoint+t*out+j], *d)
				}
			}
		}
	}
}

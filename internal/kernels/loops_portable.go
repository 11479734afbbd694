// SPDX-License-Identifier: Apache-2.0

package kernels

// portable is the table of plain Go loops.
func portable[T Float]() micro[T] {
	return micro[T]{
		name:       "portable",
		convRows:   1,
		conv:       convPortable[T],
		outerRows:  4,
		outer:      outerPortable[T],
		point:      pointPortable[T],
		pointGrad:  pointGradPortable[T],
		lay:        layPortable[T],
		depth:      depthPortable[T],
		depthPlane: depthPlanePortable[T],
		tapsGrad:   tapsGradPortable[T],
		reduce:     reducePortable[T],
		affine:     affinePortable[T],
		affine2:    affine2Portable[T],
		relu:       reluPortable[T],
		reluGrad:   reluGradPortable[T],
		add:        addPortable[T],
		box:        boxPortable[T],
		peak3:      peak3Portable[T],
		peakGrad:   peakGradPortable[T],
		share:      sharePortable[T],
		spread:     spreadPortable[T],
		peak:       peakPortable[T],
		pick:       pickPortable[T],
		pickGrad:   pickGradPortable[T],
		filtering:  filteringPortable[T](),
	}
}

func convPortable[T Float](o convOperands[T]) {
	x, w, seglen := o.x, o.w, o.seglen
	for i, at := range o.xoff {
		var tile [panel]T
		// Eight sums at a time stay in registers.
		for h := 0; h < panel; h += 8 {
			b := (*[8]T)(o.bias[h:])
			a0, a1, a2, a3, a4, a5, a6, a7 := b[0], b[1], b[2], b[3], b[4], b[5], b[6], b[7]
			wk := h
			for _, seg := range o.segs {
				for _, v := range x[at+seg : at+seg+seglen] {
					r := (*[8]T)(w[wk:])
					a0 += v * r[0]
					a1 += v * r[1]
					a2 += v * r[2]
					a3 += v * r[3]
					a4 += v * r[4]
					a5 += v * r[5]
					a6 += v * r[6]
					a7 += v * r[7]
					wk += panel
				}
			}
			*(*[8]T)(tile[h:]) = [8]T{a0, a1, a2, a3, a4, a5, a6, a7}
		}
		to := o.yoff[i]
		finish(o.y[to:], tile[:], tail(o.mask, to), tail(o.residual, to), o.floor)
	}
}

// finish writes one pixel's sums: y = max(floor, [mask>0]·acc + residual).
func finish[T Float](y, acc, mask, residual []T, floor T) {
	y = y[:len(acc)]
	for j, v := range acc {
		if mask != nil && !(mask[j] > 0) {
			v = 0
		}
		if residual != nil {
			v += residual[j]
		}
		y[j] = atLeast(floor, v)
	}
}

func outerPortable[T Float](dw []T, n int, x, dy []T, rows, cols, xRow, xCol, dyRow, dyCol int) {
	for k := 0; k < n; k += 4 {
		// Four rows by four columns of sums stay in registers.
		for j := 0; j < panel; j += 4 {
			d0, d1 := (*[4]T)(dw[k*panel+j:]), (*[4]T)(dw[(k+1)*panel+j:])
			d2, d3 := (*[4]T)(dw[(k+2)*panel+j:]), (*[4]T)(dw[(k+3)*panel+j:])
			a00, a01, a02, a03 := d0[0], d0[1], d0[2], d0[3]
			a10, a11, a12, a13 := d1[0], d1[1], d1[2], d1[3]
			a20, a21, a22, a23 := d2[0], d2[1], d2[2], d2[3]
			a30, a31, a32, a33 := d3[0], d3[1], d3[2], d3[3]
			for r := range rows {
				for c := range cols {
					u := (*[4]T)(x[r*xRow+c*xCol+k:])
					v := (*[4]T)(dy[r*dyRow+c*dyCol+j:])
					a00 += u[0] * v[0]
					a01 += u[0] * v[1]
					a02 += u[0] * v[2]
					a03 += u[0] * v[3]
					a10 += u[1] * v[0]
					a11 += u[1] * v[1]
					a12 += u[1] * v[2]
					a13 += u[1] * v[3]
					a20 += u[2] * v[0]
					a21 += u[2] * v[1]
					a22 += u[2] * v[2]
					a23 += u[2] * v[3]
					a30 += u[3] * v[0]
					a31 += u[3] * v[1]
					a32 += u[3] * v[2]
					a33 += u[3] * v[3]
				}
			}
			*d0 = [4]T{a00, a01, a02, a03}
			*d1 = [4]T{a10, a11, a12, a13}
			*d2 = [4]T{a20, a21, a22, a23}
			*d3 = [4]T{a30, a31, a32, a33}
		}
	}
}

func depthPortable[T Float](o depthOperands[T]) {
	x, w, window, c := o.x, o.w, o.window, o.c
	var acc [4]T
	for i := range o.cols {
		for ch, n := 0, 0; ch < c; ch += n {
			// Four sums at a time stay in registers; the last channels go one by one.
			if n = 1; ch+4 <= c {
				n = 4
			}
			sums := acc[:n]
			clear(sums)
			if o.bias != nil {
				copy(sums, o.bias[ch:])
			}
			a0, a1, a2, a3 := acc[0], acc[1], acc[2], acc[3]
			for r := range window.rows {
				in, f := i*o.xCol+window.first+r*window.row+ch, window.number+r*window.numberRow+ch
				for range window.cols {
					if n == 4 {
						u, v := (*[4]T)(x[in:]), (*[4]T)(w[f:])
						a0 += u[0] * v[0]
						a1 += u[1] * v[1]
						a2 += u[2] * v[2]
						a3 += u[3] * v[3]
					} else {
						a0 += x[in] * w[f]
					}
					in, f = in+window.col, f+window.numberCol
				}
			}
			acc = [4]T{a0, a1, a2, a3}
			at := i*o.yCol + ch
			finish(o.y[at:], sums, tail(o.mask, at), tail(o.residual, at), o.floor)
		}
	}
}

// depthPlanePortable takes an output pixel at a time, with a window of the taps
// that it has.
func depthPlanePortable[T Float](y, mask, residual, x, w, bias []T, floor T, p *plane, first, rows int) {
	for o := first; o < first+rows; o++ {
		for i := range p.cols {
			at := ((o-first)*p.cols + i) * p.c
			depthPortable(depthOperands[T]{y: y[at:], mask: tail(mask, at), residual: tail(residual, at), x: x, w: w,
				window: p.window(o, i), bias: bias, floor: floor, cols: 1, c: p.c})
		}
	}
}

func pointPortable[T Float](y, mask, residual []T, yCol int, x []T, xCol int, w []T, blocks []pointBlock, pixels,
	depth int) {
	for i := range pixels {
		in, w := x[i*xCol:][:depth], w
		for _, b := range blocks {
			var sums [3][pointVector]T // all of a block are there before one is written
			for v := range b.vectors {
				a0, a1, a2, a3, a4, a5, a6, a7 := T(0), T(0), T(0), T(0), T(0), T(0), T(0), T(0)
				for k, u := range in {
					r := (*[pointVector]T)(w[k*b.wide()+v*pointVector:])
					a0 += u * r[0]
					a1 += u * r[1]
					a2 += u * r[2]
					a3 += u * r[3]
					a4 += u * r[4]
					a5 += u * r[5]
					a6 += u * r[6]
					a7 += u * r[7]
				}
				at := i*yCol + b.channel(v)
				finish(sums[v][:], []T{a0, a1, a2, a3, a4, a5, a6, a7}, tail(mask, at), tail(residual, at), floorOf[T](false))
			}
			for v := range b.vectors {
				copy(y[i*yCol+b.channel(v):], sums[v][:])
			}
			w = w[depth*b.wide():]
		}
	}
}

func pointGradPortable[T Float](dw []T, n int, x []T, xCol int, dy []T, dyCol int, blocks []pointBlock, pixels int) {
	for _, b := range blocks {
		for k := range n {
			for v := range b.vectors {
				r := (*[pointVector]T)(dw[k*b.wide()+v*pointVector:])
				a0, a1, a2, a3, a4, a5, a6, a7 := r[0], r[1], r[2], r[3], r[4], r[5], r[6], r[7]
				for i := range pixels {
					u, g := x[i*xCol+k], (*[pointVector]T)(dy[i*dyCol+b.channel(v):])
					a0 += u * g[0]
					a1 += u * g[1]
					a2 += u * g[2]
					a3 += u * g[3]
					a4 += u * g[4]
					a5 += u * g[5]
					a6 += u * g[6]
					a7 += u * g[7]
				}
				*r = [pointVector]T{a0, a1, a2, a3, a4, a5, a6, a7}
			}
		}
		dw = dw[n*b.wide():]
	}
}

func layPortable[T Float](y []T, yRow int, x []T, xRow int, floor T, rows, c int) {
	for r := range rows {
		to, from := y[r*yRow:][:c], x[r*xRow:][:c]
		for ch, v := range from {
			to[ch] = atLeast(floor, v)
		}
	}
}

func tapsGradPortable[T Float](o tapsOperands[T]) {
	x, dy, c := o.x, o.dy, o.c
	for t, at := range o.xoff {
		for ch, n := 0, 0; ch < c; ch += n {
			// As in depthPortable.
			if n = 1; ch+4 <= c {
				n = 4
			}
			var acc [4]T
			d := o.dw[o.woff[t]+ch:][:n]
			copy(acc[:], d)
			a0, a1, a2, a3 := acc[0], acc[1], acc[2], acc[3]
			for r := range o.rows {
				in, out := r*o.xRow+at+ch, r*o.dyRow+ch
				for range o.cols {
					if n == 4 {
						u, v := (*[4]T)(x[in:]), (*[4]T)(dy[out:])
						a0 += u[0] * v[0]
						a1 += u[1] * v[1]
						a2 += u[2] * v[2]
						a3 += u[3] * v[3]
					} else {
						a0 += x[in] * dy[out]
					}
					in, out = in+o.xCol, out+o.dyCol
				}
			}
			acc = [4]T{a0, a1, a2, a3}
			copy(d, acc[:])
		}
	}
}

func reducePortable[T Float](sum, dot, u, ku, v, kv []T, floor T, rows, c, row int) {
	var sums, dots [2][panel]T // of even and odd rows
	for ch := 0; ch < c; ch += panel {
		n := min(panel, c-ch)
		clear(sums[:])
		clear(dots[:])
		k, l := ku[ch:][:n], kv[ch:][:n]
		for r := range rows {
			s, d := sums[r%2][:n], dots[r%2][:n]
			ur, vr := u[r*row+ch:][:n], v[r*row+ch:][:n]
			for i := range ur {
				e := ur[i] - k[i]
				s[i] += e
				d[i] += e * (atLeast(floor, vr[i]) - l[i])
			}
		}
		for i := range n {
			sum[ch+i] += sums[0][i] + sums[1][i]
			dot[ch+i] += dots[0][i] + dots[1][i]
		}
	}
}

func affinePortable[T Float](y, x, scale, shift []T, floor T, rows, c, row int, add bool) {
	scale, shift = scale[:c], shift[:c]
	for r := range rows {
		out, in := y[r*row:][:c], x[r*row:][:c]
		for ch := range out {
			v := in[ch]*scale[ch] + shift[ch]
			if add {
				v += out[ch]
			}
			out[ch] = atLeast(floor, v)
		}
	}
}

func affine2Portable[T Float](y, u, v, a, b, d []T, rows, c, row int, add bool) {
	a, b, d = a[:c], b[:c], d[:c]
	for r := range rows {
		out, ur, vr := y[r*row:][:c], u[r*row:][:c], v[r*row:][:c]
		for ch := range out {
			s := ur[ch]*a[ch] + (vr[ch]*b[ch] + d[ch])
			if add {
				s += out[ch]
			}
			out[ch] = s
		}
	}
}

func reluPortable[T Float](y, x []T) {
	x = x[:len(y)]
	for i, v := range x {
		y[i] = atLeast(0, v)
	}
}

func reluGradPortable[T Float](dx, x, dy []T, add bool) {
	x, dy = x[:len(dx)], dy[:len(dx)]
	for i, v := range dy {
		if !(x[i] > 0) {
			v = 0
		}
		if add {
			v += dx[i]
		}
		dx[i] = v
	}
}

func addPortable[T Float](y, a, b []T, floor T) {
	a, b = a[:len(y)], b[:len(y)]
	for i := range y {
		y[i] = atLeast(floor, a[i]+b[i])
	}
}

func boxPortable[T Float](y []T, x [3][]T, w [3]T, pre, post T, cols, c, col int, add bool) {
	for ch := range c {
		var left, here T // v(i−1), v(i)
		here = pre * weighted(x, w, ch)
		for i := range cols {
			var right T
			if next := (i+1)*col + ch; i+1 < cols {
				right = weighted(x, w, next)
				if i+2 == cols {
					right *= pre
				}
			}
			factor, to := T(1), T(0)
			if i == 0 || i+1 == cols {
				factor = post
			}
			if add {
				to = y[i*col+ch]
			}
			y[i*col+ch] = factor*(left+here+right) + to
			left, here = here, right
		}
	}
}

// weighted is the weighted sum of an element of three rows. Its first product is
// rounded: where compilers fuse multiply-adds, the others are not.
func weighted[T Float](x [3][]T, w [3]T, at int) T {
	return w[2]*x[2][at] + (w[1]*x[1][at] + T(w[0]*x[0][at]))
}

// number is x, or −∞ if x is NaN.
func number[T Float](x T) T {
	if x != x {
		return floorOf[T](false)
	}
	return x
}

func peak3Portable[T Float](y, a, b, d []T, cols, c, col int) {
	for ch := range c {
		left, here := floorOf[T](false), max(number(a[ch]), number(b[ch]), number(d[ch]))
		for i := range cols {
			right := floorOf[T](false)
			if next := (i+1)*col + ch; i+1 < cols {
				right = max(number(a[next]), number(b[next]), number(d[next]))
			}
			y[i*col+ch] = max(left, here, right)
			left, here = here, right
		}
	}
}

func peakGradPortable[T Float](dx, x, below, high, mid []T, g behindNorm[T], cols, c, row int, add bool) {
	wide := peakGradPixel(c)
	for ch := range c {
		left, here := floorOf[T](false), number(below[ch])
		var xLeft, xHere, toLeft, toHere T
		if dx != nil {
			xLeft, xHere = left, number(x[ch])
		}
		for i := range cols {
			at, w := i*c+ch, i*wide+peakGradAt(ch)
			right, xRight := floorOf[T](false), floorOf[T](false)
			if i+1 < cols {
				right = number(below[at+c])
				if dx != nil {
					xRight = number(x[at+c])
				}
			}
			low := max(left, here, right)
			var v T
			switch {
			case g.a != nil:
				v = g.dy[at]*g.a[ch] + (max(high[w], mid[w], low)*g.b[ch] + g.d[ch])
			case g.dy != nil:
				v = g.dy[at]
			}
			up, own, down := split(high[w], mid[w], low, v)
			up += high[w+peakGradGroup]
			high[w], high[w+peakGradGroup] = low, down
			mid[w+peakGradGroup] += own
			left, here = here, right
			if dx == nil {
				continue
			}
			before, own, after := split(xLeft, xHere, xRight, up)
			toLeft += before
			if i > 0 {
				if add {
					toLeft += dx[at-c]
				}
				dx[at-c] = toLeft
			}
			xLeft, xHere, toLeft, toHere = xHere, xRight, toHere+own, after
		}
		if at := (cols-1)*c + ch; dx != nil {
			if add {
				toLeft += dx[at]
			}
			dx[at] = toLeft
		}
	}
}

// split hands v to the first of a, b and d that is the greatest; the others get 0.
func split[T Float](a, b, d, v T) (toA, toB, toD T) {
	switch {
	case a >= b && a >= d:
		return v, 0, 0
	case b >= d:
		return 0, v, 0
	}
	return 0, 0, v
}

func sharePortable[T Float](da, db, dd, ha, hb, hd, dy []T) {
	n := len(dy)
	da, db, dd, ha, hb, hd = da[:n], db[:n], dd[:n], ha[:n], hb[:n], hd[:n]
	for i, v := range dy {
		toA, toB, toD := split(ha[i], hb[i], hd[i], v)
		da[i], db[i], dd[i] = da[i]+toA, db[i]+toB, toD
	}
}

func spreadPortable[T Float](dx, x, dh []T, cols, c, col int, add bool) {
	for ch := range c {
		left, here := floorOf[T](false), number(x[ch])
		var toLeft, toHere T
		for i := range cols {
			at, right := i*col+ch, floorOf[T](false)
			if i+1 < cols {
				right = number(x[at+col])
			}
			before, own, after := split(left, here, right, dh[at])
			toLeft += before
			if i > 0 {
				if add {
					toLeft += dx[at-col]
				}
				dx[at-col] = toLeft
			}
			left, here, toLeft, toHere = here, right, toHere+own, after
		}
		at := (cols-1)*col + ch
		if add {
			toLeft += dx[at]
		}
		dx[at] = toLeft
	}
}

func peakPortable[T Float](y []T, yCol int, x []T, xCol int, window window, cols, c int) {
	for i := range cols {
		out := y[i*yCol:][:c]
		for ch := range out {
			out[ch] = floorOf[T](false)
		}
		for r := range window.rows {
			for q := range window.cols {
				for ch, v := range x[i*xCol+window.at(r, q):][:c] {
					if v == v { // not NaN
						out[ch] = max(out[ch], v)
					}
				}
			}
		}
	}
}

func pickPortable[T Float](from []T, col int, x []T, xCol int, window window, cols, c int) {
	var tile [panel]T
	for i := range cols {
		for first := 0; first < c; first += panel {
			best := tile[:min(panel, c-first)]
			out := from[i*col+first:][:len(best)]
			for ch := range best {
				best[ch], out[ch] = floorOf[T](false), T(window.number)
			}
			for r := range window.rows {
				for q := range window.cols {
					number := T(window.numberOf(r, q))
					for ch, v := range x[i*xCol+window.at(r, q)+first:][:len(best)] {
						if v > best[ch] {
							best[ch], out[ch] = v, number
						}
					}
				}
			}
		}
	}
}

func pickGradPortable[T Float](dx []T, dxCol int, dy, from []T, col int, window window, cols, c int, add bool) {
	for i := range cols {
		out := dx[i*dxCol:][:c]
		if !add {
			clear(out)
		}
		for r := range window.rows {
			for q := range window.cols {
				at, number := i*col+window.at(r, q), T(window.numberOf(r, q))
				d := dy[at:][:c]
				for ch, f := range from[at:][:c] {
					if f == number {
						out[ch] += d[ch]
					}
				}
			}
		}
	}
}

// atLeast is max(floor, v), and v if v is NaN.
func atLeast[T Float](floor, v T) T { return max(floor, v) }

// tail is s[i:], or nil if s is nil.
func tail[T Float](s []T, i int) []T {
	if s == nil {
		return nil
	}
	return s[i:]
}

// SPDX-License-Identifier: Apache-2.0

package kernels

// filteringPortable is the plain Go loops of minimal filtering.
func filteringPortable[T Float]() filtering[T] {
	return filtering[T]{
		inputPoints:  inputPointsPortable[T],
		weightPoints: weightPointsPortable[T],
		weightTaps:   weightTapsPortable[T],
		outputPoints: outputPointsPortable[T],
		outputTile:   outputTilePortable[T],
		productRows:  1,
		product:      productPortable[T],
		productGrad:  productGradPortable[T],
	}
}

func inputPointsPortable[T Float](y []T, ys strides, x []T, xs strides, planes, rows, c int, floor T) {
	const sum = pointA*pointA + pointB*pointB
	for p := range planes {
		for r := range rows {
			in, out := x[xs.at(p, r):], y[ys.at(p, r):]
			for ch := range c {
				d0, d1, d2 := atLeast(floor, in[ch]), atLeast(floor, in[xs.tap+ch]), atLeast(floor, in[2*xs.tap+ch])
				d3, d4, d5 := atLeast(floor, in[3*xs.tap+ch]), atLeast(floor, in[4*xs.tap+ch]), atLeast(floor, in[5*xs.tap+ch])
				out[ch] = d0 + d4 - T(sum)*d2
				even, odd := d4-T(pointB*pointB)*d2, d3-T(pointB*pointB)*d1
				out[ys.tap+ch] = even + T(pointA)*odd
				out[2*ys.tap+ch] = even - T(pointA)*odd
				even, odd = d4-T(pointA*pointA)*d2, d3-T(pointA*pointA)*d1
				out[3*ys.tap+ch] = even + T(pointB)*odd
				out[4*ys.tap+ch] = even - T(pointB)*odd
				out[5*ys.tap+ch] = d1 + d5 - T(sum)*d3
			}
		}
	}
}

func weightPointsPortable[T Float](y []T, ys strides, x []T, xs strides, planes, rows, c int) {
	for p := range planes {
		for r := range rows {
			in, out := x[xs.at(p, r):], y[ys.at(p, r):]
			for ch := range c {
				g0, g1, g2 := in[ch], in[xs.tap+ch], in[2*xs.tap+ch]
				out[ch] = g0
				even, odd := T(weightA)*(g0+T(pointA*pointA)*g2), T(weightA*pointA)*g1
				out[ys.tap+ch], out[2*ys.tap+ch] = even+odd, even-odd
				even, odd = T(weightB)*(g0+T(pointB*pointB)*g2), T(weightB*pointB)*g1
				out[3*ys.tap+ch], out[4*ys.tap+ch] = even+odd, even-odd
				out[5*ys.tap+ch] = g2
			}
		}
	}
}

func weightTapsPortable[T Float](y []T, ys strides, x []T, xs strides, planes, rows, c int) {
	for p := range planes {
		for r := range rows {
			in, out := x[xs.at(p, r):], y[ys.at(p, r):]
			for ch := range c {
				v1, v2, v3, v4 := in[xs.tap+ch], in[2*xs.tap+ch], in[3*xs.tap+ch], in[4*xs.tap+ch]
				evenA, oddA, evenB, oddB := v1+v2, v1-v2, v3+v4, v3-v4
				g0, g2 := in[ch], in[5*xs.tap+ch]
				out[ch] = g0 + T(weightA)*evenA + T(weightB)*evenB
				out[ys.tap+ch] = T(weightA*pointA)*oddA + T(weightB*pointB)*oddB
				out[2*ys.tap+ch] = g2 + T(weightA*pointA*pointA)*evenA + T(weightB*pointB*pointB)*evenB
			}
		}
	}
}

func outputPointsPortable[T Float](y []T, ys strides, x []T, xs strides, planes, rows, c int) {
	for p := range planes {
		for r := range rows {
			in, out := x[xs.at(p, r):], y[ys.at(p, r):]
			for ch := range c {
				y0, y1, y2, y3 := in[ch], in[xs.tap+ch], in[2*xs.tap+ch], in[3*xs.tap+ch]
				out[ch] = y0
				even, odd := y0+T(pointA*pointA)*y2, T(pointA)*y1+T(cubeA)*y3
				out[ys.tap+ch], out[2*ys.tap+ch] = even+odd, even-odd
				even, odd = y0+T(pointB*pointB)*y2, T(pointB)*y1+T(cubeB)*y3
				out[3*ys.tap+ch], out[4*ys.tap+ch] = even+odd, even-odd
				out[5*ys.tap+ch] = y3
			}
		}
	}
}

func outputTilePortable[T Float](y []T, ys strides, x []T, xs strides, planes, rows, c int, mask, residual, bias []T,
	taps int, floor T) {
	for p := range planes {
		for r := range rows {
			in, at := x[xs.at(p, r):], ys.at(p, r)
			for ch := range c {
				m1, m2, m3, m4 := in[xs.tap+ch], in[2*xs.tap+ch], in[3*xs.tap+ch], in[4*xs.tap+ch]
				evenA, oddA, evenB, oddB := m1+m2, m1-m2, m3+m4, m3-m4
				tile := [tileSide]T{
					in[ch] + evenA + evenB,
					T(pointA)*oddA + T(pointB)*oddB,
					T(pointA*pointA)*evenA + T(pointB*pointB)*evenB,
					in[5*xs.tap+ch] + T(cubeA)*oddA + T(cubeB)*oddB,
				}
				for t, v := range tile[:taps] {
					if bias != nil {
						v += bias[ch]
					}
					at := at + t*ys.tap + ch
					if mask != nil && !(mask[at] > 0) {
						v = 0
					}
					if residual != nil {
						v += residual[at]
					}
					y[at] = atLeast(floor, v)
				}
			}
		}
	}
}

func productPortable[T Float](y, x, w []T, points, rows, depth, cols, xPoint, yPoint int) {
	for p := range points {
		for i := range rows {
			in, out := x[p*xPoint+i*depth:][:depth], y[p*yPoint+i*cols:][:cols]
			for j := 0; j < cols; j += 8 {
				var a0, a1, a2, a3, a4, a5, a6, a7 T // stay in registers
				for k, v := range in {
					r := (*[8]T)(w[(p*depth+k)*cols+j:])
					a0 += v * r[0]
					a1 += v * r[1]
					a2 += v * r[2]
					a3 += v * r[3]
					a4 += v * r[4]
					a5 += v * r[5]
					a6 += v * r[6]
					a7 += v * r[7]
				}
				*(*[8]T)(out[j:]) = [8]T{a0, a1, a2, a3, a4, a5, a6, a7}
			}
		}
	}
}

func productGradPortable[T Float](dw, x, dy []T, points, rows, in, out, xPoint, dyPoint int, add bool) {
	if !add {
		clear(dw[:points*in*out])
	}
	for p := range points {
		for j := 0; j < out; j += panel {
			for i := 0; i < in; i += 4 {
				// Four rows by four columns of sums stay in registers.
				for k := j; k < j+panel; k += 4 {
					at := (p*in+i)*out + k
					d0, d1, d2, d3 := (*[4]T)(dw[at:]), (*[4]T)(dw[at+out:]), (*[4]T)(dw[at+2*out:]), (*[4]T)(dw[at+3*out:])
					a00, a01, a02, a03 := d0[0], d0[1], d0[2], d0[3]
					a10, a11, a12, a13 := d1[0], d1[1], d1[2], d1[3]
					a20, a21, a22, a23 := d2[0], d2[1], d2[2], d2[3]
					a30, a31, a32, a33 := d3[0], d3[1], d3[2], d3[3]
					for t := range rows {
						u, v := (*[4]T)(x[p*xPoint+t*in+i:]), (*[4]T)(dy[p*dyPoint+t*out+k:])
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
					*d0 = [4]T{a00, a01, a02, a03}
					*d1 = [4]T{a10, a11, a12, a13}
					*d2 = [4]T{a20, a21, a22, a23}
					*d3 = [4]T{a30, a31, a32, a33}
				}
			}
		}
	}
}

// SPDX-License-Identifier: Apache-2.0

package kernels

import "math"

// The one-dimensional transforms of minimal filtering evaluate polynomials at
// 0, ±a, ±b and ∞. With a = √½ and b = √2 a²b² is 1, and roundings are small.
const (
	pointA  = math.Sqrt2 / 2
	pointB  = math.Sqrt2
	cubeA   = pointA * pointA * pointA
	cubeB   = pointB * pointB * pointB
	weightA = -2. / 3 // 1 / 2a²(a²−b²), the factor of the weights at ±a
	weightB = 1. / 6  // 1 / 2b²(b²−a²), at ±b
)

// strides are the distances that a transform steps by.
type strides struct{ tap, row, plane int }

func (s strides) at(plane, row int) int { return plane*s.plane + row*s.row }

// last is the last element that a transform touches.
func (s strides) last(taps, planes, rows, c int) int {
	return (taps-1)*s.tap + s.at(planes-1, rows-1) + c - 1
}

// filtering is the inner loops of minimal filtering; a platform without them
// has none of them. The transforms are one-dimensional: for p < planes, r < rows
// and ch < c, a multiple of 16, with x_t = x[p·xs.plane+r·xs.row+t·xs.tap+ch]
// and y_t alike, α = a², β = b², p and q weightA and weightB:
type filtering[T Float] struct {
	// inputPoints is y = Bᵀ max(floor, x); max keeps NaN. With d = max(floor, x):
	//
	//	y_0 = d_0 + d_4 − (α+β)·d_2                     y_5 = d_1 + d_5 − (α+β)·d_3
	//	y_1, y_2 = (d_4 − β·d_2) ± a·(d_3 − β·d_1)      y_3, y_4 = (d_4 − α·d_2) ± b·(d_3 − α·d_1)
	inputPoints func(y []T, ys strides, x []T, xs strides, planes, rows, c int, floor T)

	// weightPoints is y = G x:
	//
	//	y_0 = x_0                                       y_5 = x_2
	//	y_1, y_2 = p·(x_0 + α·x_2) ± pa·x_1             y_3, y_4 = q·(x_0 + β·x_2) ± qb·x_1
	weightPoints func(y []T, ys strides, x []T, xs strides, planes, rows, c int)

	// weightTaps is y = Gᵀ x:
	//
	//	y_0 = x_0 + p·(x_1+x_2) + q·(x_3+x_4)
	//	y_1 = pa·(x_1−x_2) + qb·(x_3−x_4)
	//	y_2 = x_5 + pα·(x_1+x_2) + qβ·(x_3+x_4)
	weightTaps func(y []T, ys strides, x []T, xs strides, planes, rows, c int)

	// outputPoints is y = A x:
	//
	//	y_0 = x_0                                       y_5 = x_3
	//	y_1, y_2 = (x_0 + α·x_2) ± (a·x_1 + a³·x_3)     y_3, y_4 = (x_0 + β·x_2) ± (b·x_1 + b³·x_3)
	outputPoints func(y []T, ys strides, x []T, xs strides, planes, rows, c int)

	// outputTile is y = Aᵀ x, and what is fused behind it, for the first taps of
	// four. mask and residual lie as y, and may be y; y may be x if they have the
	// same strides and c is all of a plane. max keeps NaN.
	//
	//	z_0 = x_0 + (x_1+x_2) + (x_3+x_4)               z_2 = α·(x_1+x_2) + β·(x_3+x_4)
	//	z_1 = a·(x_1−x_2) + b·(x_3−x_4)                 z_3 = x_5 + a³·(x_1−x_2) + b³·(x_3−x_4)
	//	v_t = z_t + (bias == nil ? 0 : bias[ch])
	//	y_t = max(floor, (mask == nil || mask_t > 0 ? v_t : 0) + (residual == nil ? 0 : residual_t))
	outputTile func(y []T, ys strides, x []T, xs strides, planes, rows, c int, mask, residual, bias []T, taps int, floor T)

	// productRows is the number of rows that product computes at once.
	productRows int

	// product is a matrix product for each point p < points, with i < rows, a
	// multiple of productRows, and j < cols, a multiple of 16; one accumulator,
	// in the order k:
	//
	//	y[p·yPoint+i·cols+j] = Σ_{k<depth} x[p·xPoint+i·depth+k] · w[(p·depth+k)·cols+j]
	product func(y, x, w []T, points, rows, depth, cols, xPoint, yPoint int)

	// productGrad is that in w, with i < in and j < out, multiples of 16; one
	// accumulator, in the order t:
	//
	//	dw[(p·in+i)·out+j] = (add ? dw[(p·in+i)·out+j] : 0) + Σ_{t<rows} x[p·xPoint+t·in+i] · dy[p·dyPoint+t·out+j]
	productGrad func(dw, x, dy []T, points, rows, in, out, xPoint, dyPoint int, add bool)
}

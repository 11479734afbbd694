// SPDX-License-Identifier: Apache-2.0

//go:build !noasm

package kernels

// The loops of minimal filtering, without (AVX2) and with 512 in their names.
// planes, rows and c are not 0.

//go:noescape
func inputPointsVec(y *float32, ys *strides, x *float32, xs *strides, planes, rows, c int, floor float32)

//go:noescape
func inputPoints512Vec(y *float32, ys *strides, x *float32, xs *strides, planes, rows, c int, floor float32)

//go:noescape
func weightPointsVec(y *float32, ys *strides, x *float32, xs *strides, planes, rows, c int)

//go:noescape
func weightPoints512Vec(y *float32, ys *strides, x *float32, xs *strides, planes, rows, c int)

//go:noescape
func weightTapsVec(y *float32, ys *strides, x *float32, xs *strides, planes, rows, c int)

//go:noescape
func weightTaps512Vec(y *float32, ys *strides, x *float32, xs *strides, planes, rows, c int)

//go:noescape
func outputPointsVec(y *float32, ys *strides, x *float32, xs *strides, planes, rows, c int)

//go:noescape
func outputPoints512Vec(y *float32, ys *strides, x *float32, xs *strides, planes, rows, c int)

//go:noescape
func outputTileVec(y *float32, ys *strides, x *float32, xs *strides, planes, rows, c int, mask, residual,
	bias *float32, taps int, floor float32)

//go:noescape
func outputTile512Vec(y *float32, ys *strides, x *float32, xs *strides, planes, rows, c int, mask, residual,
	bias *float32, taps int, floor float32)

//go:noescape
func productVec(y, x, w *float32, points, rows, depth, cols, xPoint, yPoint int)

//go:noescape
func product512Vec(y, x, w *float32, points, rows, depth, cols, xPoint, yPoint int)

//go:noescape
func productGradVec(dw, x, dy *float32, points, rows, in, out, xPoint, dyPoint int, add bool)

//go:noescape
func productGrad512Vec(dw, x, dy *float32, points, rows, in, out, xPoint, dyPoint int, add bool)

const (
	productVecRows = 6
	product512Rows = 12
)

var (
	filteringAVX2 = filtering[float32]{
		inputPoints: inputPointsVector, weightPoints: weightPointsVector, weightTaps: weightTapsVector,
		outputPoints: outputPointsVector, outputTile: outputTileVector,
		productRows: productVecRows, product: productVector, productGrad: productGradVector,
	}
	filteringAVX512 = filtering[float32]{
		inputPoints: inputPoints512, weightPoints: weightPoints512, weightTaps: weightTaps512,
		outputPoints: outputPoints512, outputTile: outputTile512,
		productRows: product512Rows, product: product512, productGrad: productGrad512,
	}
)

// pointsCheck panics if a slice of a transform is too short, and reports
// whether there is anything to do.
func pointsCheck(y []float32, ys strides, yTaps int, x []float32, xs strides, xTaps, planes, rows, c int) bool {
	if planes == 0 || rows == 0 || c == 0 {
		return false
	}
	if c%panel != 0 {
		panic("kernels: points: channels do not fill vectors")
	}
	_, _ = y[ys.last(yTaps, planes, rows, c)], x[xs.last(xTaps, planes, rows, c)]
	return true
}

func inputPointsVector(y []float32, ys strides, x []float32, xs strides, planes, rows, c int, floor float32) {
	if pointsCheck(y, ys, tileSpan, x, xs, tileSpan, planes, rows, c) {
		inputPointsVec(&y[0], &ys, &x[0], &xs, planes, rows, c, floor)
	}
}

func inputPoints512(y []float32, ys strides, x []float32, xs strides, planes, rows, c int, floor float32) {
	if pointsCheck(y, ys, tileSpan, x, xs, tileSpan, planes, rows, c) {
		inputPoints512Vec(&y[0], &ys, &x[0], &xs, planes, rows, c, floor)
	}
}

func weightPointsVector(y []float32, ys strides, x []float32, xs strides, planes, rows, c int) {
	if pointsCheck(y, ys, tileSpan, x, xs, 3, planes, rows, c) {
		weightPointsVec(&y[0], &ys, &x[0], &xs, planes, rows, c)
	}
}

func weightPoints512(y []float32, ys strides, x []float32, xs strides, planes, rows, c int) {
	if pointsCheck(y, ys, tileSpan, x, xs, 3, planes, rows, c) {
		weightPoints512Vec(&y[0], &ys, &x[0], &xs, planes, rows, c)
	}
}

func weightTapsVector(y []float32, ys strides, x []float32, xs strides, planes, rows, c int) {
	if pointsCheck(y, ys, 3, x, xs, tileSpan, planes, rows, c) {
		weightTapsVec(&y[0], &ys, &x[0], &xs, planes, rows, c)
	}
}

func weightTaps512(y []float32, ys strides, x []float32, xs strides, planes, rows, c int) {
	if pointsCheck(y, ys, 3, x, xs, tileSpan, planes, rows, c) {
		weightTaps512Vec(&y[0], &ys, &x[0], &xs, planes, rows, c)
	}
}

func outputPointsVector(y []float32, ys strides, x []float32, xs strides, planes, rows, c int) {
	if pointsCheck(y, ys, tileSpan, x, xs, tileSide, planes, rows, c) {
		outputPointsVec(&y[0], &ys, &x[0], &xs, planes, rows, c)
	}
}

func outputPoints512(y []float32, ys strides, x []float32, xs strides, planes, rows, c int) {
	if pointsCheck(y, ys, tileSpan, x, xs, tileSide, planes, rows, c) {
		outputPoints512Vec(&y[0], &ys, &x[0], &xs, planes, rows, c)
	}
}

// tileCheck is pointsCheck for micro.outputTile.
func tileCheck(y []float32, ys strides, x []float32, xs strides, planes, rows, c int, mask, residual, bias []float32,
	taps int) bool {
	if !pointsCheck(y, ys, taps, x, xs, tileSpan, planes, rows, c) {
		return false
	}
	last := ys.last(taps, planes, rows, c)
	if mask != nil {
		_ = mask[last]
	}
	if residual != nil {
		_ = residual[last]
	}
	if bias != nil {
		_ = bias[c-1]
	}
	return true
}

func outputTileVector(y []float32, ys strides, x []float32, xs strides, planes, rows, c int, mask, residual,
	bias []float32, taps int, floor float32) {
	if tileCheck(y, ys, x, xs, planes, rows, c, mask, residual, bias, taps) {
		outputTileVec(&y[0], &ys, &x[0], &xs, planes, rows, c, first(mask), first(residual), first(bias), taps, floor)
	}
}

func outputTile512(y []float32, ys strides, x []float32, xs strides, planes, rows, c int, mask, residual,
	bias []float32, taps int, floor float32) {
	if tileCheck(y, ys, x, xs, planes, rows, c, mask, residual, bias, taps) {
		outputTile512Vec(&y[0], &ys, &x[0], &xs, planes, rows, c, first(mask), first(residual), first(bias), taps, floor)
	}
}

// productCheck panics if a slice of micro.product is too short or rows do not
// fill tiles, and reports whether there is anything to do.
func productCheck(y, x, w []float32, points, rows, depth, cols, xPoint, yPoint, tile int) bool {
	if points == 0 || rows == 0 {
		return false
	}
	if rows%tile != 0 || cols%panel != 0 {
		panic("kernels: product: rows or columns do not fill tiles")
	}
	_, _, _ = y[(points-1)*yPoint+rows*cols-1], x[(points-1)*xPoint+rows*depth-1], w[points*depth*cols-1]
	return true
}

func productVector(y, x, w []float32, points, rows, depth, cols, xPoint, yPoint int) {
	if productCheck(y, x, w, points, rows, depth, cols, xPoint, yPoint, productVecRows) {
		productVec(&y[0], &x[0], &w[0], points, rows, depth, cols, xPoint, yPoint)
	}
}

func product512(y, x, w []float32, points, rows, depth, cols, xPoint, yPoint int) {
	if productCheck(y, x, w, points, rows, depth, cols, xPoint, yPoint, product512Rows) {
		product512Vec(&y[0], &x[0], &w[0], points, rows, depth, cols, xPoint, yPoint)
	}
}

// productGradCheck is productCheck for micro.productGrad.
func productGradCheck(dw, x, dy []float32, points, rows, in, out, xPoint, dyPoint int) bool {
	if points == 0 || rows == 0 {
		return false
	}
	if in%panel != 0 || out%panel != 0 {
		panic("kernels: productGrad: channels do not fill tiles")
	}
	_, _, _ = dw[points*in*out-1], x[(points-1)*xPoint+rows*in-1], dy[(points-1)*dyPoint+rows*out-1]
	return true
}

func productGradVector(dw, x, dy []float32, points, rows, in, out, xPoint, dyPoint int, add bool) {
	if productGradCheck(dw, x, dy, points, rows, in, out, xPoint, dyPoint) {
		productGradVec(&dw[0], &x[0], &dy[0], points, rows, in, out, xPoint, dyPoint, add)
	}
}

func productGrad512(dw, x, dy []float32, points, rows, in, out, xPoint, dyPoint int, add bool) {
	if productGradCheck(dw, x, dy, points, rows, in, out, xPoint, dyPoint) {
		productGrad512Vec(&dw[0], &x[0], &dy[0], points, rows, in, out, xPoint, dyPoint, add)
	}
}

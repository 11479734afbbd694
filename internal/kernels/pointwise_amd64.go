// SPDX-License-Identifier: Apache-2.0

//go:build !noasm

package kernels

// point1Vec, point2Vec and point3Vec are micro.point for a block of so many
// vectors, the last one last channels behind the first; pixels and depth are not 0.
//
//go:noescape
func point1Vec(y, mask, residual *float32, yCol int, x *float32, xCol int, w *float32, last, pixels, depth int)

//go:noescape
func point2Vec(y, mask, residual *float32, yCol int, x *float32, xCol int, w *float32, last, pixels, depth int)

//go:noescape
func point3Vec(y, mask, residual *float32, yCol int, x *float32, xCol int, w *float32, last, pixels, depth int)

// pointGrad1Vec, pointGrad2Vec and pointGrad3Vec are micro.pointGrad for such a
// block; n and pixels are not 0.
//
//go:noescape
func pointGrad1Vec(dw *float32, n int, x *float32, xCol int, dy *float32, dyCol, last, pixels int)

//go:noescape
func pointGrad2Vec(dw *float32, n int, x *float32, xCol int, dy *float32, dyCol, last, pixels int)

//go:noescape
func pointGrad3Vec(dw *float32, n int, x *float32, xCol int, dy *float32, dyCol, last, pixels int)

func pointAVX2(y, mask, residual []float32, yCol int, x []float32, xCol int, w []float32, blocks []pointBlock, pixels,
	depth int) {
	if pixels == 0 {
		return
	}
	_, _ = x[(pixels-1)*xCol+depth-1], w[depth*blocksWide(blocks)-1]
	for _, b := range blocks {
		last := (pixels-1)*yCol + b.last + pointVector - 1
		to, masks, residuals := y[b.first:], tail(mask, b.first), tail(residual, b.first)
		_ = to[last]
		if masks != nil {
			_ = masks[last]
		}
		if residuals != nil {
			_ = residuals[last]
		}
		switch b.vectors {
		case 1:
			point1Vec(&to[0], first(masks), first(residuals), yCol, &x[0], xCol, &w[0], b.last, pixels, depth)
		case 2:
			point2Vec(&to[0], first(masks), first(residuals), yCol, &x[0], xCol, &w[0], b.last, pixels, depth)
		case 3:
			point3Vec(&to[0], first(masks), first(residuals), yCol, &x[0], xCol, &w[0], b.last, pixels, depth)
		}
		w = w[depth*b.wide():]
	}
}

func pointGradAVX2(dw []float32, n int, x []float32, xCol int, dy []float32, dyCol int, blocks []pointBlock,
	pixels int) {
	if n == 0 || pixels == 0 {
		return
	}
	if n%pointRows != 0 {
		panic("kernels: pointGrad: rows do not fill tiles")
	}
	_, _ = x[(pixels-1)*xCol+n-1], dw[n*blocksWide(blocks)-1]
	for _, b := range blocks {
		from := dy[b.first:]
		_ = from[(pixels-1)*dyCol+b.last+pointVector-1]
		switch b.vectors {
		case 1:
			pointGrad1Vec(&dw[0], n, &x[0], xCol, &from[0], dyCol, b.last, pixels)
		case 2:
			pointGrad2Vec(&dw[0], n, &x[0], xCol, &from[0], dyCol, b.last, pixels)
		case 3:
			pointGrad3Vec(&dw[0], n, &x[0], xCol, &from[0], dyCol, b.last, pixels)
		}
		dw = dw[n*b.wide():]
	}
}

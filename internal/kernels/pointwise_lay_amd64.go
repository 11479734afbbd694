// SPDX-License-Identifier: Apache-2.0

//go:build !noasm

package kernels

// layVec is micro.lay; rows is not 0, c at least lanes.
//
//go:noescape
func layVec(y *float32, yRow int, x *float32, xRow int, floor float32, rows, c int)

func layAVX2(y []float32, yRow int, x []float32, xRow int, floor float32, rows, c int) {
	if rows == 0 || c < lanes {
		layPortable(y, yRow, x, xRow, floor, rows, c)
		return
	}
	_, _ = y[(rows-1)*yRow+c-1], x[(rows-1)*xRow+c-1]
	layVec(&y[0], yRow, &x[0], xRow, floor, rows, c)
}

// SPDX-License-Identifier: Apache-2.0

//go:build !noasm

package kernels

import "github.com/klauspost/cpuid/v2"

const (
	lanes        = 8 // float32 in an AVX2 register
	convVecRows  = 6 // 6 × 2 sums of 8, two registers of weights, two of input: all 16
	outerVecRows = 6

	conv512Rows  = 12 // as many as there are registers for pixel addresses
	outer512Rows = 16 // divides every power-of-two run of channels
)

// native lists AVX2 with FMA, and AVX-512 for the two loops that are bound by
// arithmetic and not by memory.
func native() []implementation {
	avx512 := vector("avx512")
	avx512.convRows, avx512.conv = conv512Rows, conv512
	avx512.outerRows, avx512.outer = outer512Rows, outer512
	return []implementation{
		{vector("avx2"), cpuid.CPU.Supports(cpuid.AVX2, cpuid.FMA3)},
		{avx512, cpuid.CPU.Supports(cpuid.AVX2, cpuid.FMA3, cpuid.AVX512F)},
	}
}

// conv512Vec is micro.conv for whole tiles of conv512Rows pixels.
//
//go:noescape
func conv512Vec(y, mask, residual *float32, yoff *int, x *float32, xoff *int, tiles int, segs *int, nsegs, seglen int, w, bias *float32, floor float32)

// outer512Vec is micro.outer for whole tiles of outer512Rows rows; rows, cols and n are not 0.
//
//go:noescape
func outer512Vec(dw *float32, n int, x, dy *float32, rows, cols, xRow, xCol, dyRow, dyCol int)

func conv512(y, mask, residual []float32, yoff []int, x []float32, xoff, segs []int, seglen int, w, bias []float32, floor float32) {
	if len(xoff) == 0 {
		return
	}
	_, _ = yoff[len(xoff)-1], bias[panel-1]
	conv512Vec(&y[0], first(mask), first(residual), &yoff[0], &x[0], &xoff[0], len(xoff)/conv512Rows, first(segs), len(segs), seglen, first(w), &bias[0], floor)
}

func outer512(dw []float32, n int, x, dy []float32, rows, cols, xRow, xCol, dyRow, dyCol int) {
	if n == 0 || rows == 0 || cols == 0 {
		return
	}
	if n%outer512Rows != 0 {
		panic("kernels: outer: rows do not fill tiles")
	}
	_ = dw[n*panel-1]
	_ = x[(rows-1)*xRow+(cols-1)*xCol+n-1]
	_ = dy[(rows-1)*dyRow+(cols-1)*dyCol+panel-1]
	outer512Vec(&dw[0], n, &x[0], &dy[0], rows, cols, xRow, xCol, dyRow, dyCol)
}

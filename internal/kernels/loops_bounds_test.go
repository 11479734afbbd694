// SPDX-License-Identifier: Apache-2.0

//go:build kernelbounds && (amd64 || arm64) && !noasm

package kernels

import "testing"

// TestConvBounds: conv panics where a slice lacks the last element that assembly
// would touch.
func TestConvBounds(t *testing.T) {
	const segs, seglen = 2, 3
	for _, im := range native() {
		if !im.usable {
			continue
		}
		pixels := 2 * im.convRows
		xoff, yoff := make([]int, pixels), make([]int, pixels)
		for i := range pixels {
			xoff[i], yoff[i] = i, (pixels-1-i)*panel // neither the last x nor the last y is last in its list
		}
		xoff[0], xoff[pixels-1] = xoff[pixels-1], xoff[0]
		for _, tt := range []struct {
			name    string
			shorten func(o *convOperands[float32]) *[]float32
		}{
			{"none", func(*convOperands[float32]) *[]float32 { return new([]float32) }},
			{"y", func(o *convOperands[float32]) *[]float32 { return &o.y }},
			{"mask", func(o *convOperands[float32]) *[]float32 { return &o.mask }},
			{"residual", func(o *convOperands[float32]) *[]float32 { return &o.residual }},
			{"x", func(o *convOperands[float32]) *[]float32 { return &o.x }},
			{"w", func(o *convOperands[float32]) *[]float32 { return &o.w }},
			{"bias", func(o *convOperands[float32]) *[]float32 { return &o.bias }},
		} {
			t.Run(im.name+"/"+tt.name, func(t *testing.T) {
				v := func(n int) []float32 { return make([]float32, n) }
				n := pixels * panel
				o := convOperands[float32]{y: v(n), mask: v(n), residual: v(n), yoff: yoff, x: v(pixels - 1 + 5 + seglen),
					xoff: xoff, segs: []int{5, 0}, seglen: seglen, w: v(segs * seglen * panel), bias: v(panel)}
				if s := tt.shorten(&o); len(*s) > 0 {
					*s = (*s)[: len(*s)-1 : len(*s)-1]
				}
				defer func() {
					if r := recover(); (r == nil) != (tt.name == "none") {
						t.Errorf("panics with %v", r)
					}
				}()
				im.conv(o)
			})
		}
	}
}

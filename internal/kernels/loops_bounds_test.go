// SPDX-License-Identifier: Apache-2.0

//go:build kernelbounds && (amd64 || arm64) && !noasm

package kernels

import "testing"

// TestConvBounds: conv panics where a slice lacks the last element that assembly
// would touch.
func TestConvBounds(t *testing.T) {
	const segs, seglen = 2, 3
	type operands struct{ y, mask, residual, x, w, bias []float32 }
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
			shorten func(o *operands) *[]float32
		}{
			{"none", func(*operands) *[]float32 { return new([]float32) }},
			{"y", func(o *operands) *[]float32 { return &o.y }},
			{"mask", func(o *operands) *[]float32 { return &o.mask }},
			{"residual", func(o *operands) *[]float32 { return &o.residual }},
			{"x", func(o *operands) *[]float32 { return &o.x }},
			{"w", func(o *operands) *[]float32 { return &o.w }},
			{"bias", func(o *operands) *[]float32 { return &o.bias }},
		} {
			t.Run(im.name+"/"+tt.name, func(t *testing.T) {
				v := func(n int) []float32 { return make([]float32, n) }
				n := pixels * panel
				o := operands{v(n), v(n), v(n), v(pixels - 1 + 5 + seglen), v(segs * seglen * panel), v(panel)}
				if s := tt.shorten(&o); len(*s) > 0 {
					*s = (*s)[: len(*s)-1 : len(*s)-1]
				}
				defer func() {
					if r := recover(); (r == nil) != (tt.name == "none") {
						t.Errorf("panics with %v", r)
					}
				}()
				im.conv(o.y, o.mask, o.residual, yoff, o.x, xoff, []int{5, 0}, seglen, o.w, o.bias, 0)
			})
		}
	}
}

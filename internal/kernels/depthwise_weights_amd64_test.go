// SPDX-License-Identifier: Apache-2.0

//go:build !noasm

package kernels

import "testing"

func TestSliding(t *testing.T) {
	// taps has rows of so many taps, step apart, with weights wTap apart.
	taps := func(rows, run, step, wTap int) (xoff, woff []int) {
		for r := range rows {
			for q := range run {
				xoff, woff = append(xoff, 7+r*1000+q*step), append(woff, 500+(r*run+q)*wTap)
			}
		}
		return xoff, woff
	}
	const xCol = 16
	for _, tt := range []struct {
		name                  string
		rows, run, step, wTap int
		moved                 int // a tap that is moved by one element, or 0
		wantRun, wantApart    int
	}{
		{"3×3", 3, 3, xCol, 16, 0, 3, 1},
		{"5×5", 5, 5, xCol, 16, 0, 5, 1},
		{"3×3 dilated", 3, 3, 2 * xCol, 16, 0, 3, 2},
		{"5×5 dilated", 5, 5, 2 * xCol, 16, 0, 5, 2},
		{"3×3 mirrored", 3, 3, xCol, -16, 0, 3, 1},
		{"5×5 mirrored", 5, 5, xCol, -16, 0, 5, 1},
		{"one row", 1, 3, xCol, 16, 0, 3, 1},
		{"stride 2", 3, 3, xCol / 2, 16, 0, 0, 0},
		{"three apart", 3, 3, 3 * xCol, 16, 0, 0, 0},
		{"a broken row", 3, 3, xCol, 16, 8, 0, 0},
		{"a broken first row", 3, 3, xCol, 16, 2, 0, 0},
		{"one tap", 1, 1, xCol, 16, 0, 0, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			xoff, woff := taps(tt.rows, tt.run, tt.step, tt.wTap)
			if tt.moved > 0 {
				xoff[tt.moved]++
			}
			if run, apart := sliding(xoff, woff, xCol); run != tt.wantRun || apart != tt.wantApart {
				t.Errorf("rows of %d taps %d apart, want %d, %d", run, apart, tt.wantRun, tt.wantApart)
			}
		})
	}
}

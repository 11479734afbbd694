// SPDX-License-Identifier: Apache-2.0

package opstest

import (
	"fmt"
	"math"
)

// Compare returns an error unless got is as long as want and each element
// differs by at most tolerance times the largest magnitude in want.
func Compare[T float32 | float64](got []T, want []float64, tolerance float64) error {
	if len(got) != len(want) {
		return fmt.Errorf("%d elements: want %d", len(got), len(want))
	}
	scale := 0.0
	for _, v := range want {
		scale = max(scale, math.Abs(v))
	}
	for i, v := range want {
		if d := math.Abs(float64(got[i]) - v); !(d <= tolerance*scale) { // a NaN is off too
			return fmt.Errorf("element %d of %d is %v: want %v, scale %v", i, len(want), got[i], v, scale)
		}
	}
	return nil
}

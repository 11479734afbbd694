// SPDX-License-Identifier: Apache-2.0

package ridge

import (
	"math"
	"testing"
)

func TestLeastSquares(t *testing.T) {
	x := [][]float64{{1, 0}, {1, 1}, {1, 2}, {1, 3}}
	got, ok := LeastSquares(x, []float64{1, 3.1, 4.9, 7})
	if !ok || math.Abs(got[0]-1.03) > 1e-12 || math.Abs(got[1]-1.98) > 1e-12 {
		t.Errorf("%v, %t, want 1.03 and 1.98", got, ok)
	}
	for name, x := range map[string][][]float64{"no rows": nil, "too few rows": {{1, 2}},
		"columns that depend on one another": {{1, 2}, {2, 4}, {3, 6}}} {
		if got, ok := LeastSquares(x, make([]float64, len(x))); ok {
			t.Errorf("%s: %v", name, got)
		}
	}
}

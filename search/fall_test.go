// SPDX-License-Identifier: Apache-2.0

package search

import (
	"math"
	"testing"
)

// How far losses still fall follows from networks that learned from more and
// fewer images; where these say nothing, it is what is usual.
func TestFalls(t *testing.T) {
	few := []float64{1000, 2500, 5000, 10000}
	for _, tc := range []struct {
		name        string
		fall        Fall
		images      []float64
		least, most Fall
		levels      []float64
	}{
		{"usual", 3.5, few, 3.3, 3.7, []float64{0.2, 0.2, 0.2, 0.2}},
		{"less", 1.75, few, 1.6, 3.2, []float64{0.2, 0.2, 0.2, 0.2}},
		{"more", 7, few, 3.9, 7.2, []float64{0.3, 0.3, 0.3, 0.3}},
		{"levels that differ", 3.5, few, 2.3, 4.7, []float64{0.22, 0.2, 0.21, 0.19}},
		{"two that have hardly begun to learn", 3.5, []float64{500, 800, 5000, 10000, 20000, 40000}, 3, 4.9,
			[]float64{0.5, 0.6, 0.2, 0.21, 0.2, 0.19}},
		{"all the same length", 6, []float64{5000, 5000}, 3.5, 3.5, []float64{0.2, 0.4}},
		{"one", 6, []float64{5000}, 3.5, 3.5, []float64{0.2}},
		{"none", 6, nil, 3.5, 3.5, nil},
	} {
		var losses []float64
		for i, n := range tc.images {
			losses = append(losses, tc.levels[i]*tc.fall.above(n))
		}
		if got := Falls(losses, tc.images); got < tc.least || got > tc.most {
			t.Errorf("%s: %.2f: want %g to %g", tc.name, float64(got), float64(tc.least), float64(tc.most))
		}
	}
}

// Trainings of networks of nb201 on the embedded images, of different sizes and
// cells: what a short one says of one that is four times as long, or sixteen.
func TestFallsOfTrainings(t *testing.T) {
	for _, tc := range []struct {
		name           string
		images, loss   float64 // of the short one
		longer, cameTo float64
	}{
		{"residual, 16 channels, 1 cell", 13_460, 0.3542, 251_600, 0.1829},
		{"residual, 16 channels, 2 cells", 8057, 0.4205, 151_400, 0.2015},
		{"residual, 24 channels, 1 cell", 5960, 0.4368, 111_800, 0.2044},
		{"residual, 24 channels, 2 cells", 3590, 0.5455, 67_520, 0.2069},
		{"residual, 8 channels, 3 cells", 23_070, 0.3271, 433_500, 0.1959},
		{"empty, 24 channels", 17_360, 0.3542, 326_100, 0.1983},
		{"residual, 32 channels, 2 cells", 1984, 0.6203, 41_900, 0.2295},
		{"residual, 8 channels, 1 cell, four times", 53_200, 0.2654, 249_900, 0.2179},
	} {
		got := Fall(usualFall).Left(tc.images, tc.longer) * tc.loss
		t.Logf("%s: %.3f after %.0f images; after %.0f foreseen %.3f, came to %.3f", tc.name, tc.loss, tc.images, tc.longer,
			got, tc.cameTo)
		if math.Abs(got-tc.cameTo) > 0.1*tc.cameTo {
			t.Errorf("%s: %.3f foreseen, came to %.3f", tc.name, got, tc.cameTo)
		}
	}
}

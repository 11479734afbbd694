// SPDX-License-Identifier: Apache-2.0

package search

import (
	"math"
	"testing"

	"github.com/edgenas/edgenas/arch"
	"github.com/edgenas/edgenas/internal/stats"
)

// How far losses still fall follows from networks that learned from more and
// fewer images; where these say nothing, it is what is usual.
func TestFalls(t *testing.T) {
	few := []float64{2000, 5000, 10000, 20000}
	for _, tc := range []struct {
		name        string
		fall        Fall
		images      []float64
		least, most Fall
		levels      []float64
	}{
		{"usual", 3, few, 2.8, 3.2, []float64{0.2, 0.2, 0.2, 0.2}},
		{"less", 1.5, few, 1.4, 2.7, []float64{0.2, 0.2, 0.2, 0.2}},
		{"more", 6, few, 3.4, 6.1, []float64{0.3, 0.3, 0.3, 0.3}},
		{"levels that differ", 3, few, 2, 4, []float64{0.22, 0.2, 0.21, 0.19}},
		{"two that have hardly begun to learn", 3, []float64{500, 800, 5000, 10000, 20000, 40000}, 2.5, 4.2,
			[]float64{0.5, 0.6, 0.2, 0.21, 0.2, 0.19}},
		{"all the same length", 6, []float64{5000, 5000}, 3, 3, []float64{0.2, 0.4}},
		{"one", 6, []float64{5000}, 3, 3, []float64{0.2}},
		{"none", 6, nil, 3, 3, nil},
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
	const (
		residual = "|nor_conv_3x3~0|+|none~0|nor_conv_3x3~1|+|skip_connect~0|none~1|skip_connect~2|"
		empty    = "|none~0|+|none~0|none~1|+|skip_connect~0|none~1|none~2|"
	)
	trainings := []struct {
		name            string
		cell            string
		channels, cells int
		images, loss    float64 // of the short one
		longer, cameTo  float64
	}{
		{"residual, 16 channels, 1 cell", residual, 16, 1, 13_460, 0.4519, 251_600, 0.2122},
		{"residual, 16 channels, 2 cells", residual, 16, 2, 8057, 0.5390, 151_400, 0.2260},
		{"residual, 24 channels, 1 cell", residual, 24, 1, 5960, 0.5804, 111_800, 0.2263},
		{"residual, 24 channels, 2 cells", residual, 24, 2, 3590, 0.6572, 67_520, 0.2602},
		{"residual, 8 channels, 3 cells", residual, 8, 3, 23_070, 0.4312, 433_500, 0.2120},
		{"empty, 24 channels", empty, 24, 1, 17_360, 0.4320, 326_100, 0.2307},
		{"residual, 8 channels, 1 cell, four times", residual, 8, 1, 53_200, 0.3179, 249_900, 0.2375},
	}
	var capacities []float64
	for _, tc := range trainings {
		space, err := arch.NewSpace("nb201", arch.Size{Channels: tc.channels, Cells: tc.cells, Image: 28, Colours: 1,
			Classes: 10})
		if err != nil {
			t.Fatal(err)
		}
		capacities = append(capacities, structureOf(t, space, tc.cell).Capacity())
	}
	usual, _ := stats.MeanStdDev(capacities)
	for i, tc := range trainings {
		got := Fall(usualFall).Left(tc.images, tc.longer) * Further(tc.images, tc.longer, capacities[i]-usual) * tc.loss
		t.Logf("%s: %.3f after %.0f images; after %.0f foreseen %.3f, came to %.3f", tc.name, tc.loss, tc.images, tc.longer,
			got, tc.cameTo)
		if math.Abs(got-tc.cameTo) > 0.1*tc.cameTo {
			t.Errorf("%s: %.3f foreseen, came to %.3f", tc.name, got, tc.cameTo)
		}
	}
}

// SPDX-License-Identifier: Apache-2.0

package search

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
)

// onGrid draws items whose times the grid of high meets exactly.
func onGrid(sizes []int, cell float64, rng *rand.Rand) [][]item {
	groups := make([][]item, len(sizes))
	for i, n := range sizes {
		groups[i] = append(groups[i], item{time: 1})
		for range n - 1 {
			groups[i] = append(groups[i], item{time: 1 + cell*float64(100*rng.IntN(20))})
		}
	}
	return groups
}

// within lists the ways whose times add up to low…high.
func within(groups [][]item, low, high float64) map[string]int {
	ways := map[string]int{}
	var take func(i int, options []int, at float64)
	take = func(i int, options []int, at float64) {
		if i == len(groups) {
			if at >= low && at <= high {
				ways[fmt.Sprint(options)] = 0
			}
			return
		}
		for o, it := range groups[i] {
			take(i+1, append(options, o), at+it.time)
		}
	}
	take(0, nil, 0)
	return ways
}

// The counts are exact where times are those of the grid, and each way is drawn
// about as often as any other.
func TestWays(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 0))
	const cell = 1. / cells // the grid of a high 1 above the shortest
	for trial := range 10 {
		sizes := []int{4, 3, 5}
		groups := onGrid(sizes, cell, rng)
		low, high := 3+cell*float64(100*rng.IntN(30)+50), 4.0 // no sum is within the margin of an end
		want := within(groups, low, high+cell/2)
		w := countWays(groups, low, high)
		if got := w.count(); got != float64(len(want)) {
			t.Fatalf("trial %d: %g ways in %g…%g: want %d", trial, got, low, high, len(want))
		}
		if len(want) == 0 {
			continue
		}
		draws := 200 * len(want)
		for range draws {
			name := fmt.Sprint(w.draw(rng))
			if _, known := want[name]; !known {
				t.Fatalf("trial %d: %s was drawn, which is not within", trial, name)
			}
			want[name]++
		}
		for name, n := range want {
			if math.Abs(float64(n)-200) > 5*math.Sqrt(200) {
				t.Errorf("trial %d: %s was drawn %d times: want about 200", trial, name, n)
			}
		}
	}
}

func TestNoWays(t *testing.T) {
	groups := [][]item{{{time: 1}, {time: 2}}, {{time: 1}, {time: 3}}}
	for _, tc := range []struct {
		name      string
		low, high float64
		want      float64
	}{
		{"too short for the fastest", 0, 1.5, 0},
		{"just the fastest", 0, 2, 1},
		{"longer than the slowest", 6, 7, 0},
		{"everything", 0, 5, 4},
	} {
		if got := countWays(groups, tc.low, tc.high).count(); got != tc.want {
			t.Errorf("%s: %g ways: want %g", tc.name, got, tc.want)
		}
	}
}

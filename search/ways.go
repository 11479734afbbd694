// SPDX-License-Identifier: Apache-2.0

package search

import (
	"math"
	"math/rand/v2"
)

// wayCounts counts the ways to take one item of each group whose times add up
// to low…high, so that they can be drawn, each as likely as any other. Times are
// rounded to a grid; a margin keeps every way that might be within, so that some
// are not.
type wayCounts struct {
	used [][]int     // group, item: cells of the grid beyond the fastest; −1: too long
	from [][]float64 // group, cells used before it: ways to go on from there; one more group for the end
}

// countWays makes the counts: exact numbers up to 2⁵³, to rounding beyond.
func countWays(groups [][]item, low, high float64) *wayCounts {
	n := len(groups)
	w := &wayCounts{used: make([][]int, n), from: make([][]float64, n+1)}
	shortest := make([]float64, n)
	for i, g := range groups {
		shortest[i] = math.Inf(1)
		for _, it := range g {
			shortest[i] = min(shortest[i], it.time)
		}
		low, high = low-shortest[i], high-shortest[i]
	}
	cell := max(high, math.SmallestNonzeroFloat32) / cells
	margin := n/2 + 1
	last := cells + margin
	for i := range w.from {
		w.from[i] = make([]float64, last+1)
	}
	for c := max(0, int(max(0, low)/cell)-margin); c <= last; c++ {
		w.from[n][c] = 1
	}
	for i := n - 1; i >= 0; i-- {
		for _, it := range groups[i] {
			used := -1
			if t := it.time - shortest[i]; t <= high {
				used = int(math.Round(t / cell))
				for c := used; c <= last; c++ {
					w.from[i][c-used] += w.from[i+1][c]
				}
			}
			w.used[i] = append(w.used[i], used)
		}
	}
	return w
}

// count is the number of ways.
func (w *wayCounts) count() float64 { return w.from[0][0] }

// draw returns the index of the item in each group. There must be a way.
func (w *wayCounts) draw(rng *rand.Rand) []int {
	options := make([]int, len(w.used))
	at := 0
	for i, used := range w.used {
		left := rng.Float64() * w.from[i][at]
		taken := 0
		for o, u := range used {
			if u < 0 || at+u >= len(w.from[i+1]) || w.from[i+1][at+u] == 0 {
				continue
			}
			options[i], taken = o, u
			if left -= w.from[i+1][at+u]; left < 0 {
				break
			}
		}
		at += taken
	}
	return options
}

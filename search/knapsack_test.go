// SPDX-License-Identifier: Apache-2.0

package search

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

// dartsSizes are the options of the DARTS space: per cell, nodes with 2 to 5
// edges, of which two are kept, each with one of 7 operations.
var dartsSizes = []int{49, 147, 294, 490, 49, 147, 294, 490}

// randomGroups draws items whose scores spread as ln p does and grow with time,
// as they do where accuracy costs time.
func randomGroups(sizes []int, spread float64, rng *rand.Rand) [][]item {
	groups := make([][]item, len(sizes))
	for i, n := range sizes {
		for range n {
			t := rng.Float64()
			groups[i] = append(groups[i], item{time: t, score: spread * (0.5*t + rng.NormFloat64())})
		}
	}
	return groups
}

func TestBestAgainstExhaustiveSearch(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 0))
	for trial := range 40 {
		groups := randomGroups([]int{5, 4, 6, 3}, math.Pow(10, float64(trial%5-3)), rng)
		low, high := 4*rng.Float64(), 4*rng.Float64()
		if trial%4 == 0 { // ties
			for i := range groups {
				for j := range groups[i] {
					groups[i][j].score = math.Round(groups[i][j].score)
				}
			}
		}
		low, high = min(low, high), max(low, high)
		var want []float64
		for _, a := range groups[0] {
			for _, b := range groups[1] {
				for _, c := range groups[2] {
					for _, d := range groups[3] {
						if at := a.time + b.time + c.time + d.time; at >= low && at <= high {
							want = append(want, a.score+b.score+c.score+d.score)
						}
					}
				}
			}
		}
		slices.Sort(want)
		slices.Reverse(want)
		var got []float64
		seen := map[string]bool{}
		for options, score := range best(groups, low, high) {
			at, sum := 0.0, 0.0
			for i, o := range options {
				at, sum = at+groups[i][o].time, sum+groups[i][o].score
			}
			if name := fmt.Sprint(options); at < low-1e-12 || at > high+1e-12 || math.Abs(sum-score) > 1e-12 || seen[name] {
				t.Errorf("trial %d: %v takes %g of %g to %g, scores %g, not %g, or comes twice",
					trial, options, at, low, high, sum, score)
			} else {
				seen[name] = true
			}
			got = append(got, score)
		}
		if !slices.EqualFunc(got, want, func(a, b float64) bool { return math.Abs(a-b) < 1e-12 }) {
			t.Errorf("trial %d: %d ways, or in another order: want %d", trial, len(got), len(want))
		}
	}
}

func BenchmarkBest(b *testing.B) {
	for _, share := range []float64{0.1, 0.3, 0.5, 0.7, 0.9} {
		for _, spread := range []float64{1e-3, 1} {
			b.Run(fmt.Sprintf("share=%g/spread=%g", share, spread), func(b *testing.B) {
				groups := randomGroups(dartsSizes, spread, rand.New(rand.NewPCG(1, 0)))
				high := share * float64(len(groups))
				for b.Loop() {
					n := 0
					for range best(groups, 0.9*high, high) {
						if n++; n == 100 {
							break
						}
					}
				}
			})
		}
	}
}

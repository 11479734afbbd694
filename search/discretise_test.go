// SPDX-License-Identifier: Apache-2.0

package search

import (
	"errors"
	"github.com/edgenas/edgenas/arch"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

// nb201 columns and the column of none, as the search passes them.
var (
	testCols = []int{5}
	testNone = []int{0}
)

func TestDiscretiseAgainstExhaustiveSearch(t *testing.T) {
	space := newNB201(t)
	rng := rand.New(rand.NewPCG(1, 0))
	costs := newAdditive(space, rng)
	all, err := Enumerate(space, costs)
	if err != nil {
		t.Fatal(err)
	}
	if len(all) != 9444 {
		t.Errorf("%d networks: want 9444, the distinct live cells", len(all))
	}
	p := [][]float64{randomMixture(6, 5, rng)}
	const budget = 1.5e-3
	got, err := Discretise(all, p, testCols, testNone, budget, 20)
	if err != nil {
		t.Fatal(err)
	}
	// the best of all 15,625 raw choices that fit and use the budget well
	best, bestScore := "", math.Inf(-1)
	for c := range arch.All(space) {
		s, err := costs.Latency(c)
		if err != nil || s > budget || s < wellUsed*budget {
			continue
		}
		score := 0.0
		for row, col := range c[0] {
			score += math.Log(p[0][row*5+col])
		}
		if score > bestScore {
			best, bestScore = space.Notation(space.Canonical(c)), score
		}
	}
	if name := space.Notation(got[0].Choice); name != best {
		// a dead edge is scored by its greatest weight, so a higher score than
		// any raw choice with a living "none" may win; then it must be higher
		if got[0].Score < bestScore {
			t.Errorf("best is %s (Σ ln p = %g): exhaustive search finds %s (%g)", name, got[0].Score, best, bestScore)
		}
	}
	for i, c := range got {
		if c.LatencyS > budget {
			t.Errorf("candidate %d takes %g s: over the budget", i, c.LatencyS)
		}
		if i > 0 && got[i-1].LatencyS >= wellUsed*budget && c.LatencyS >= wellUsed*budget && c.Score > got[i-1].Score {
			t.Errorf("candidate %d has a greater score than the one before it", i)
		}
	}
}

func TestDiscretiseInfeasible(t *testing.T) {
	space := newNB201(t)
	rng := rand.New(rand.NewPCG(2, 0))
	costs := newAdditive(space, rng)
	all, err := Enumerate(space, costs)
	if err != nil {
		t.Fatal(err)
	}
	fastest := slices.MinFunc(all, func(a, b Candidate) int {
		if a.LatencyS < b.LatencyS {
			return -1
		}
		return 1
	})
	_, err = Discretise(all, [][]float64{randomMixture(6, 5, rng)}, testCols, testNone, 1e-6, 5)
	var infeasible *InfeasibleError
	if !errors.As(err, &infeasible) {
		t.Fatalf("error %v: want an InfeasibleError", err)
	}
	if infeasible.FastestS != fastest.LatencyS || infeasible.FastestS < costs.fixed {
		t.Errorf("fastest %g s: want %g", infeasible.FastestS, fastest.LatencyS)
	}
	if _, err := space.Network(infeasible.Fastest, 1); err != nil {
		t.Errorf("the fastest network is none: %v", err)
	}
}

func TestDiscretiseFillsUpWithSmallerNetworks(t *testing.T) {
	space := newNB201(t)
	rng := rand.New(rand.NewPCG(3, 0))
	all, err := Enumerate(space, newAdditive(space, rng))
	if err != nil {
		t.Fatal(err)
	}
	got, err := Discretise(all, [][]float64{randomMixture(6, 5, rng)}, testCols, testNone, 1, 5) // more than any needs
	if err != nil {
		t.Fatal(err)
	}
	if len(got) != 5 {
		t.Errorf("%d candidates: want 5, though none uses the budget", len(got))
	}
}

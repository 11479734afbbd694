// SPDX-License-Identifier: Apache-2.0

package search

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/edgenas/edgenas/arch"
)

// InfeasibleError says that no network of the space keeps the budget.
type InfeasibleError struct {
	BudgetS  float64     // the budget, its guard band taken off
	FastestS float64     // predicted latency of the fastest network
	Fastest  arch.Choice // that network
}

func (e *InfeasibleError) Error() string {
	return fmt.Sprintf("search: no network within %s (the budget less its guard band): the fastest takes %s",
		duration(e.BudgetS), duration(e.FastestS))
}

// duration prints seconds with four significant digits.
func duration(s float64) string {
	d := time.Duration(s * float64(time.Second))
	if unit := time.Duration(math.Pow10(int(math.Floor(math.Log10(max(1, float64(d))))) - 3)); unit > 1 {
		d = d.Round(unit)
	}
	return d.String()
}

// Candidate is a network that keeps the budget.
type Candidate struct {
	Choice   arch.Choice
	LatencyS float64 // predicted
	Score    float64 // Σ ln p of its operations
	Loss     float64 // with the supernet's weights, on images of α's half; NaN before re-ranking
	Accuracy float64 // likewise, 0…1
}

// wellUsed is the share of the budget from which a network counts as using
// it. Σ ln p of a short search says little about size, and accuracy grows with
// it: networks that use the budget are looked at first, smaller ones only if
// there are too few.
const wellUsed = 0.9

// Enumerate lists the networks of the space that the costs know, each once,
// with their latency, in the space's order.
func Enumerate(space arch.Space, costs Costs) ([]Candidate, error) {
	var all []Candidate
	seen := map[string]bool{}
	for c := range arch.All(space) {
		c = space.Canonical(c)
		if name := space.Notation(c); seen[name] {
			continue
		} else {
			seen[name] = true
		}
		s, err := costs.Latency(c)
		if errors.Is(err, arch.ErrDead) {
			continue
		}
		if err != nil {
			return nil, err
		}
		all = append(all, Candidate{Choice: c, LatencyS: s, Loss: math.NaN()})
	}
	return all, nil
}

// Discretise returns the k networks with the greatest Σ ln p among those that
// fit budgetS, exactly, best first; networks that use less than 0.9 of it
// come behind all others. p holds the final mixture weights of each α. A dead
// edge may stand for any operation: its weight is the greatest.
// It is an *InfeasibleError if nothing fits.
func Discretise(all []Candidate, p [][]float64, cols []int, none []int, budgetS float64, k int) ([]Candidate, error) {
	var fit []Candidate
	fastest := Candidate{LatencyS: math.Inf(1)}
	for _, c := range all {
		if c.LatencyS < fastest.LatencyS {
			fastest = c
		}
		if c.LatencyS > budgetS {
			continue
		}
		for i, rows := range c.Choice {
			for row, col := range rows {
				v := p[i][row*cols[i]+col]
				if col == none[i] {
					v = slices.Max(p[i][row*cols[i] : (row+1)*cols[i]])
				}
				c.Score += math.Log(max(v, 1e-30))
			}
		}
		fit = append(fit, c)
	}
	if len(fit) == 0 {
		return nil, &InfeasibleError{BudgetS: budgetS, FastestS: fastest.LatencyS, Fastest: fastest.Choice}
	}
	slices.SortStableFunc(fit, func(a, b Candidate) int {
		if au, bu := a.LatencyS >= wellUsed*budgetS, b.LatencyS >= wellUsed*budgetS; au != bu {
			if au {
				return -1
			}
			return 1
		}
		return cmp.Compare(b.Score, a.Score)
	})
	return fit[:min(k, len(fit))], nil
}

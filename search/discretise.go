// SPDX-License-Identifier: Apache-2.0

package search

import (
	"fmt"
	"math"
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

// rounding is how far sums over groups may be from the latency of the whole
// network by rounding alone, relative to the budget.
const rounding = 1e-9

// Discretise returns the k networks with the greatest Σ ln p among those that
// fit budgetS, exactly as far as the costs of the groups add up, best first;
// networks that use less than 0.9 of it come behind all others, and each does
// fit when priced as a whole. p holds the final mixture weights of each α. It is
// an *InfeasibleError if nothing fits.
func (c *Catalogue) Discretise(p [][]float64, budgetS float64, k int) ([]Candidate, error) {
	fastest, err := c.fastest()
	if err != nil {
		return nil, err
	}
	if fastest.LatencyS > budgetS {
		return nil, &InfeasibleError{BudgetS: budgetS, FastestS: fastest.LatencyS, Fastest: fastest.Choice}
	}
	groups := make([][]item, len(c.groups))
	for i, g := range c.groups {
		cols := len(c.space.Alphas()[g.Alpha].Ops)
		for o, option := range g.Options {
			groups[i] = append(groups[i], item{time: g.seconds[o], score: g.score(option, p[g.Alpha], cols)})
		}
	}
	var found []Candidate
	for _, used := range []bool{true, false} {
		low, high := wellUsed*budgetS, budgetS
		if !used {
			low, high = 0, low
		}
		for options, score := range best(groups, low-rounding*budgetS, high+rounding*budgetS) {
			if len(found) == k {
				break
			}
			n, err := c.network(options)
			if err != nil {
				return nil, err
			}
			if n.LatencyS > budgetS || n.LatencyS >= wellUsed*budgetS != used {
				continue
			}
			n.Score = score
			found = append(found, n)
		}
	}
	return found, nil
}

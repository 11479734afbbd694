// SPDX-License-Identifier: Apache-2.0

package search

import (
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/edgenas/edgenas/arch"
)

// InfeasibleError reports that no network of the space keeps the budget.
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

// Discretise returns the k ≥ 1 networks with the greatest Σ ln p among those
// that fit budgetS, best first, and at least one: the fastest. They are exactly
// these as far as the costs of the groups add up; each does fit when priced as
// a whole. Networks that use less than 0.9 of the budget stand behind those
// that use more. A budget of +Inf is none: every network fits and uses it. p
// holds the final mixture weights of each α. Discretise returns an
// *InfeasibleError if nothing fits.
func (c *Catalogue) Discretise(p [][]float64, budgetS float64, k int) ([]Candidate, error) {
	options := c.large(math.Inf(-1))
	fastest, err := c.network(options)
	if err != nil {
		return nil, err
	}
	if fastest.LatencyS > budgetS {
		return nil, &InfeasibleError{BudgetS: budgetS, FastestS: fastest.LatencyS, Fastest: fastest.Choice}
	}
	groups, slowest := c.items(p)
	high, low := budgetS, wellUsed*budgetS
	if math.IsInf(budgetS, 1) {
		high, low = slowest, 0
	}
	slack := rounding * high
	var found []Candidate
	seen := map[string]bool{}
	for _, least := range []float64{low, 0} { // a second time, those that are left
		for options, score := range best(groups, least-slack, high+slack) {
			if len(found) == k {
				return found, nil
			}
			n, err := c.network(options)
			if err != nil {
				return nil, err
			}
			if name := fmt.Sprint(options); n.LatencyS >= least && n.LatencyS <= budgetS && !seen[name] {
				n.Score, seen[name] = score, true
				found = append(found, n)
			}
		}
	}
	if len(found) == 0 { // the groups' sums are over the budget, the network is not
		for i, o := range options {
			fastest.Score += groups[i][o].score
		}
		found = append(found, fastest)
	}
	return found, nil
}

// items scores the options of every group, and returns how long the slowest of
// each take together.
func (c *Catalogue) items(p [][]float64) (groups [][]item, slowest float64) {
	for _, g := range c.groups {
		cols := len(c.space.Alphas()[g.Alpha].Ops)
		var items []item
		for o, option := range g.Options {
			items = append(items, item{time: g.seconds[o], score: g.score(option, p[g.Alpha], cols)})
		}
		groups, slowest = append(groups, items), slowest+slices.Max(g.seconds)
	}
	return groups, slowest
}

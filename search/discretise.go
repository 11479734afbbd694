// SPDX-License-Identifier: Apache-2.0

package search

import (
	"fmt"
	"math"
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

// Discretise returns the k ≥ 1 networks with the greatest Σ ln p among those
// that use budgetS, best first, and at least one. They use the budget as those
// of a [Window] do: none that uses less is among them. They are exactly these as
// far as the costs of the groups add up; each does fit when priced as a whole. A
// budget of +Inf is none: every network fits and uses it. p holds the final
// mixture weights of each α. Discretise returns an *InfeasibleError if nothing
// fits.
func (c *Catalogue) Discretise(p [][]float64, budgetS float64, k int) ([]Candidate, error) {
	fastest, err := c.fastest(budgetS)
	if err != nil {
		return nil, err
	}
	groups := c.items(p)
	var found []Candidate
	for _, u := range c.uses(budgetS) {
		if found, err = c.best(groups, u, max(k, Fewest)); err != nil {
			return nil, err
		}
		if len(found) >= Fewest {
			break
		}
	}
	if len(found) == 0 { // the groups' sums are over the budget, the network is not
		for i, o := range c.large(math.Inf(-1)) {
			fastest.Score += groups[i][o].score
		}
		found = append(found, fastest)
	}
	return found[:min(k, len(found))], nil
}

// best returns the n different networks of the greatest score that use a limit,
// best first, or all if they are fewer.
func (c *Catalogue) best(groups [][]item, u use, n int) ([]Candidate, error) {
	var found []Candidate
	seen := map[string]bool{}
	low, high := u.sums()
	for options, score := range best(groups, low, high) {
		network, err := c.network(options)
		if err != nil {
			return nil, err
		}
		form := c.forms.of(network.Choice)
		if !u.holds(network.LatencyS) || seen[form] {
			continue
		}
		network.Score, seen[form] = score, true
		if found = append(found, network); len(found) == n {
			break
		}
	}
	return found, nil
}

// items scores the options of every group.
func (c *Catalogue) items(p [][]float64) (groups [][]item) {
	for _, g := range c.groups {
		cols := len(c.space.Alphas()[g.Alpha].Ops)
		var items []item
		for o, option := range g.Options {
			items = append(items, item{time: g.seconds[o], score: g.score(option, p[g.Alpha], cols)})
		}
		groups = append(groups, items)
	}
	return groups
}

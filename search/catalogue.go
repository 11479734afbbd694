// SPDX-License-Identifier: Apache-2.0

package search

import (
	"cmp"
	"errors"
	"math"
	"slices"

	"github.com/edgenas/edgenas/arch"
	"github.com/edgenas/edgenas/ops"
)

// Catalogue lists, for each group of decisions, the options and what each
// costs. A network's latency is estimated as the sum over its groups. The sum is
// slightly wrong where a runtime fuses operations across groups, so every
// network that is found is priced again as a whole.
type Catalogue struct {
	space  arch.Space
	costs  Costs
	groups []catalogueGroup
	forms  forms
	start  arch.Choice // any choice: every group sets its own rows
}

// catalogueGroup is a group with those of its options that are networks, each
// different network once.
type catalogueGroup struct {
	arch.Group
	// seconds is the price of each option: in the first group the whole
	// network's, in the others what it takes beyond their first option.
	seconds []float64
	none    int // column of none in the α, or −1
	keep    int // edges that each node of the α's cell keeps; 0: all
}

// NewCatalogue prices every option of every group, beside the first options of
// the other groups: if there are several, these must be a network.
func NewCatalogue(space arch.Space, costs Costs) (*Catalogue, error) {
	c := &Catalogue{space: space, costs: costs, forms: newForms(space), start: arch.First(space)}
	for i, g := range space.Groups() {
		base := 0.0
		if i > 0 {
			base = c.groups[0].seconds[0] // the first options of all groups
		}
		priced := catalogueGroup{
			Group: arch.Group{Alpha: g.Alpha, Rows: g.Rows},
			none:  slices.Index(space.Alphas()[g.Alpha].Ops, ops.None),
			keep:  space.Cells()[g.Alpha].Keep,
		}
		for _, choice := range c.different(g) {
			s, err := costs.Latency(choice)
			if errors.Is(err, arch.ErrDead) {
				continue
			}
			if err != nil {
				return nil, err
			}
			option := make([]int, len(g.Rows))
			for j, row := range g.Rows {
				option[j] = choice[g.Alpha][row]
			}
			priced.Options, priced.seconds = append(priced.Options, option), append(priced.seconds, s-base)
		}
		c.groups = append(c.groups, priced)
	}
	return c, nil
}

// different lists the options of a group as choices beside the first options of
// the others: of those that build one network (see forms) the choice with the
// fewest operations, then edges, then the first.
func (c *Catalogue) different(g arch.Group) []arch.Choice {
	var choices []arch.Choice
	at := map[string]int{} // form → index
	for o := range g.Options {
		choice := c.start.Clone()
		g.Set(choice, o)
		if !c.space.Canonical(choice).Equal(choice) {
			continue // without its dead edges it is an option, too
		}
		form := c.forms.of(choice)
		i, known := at[form]
		if !known {
			at[form] = len(choices)
			choices = append(choices, choice)
			continue
		}
		operations, edges := c.forms.work(choice)
		before, edgesBefore := c.forms.work(choices[i])
		if cmp.Or(cmp.Compare(operations, before), cmp.Compare(edges, edgesBefore)) < 0 {
			choices[i] = choice
		}
	}
	return choices
}

// score is Σ ln p of an option's operations. Where every edge is decided by
// itself, none is an operation as any other, so that a dead edge earns its place.
// Where nodes keep two edges, only those count: the greatest score is then that
// of the two edges with the greatest weights beside none, each with that
// operation, which is what DARTS derives (Liu et al. 2019, §2.4).
func (g *catalogueGroup) score(option []int, p []float64, cols int) float64 {
	total := 0.0
	for j, row := range g.Rows {
		if col := option[j]; col != g.none || g.keep == 0 {
			total += math.Log(max(p[row*cols+col], least))
		}
	}
	return total
}

// network is the candidate with these options.
func (c *Catalogue) network(options []int) (Candidate, error) {
	choice := c.start.Clone()
	for i, g := range c.groups {
		g.Set(choice, options[i])
	}
	if len(c.groups) == 1 { // priced as a whole
		return Candidate{Choice: choice, LatencyS: c.groups[0].seconds[options[0]], Loss: math.NaN()}, nil
	}
	s, err := c.costs.Latency(choice)
	return Candidate{Choice: choice, LatencyS: s, Loss: math.NaN()}, err
}

// fastest is the fastest network, or an *InfeasibleError if that does not keep
// the limit.
func (c *Catalogue) fastest(limitS float64) (Candidate, error) {
	n, err := c.network(c.large(math.Inf(-1)))
	if err == nil && n.LatencyS > limitS {
		err = &InfeasibleError{BudgetS: limitS, FastestS: n.LatencyS, Fastest: n.Choice}
	}
	return n, err
}

// Large returns a network that uses the budget, about as large as any that the
// search can find: from input to output, each group takes the slowest option
// that leaves the others time for their fastest. It is the fastest network if
// none keeps the budget.
func (c *Catalogue) Large(budgetS float64) (Candidate, error) { return c.network(c.large(budgetS)) }

// large returns the options of Large.
func (c *Catalogue) large(budgetS float64) []int {
	left := budgetS
	for _, g := range c.groups {
		left -= slices.Min(g.seconds)
	}
	options := make([]int, len(c.groups))
	for i, g := range c.groups {
		fastest := slices.Min(g.seconds)
		spent := -1.0
		for o, s := range g.seconds {
			if extra := s - fastest; extra <= max(0, left) && extra > spent {
				options[i], spent = o, extra
			}
		}
		left -= spent
	}
	return options
}

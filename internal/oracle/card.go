// SPDX-License-Identifier: Apache-2.0

package oracle

import (
	"cmp"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"slices"

	"github.com/edgenas/edgenas/internal/stats"
)

// Figure is a statistic with its 95 % interval over draws of networks.
type Figure struct {
	Value float64 `json:"value"`
	Low   float64 `json:"low"`
	High  float64 `json:"high"`
}

// Row is what a card says of an evaluator among networks of a window.
type Row struct {
	Evaluator string  `json:"evaluator"`
	Budget    string  `json:"budget"`   // "mean": over all budgets
	Networks  int     `json:"networks"` // that have a score
	CPUS      float64 `json:"cpu_s"`    // a network
	Spearman  Figure  `json:"spearman"` // with the measure; 0 where all scores are equal
	// Regret1 and Regret5 are how far the best of the first one and the first five
	// is below the best of all that have a score, in points.
	Regret1 Figure `json:"regret_1"`
	Regret5 Figure `json:"regret_5"`
	// Precision10 is the share of the first tenth that belongs there.
	Precision10 Figure `json:"precision_10"`
}

// Card compares evaluators of networks.
type Card struct {
	Measure string `json:"measure"` // that networks are judged by
	Rows    []Row  `json:"rows"`
}

const (
	leastNetworks = 10  // of a window that say anything
	draws         = 500 // of networks for an interval
	tieDraws      = 20  // of the order of networks with equal scores
	confidence    = 0.95
)

// figures are the statistics of a Row.
type figures [4]float64

// NewCard compares series inside the windows of budgets, by truth, the measure
// of each network of the table. Intervals are of a bootstrap over networks.
func NewCard(t *Table, budgets []Budget, measure Measure, truth []float64, series []Series) (*Card, error) {
	card := &Card{Measure: measure.String()}
	for _, s := range series {
		rng := rand.New(rand.NewPCG(1, 1))
		mean := Row{Evaluator: s.Name, Budget: "mean", CPUS: s.CPUS}
		var points figures
		sums, windows := make([]figures, draws), 0
		for _, b := range budgets {
			window, err := t.Window(b)
			if err != nil {
				return nil, err
			}
			window = slices.DeleteFunc(window, func(i int) bool { return !s.Has(b, i) })
			if len(window) < leastNetworks {
				continue
			}
			scores, good := s.Of(b, window), make([]float64, len(window))
			for i, n := range window {
				good[i] = truth[n]
			}
			var point figures
			for range tieDraws {
				point.add(judge(scores, good, rng), 1.0/tieDraws)
			}
			all := make([]figures, draws)
			for d := range all {
				all[d] = judgeDraw(scores, good, rng)
				sums[d].add(all[d], 1)
			}
			points.add(point, 1)
			windows++
			row := Row{Evaluator: s.Name, Budget: b.String(), Networks: len(window), CPUS: s.CPUS}
			row.fill(point, all)
			card.Rows = append(card.Rows, row)
			mean.Networks += len(window)
		}
		if windows == 0 {
			continue
		}
		for d := range sums {
			sums[d] = sums[d].over(windows)
		}
		mean.fill(points.over(windows), sums)
		card.Rows = append(card.Rows, mean)
	}
	return card, nil
}

// fill sets the statistics and their intervals.
func (r *Row) fill(point figures, all []figures) {
	for i, f := range []*Figure{&r.Spearman, &r.Regret1, &r.Regret5, &r.Precision10} {
		values := make([]float64, len(all))
		for d := range all {
			values[d] = all[d][i]
		}
		*f = Figure{point[i], stats.Quantile(values, (1-confidence)/2), stats.Quantile(values, (1+confidence)/2)}
	}
}

func (f *figures) add(g figures, weight float64) {
	for i := range f {
		f[i] += weight * g[i]
	}
}

func (f figures) over(n int) figures {
	for i := range f {
		f[i] /= float64(n)
	}
	return f
}

// judgeDraw is judge of as many networks, drawn with replacement.
func judgeDraw(scores, truth []float64, rng *rand.Rand) figures {
	s, g := make([]float64, len(scores)), make([]float64, len(scores))
	for i := range s {
		k := rng.IntN(len(scores))
		s[i], g[i] = scores[k], truth[k]
	}
	return judge(s, g, rng)
}

// judge computes the statistics. Equal scores stand in a random order.
func judge(scores, truth []float64, rng *rand.Rand) figures {
	order := descending(scores, rng)
	best := slices.Max(truth)
	regret := func(k int) float64 {
		found := math.Inf(-1)
		for _, i := range order[:min(k, len(order))] {
			found = max(found, truth[i])
		}
		return best - found
	}
	tenth := (len(order) + 9) / 10
	least, both := slices.Sorted(slices.Values(truth))[len(truth)-tenth], 0
	for _, i := range order[:tenth] {
		if truth[i] >= least {
			both++
		}
	}
	rho := stats.Spearman(scores, truth)
	if math.IsNaN(rho) {
		rho = 0
	}
	return figures{rho, regret(1), regret(5), float64(both) / float64(tenth)}
}

// descending lists the indices of values, the greatest first, equal ones in a
// random order.
func descending(values []float64, rng *rand.Rand) []int {
	order := rng.Perm(len(values))
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(values[b], values[a]) })
	return order
}

// Write writes the card as a table for people.
func (c *Card) Write(w io.Writer) {
	fmt.Fprintf(w, "judged by %s\n%-14s %-13s %8s %7s  %-20s %-20s %-20s %s\n", c.Measure, "evaluator", "budget",
		"networks", "cpu s", "rank correlation", "regret of 1", "regret of 5", "precision of 10 %")
	for _, r := range c.Rows {
		fmt.Fprintf(w, "%-14s %-13s %8d %7.2f", r.Evaluator, r.Budget, r.Networks, r.CPUS)
		for _, f := range []Figure{r.Spearman, r.Regret1, r.Regret5, r.Precision10} {
			fmt.Fprintf(w, "  %5.2f [%5.2f, %5.2f]", f.Value, f.Low, f.High)
		}
		fmt.Fprintln(w)
	}
}

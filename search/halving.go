// SPDX-License-Identifier: Apache-2.0

package search

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"slices"

	"github.com/edgenas/edgenas/internal/ridge"
	"github.com/edgenas/edgenas/internal/stats"
)

// Entrant is a network in successive halving.
type Entrant struct {
	Number int // the caller's, to tell it from the others
	// Known are scores from before any training, greater for better networks.
	// All entrants have the same ones.
	Known []float64
	// Judgements has one of each rung that the network trained in.
	Judgements []Judgement
	// Value is the loss that the network is believed to have in its last rung
	// (see [Believe]); before the first, it is 0.
	Value float64
}

// Judgement is what a short training says of a network.
type Judgement struct {
	Loss     float64 `json:"loss"`     // mean of held-out images
	Noise    float64 `json:"noise"`    // standard deviation of Loss from training to training
	Accuracy float64 `json:"accuracy"` // of held-out images, 0…1
	Failure  string  `json:"failure,omitempty"`
}

// Rung is a stage of successive halving: networks train, all on the same
// images, and the best go on. Jamieson, Talwalkar, Non-stochastic Best Arm
// Identification and Hyperparameter Optimization, 2016, §3.
type Rung struct {
	Name string
	Keep int // how many go on, at least 1
}

// Halve lets entrants train in one rung after another and returns them by how
// far they came, the best first. Judge trains an entrant in a rung; one whose
// training fails has a Failure and goes. After each rung it calls done, unless
// that is nil, with all that trained in it, the best first, and how many of
// them go on. It stops when ctx ends or judge returns an error.
func Halve(ctx context.Context, entrants []Entrant, rungs []Rung,
	judge func(ctx context.Context, rung int, e Entrant) (Judgement, error),
	done func(rung int, ranked []Entrant, keep int) error) ([]Entrant, error) {
	all := slices.Clone(entrants)
	alive := len(all)
	for r, rung := range rungs {
		for i := range all[:alive] {
			if err := ctx.Err(); err != nil {
				return nil, err
			}
			j, err := judge(ctx, r, all[i])
			if err != nil {
				return nil, fmt.Errorf("search: %s: %w", rung.Name, err)
			}
			all[i].Judgements = append(slices.Clone(all[i].Judgements), j)
		}
		Believe(all[:alive])
		slices.SortStableFunc(all[:alive], func(a, b Entrant) int { return cmp.Compare(a.Value, b.Value) })
		ranked := all[:alive]
		alive = min(alive, max(1, rung.Keep))
		for alive > 0 && ranked[alive-1].failed() {
			alive--
		}
		if done != nil {
			if err := done(r, slices.Clone(ranked), alive); err != nil {
				return nil, err
			}
		}
	}
	return all, nil
}

// last is the judgement of the rung that the entrant was in last.
func (e *Entrant) last() Judgement { return e.Judgements[len(e.Judgements)-1] }

func (e *Entrant) failed() bool { return e.last().Failure != "" }

// knowledgeDeviation is how much of the spread of losses a score may explain,
// beforehand, and lossFloor the least spread that losses have.
const (
	knowledgeDeviation = 0.7
	lossFloor          = 1e-4
)

// Believe sets the Value of entrants that trained in the same rung: the loss
// that each would have on average over many trainings. Of a short training a
// part is luck, so that what was known before counts as well: the scores, and
// the losses of the rung before. How much each of them counts follows from how
// well it explains the losses of this very rung (a ridge regression), and how
// much they count together from how much of the rest is noise. That of a
// training that failed is infinite.
func Believe(entrants []Entrant) {
	var at []int
	for i := range entrants {
		if entrants[i].failed() {
			entrants[i].Value = math.Inf(1)
		} else {
			at = append(at, i)
		}
	}
	if len(at) == 0 {
		return
	}
	losses, own := make([]float64, len(at)), make([]float64, len(at))
	for i, e := range at {
		losses[i], own[i] = entrants[e].last().Loss, entrants[e].last().Noise
	}
	columns := knowledge(entrants, at)
	mean, spread := stats.MeanStdDev(losses)
	deviation := make([]float64, len(columns))
	for i := range deviation {
		deviation[i] = knowledgeDeviation * max(lossFloor, spread)
	}
	rows := make([][]float64, len(at))
	for i := range rows {
		for _, c := range columns {
			rows[i] = append(rows[i], c[i])
		}
		losses[i] -= mean
	}
	if len(columns) == 0 {
		for i, e := range at {
			entrants[e].Value = mean + losses[i]
		}
		return
	}
	fit := ridge.Fit(rows, losses, own, deviation, lossFloor)
	for i, e := range at {
		explained := 0.0
		for c, v := range rows[i] {
			explained += v * fit.Coefficients[c]
		}
		trust := fit.Noise * fit.Noise / (fit.Noise*fit.Noise + own[i]*own[i])
		entrants[e].Value = mean + explained + trust*(losses[i]-explained)
	}
}

// knowledge gives the columns of what is known of entrants beside their last
// loss, each with mean 0 and standard deviation 1. Columns that are the same
// for all say nothing and are left out.
func knowledge(entrants []Entrant, at []int) [][]float64 {
	var columns [][]float64
	add := func(value func(e *Entrant) float64) {
		column := make([]float64, len(at))
		for i, e := range at {
			column[i] = value(&entrants[e])
		}
		mean, spread := stats.MeanStdDev(column)
		if !(spread > 0) || math.IsInf(spread, 0) {
			return
		}
		for i := range column {
			column[i] = (column[i] - mean) / spread
		}
		columns = append(columns, column)
	}
	for k := range entrants[at[0]].Known {
		add(func(e *Entrant) float64 { return e.Known[k] })
	}
	if len(entrants[at[0]].Judgements) > 1 {
		add(func(e *Entrant) float64 { return -e.Judgements[len(e.Judgements)-2].Loss })
	}
	return columns
}

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
	// Group is what the network competes in before the last rung: networks of
	// about the same cost, which short trainings can tell apart. Those of different
	// size they cannot: whatever learns from more images is ahead.
	Group int
	// Images is how many images the training that the winner gets would learn
	// from; 0: as many as in the last rung.
	Images float64
	// Capacity is that of the network's [Structure].
	Capacity float64
	// Stays is set for a network that trains in every rung, unless its training
	// fails: what others have to be better than.
	Stays bool
	// Known are scores from before any training, greater for better networks of a
	// group. All entrants have the same ones.
	Known []float64
	// Judgements has one of each rung that the network trained in.
	Judgements []Judgement
	// Value is the loss that the network is believed to have at the end of the
	// training that the winner gets (see [Believe]), by its last rung. Before the
	// first rung it is 0.
	Value float64
}

// Judgement is what a short training says of a network.
type Judgement struct {
	Loss     float64 `json:"loss"`     // mean of held-out images
	Noise    float64 `json:"noise"`    // standard deviation of Loss from training to training
	Accuracy float64 `json:"accuracy"` // of held-out images, 0…1
	Images   float64 `json:"images"`   // that it learned from; 0: not known
	Failure  string  `json:"failure,omitempty"`
}

// Rung is a stage of successive halving: networks train, all on the same
// images, and the best go on. Jamieson, Talwalkar, Non-stochastic Best Arm
// Identification and Hyperparameter Optimization, 2016, §3.
type Rung struct {
	Name string
	Keep int // how many of each group go on, at least 1; in the last rung, of all
}

// Halve lets entrants train in one rung after another and returns them by how
// far they came, the best first. Judge trains an entrant in a rung; one whose
// training fails has a Failure and goes. After each rung it calls done, unless
// that is nil, with all that trained in it, those that go on first, the best
// first, and how many go on. It stops when ctx ends or judge returns an error.
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
		ranked, last := all[:alive], r == len(rungs)-1
		Believe(ranked, last)
		slices.SortStableFunc(ranked, func(a, b Entrant) int { return cmp.Compare(a.Value, b.Value) })
		if keep := max(1, rung.Keep); last {
			alive = min(keep, len(trained(ranked)))
		} else {
			alive = first(ranked, keep)
		}
		if done != nil {
			if err := done(r, slices.Clone(ranked), alive); err != nil {
				return nil, err
			}
		}
	}
	return all, nil
}

// hopeless is how many times the least loss foreseen for any network the least of a
// group is that sends on a single network, as a check.
const hopeless = 1.5

// first puts the first of each group, so many with those that stay, before all
// others, unless their training failed. It returns how many these are. Otherwise
// the order stays.
func first(ranked []Entrant, keep int) int {
	stays := func(e Entrant) bool { return e.Stays && !e.failed() }
	kept, places := map[int]int{}, map[int]int{}
	for _, e := range ranked {
		if stays(e) {
			kept[e.Group]++
		}
		if _, seen := places[e.Group]; !seen { // its best one
			places[e.Group] = keep
			if least := ranked[0].Value; e.Value-least > (hopeless-1)*math.Abs(least) { // scores may be below 0
				places[e.Group] = 1
			}
		}
	}
	var ahead, behind []Entrant
	for _, e := range ranked {
		switch {
		case stays(e):
			ahead = append(ahead, e)
		case kept[e.Group] < places[e.Group] && !e.failed():
			kept[e.Group]++
			ahead = append(ahead, e)
		default:
			behind = append(behind, e)
		}
	}
	copy(ranked, append(ahead, behind...))
	return len(ahead)
}

// last is the judgement of the rung that the entrant was in last.
func (e *Entrant) last() Judgement { return e.Judgements[len(e.Judgements)-1] }

func (e *Entrant) failed() bool { return e.last().Failure != "" }

// knowledgeDeviation is how much of the spread of losses a score may explain,
// beforehand, lossFloor the least spread that losses have, and roundingError the
// relative spread of scores that are equal.
const (
	knowledgeDeviation = 0.7
	lossFloor          = 1e-4
	roundingError      = 1e-9
)

// Believe sets the Value of entrants that trained in the same rung: the loss that
// each would have on average over many trainings, at the end of the training that
// the winner gets. How losses fall until then [Falls] says: cheap networks have
// learned from more images by now. In a group those of little capacity fall less.
//
// Of a short training a part is luck, so that what was known before counts as
// well: the scores, and the losses of the rung before. How much each of them counts
// follows from how well it explains the losses of this very rung, among networks
// of a group (a ridge regression), and how much they count together from how much
// of the rest is noise. Across groups is for entrants that compete with those of
// other groups. The Value is infinite where a training failed.
func Believe(entrants []Entrant, across bool) {
	at := trained(entrants)
	losses, images, capacities := make([]float64, len(at)), make([]float64, len(at)), make([]float64, len(at))
	for i, e := range at {
		losses[i], images[i], capacities[i] = e.last().Loss, e.last().Images, e.Capacity
	}
	falls := Falls(losses, images)
	own := make([]float64, len(at))
	for i, e := range at {
		left := falls.Left(images[i], e.end())
		losses[i], own[i] = left*losses[i], left*e.last().Noise
	}
	level := groupMeans(at, losses)
	if across {
		all := mean(losses)
		for i := range level {
			level[i] = all
		}
	}
	believe(at, losses, own, level)
	usual := groupMeans(at, capacities)
	for i, e := range at {
		e.Value *= Further(images[i], e.end(), e.Capacity-usual[i])
	}
}

// end is how many images the training that the winner gets learns from, as far as
// what the last rung learned from is known as well.
func (e *Entrant) end() float64 {
	if e.last().Images == 0 {
		return 0
	}
	return cmp.Or(e.Images, e.last().Images)
}

// mean adds in the order of the values, so that it has the same bits on every
// processor: gonum's adds in another order where it has vector instructions.
func mean(values []float64) float64 {
	sum := 0.0
	for _, v := range values {
		sum += v
	}
	return sum / float64(len(values))
}

// trained are the entrants whose training did not fail. The others get their
// Value.
func trained(entrants []Entrant) (at []*Entrant) {
	for i := range entrants {
		if entrants[i].failed() {
			entrants[i].Value = math.Inf(1)
		} else {
			at = append(at, &entrants[i])
		}
	}
	return at
}

// believe sets the Value of entrants, which have these losses with noise of their
// own, around these levels.
func believe(at []*Entrant, losses, own, level []float64) {
	if len(at) == 0 {
		return
	}
	columns := knowledge(at)
	spread := spreadAround(losses, groupMeans(at, losses))
	deviation := make([]float64, len(columns))
	for i := range deviation {
		deviation[i] = knowledgeDeviation * max(lossFloor, spread)
	}
	rows, rest := make([][]float64, len(at)), make([]float64, len(at))
	for i := range at {
		for _, c := range columns {
			rows[i] = append(rows[i], c[i])
		}
		rest[i] = losses[i] - level[i]
	}
	if len(columns) == 0 {
		for i, e := range at {
			e.Value = losses[i]
		}
		return
	}
	fit := ridge.Fit(rows, rest, own, deviation, lossFloor)
	for i, e := range at {
		explained := 0.0
		for c, v := range rows[i] {
			explained += v * fit.Coefficients[c]
		}
		trust := fit.Noise * fit.Noise / (fit.Noise*fit.Noise + own[i]*own[i])
		e.Value = level[i] + explained + trust*(rest[i]-explained)
	}
}

// groupMeans gives, for each entrant, the mean of the values of its group.
func groupMeans(at []*Entrant, values []float64) []float64 {
	sum, n := map[int]float64{}, map[int]float64{}
	for i, e := range at {
		sum[e.Group] += values[i]
		n[e.Group]++
	}
	means := make([]float64, len(at))
	for i, e := range at {
		means[i] = sum[e.Group] / n[e.Group]
	}
	return means
}

// spreadAround is the standard deviation of values around levels of their own.
func spreadAround(values, levels []float64) float64 {
	sum := 0.0
	for i, v := range values {
		sum += float64((v - levels[i]) * (v - levels[i])) // no fused multiply-add
	}
	return math.Sqrt(sum / float64(len(values)))
}

// knowledge gives the columns of what is known of entrants beside their last
// loss, each with mean 0 within a group and standard deviation 1. Columns that
// are the same for all of a group say nothing and are left out.
func knowledge(at []*Entrant) [][]float64 {
	var columns [][]float64
	add := func(value func(e *Entrant) float64) {
		column := make([]float64, len(at))
		for i, e := range at {
			column[i] = value(e)
		}
		levels := groupMeans(at, column)
		spread := spreadAround(column, levels)
		if !(spread > roundingError*math.Abs(stats.Median(column))) || math.IsInf(spread, 0) {
			return
		}
		for i := range column {
			column[i] = (column[i] - levels[i]) / spread
		}
		columns = append(columns, column)
	}
	for k := range at[0].Known {
		add(func(e *Entrant) float64 { return e.Known[k] })
	}
	if len(at[0].Judgements) > 1 {
		add(func(e *Entrant) float64 { return -e.Judgements[len(e.Judgements)-2].Loss })
	}
	return columns
}

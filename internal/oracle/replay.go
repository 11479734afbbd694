// SPDX-License-Identifier: Apache-2.0

package oracle

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"slices"

	"github.com/edgenas/edgenas/internal/stats"
	"github.com/edgenas/edgenas/search"
)

// Rung is a stage of halving in a replay: an evaluator of which scores are
// recorded.
type Rung struct {
	Evaluator string
	Networks  int // that begin in it
}

// Replay simulates whole searches from recorded scores: every strategy under
// every budget with every seed. A network of a window that lacks a score is
// left out of the whole comparison, the optimum too.
type Replay struct {
	Table   *Table
	Scores  *Scores
	Rungs   []Rung
	Random  int // networks that are drawn at random into the first rung, beside the prior's
	Budgets []Budget
	Measure Measure
	Truth   []float64 // the measure of each network of the table
	Seeds   int
	// Noise is how wrong the profile is by which each search chooses: the standard
	// deviation of the logarithm of each entry of its latency table. What a search
	// chooses is measured, and the next is taken where that is over the budget.
	Noise float64
}

// Val12 is the evaluator that stands in for trainings where none are recorded:
// the table's validation after 12 epochs.
const Val12 = "val12"

// val12Noise is the standard deviation of Val12 from training to training, as a
// share: among the strings that mean one network.
const val12Noise = 0.0035

// field is what a strategy chooses from.
type field struct {
	*Replay
	budget  Budget
	fitting []int // networks that seem to keep the budget
	window  []int // of them, those that seem to use it
	prior   []float64
	keeps   map[int]bool // networks that do keep it, without those of the window that lack a score
}

// strategy is a way to choose a network. It returns false where it has none.
type strategy struct {
	name   string
	choose func(f *field, rng *rand.Rand) (network int, ok bool, err error)
}

// strategies lists the simple things and what is compared with them; the last
// is the search.
var strategies = []strategy{
	{"most parameters", func(f *field, rng *rand.Rand) (int, bool, error) {
		return f.first(f.fitting, func(i int) float64 { return float64(f.Table.Networks[i].Structure.Params) }, rng)
	}},
	{"residual cell", func(f *field, _ *rand.Rand) (int, bool, error) {
		i, ok := f.Table.Residual()
		return i, ok && f.keeps[i], nil
	}},
	{"best val12 of 100", func(f *field, rng *rand.Rand) (int, bool, error) {
		return f.first(sample(f.fitting, 100, rng), f.val12, rng)
	}},
	{"prior alone", func(f *field, rng *rand.Rand) (int, bool, error) {
		return f.best(f.window, f.prior, rng)
	}},
	{"random, halving", func(f *field, rng *rand.Rand) (int, bool, error) {
		return f.halve(rng.Perm(len(f.window))[:f.pool()])
	}},
	{"prior, halving", func(f *field, rng *rand.Rand) (int, bool, error) {
		order := descending(f.prior, rng)
		leading := f.pool() - min(f.Random, f.pool()-1)
		rest := order[leading:]
		rng.Shuffle(len(rest), func(i, j int) { rest[i], rest[j] = rest[j], rest[i] })
		return f.halve(order[:f.pool()])
	}},
}

// pool is how many networks begin.
func (f *field) pool() int { return min(f.Rungs[0].Networks, len(f.window)) }

func (f *field) val12(i int) float64 { return f.Table.Networks[i].accuracy[C10Val12] }

// first is best by a value that each network has.
func (f *field) first(networks []int, value func(network int) float64, rng *rand.Rand) (int, bool, error) {
	values := make([]float64, len(networks))
	for i, n := range networks {
		values[i] = value(n)
	}
	return f.best(networks, values, rng)
}

// best is the network with the greatest value that does keep the budget, one of
// the equal ones at random.
func (f *field) best(networks []int, values []float64, rng *rand.Rand) (int, bool, error) {
	var ranked []int
	for _, i := range descending(values, rng) {
		ranked = append(ranked, networks[i])
	}
	return f.fastEnough(ranked)
}

// fastEnough is the first of the networks that does keep the budget.
func (f *field) fastEnough(ranked []int) (int, bool, error) {
	i := slices.IndexFunc(ranked, func(n int) bool { return f.keeps[n] })
	if i < 0 {
		return 0, false, nil
	}
	return ranked[i], true, nil
}

// sample draws at most n of the networks.
func sample(networks []int, n int, rng *rand.Rand) []int {
	var drawn []int
	for _, i := range rng.Perm(len(networks))[:min(n, len(networks))] {
		drawn = append(drawn, networks[i])
	}
	return drawn
}

// halve lets networks of the window compete, by their places in it, as a search
// does, but that trainings are looked up.
func (f *field) halve(pool []int) (int, bool, error) {
	var entrants []search.Entrant
	for _, i := range pool {
		entrants = append(entrants, f.Table.entrant(f.window[i], f.prior[i], f.Measure))
	}
	var stages []search.Rung
	for r, rung := range f.Rungs {
		keep := 1
		if r+1 < len(f.Rungs) {
			keep = f.Rungs[r+1].Networks
		}
		stages = append(stages, search.Rung{Name: rung.Evaluator, Keep: keep})
	}
	ranked, err := search.Halve(context.Background(), entrants, stages,
		func(_ context.Context, r int, e search.Entrant) (search.Judgement, error) {
			j, ok := f.judgement(f.Rungs[r].Evaluator, f.budget, e.Number)
			if !ok {
				return j, fmt.Errorf("%s has no score", f.Table.Networks[e.Number].Notation)
			}
			return j, nil
		}, nil)
	if err != nil {
		return 0, false, err
	}
	var numbers []int
	for _, e := range ranked {
		numbers = append(numbers, e.Number)
	}
	return f.fastEnough(numbers)
}

// judgement is what a recorded training says of a network.
func (r *Replay) judgement(evaluator string, b Budget, network int) (search.Judgement, bool) {
	n := r.Table.Networks[network]
	if evaluator == Val12 {
		return search.Judgement{Loss: 1 - n.accuracy[C10Val12]/100, Noise: val12Noise,
			Images: C10Val12.Images()}, true
	}
	s, ok := r.Scores.Of(evaluator, n.Notation, b)
	return s.judgement(), ok
}

// fields prepares a budget: what there is, and what each seed chooses from, which
// is that where profiles are right.
func (r *Replay) fields(b Budget, stream uint64) (there *field, seen []*field, err error) {
	if there, err = r.field(b, r.Table); err != nil {
		return nil, nil, err
	}
	there.keeps = map[int]bool{}
	for _, i := range there.fitting {
		there.keeps[i] = true
	}
	device := slices.Index(r.Table.Devices, b.Device)
	if r.Noise == 0 || device < 0 {
		return there, slices.Repeat([]*field{there}, r.Seeds), nil
	}
	e, err := r.Table.entriesOf(device)
	if err != nil {
		return nil, nil, err
	}
	for seed := range r.Seeds {
		rng := rand.New(rand.NewPCG(uint64(seed), noiseStream+stream))
		f, err := r.field(b, r.Table.noisy(device, e, r.Noise, rng))
		if err != nil {
			return nil, nil, err
		}
		f.keeps = there.keeps
		seen = append(seen, f)
	}
	return there, seen, nil
}

// noiseStream is the stream of a seed, for the first budget, that the errors of
// profiles are drawn by.
const noiseStream = 100

// field prepares a budget as it is with the latencies of a table.
func (r *Replay) field(b Budget, seen *Table) (*field, error) {
	f := &field{Replay: r, budget: b}
	window, err := seen.Window(b)
	if err != nil {
		return nil, err
	}
	left := map[int]bool{}
	for _, i := range window {
		for _, rung := range r.Rungs {
			_, ok := r.judgement(rung.Evaluator, b, i)
			left[i] = left[i] || !ok
		}
		if !left[i] {
			f.window = append(f.window, i)
		}
	}
	if len(f.window) < search.Fewest {
		return nil, fmt.Errorf("oracle: %s: %d of %d networks have all scores: want at least %d", b, len(f.window),
			len(window), search.Fewest)
	}
	if f.fitting, err = seen.Fitting(b); err != nil {
		return nil, err
	}
	f.fitting = slices.DeleteFunc(f.fitting, func(i int) bool { return left[i] })
	f.prior = r.Table.prior(f.window)
	return f, nil
}

// Outcome is how a strategy does under a budget.
type Outcome struct {
	Budget     string  `json:"budget"`
	Fits       bool    `json:"fits"`       // the strategy has a network
	Regret     float64 `json:"regret"`     // mean over seeds, below the best that fits, in points
	Deviation  float64 `json:"deviation"`  // standard deviation over seeds
	Worst      float64 `json:"worst"`      // the greatest of a seed
	Percentile float64 `json:"percentile"` // mean share of the networks that fit which are no better
}

// Standing is how a strategy does under all budgets.
type Standing struct {
	Strategy string    `json:"strategy"`
	Outcomes []Outcome `json:"outcomes"` // by budget
	Mean     Figure    `json:"mean"`     // of the budgets' mean regrets; the interval is Student's over budgets
	Worse    int       `json:"worse"`    // budgets under which its mean regret is greater than the search's
}

// Result is what a replay comes to. The last standing is the search's.
type Result struct {
	Measure   string     `json:"measure"`
	Seeds     int        `json:"seeds"`
	Noise     float64    `json:"table_noise,omitempty"` // of profiles
	Networks  []int      `json:"networks"`              // of each window that have scores
	Standings []Standing `json:"standings"`
}

// Run simulates the searches.
func (r *Replay) Run(ctx context.Context) (*Result, error) {
	if len(r.Rungs) == 0 || r.Seeds < 1 {
		return nil, errors.New("oracle: replay: want at least one rung and one seed")
	}
	res := &Result{Measure: r.Measure.String(), Seeds: r.Seeds, Noise: r.Noise,
		Standings: make([]Standing, len(strategies))}
	for b, budget := range r.Budgets {
		there, seen, err := r.fields(budget, uint64(b))
		if err != nil {
			return nil, err
		}
		res.Networks = append(res.Networks, len(there.window))
		for s, st := range strategies {
			if err := ctx.Err(); err != nil {
				return nil, err
			}
			o, err := there.outcome(st, seen, uint64(b))
			if err != nil {
				return nil, err
			}
			o.Budget = budget.String()
			res.Standings[s].Strategy = st.name
			res.Standings[s].Outcomes = append(res.Standings[s].Outcomes, o)
		}
	}
	own := res.Standings[len(strategies)-1].Outcomes
	for s := range res.Standings {
		res.Standings[s].compare(own)
	}
	return res, nil
}

// outcome runs a strategy with every seed, each on what it sees of the field.
func (f *field) outcome(s strategy, seen []*field, stream uint64) (Outcome, error) {
	best := math.Inf(-1)
	for _, i := range f.fitting {
		best = max(best, f.Truth[i])
	}
	var regrets []float64
	o := Outcome{Fits: true}
	for seed, own := range seen {
		i, ok, err := s.choose(own, rand.New(rand.NewPCG(uint64(seed), stream)))
		if err != nil || !ok {
			return Outcome{}, err
		}
		regrets = append(regrets, best-f.Truth[i])
		worse := 0
		for _, j := range f.fitting {
			if f.Truth[j] <= f.Truth[i] {
				worse++
			}
		}
		o.Percentile += float64(worse) / float64(len(f.fitting)) / float64(f.Seeds)
	}
	o.Regret, o.Deviation = stats.MeanStdDev(regrets)
	o.Worst = slices.Max(regrets)
	return o, nil
}

// compare sums up over the budgets that the strategy has a network for.
func (s *Standing) compare(search []Outcome) {
	var regrets []float64
	for b, o := range s.Outcomes {
		if !o.Fits {
			continue
		}
		regrets = append(regrets, o.Regret)
		if o.Regret > search[b].Regret {
			s.Worse++
		}
	}
	if len(regrets) == 0 {
		return
	}
	mean, deviation := stats.MeanStdDev(regrets)
	half := 0.0
	if n := float64(len(regrets)); n > 1 {
		half = stats.StudentT((1+confidence)/2, n-1) * deviation / math.Sqrt(n)
	}
	s.Mean = Figure{mean, mean - half, mean + half}
}

// Write writes the result as a table for people.
func (r *Result) Write(w io.Writer) {
	width, noise := 18, ""
	if r.Noise > 0 {
		width, noise = 22, fmt.Sprintf(" (worst), tables wrong by %.0f %% an entry", 100*r.Noise)
	}
	fmt.Fprintf(w, "regret by %s, mean ± standard deviation of %d seeds%s, in points\n%-18s", r.Measure, r.Seeds, noise,
		"strategy")
	for b, o := range r.Standings[0].Outcomes {
		fmt.Fprintf(w, " %-*s", width, fmt.Sprintf("%s (%d)", o.Budget, r.Networks[b]))
	}
	fmt.Fprintf(w, " %-20s %s\n", "mean of budgets", "worse than the search under")
	for _, s := range r.Standings {
		fmt.Fprintf(w, "%-18s", s.Strategy)
		fitting := 0
		for _, o := range s.Outcomes {
			text := "no network"
			if o.Fits {
				text = fmt.Sprintf("%.2f ± %.2f", o.Regret, o.Deviation)
				if r.Noise > 0 {
					text += fmt.Sprintf(" (%.2f)", o.Worst)
				}
				fitting++
			}
			fmt.Fprintf(w, " %-*s", width, text)
		}
		mean := "none"
		if fitting > 0 {
			mean = fmt.Sprintf("%.2f [%.2f, %.2f]", s.Mean.Value, s.Mean.Low, s.Mean.High)
		}
		fmt.Fprintf(w, " %-20s %d of %d\n", mean, s.Worse, fitting)
	}
}

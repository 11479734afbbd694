// SPDX-License-Identifier: Apache-2.0

package search

import (
	"errors"
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"

	"github.com/edgenas/edgenas/arch"
)

func newWindow(t *testing.T, space arch.Space, costs Costs, limitS float64) *Window {
	t.Helper()
	w, err := NewWindow(space, costs, limitS, rand.New(rand.NewPCG(1, 0)))
	if err != nil {
		t.Fatal(err)
	}
	return w
}

// A window that is listed has each different network that uses the limit; one
// that is drawn has some of them, no kind more often than it is.
func TestWindowAgainstExhaustiveSearch(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name     string
		instance func(*testing.T, uint64) instance
		limits   []float64
	}{
		{"nb201", nb201Instance, []float64{1.01e-4, 1.1e-4, 2e-4, 1.5e-3, 1, math.Inf(1)}},
		{"edge selection", toyInstance, []float64{1.4e-3, 2e-3, 3.5e-3, 1, math.Inf(1)}},
		{"mbconv", mbconvInstance, []float64{1.5e-3, 3e-3, 5e-3, math.Inf(1)}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			in := tc.instance(t, 1)
			forms := newForms(in.space)
			all := in.all(t)
			listed, drawn := 0, 0
			for _, limit := range tc.limits {
				w, err := NewWindow(in.space, in.costs, limit, rand.New(rand.NewPCG(1, 0)))
				if err != nil {
					t.Fatal(err)
				}
				share, fit := exhaustive(all, min(limit, 3600))
				if w.Share != share {
					t.Errorf("limit %g s: the window uses %g of it: want %g", limit, w.Share, share)
				}
				want := map[string]Candidate{}
				for _, n := range fit {
					want[forms.of(n.Choice)] = n
				}
				got := map[string]bool{}
				for _, n := range w.Networks {
					form := forms.of(n.Choice)
					if known, ok := want[form]; !ok || got[form] || n.LatencyS != known.LatencyS {
						t.Fatalf("limit %g s: %s takes %g s: it is not in the window, or there twice",
							limit, in.space.Notation(n.Choice), n.LatencyS)
					}
					got[form] = true
				}
				if !w.Sample {
					listed++
					if len(got) != len(want) {
						t.Errorf("limit %g s: %d networks: want %d", limit, len(got), len(want))
					}
					continue
				}
				drawn++
				if len(got) != mostDrawn {
					t.Errorf("limit %g s: %d networks were drawn: want %d", limit, len(got), mostDrawn)
				}
				mean := func(networks []Candidate) (mean, deviation float64) {
					squares := 0.0
					for _, n := range networks {
						mean += n.LatencyS / float64(len(networks))
						squares += n.LatencyS * n.LatencyS / float64(len(networks))
					}
					return mean, math.Sqrt(squares - mean*mean)
				}
				a, deviation := mean(fit)
				if b, _ := mean(w.Networks); math.Abs(a-b) > 3*deviation/math.Sqrt(mostDrawn) {
					t.Errorf("limit %g s: those drawn take %g s on average: want %g ± %g", limit, b, a, deviation/64)
				}
			}
			if listed == 0 || drawn == 0 && tc.name != "nb201" {
				t.Errorf("%d windows were listed, %d drawn: both are to be tested", listed, drawn)
			}
		})
	}
}

// fixed is a space that has only some of nb201's choices.
type fixed struct {
	arch.Space
	options [][]int
}

func (f fixed) Groups() []arch.Group {
	return []arch.Group{{Rows: []int{0, 1, 2, 3, 4, 5}, Options: f.options}}
}

// priced takes for each choice what a map says.
type priced map[string]float64

func (p priced) Latency(c arch.Choice) (float64, error) { return p[fmt.Sprint(c)], nil }

// The window widens by steps until it has eight networks; those that use less
// than its share are not in it, however few there are.
func TestWindowWidens(t *testing.T) {
	for _, tc := range []struct {
		name   string
		counts map[float64]int // latency in shares of the limit → networks
		share  float64
		want   int
	}{
		{"enough at once", map[float64]int{1: 8, 0.84: 5}, 0.85, 8},
		{"one too few", map[float64]int{1: 7, 0.84: 5, 0.69: 1}, 0.7, 12},
		{"an empty window", map[float64]int{1.01: 20, 0.55: 3, 0.5: 5, 0.49: 9}, 0.5, 8},
		{"a coarse table", map[float64]int{0.9: 2, 0.3: 6, 0.2: 9}, 0.25, 8},
		{"few fit at all", map[float64]int{1.5: 30, 0.9: 2, 0.1: 3}, 0, 5},
	} {
		t.Run(tc.name, func(t *testing.T) {
			const limit = 2e-3
			space, costs := fixed{Space: newNB201(t)}, priced{}
			options := liveOptions(space.Space)
			for _, share := range slices.Sorted(maps.Keys(tc.counts)) {
				for range tc.counts[share] {
					o := options[len(space.options)]
					space.options = append(space.options, o)
					costs[fmt.Sprint(arch.Choice{o})] = share * limit
				}
			}
			w := newWindow(t, space, costs, limit)
			if w.Share != tc.share || len(w.Networks) != tc.want || w.Sample {
				t.Errorf("%d networks that use %g: want %d that use %g", len(w.Networks), w.Share, tc.want, tc.share)
			}
			for _, n := range w.Networks {
				if n.LatencyS > limit || n.LatencyS < w.Share*limit || !math.IsNaN(n.Loss) || n.Score != 0 {
					t.Errorf("%+v in a window of %g…%g", n, w.Share*limit, limit)
				}
			}
		})
	}
}

func TestWindowInfeasible(t *testing.T) {
	for name, in := range instances(t, 2) {
		_, err := NewWindow(in.space, in.costs, 1e-6, nil)
		var infeasible *InfeasibleError
		if !errors.As(err, &infeasible) || infeasible.BudgetS != 1e-6 {
			t.Fatalf("%s: error %v: want an InfeasibleError", name, err)
		}
		w := newWindow(t, in.space, in.costs, infeasible.FastestS)
		if len(w.Networks) == 0 || w.Networks[0].LatencyS != infeasible.FastestS {
			t.Errorf("%s: the fastest network, %g s, is not the window of its latency: %v",
				name, infeasible.FastestS, w.Networks)
		}
	}
}

// Where groups do not add up, what is in the window keeps the limit as a whole,
// and any limit that the fastest network keeps has a window.
func TestWindowWhereGroupsDoNotAddUp(t *testing.T) {
	for _, by := range []float64{5e-5, -5e-5} {
		costs := merging{newEdgeCosts(toy{}, rand.New(rand.NewPCG(1, 6))), by, toy{}.Groups()}
		c, err := NewCatalogue(toy{}, costs)
		if err != nil {
			t.Fatal(err)
		}
		fastest, err := c.fastest(math.Inf(1))
		if err != nil {
			t.Fatal(err)
		}
		for share := 1.0; share < 1.3; share += 0.02 {
			limit := share * fastest.LatencyS
			w := newWindow(t, toy{}, costs, limit)
			if len(w.Networks) == 0 {
				t.Fatalf("limit %g × the fastest, %g s a group: no network", share, by)
			}
			for _, n := range w.Networks {
				if s, err := costs.Latency(n.Choice); err != nil || s != n.LatencyS || s > limit || s < w.Share*limit {
					t.Errorf("%g s (%v), not %g, in a window of %g…%g s", s, err, n.LatencyS, w.Share*limit, limit)
				}
			}
		}
	}
}

// What is drawn follows from the random numbers alone, and what is listed from
// none.
func TestWindowIsDeterministic(t *testing.T) {
	draw := func(in instance, limitS float64, seed uint64) *Window {
		w, err := NewWindow(in.space, in.costs, limitS, rand.New(rand.NewPCG(seed, 0)))
		if err != nil {
			t.Fatal(err)
		}
		for i := range w.Networks {
			w.Networks[i].Loss = 0 // NaN equals nothing
		}
		return w
	}
	in := mbconvInstance(t, 1)
	a, b, c := draw(in, math.Inf(1), 1), draw(in, math.Inf(1), 1), draw(in, math.Inf(1), 2)
	if !a.Sample || !reflect.DeepEqual(a, b) || reflect.DeepEqual(a, c) {
		t.Error("the same random numbers draw other networks, or others the same")
	}
	in = nb201Instance(t, 1)
	if a, b := draw(in, 1.5e-3, 1), draw(in, 1.5e-3, 2); a.Sample || !reflect.DeepEqual(a, b) {
		t.Error("a window that is listed depends on random numbers")
	}
}

// liveOptions lists some different live cells of nb201.
func liveOptions(space arch.Space) [][]int {
	f, seen := newForms(space), map[string]bool{"": true}
	var options [][]int
	for c := range arch.All(space) {
		if form := f.of(c); !seen[form] && space.Canonical(c).Equal(c) {
			seen[form] = true
			if options = append(options, c[0]); len(options) == 100 {
				break
			}
		}
	}
	return options
}

// 1,000 tables and α, dead cells among the options: no candidate is ever over
// the budget, and where enough networks use 0.85 of it, all candidates do.
func TestCandidatesUseTheBudget(t *testing.T) {
	t.Parallel()
	nb201, forms := newNB201(t), newForms(newNB201(t))
	var live, dead [][]int
	seen := map[string]bool{}
	for c := range arch.All(nb201) {
		if form := forms.of(c); form == "" {
			dead = append(dead, c[0])
		} else if !seen[form] && nb201.Canonical(c).Equal(c) {
			seen[form] = true
			live = append(live, c[0])
		}
	}
	wellUsed, widened, infeasible := 0, 0, 0
	for trial := range uint64(1000) {
		rng := rand.New(rand.NewPCG(trial, 9))
		space := fixed{Space: nb201}
		for range 20 {
			space.options = append(space.options, dead[rng.IntN(len(dead))])
		}
		for _, i := range rng.Perm(len(live))[:30+rng.IntN(120)] {
			space.options = append(space.options, live[i])
		}
		costs := newAdditive(nb201, rng)
		costs.fixed *= 5 * rng.Float64()
		var latencies []float64
		for _, o := range space.options[20:] {
			s, err := costs.Latency(arch.Choice{o})
			if err != nil {
				t.Fatal(err)
			}
			latencies = append(latencies, s)
		}
		budget := latencies[rng.IntN(len(latencies))] * (0.5 + 0.7*rng.Float64())
		alpha := make([]float64, 30)
		for i := range alpha {
			alpha[i] = math.Pow(10, float64(trial%4)-2) * rng.NormFloat64()
		}
		p := make([]float64, 30)
		softmax(p, alpha, 5, 1)
		c, err := NewCatalogue(space, costs)
		if err != nil {
			t.Fatal(err)
		}
		k := 1 + rng.IntN(40)
		got, err := c.Discretise([][]float64{p}, budget, k)
		using := func(share float64) (n int) {
			for _, s := range latencies {
				if s <= budget && s >= share*budget {
					n++
				}
			}
			return n
		}
		if using(0) == 0 {
			infeasible++
			if !errors.As(err, new(*InfeasibleError)) {
				t.Fatalf("trial %d: %d candidates, %v: want an InfeasibleError", trial, len(got), err)
			}
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		share := 0.85
		for _, s := range []float64{0.7, 0.5, 0.25, 0} {
			if using(share) < 8 {
				share = s
			}
		}
		if share == 0.85 {
			wellUsed++
		} else {
			widened++
		}
		if want := min(k, using(share)); len(got) != want {
			t.Errorf("trial %d: %d candidates: want %d", trial, len(got), want)
		}
		for _, n := range got {
			if s, err := costs.Latency(n.Choice); err != nil || s > budget || s < share*budget {
				t.Errorf("trial %d: a candidate takes %g s (%v) of %g, of which others use %g", trial, s, err, budget, share)
			}
		}
	}
	if wellUsed < 100 || widened < 100 || infeasible < 10 {
		t.Errorf("%d budgets were well used, %d windows were widened, %d empty: too few", wellUsed, widened, infeasible)
	}
}

// An α that has decided nothing prefers no networks for their dead edges: among
// its candidates they are as frequent as in the window.
func TestDeadEdgesEarnTheirPlace(t *testing.T) {
	in := nb201Instance(t, 1)
	c, err := NewCatalogue(in.space, in.costs)
	if err != nil {
		t.Fatal(err)
	}
	const limit = 1.5e-3
	none := func(networks []Candidate) float64 {
		n := 0
		for _, network := range networks {
			for _, col := range network.Choice[0] {
				if col == 0 {
					n++
				}
			}
		}
		return float64(n) / float64(len(networks))
	}
	want := none(newWindow(t, in.space, in.costs, limit).Networks)
	const draws = 200
	mean, squares := 0.0, 0.0
	for seed := range uint64(draws) {
		rng := rand.New(rand.NewPCG(seed, 8))
		alpha, p := make([]float64, 30), make([]float64, 30)
		for i := range alpha {
			alpha[i] = 0.1 * rng.NormFloat64()
		}
		softmax(p, alpha, 5, 1)
		got, err := c.Discretise([][]float64{p}, limit, 20)
		if err != nil {
			t.Fatal(err)
		}
		n := none(got)
		mean, squares = mean+n/draws, squares+n*n/draws
	}
	if deviation := math.Sqrt((squares - mean*mean) / draws); math.Abs(mean-want) > 2*deviation {
		t.Errorf("candidates have %.3f ± %.3f edges of none on average: the window has %.3f", mean, deviation, want)
	}
}

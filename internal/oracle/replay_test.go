// SPDX-License-Identifier: Apache-2.0

package oracle

import (
	"context"
	"errors"
	"math"
	"reflect"
	"slices"
	"strings"
	"testing"
)

// replay is a replay on the invented table, judged by what nothing is tuned on.
func replay(t *testing.T) *Replay {
	t.Helper()
	table := invented(t)
	truth := make([]float64, len(table.Networks))
	for i, n := range table.Networks {
		truth[i] = n.accuracy[C10Test200]
	}
	return &Replay{Table: table, Rungs: []Rung{{Val12, 24}}, Random: 6,
		Budgets: append([]Budget{{"pi4", 6e-3}}, Sets[1].Budgets...), Measure: C10Test200,
		Truth: truth, Seeds: 5}
}

// standing is that of the strategy with this name.
func (r *Result) standing(t *testing.T, name string) Standing {
	t.Helper()
	for _, s := range r.Standings {
		if s.Strategy == name {
			return s
		}
	}
	t.Fatalf("there is no strategy %s", name)
	return Standing{}
}

func TestReplay(t *testing.T) {
	r := replay(t)
	res, err := r.Run(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range res.Standings {
		if len(s.Outcomes) != len(r.Budgets) {
			t.Fatalf("%s: %d outcomes of %d budgets", s.Strategy, len(s.Outcomes), len(r.Budgets))
		}
		sum, n, worse := 0.0, 0, 0
		for b, o := range s.Outcomes {
			if o.Budget != r.Budgets[b].String() || o.Regret < 0 || o.Percentile < 0 || o.Percentile > 1 {
				t.Errorf("%s: %+v", s.Strategy, o)
			}
			if o.Fits {
				sum, n = sum+o.Regret, n+1
				if o.Regret > res.standing(t, "prior, halving").Outcomes[b].Regret {
					worse++
				}
			}
		}
		if n > 0 && math.Abs(s.Mean.Value-sum/float64(n)) > 1e-9 || s.Worse != worse ||
			!(s.Mean.Low <= s.Mean.Value && s.Mean.Value <= s.Mean.High) {
			t.Errorf("%s: mean %+v, worse %d", s.Strategy, s.Mean, s.Worse)
		}
	}
	search, random := res.standing(t, "prior, halving"), res.standing(t, "random, halving")
	if !(search.Mean.Value < random.Mean.Value) || search.Outcomes[0].Percentile < 0.9 {
		t.Errorf("the search: %+v, with random networks: %+v", search, random)
	}
	if search.Outcomes[0].Deviation == 0 && random.Outcomes[0].Deviation == 0 {
		t.Error("seeds change nothing")
	}
	cell := res.standing(t, "residual cell")
	i, _ := r.Table.Residual()
	for b, o := range cell.Outcomes {
		fitting, err := r.Table.Fitting(r.Budgets[b])
		if err != nil {
			t.Fatal(err)
		}
		if o.Fits != slices.Contains(fitting, i) || o.Deviation != 0 {
			t.Errorf("the residual cell under %s: %+v", r.Budgets[b], o)
		}
	}
	again, err := r.Run(context.Background())
	if err != nil || !reflect.DeepEqual(again, res) {
		t.Errorf("the second replay differs (%v)", err)
	}
	var text strings.Builder
	res.Write(&text)
	for _, want := range []string{"regret by c10_test200", "prior, halving", "no network", "none (9444)"} {
		if !strings.Contains(text.String(), want) {
			t.Errorf("%s\nlacks %q", text.String(), want)
		}
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := r.Run(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: error %v", err)
	}
}

// Trainings that tell the truth find the best network of the window, and what
// lacks a score of any rung is not looked at.
func TestReplayOfScores(t *testing.T) {
	r := replay(t)
	r.Budgets = r.Budgets[1:2]
	window, err := r.Table.Window(r.Budgets[0])
	if err != nil {
		t.Fatal(err)
	}
	scored := window[:40]
	r.Scores = newScores()
	best := math.Inf(-1)
	for i, n := range scored {
		s := Score{Architecture: r.Table.Networks[n].Notation, Score: r.Truth[n] - 100}
		s.Evaluator = "first"
		r.Scores.add(s)
		if s.Evaluator = "second"; i < 30 {
			r.Scores.add(s)
			best = max(best, r.Truth[n])
		}
	}
	r.Rungs = []Rung{{"first", 40}, {"second", 10}}
	f, _, err := r.fields(r.Budgets[0], 0)
	if err != nil {
		t.Fatal(err)
	}
	if len(f.window) != 30 {
		t.Fatalf("%d networks in the window, 30 have all scores", len(f.window))
	}
	for _, s := range strategies[len(strategies)-2:] {
		all := make([]int, len(f.window))
		for i := range all {
			all[i] = i
		}
		found, ok, err := f.halve(all)
		if err != nil || !ok || r.Truth[found] != best {
			t.Errorf("%s: found %g, the best is %g (%v)", s.name, r.Truth[found], best, err)
		}
	}
	res, err := r.Run(context.Background())
	if err != nil || res.Networks[0] != 30 {
		t.Fatalf("%+v (%v)", res, err)
	}
	r.Rungs[1].Evaluator = "third"
	if _, err := r.Run(context.Background()); err == nil || !strings.Contains(err.Error(), "0 of") {
		t.Errorf("no scores: error %v", err)
	}
	r.Seeds = 0
	if _, err := r.Run(context.Background()); err == nil || !strings.Contains(err.Error(), "one seed") {
		t.Errorf("no seeds: error %v", err)
	}
}

// SPDX-License-Identifier: Apache-2.0

package oracle

import (
	"encoding/json"
	"math"
	"math/rand/v2"
	"strings"
	"testing"
)

func TestJudgeScores(t *testing.T) {
	truth := []float64{90, 91, 92, 93, 94, 95, 96, 97, 98, 99, 100}
	reversed := make([]float64, len(truth))
	for i, v := range truth {
		reversed[i] = -v
	}
	second := append([]float64(nil), truth...)
	second[10], second[9] = second[9], second[10]
	for _, tc := range []struct {
		name          string
		scores        []float64
		regret1, five float64
		precision     float64
	}{
		{"the truth", truth, 0, 0, 1},
		{"its opposite", reversed, 10, 6, 0},
		{"the first two exchanged", second, 1, 0, 1},
	} {
		f := judge(tc.scores, truth, rand.New(rand.NewPCG(1, 1)))
		if f[1] != tc.regret1 || f[2] != tc.five || f[3] != tc.precision {
			t.Errorf("%s: regret %g and %g, precision %g", tc.name, f[1], f[2], f[3])
		}
	}
	// Equal scores say nothing: the first is any of them.
	mean := 0.0
	rng := rand.New(rand.NewPCG(1, 1))
	for range 2000 {
		f := judge(make([]float64, len(truth)), truth, rng)
		if f[0] != 0 {
			t.Fatalf("rank correlation %g of equal scores", f[0])
		}
		mean += f[1] / 2000
	}
	if math.Abs(mean-5) > 0.3 {
		t.Errorf("mean regret %g of equal scores, want 5", mean)
	}
}

// row is the row of an evaluator under a budget.
func (c *Card) row(t *testing.T, evaluator, budget string) Row {
	t.Helper()
	for _, r := range c.Rows {
		if r.Evaluator == evaluator && r.Budget == budget {
			return r
		}
	}
	t.Fatalf("there is no row of %s, %s", evaluator, budget)
	return Row{}
}

func TestNewCard(t *testing.T) {
	table, set := invented(t), Sets[0]
	networks, err := table.Draw(set.Budgets, 200, 1)
	if err != nil {
		t.Fatal(err)
	}
	truth, err := table.Accuracy(C10Val12, "", "test")
	if err != nil {
		t.Fatal(err)
	}
	scores := newScores()
	rng := rand.New(rand.NewPCG(3, 1))
	for i, n := range networks {
		score := Score{Evaluator: "noisy", Architecture: table.Networks[n].Notation, Score: truth[n] + 0.5*rng.NormFloat64(),
			Tail: truth[n] + 0.5*rng.NormFloat64(), Error: 0.25, CPUS: 2}
		scores.add(score)
		score.Evaluator, score.Score, score.Tail = "exact", truth[n], 0
		scores.add(score)
		if score.Evaluator = "rare"; i < 12 {
			scores.add(score)
		}
	}
	series := append(table.Structures(networks), table.Recorded(scores, C10Val12)...)
	card, err := NewCard(table, set.Budgets, C10Val12, truth, series)
	if err != nil {
		t.Fatal(err)
	}
	exact, noisy, luck := card.row(t, "exact", "mean"), card.row(t, "noisy", "mean"), card.row(t, "random", "mean")
	if exact.Spearman.Value < 1-1e-9 || exact.Regret1.High != 0 || exact.Precision10.Low < 1-1e-9 ||
		math.Abs(exact.CPUS-2) > 1e-9 {
		t.Errorf("the exact scores: %+v", exact)
	}
	if s := noisy.Spearman; !(s.Low < s.Value && s.Value < s.High && s.Low > 0.6 && s.High < 1) {
		t.Errorf("the noisy scores: %+v", s)
	}
	if both := card.row(t, "noisy both", "mean"); both.Spearman.Value <= noisy.Spearman.Value {
		t.Errorf("the mean of two noisy scores correlates by %g, one by %g", both.Spearman.Value, noisy.Spearman.Value)
	}
	believed := card.row(t, "noisy prior", "mean")
	if believed.Spearman.Value <= noisy.Spearman.Value || believed.Regret1.Value > noisy.Regret1.Value+0.1 {
		t.Errorf("with the prior: %+v, without: %+v", believed, noisy)
	}
	if s := luck.Spearman; s.Low > 0 || s.High < 0 || luck.Regret1.Value < noisy.Regret1.Value {
		t.Errorf("luck: %+v", luck)
	}
	if p := card.row(t, "prior", "mean").Spearman; p.Low < 0.1 {
		t.Errorf("the prior: %+v", p)
	}
	sum := 0.0
	for _, b := range set.Budgets {
		sum += card.row(t, "noisy", b.String()).Spearman.Value / float64(len(set.Budgets))
	}
	if math.Abs(sum-noisy.Spearman.Value) > 1e-9 {
		t.Errorf("the mean over budgets is %g, the row says %g", sum, noisy.Spearman.Value)
	}
	for _, r := range card.Rows {
		if r.Evaluator == "rare" {
			t.Errorf("a row of %d networks", r.Networks)
		}
		if strings.HasSuffix(r.Evaluator, "exact tail") {
			t.Error("a row of training losses that there are not")
		}
	}
	again, err := NewCard(table, set.Budgets, C10Val12, truth, series)
	if err != nil {
		t.Fatal(err)
	}
	first, err := json.Marshal(card)
	if err != nil {
		t.Fatal(err)
	}
	if second, _ := json.Marshal(again); string(second) != string(first) {
		t.Error("two cards of the same scores differ")
	}
	var text strings.Builder
	card.Write(&text)
	if !strings.HasPrefix(text.String(), "judged by c10_val12") || !strings.Contains(text.String(), "noisy tail") {
		t.Errorf("%s", text.String())
	}
}

// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/edgenas/edgenas/arch"
	"github.com/edgenas/edgenas/internal/fault"
	"github.com/edgenas/edgenas/internal/oracle"
	"github.com/edgenas/edgenas/internal/run"
)

// oracleTable writes a table of some networks, a dozen or more of them in the
// window of every budget.
func oracleTable(t *testing.T) string {
	t.Helper()
	space, err := arch.NewSpace("nb201", arch.Spaces[0].Default)
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	b.WriteString("arch,c10_val12_pct,c10_test200_pct,c100_val12_pct,c100_test200_pct,pi4_ms,pi5_ms\n")
	pi4, pi5 := []float64{9, 19, 27, 38}, []float64{1.4, 2.4, 3.3, 4.3, 5.8}
	number, rows := 0, 0
	for c := range arch.All(space) {
		number++
		if number%100 != 0 || !c.Equal(space.Canonical(c)) {
			continue
		}
		if _, err := space.Network(c, 1); err != nil {
			continue // dead
		}
		good := float64(number%17) / 4
		fmt.Fprintf(&b, "%s,%g,%g,%g,%g,%g,%g\n", space.Notation(c), 70+good, 90+good, 40+good, 60+good, pi4[rows%4],
			pi5[rows%5])
		rows++
	}
	path := filepath.Join(t.TempDir(), "table.csv")
	write(t, path, []byte(b.String()))
	return path
}

// Scores are recorded one by one, so that a larger comparison goes on with those
// that there are; each look at what nothing may be tuned on is written down.
func TestBenchEvaluators(t *testing.T) {
	table, scores := oracleTable(t), filepath.Join(t.TempDir(), "scores.jsonl")
	recorded := func() []byte {
		t.Helper()
		text, err := os.ReadFile(scores)
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
	bench := func(more ...string) outcome {
		t.Helper()
		args := append([]string{"bench", "evaluators", "--threads", "1", "--table", table, "--scores", scores}, more...)
		return edgenas(t, args...).want(t, fault.Done)
	}
	one := bench("--n", "1", "--evaluators", "rung0", "--data", "embedded")
	first := recorded()
	if n := bytes.Count(first, []byte("\n")); n != 1 || !strings.Contains(one.stderr, "rung0: 1 of 1: ") {
		t.Fatalf("%d scores of 1 network: %s", n, one.stderr)
	}
	bench("--n", "2", "--evaluators", "rung0", "--data", "embedded")
	if both := recorded(); bytes.Count(both, []byte("\n")) != 2 || !bytes.HasPrefix(both, first) {
		t.Errorf("the second time: %s", both)
	}
	o := bench("--n", "60")
	if !strings.Contains(o.stderr, "rung0: 58 of 60 networks have no score yet") {
		t.Errorf("stderr %s: want what is missing", o.stderr)
	}
	for _, want := range []string{"judged by c10_val12", "judged by c100_test200", "prior", "pi5 1.50 ms", "mean"} {
		if !strings.Contains(o.stdout, want) {
			t.Errorf("stdout %s: lacks %s", o.stdout, want)
		}
	}
	looks := strings.TrimSuffix(scores, ".jsonl") + ".looks.jsonl"
	if _, err := os.Stat(looks); err == nil {
		t.Error("tuning looked at what nothing may be tuned on")
	}
	o = bench("--budgets", "held-out", "--n", "60", "--json")
	var card struct {
		Cards []struct {
			Measure string
			Rows    []struct{ Evaluator string }
		}
	}
	if err := json.Unmarshal([]byte(o.stdout), &card); err != nil || len(card.Cards) != 1 ||
		card.Cards[0].Measure != "c10_test200" || len(card.Cards[0].Rows) == 0 {
		t.Errorf("stdout %s (%v)", o.stdout, err)
	}
	edgenas(t, "bench", "oracle", "--table", table, "--scores", scores, "--budgets", "held-out", "--seeds", "2").
		want(t, fault.Done)
	if text, err := os.ReadFile(looks); err != nil || bytes.Count(text, []byte("\n")) != 2 {
		t.Errorf("looks: %s (%v)", text, err)
	}
}

// What α learns from for the card is what it learns from in a search.
func TestAlphaWork(t *testing.T) {
	e, err := run.NewEffort("standard")
	if err != nil || e.Policy != oracle.AlphaWork {
		t.Errorf("--effort standard spends %g operations on α, the card %g (%v)", e.Policy, oracle.AlphaWork, err)
	}
}

func TestBenchOracle(t *testing.T) {
	o := edgenas(t, "bench", "oracle", "--table", oracleTable(t), "--seeds", "3").want(t, fault.Done)
	for _, want := range []string{"regret by c10_val12", "regret by c100_test200", "of 3 seeds", "prior, halving"} {
		if !strings.Contains(o.stdout, want) {
			t.Errorf("stdout %s: lacks %s", o.stdout, want)
		}
	}
}

func TestBenchOracleRefuses(t *testing.T) {
	table := oracleTable(t)
	broken := filepath.Join(t.TempDir(), "broken")
	write(t, broken, []byte("arch\n"))
	for _, tc := range []struct {
		args, want string
		code       int
	}{
		{"evaluators --table " + table, "--scores", fault.Usage},
		{"evaluators --scores x", "--table", fault.Usage},
		{"evaluators --table " + table + " --scores x --budgets all", `budgets "all": want tuning or held-out`, fault.Usage},
		{"evaluators --table " + table + " --scores x --evaluators rung0", "--data and --evaluators", fault.Usage},
		{"evaluators --table " + table + " --scores x --evaluators rung7 --data embedded", `"rung7"`, fault.Usage},
		{"evaluators --table " + table + " --scores x --n 0", "--n 0", fault.Usage},
		{"evaluators --table " + table + " --scores " + broken, "line 1", fault.Data},
		{"evaluators --table " + broken + " --scores x", "no column c10_val12_pct", fault.Data},
		{"oracle --table " + broken + ".none", "no such file", fault.Data},
		{"oracle --table " + table + " --budgets held-out", "--scores", fault.Usage},
		{"oracle --table " + table + " --rungs rung0", `--rungs "rung0"`, fault.Usage},
		{"oracle --table " + table + " --rungs a:4,b:8", "no more in a rung than before", fault.Usage},
		{"oracle --table " + table + " --rungs rung0:8", "have all scores", fault.Data},
		{"oracle --table " + table + " --seeds 0", "--seeds 0", fault.Usage},
		{"oracle --table " + table + " --table-noise 2", "--table-noise 2", fault.Usage},
		{"oracle --table " + table + " --random -1", "--random -1", fault.Usage},
	} {
		o := edgenas(t, append([]string{"bench"}, strings.Fields(tc.args)...)...).want(t, tc.code)
		if !strings.Contains(o.stderr, tc.want) || o.stdout != "" {
			t.Errorf("%s: stdout %s, stderr %s: want %q", tc.args, o.stdout, o.stderr, tc.want)
		}
	}
}

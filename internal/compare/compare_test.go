// SPDX-License-Identifier: Apache-2.0

package compare

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/edgenas/edgenas/arch"
)

var (
	setting = Setting{Space: "nb201", Effort: "quick", Data: "embedded", Device: "board", Runtime: "native"}
	small   = arch.Size{Image: 8, Colours: 1, Classes: 3}
)

func plan(t *testing.T, budgets []float64, seeds ...uint64) *Plan {
	t.Helper()
	p, err := NewPlan(setting, small, budgets, seeds)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func record(t *testing.T, path string) *Record {
	t.Helper()
	r, err := OpenRecord(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close() })
	return r
}

// made does a step without any work: latencies follow from the size alone.
func made(_ context.Context, s Step) (Line, error) {
	l := Line{Step: s, Version: "v0", Architecture: "a", TestAccuracy: 0.9, WallS: 300}
	switch s.Kind {
	case Search:
		l.Size, l.MeasuredS = small, 0.9*s.BudgetS
	case Latency:
		l.TestAccuracy, l.MeasuredS = 0, 1e-5*float64(s.Size.Channels*s.Size.Cells)
		if s.Cell == "empty" {
			l.MeasuredS = 1e-5 * float64(s.Size.Channels)
		}
	}
	return l, nil
}

// A comparison that is interrupted again and again comes to the same file as one
// that is not, and repeats nothing.
func TestGoesOn(t *testing.T) {
	p := plan(t, []float64{2e-4, 1e-3}, 1, 2)
	dir := t.TempDir()
	whole := record(t, filepath.Join(dir, "whole.jsonl"))
	done := map[Step]int{}
	if err := p.Run(t.Context(), whole, func(ctx context.Context, s Step) (Line, error) {
		done[s]++
		return made(ctx, s)
	}, func([]Step) {}); err != nil {
		t.Fatal(err)
	}
	kinds := map[string]int{}
	for s, n := range done {
		if kinds[s.Kind]++; n != 1 {
			t.Errorf("%s was done %d times", s, n)
		}
	}
	if kinds[Search] != 4 || kinds[Simple] < 2*2*3 || kinds[Simple] > 2*3*3 || kinds[Latency] > 3*(2*8+1) {
		t.Errorf("steps: %v", kinds)
	}
	if missing := p.Missing(whole.Lines); missing != nil {
		t.Errorf("missing after the end: %v", missing)
	}
	want, err := os.ReadFile(filepath.Join(dir, "whole.jsonl"))
	if err != nil {
		t.Fatal(err)
	}

	path := filepath.Join(dir, "parts.jsonl")
	stop := errors.New("stopped")
	for left := true; left; {
		r, budget := record(t, path), 3
		err := p.Run(t.Context(), r, func(ctx context.Context, s Step) (Line, error) {
			if budget--; budget < 0 {
				return Line{}, stop
			}
			return made(ctx, s)
		}, func([]Step) {})
		if left = err != nil; left && !errors.Is(err, stop) {
			t.Fatal(err)
		}
	}
	if got, err := os.ReadFile(path); err != nil || string(got) != string(want) {
		t.Errorf("file %s (%v): want %s", got, err, want)
	}

	// One line less, and that step alone is missing.
	lines := strings.SplitAfter(string(want), "\n")
	for i, l := range whole.all {
		if l.Kind == Latency {
			continue // which sizes are measured follows from these
		}
		text := strings.Join(slices.Delete(slices.Clone(lines), i, i+1), "")
		if err := os.WriteFile(path, []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
		there, err := ReadLines(path)
		if err != nil {
			t.Fatal(err)
		}
		if missing := p.Missing(there); len(missing) != 1 || missing[0] != l.step() {
			t.Errorf("without %s these are missing: %v", l.step(), missing)
		}
	}
}

// What a network is trained for is what it took before the training.
func TestSimpleLatency(t *testing.T) {
	r := record(t, filepath.Join(t.TempDir(), "runs.jsonl"))
	if err := plan(t, []float64{1e-3}, 7).Run(t.Context(), r, made, func([]Step) {}); err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, l := range r.all {
		if l.Kind == Simple {
			n++
			measured := l.Step
			measured.Kind, measured.Seed = Latency, 0
			if want := r.of[measured].MeasuredS; l.MeasuredS != want || l.MeasuredS > 1e-3 {
				t.Errorf("%s: %g s: want %g, within the budget", l.step(), l.MeasuredS, want)
			}
		}
	}
	if n == 0 {
		t.Error("nothing was trained")
	}
}

// Steps with other settings, cells, sizes, seeds or budgets are others; what a
// search has found does not matter.
func TestSteps(t *testing.T) {
	search := Step{Setting: setting, Kind: Search, BudgetS: 1e-3, Seed: 1}
	simple := Step{Setting: setting, Kind: Simple, Cell: "empty", Size: small, Seed: 1}
	for _, tc := range []struct {
		name  string
		of    Step
		other func(s *Step)
		same  bool
	}{
		{"the size that a search has found", search, func(s *Step) { s.Size = small }, true},
		{"the budget of a search", search, func(s *Step) { s.BudgetS = 2e-3 }, false},
		{"the seed of a search", search, func(s *Step) { s.Seed = 2 }, false},
		{"the effort", search, func(s *Step) { s.Effort = "standard" }, false},
		{"the device", simple, func(s *Step) { s.Device = "phone" }, false},
		{"the cell", simple, func(s *Step) { s.Cell = "residual" }, false},
		{"the size of a simple network", simple, func(s *Step) { s.Size.Channels = 8 }, false},
		{"a training is no measurement", simple, func(s *Step) { s.Kind = Latency }, false},
	} {
		other := tc.of
		tc.other(&other)
		if same := (Line{Step: tc.of}).step() == (Line{Step: other}).step(); same != tc.same {
			t.Errorf("%s: the same step: %v", tc.name, same)
		}
	}
}

func TestLargest(t *testing.T) {
	const most = 13
	var rungs []rung
	for i := range 60 {
		rungs = append(rungs, rung{arch.Size{Channels: i}, 1e5 * math.Pow(1.2, float64(i))})
	}
	for _, tc := range []struct {
		name   string
		budget float64
		time   func(macs float64) float64
		want   int
	}{
		{"as fast as expected", 1e-3, func(m float64) float64 { return m / 3e10 }, 31},
		{"ten times slower", 1e-3, func(m float64) float64 { return m / 3e9 }, 18},
		{"ten times faster", 1e-3, func(m float64) float64 { return m / 3e11 }, 43},
		{"mostly overhead", 1e-3, func(m float64) float64 { return 0.9e-3 + m/3e10 }, 18},
		{"none", 1e-3, func(m float64) float64 { return 2e-3 + m/3e10 }, -1},
		{"all", 1e3, func(m float64) float64 { return m / 3e10 }, 59},
		{"every fourth twice as fast", 1e-3, func(m float64) float64 {
			if i := int(math.Round(math.Log(m/1e5) / math.Log(1.2))); i%4 == 0 {
				return m / 6e10
			}
			return m / 3e10
		}, 32},
	} {
		measured := map[arch.Size]float64{}
		known := func(s arch.Size) (float64, bool) { t, ok := measured[s]; return t, ok }
		for {
			found, next := largest(rungs, known, tc.budget)
			if next < 0 {
				if found != tc.want || len(measured) > most {
					t.Errorf("%s: rung %d after %d measurements: want %d after %d at most", tc.name, found, len(measured),
						tc.want, most)
				}
				break
			}
			if _, again := measured[rungs[next].size]; again {
				t.Fatalf("%s: rung %d is measured again", tc.name, next)
			}
			measured[rungs[next].size] = tc.time(rungs[next].macs)
		}
	}
}

func TestTable(t *testing.T) {
	p := plan(t, []float64{1e-3, 2e-3}, 1, 2)
	wide := small
	wide.Channels = 16
	found := func(budget float64, seed uint64, measured, accuracy, wall float64) Line {
		return Line{Step: Step{Setting: setting, Kind: Search, BudgetS: budget, Seed: seed}, MeasuredS: measured,
			TestAccuracy: accuracy, WallS: wall}
	}
	simple := func(cell string, size arch.Size, seed uint64, measured, accuracy float64) Line {
		return Line{Step: Step{Setting: setting, Kind: Simple, Cell: cell, Size: size, Seed: seed}, MeasuredS: measured,
			TestAccuracy: accuracy}
	}
	one := []Line{found(1e-3, 1, 0.9e-3, 0.92, 300), found(1e-3, 2, 1.1e-3, 0.93, 340)}
	for _, tc := range []struct {
		name  string
		lines []Line
		want  string // of the table, without its head
	}{
		{"nothing", nil, `
1.00 ms – none – – –
2.00 ms – none – – –
mean difference over 0 runs: – points`},
		{"searches alone", one, `
1.00 ms 92.50 ± 0.50 [92.00 93.00] none – 320 (300 to 340) 110.0 %
2.00 ms – none – – –
mean difference over 0 runs: – points`},
		{"one seed of two", append(slices.Clone(one), simple("empty", small, 1, 0.5e-3, 0.91)), `
1.00 ms 92.50 ± 0.50 [92.00 93.00] none – 320 (300 to 340) 110.0 %
2.00 ms – none – – –
mean difference over 0 runs: – points`},
		{"the best mean that keeps the budget", append(slices.Clone(one),
			simple("empty", small, 1, 0.5e-3, 0.91), simple("empty", small, 2, 0.5e-3, 0.90),
			simple("residual", small, 1, 0.8e-3, 0.90), simple("residual", small, 2, 0.8e-3, 0.92),
			simple("residual", wide, 1, 1.5e-3, 0.94), simple("residual", wide, 2, 1.5e-3, 0.94)), `
1.00 ms 92.50 ± 0.50 [92.00 93.00] 91.00 ± 1.00 residual, 0 channels, 0 cells +1.50 ± 0.50 320 (300 to 340) 110.0 %
2.00 ms – 94.00 ± 0.00 residual, 16 channels, 0 cells – – –
mean difference over 2 runs: +1.50 ± 0.50 points`},
		{"over all runs", append(slices.Clone(one), found(2e-3, 1, 1e-3, 0.94, 310),
			simple("empty", small, 1, 0.5e-3, 0.91), simple("empty", small, 2, 0.5e-3, 0.91)), `
1.00 ms 92.50 ± 0.50 [92.00 93.00] 91.00 ± 0.00 empty, 0 channels, 0 cells +1.50 ± 0.50 320 (300 to 340) 110.0 %
2.00 ms 94.00 [94.00] 91.00 ± 0.00 empty, 0 channels, 0 cells +3.00 310 (310 to 310) 50.0 %
mean difference over 3 runs: +2.00 ± 0.00 points`},
		{"of another setting", []Line{{Step: Step{Kind: Search, BudgetS: 1e-3, Seed: 1}, MeasuredS: 1, TestAccuracy: 1}}, `
1.00 ms – none – – –
2.00 ms – none – – –
mean difference over 0 runs: – points`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			lines := &Lines{of: map[Step]Line{}}
			for _, l := range tc.lines {
				lines.add(l)
			}
			var b strings.Builder
			p.Table(lines).Write(&b)
			var got []string
			for _, line := range strings.Split(strings.TrimSpace(b.String()), "\n")[2:] {
				got = append(got, strings.Join(strings.Fields(line), " "))
			}
			if text := "\n" + strings.Join(got, "\n"); text != tc.want {
				t.Errorf("table %s\nwant %s", text, tc.want)
			}
		})
	}
}

func TestReadLinesRefuses(t *testing.T) {
	good := `{"space":"nb201","kind":"search","budget_s":0.001,"seed":1,"latency_measured_s":0.001}`
	for _, tc := range []struct{ name, line, want string }{
		{"no JSON", `{"kind":`, "unexpected EOF"},
		{"an unknown kind", `{"kind":"find"}`, `kind "find": want latency, search or simple`},
		{"no budget", `{"kind":"search","latency_measured_s":1}`, "budget_s 0"},
		{"no cell", `{"kind":"simple","latency_measured_s":1}`, "want a cell"},
		{"no latency", `{"kind":"latency","cell":"empty"}`, "latency_measured_s 0"},
		{"an accuracy in percent", `{"kind":"simple","cell":"empty","latency_measured_s":1,"test_accuracy":92}`,
			"test_accuracy 92"},
		{"a run twice", good, "search within 1.00 ms, seed 1 is there already"},
	} {
		path := filepath.Join(t.TempDir(), "runs.jsonl")
		if err := os.WriteFile(path, []byte(good+"\n"+tc.line+"\n"), 0o666); err != nil {
			t.Fatal(err)
		}
		want := fmt.Sprintf("compare: %s: line 2: ", path)
		if _, err := ReadLines(path); err == nil || !strings.HasPrefix(err.Error(), want) ||
			!strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: %v: want %s…%s", tc.name, err, want, tc.want)
		}
	}
}

// What makes no sense is not recorded.
func TestAddRefuses(t *testing.T) {
	r := record(t, filepath.Join(t.TempDir(), "runs.jsonl"))
	if err := r.Add(Line{Step: Step{Kind: Latency, Cell: "empty"}}); err == nil || len(r.all) != 0 {
		t.Errorf("%d lines, %v: want an error", len(r.all), err)
	}
}

func TestNewPlanRefuses(t *testing.T) {
	_, err := NewPlan(Setting{Space: "darts"}, small, []float64{1}, []uint64{1})
	if err == nil || !strings.Contains(err.Error(), `space "darts": no simple cells are known of it, only of nb201`) {
		t.Error(err)
	}
}

// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spf13/pflag"

	"github.com/edgenas/edgenas/internal/compare"
	"github.com/edgenas/edgenas/internal/fault"
)

// Searches and simple things run beside each other, and what was lost of a file is
// run again, but nothing else.
func TestBenchSearch(t *testing.T) {
	runs := filepath.Join(t.TempDir(), "runs.jsonl")
	compared := func(list bool) string {
		t.Helper()
		o := benchSearchOptions{search: newSearchOptions()}
		o.AddFlags(pflag.NewFlagSet("search", pflag.ContinueOnError))
		if err := o.budgets.Set("1s"); err != nil {
			t.Fatal(err)
		}
		o.seeds, o.runs, o.list = 1, runs, list
		s := &o.search
		s.data, s.space.cells, s.space.channels, s.recipe.Epochs = "idx:"+fixture(t, "tiny"), 1, 4, 1
		s.target.Device, s.target.AllowEmulated = "local", true
		s.target.profiles = []string{fixture(t, "here.json")} // nothing else is to be measured
		var stdout bytes.Buffer
		a := newApp(nil, &stdout, io.Discard)
		a.host.Self, a.host.Inventories, a.pace, a.threads, a.seed = self(), &fixtures.spaces, pace{}, 1, 1
		defer func() { a.workers().Close() }()
		if err := a.runBenchSearch(t.Context(), o); err != nil {
			t.Fatal(err)
		}
		return stdout.String()
	}
	if text := compared(true); strings.Count(text, "missing: ") != 4 || !strings.Contains(text, "search within 1.00 s") {
		t.Errorf("%s: want three latencies and a search missing", text)
	}
	if _, err := os.Stat(runs); err == nil {
		t.Error("a list has left a file")
	}

	text := compared(false)
	if !strings.Contains(text, "4 channels, 1 cells") || !strings.Contains(text, "mean difference over 1 runs: ") {
		t.Errorf("table %s", text)
	}
	all := strings.SplitAfter(string(read(t, runs)), "\n")
	kinds := map[string]int{}
	lost := -1
	for i, text := range all[:len(all)-1] {
		var l compare.Line
		if err := json.Unmarshal([]byte(text), &l); err != nil {
			t.Fatal(err)
		}
		if kinds[l.Kind]++; l.Cell == "residual" {
			lost = i // the last one: its training
		}
		if l.Architecture == "" || l.Version == "" || l.Device == "" || !(l.MeasuredS > 0 && l.WallS > 0) ||
			l.Size.Channels != 4 || l.Kind != compare.Latency && !(l.TestAccuracy > 0 && l.Epochs == 1) ||
			l.Kind == compare.Search && (l.AlphaEntropy == nil || !(l.PredictedS > 0)) {
			t.Errorf("incomplete line %s", text)
		}
	}
	if kinds[compare.Search] != 1 || kinds[compare.Simple] != 3 || kinds[compare.Latency] != 3 {
		t.Fatalf("lines: %v", kinds)
	}

	again := all[lost]
	kept := strings.Join(append(append([]string{}, all[:lost]...), all[lost+1:]...), "")
	write(t, runs, []byte(kept))
	if text := compared(true); strings.Count(text, "missing: ") != 1 ||
		!strings.Contains(text, "missing: training of residual, 4 channels, 1 cells, seed 1\n") {
		t.Errorf("%s: want the training that was lost missing", text)
	}
	compared(false)
	added, ok := strings.CutPrefix(string(read(t, runs)), kept)
	var was, is compare.Line
	if err := json.Unmarshal([]byte(again), &was); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal([]byte(added), &is); err != nil || !ok {
		t.Fatalf("added %s (%v): want one line behind the others", added, err)
	}
	if was.WallS = is.WallS; was != is {
		t.Errorf("added %+v: want %+v", is, was)
	}
}

func TestBenchSearchRefuses(t *testing.T) {
	images := " --data idx:" + fixture(t, "tiny")
	broken := filepath.Join(t.TempDir(), "broken.jsonl")
	write(t, broken, []byte("{\"kind\":\"search\"}\n"))
	for _, tc := range []struct {
		name, args, want string
		code             int
	}{
		{"no file", "", "--runs: want the file of runs", fault.Usage},
		{"no seeds", "--runs x --seeds 0", "--seeds 0", fault.Usage},
		{"a budget without a unit", "--runs x --budgets 1ms,2", "did you mean 2ms?", fault.Usage},
		{"a budget twice", "--runs x --budgets 1ms,1ms", `"1ms" is there twice`, fault.Usage},
		{"an unknown effort", "--runs x --effort huge", `effort "huge"`, fault.Usage},
		{"a space without simple cells", "--runs x --space darts" + images, `space "darts": no simple cells`, fault.Usage},
		{"a broken file", "--runs " + broken + images, broken + ": line 1: budget_s 0", fault.Data},
		{"a broken file, listed", "--list --runs " + broken + images, broken + ": line 1: budget_s 0", fault.Data},
	} {
		o := edgenas(t, append([]string{"bench", "search"}, strings.Fields(tc.args)...)...).want(t, tc.code)
		if !strings.Contains(o.stderr, tc.want) || o.stdout != "" {
			t.Errorf("%s: stdout %s, stderr %s: want %q", tc.name, o.stdout, o.stderr, tc.want)
		}
	}
}

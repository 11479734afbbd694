// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"encoding/xml"
	"errors"
	"flag"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/edgenas/edgenas/internal/bench"
)

var update = flag.Bool("update", false, "write golden files")

// programs are what a peer may be like.
var programs = map[string]string{
	"prints":   `echo '{"median_s": 1}'; echo '{"median_s": 2}'`,
	"nonsense": `echo compiling`,
	"silent":   `:`,
	"fails":    `echo '{"median_s": 1}'; printf 'first\nout of memory\n' >&2; exit 3`,
	"hangs":    `sleep 3600`,
}

var usual = settings{rounds: 2, steps: 5, threads: 2, seconds: 1, limit: time.Minute, modes: modes}

// Every run is there once in each round, and its mode's program is the one that is called.
func TestJobs(t *testing.T) {
	for name, jobs := range map[string][]job{"comparison": comparison(usual), "growth": growth(usual)} {
		seen := map[string]bool{}
		for _, j := range jobs {
			if seen[j.String()] {
				t.Errorf("%s: %v is there twice", name, j)
			}
			seen[j.String()] = true
			if (j.args[0] == "bench") != (j.mode == edgenasMode) {
				t.Errorf("%s: %v runs %v", name, j, j.args)
			}
			if j.mode != edgenasMode {
				if _, err := os.Stat(filepath.Join("..", j.args[0])); err != nil {
					t.Error(err)
				}
			}
		}
		if len(jobs)%2 != 0 || jobs[0].round != 0 || jobs[len(jobs)/2-1].round != 0 || jobs[len(jobs)/2].round != 1 {
			t.Errorf("%s: %d jobs: want all of a round before the next", name, len(jobs))
		}
	}
}

func TestRun(t *testing.T) {
	script := filepath.Join(t.TempDir(), "peer")
	u := setup{cpu: "cpu", edgenas: script, python: script, build: "b", torch: "t"}
	for program, want := range map[string]struct {
		failed  string // in the text
		results int
	}{
		"prints":   {"", 2},
		"nonsense": {`printed "compiling"`, 0},
		"silent":   {"printed nothing", 0},
		"fails":    {"exit status 3: out of memory", 0},
		"hangs":    {"did not finish within", 0},
	} {
		if err := os.WriteFile(script, []byte("#!/bin/sh\n"+programs[program]+"\n"), 0o777); err != nil {
			t.Fatal(err)
		}
		limit := time.Minute
		if program == "hangs" {
			limit = 100 * time.Millisecond
		}
		j := job{work: "w", mode: "compile", round: 1}
		r := j.run(t.Context(), u, limit)
		if !strings.Contains(r.Failed, want.failed) || (r.Failed == "") != (want.failed == "") ||
			len(r.Results) != want.results {
			t.Errorf("%s: %+v", program, r)
		}
		if r.CPU != "cpu" || r.Version != "t" || !r.done(j) {
			t.Errorf("%s: %+v is not the outcome of %v", program, r, j)
		}
	}
}

func TestMissing(t *testing.T) {
	jobs := []job{{"a", edgenasMode, 0, nil}, {"a", "compile", 0, nil}, {"a", edgenasMode, 1, nil},
		{"a", "compile", 1, nil}}
	u := setup{cpu: "here", build: "new", torch: "t"}
	good := record{Work: "a", Mode: edgenasMode, CPU: "here", Version: "new"}
	for name, tt := range map[string]struct {
		change func(*record)
		want   []job
	}{
		"done":              {func(*record) {}, jobs[1:]},
		"another build":     {func(r *record) { r.Version = "old" }, jobs},
		"another processor": {func(r *record) { r.CPU = "there" }, jobs},
		"other arguments":   {func(r *record) { r.Args = []string{"--batch"} }, jobs},
		"failed": {func(r *record) { r.Mode, r.Version, r.Failed = "compile", "t", "did not finish" },
			[]job{jobs[0], jobs[2]}},
	} {
		r := good
		tt.change(&r)
		got := missing(jobs, u.valid([]record{r}))
		if fmt.Sprint(got) != fmt.Sprint(tt.want) {
			t.Errorf("%s: %v, want %v", name, got, tt.want)
		}
	}
}

func TestRecords(t *testing.T) {
	path := filepath.Join(t.TempDir(), "runs.jsonl")
	if r, err := readRecords(path); err != nil || len(r) != 0 {
		t.Fatalf("%v, %v", r, err)
	}
	want := []record{{Work: "a", Date: time.Unix(1, 0).UTC(), Results: []json.RawMessage{[]byte(`{"x":1}`)}},
		{Work: "b", Failed: "why", Date: time.Unix(2, 0).UTC()}}
	if err := appendRecord(path, want[0]); err != nil {
		t.Fatal(err)
	}
	f, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteString(`{"work":"torn`); err != nil { // a crash
		t.Fatal(err)
	}
	f.Close()
	if err := appendRecord(path, want[1]); err != nil {
		t.Fatal(err)
	}
	got, err := readRecords(path)
	if err != nil || fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("%v, %v: want %v", got, err, want)
	}
}

// outcomes gives each job a made-up result: a step takes 2^number of its mode
// seconds, edgenas half of the fastest.
func outcomes(t *testing.T, jobs []job) (records []record) {
	t.Helper()
	for i, j := range jobs {
		r := record{Work: j.work, Mode: j.mode, Round: j.round, Args: j.args,
			Date: time.Date(2026, 1, 1+j.round, 0, 0, 0, 0, time.UTC)}
		add := func(v any) {
			data, err := json.Marshal(v)
			if err != nil {
				t.Fatal(err)
			}
			r.Results = append(r.Results, data)
		}
		s := 0.5
		if m := slices.Index(modes, j.mode); m >= 0 {
			s = float64(int(1) << (3 - m))
		}
		switch {
		case j.mode == "compile-channels-last":
			r.Failed = "did not finish within 10m0s"
		case strings.HasPrefix(j.work, "limits"):
			add(bench.Limits{FMA: 100, Conv: 80, Copy: 20, Add: 25})
		case j.work == operationsWork:
			for _, o := range bench.Ops() {
				add(bench.OpResult{Op: o.Name, N: o.N, C: o.C, Size: o.Size, Layout: "default",
					ForwardMS: 8 * s, BothMS: 24 * s, MACs: 1e8})
				if j.mode != edgenasMode {
					add(bench.OpResult{Op: o.Name, N: o.N, C: o.C, Size: o.Size, Layout: "channels-last",
						ForwardMS: 4 * s, BothMS: 32 * s})
				}
			}
		default:
			s += float64(j.round) / 8
			add(struct {
				bench.StepResult
				Torch string `json:"torch,omitempty"`
			}{bench.StepResult{StepsS: []float64{s, s, s * 1.25}, MaxRSS: int64(1e9 * s), Arena: 4e8,
				MACs: int64(1e9 * (1 + i%7))}, map[bool]string{true: "2.0"}[j.mode != edgenasMode]})
		}
		records = append(records, r)
	}
	return records
}

// tables is a chapter without its first line, which names the platform.
func tables(chapter string) string {
	_, rest, _ := strings.Cut(strings.TrimSpace(chapter), "\n")
	return rest
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s: with -update it would be\n%s", name, got)
	}
}

func TestComparisonText(t *testing.T) {
	jobs := comparison(usual)
	golden(t, "comparison.golden", tables(comparisonText(jobs, outcomes(t, jobs), setup{})))
	some := comparisonText(jobs, outcomes(t, jobs)[:3], setup{})
	if !strings.Contains(some, fmt.Sprintf("%d of %d runs are missing", len(jobs)-3, len(jobs))) ||
		strings.Contains(some, "NaN") || strings.Contains(some, "Inf") {
		t.Error(some)
	}
	if none := comparisonText(jobs, nil, setup{}); strings.Contains(none, "NaN") || strings.Contains(none, "Inf") {
		t.Error(none)
	}
}

func TestGrowthText(t *testing.T) {
	jobs := growth(usual)
	records := outcomes(t, jobs)
	golden(t, "growth.golden", tables(growthText(jobs, records, setup{})))
	for name, records := range map[string][]record{"all": records, "some": records[:2], "none": nil} {
		picture := growthSVG(records)
		d := xml.NewDecoder(strings.NewReader(string(picture)))
		for {
			_, err := d.Token()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
		}
		if s := string(picture); strings.Contains(s, "NaN") || strings.Contains(s, "Inf") {
			t.Errorf("%s: %s", name, s)
		}
		if name == "all" {
			golden(t, "growth.svg", string(picture))
		}
	}
}

func TestReplace(t *testing.T) {
	path := filepath.Join(t.TempDir(), "doc.md")
	if err := os.WriteFile(path, []byte("a\n<!-- x -->\nold\n<!-- /x -->\nb\n"), 0o666); err != nil {
		t.Fatal(err)
	}
	if err := replace(path, "x", "new\n"); err != nil {
		t.Fatal(err)
	}
	if got, _ := os.ReadFile(path); string(got) != "a\n<!-- x -->\nnew\n<!-- /x -->\nb\n" {
		t.Errorf("%s", got)
	}
	if err := replace(path, "y", "new\n"); err == nil {
		t.Error("there is no marker y")
	}
	for _, marker := range []string{"comparison", "growth"} {
		data, err := os.ReadFile(filepath.Join("..", document))
		if err != nil {
			t.Fatal(err)
		}
		if strings.Count(string(data), "<!-- "+marker+" -->\n") != 1 ||
			strings.Count(string(data), "<!-- /"+marker+" -->\n") != 1 {
			t.Errorf("%s: want the markers of %s once", document, marker)
		}
	}
}

func TestRound(t *testing.T) {
	for v, want := range map[float64]float64{0: 1, 0.9: 1, 1: 1, 1.2: 1.5, 36: 40, 81: 100, 0.011: 0.015} {
		if got := round(v); math.Abs(got-want) > 1e-12 {
			t.Errorf("round(%v) = %v, want %v", v, got, want)
		}
	}
}

// SPDX-License-Identifier: Apache-2.0

package report

import (
	"bytes"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/edgenas/edgenas/arch"
	"github.com/edgenas/edgenas/internal/runfile"
	"github.com/edgenas/edgenas/profiles"
)

var update = flag.Bool("update", false, "write testdata anew")

// render is the page of a run.
func render(t *testing.T, run Run) string {
	t.Helper()
	var b bytes.Buffer
	if err := Write(&b, run); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestGolden(t *testing.T) {
	if *update {
		writeFixture(t)
	}
	run, err := Read(fixtureDir)
	if err != nil {
		t.Fatal(err)
	}
	got := render(t, run)
	golden := filepath.Join("testdata", "report.golden.html")
	if *update {
		writeTestFile(t, golden, []byte(got))
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		path := filepath.Join(t.ArtifactDir(), "report.html")
		writeTestFile(t, path, []byte(got))
		t.Errorf("the page differs from %s: see %s, and accept it with -update", golden, path)
	}
}

// What could make a browser fetch something: any address, any loading
// attribute or rule, but not what points into the page itself.
var external = regexp.MustCompile(`(?i)https?:|//[a-z]|\ssrc(set)?=|@import|url\([^#]|` +
	`<(script|link|iframe|img|object|embed|use|image|base)\b|href="[^#]`)

// withoutDownloads cuts out the files inside the page, and counts them: their
// base64 may spell anything.
func withoutDownloads(page string) (string, int) {
	link := regexp.MustCompile(`href="data:text/csv;charset=utf-8;base64,[A-Za-z0-9/=&#;]*"`)
	return link.ReplaceAllString(page, ""), len(link.FindAllString(page, -1))
}

func TestLoadsNothing(t *testing.T) {
	for _, bad := range []string{`<a href="http://x">`, `<img src=x>`, `url("x")`, `<script>`,
		`href="/x"`, `@import "x"`} {
		if !external.MatchString(bad) {
			t.Fatalf("the test would miss %s", bad)
		}
	}
	run, err := Read(fixtureDir)
	if err != nil {
		t.Fatal(err)
	}
	page, n := withoutDownloads(render(t, run))
	if n != 2 {
		t.Errorf("%d downloads, want history.csv and entries.csv", n)
	}
	if at := external.FindString(page); at != "" {
		t.Errorf("the page refers to something outside: %q", at)
	}
}

// copyRun copies some files of the fixture to a new folder.
func copyRun(t *testing.T, names ...string) string {
	t.Helper()
	dir := t.TempDir()
	for _, name := range names {
		data, err := os.ReadFile(filepath.Join(fixtureDir, name))
		if err != nil {
			t.Fatal(err)
		}
		writeTestFile(t, filepath.Join(dir, name), data)
	}
	return dir
}

func TestUnfinished(t *testing.T) {
	history, err := os.ReadFile(filepath.Join(fixtureDir, "history.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	lines := bytes.SplitAfter(history, []byte("\n"))
	for _, c := range []struct {
		name     string
		files    []string
		history  []byte // nil: none
		has, not []string
	}{
		{"just started", []string{"request.json"}, nil,
			[]string{"Not finished", "<h1>A network for 2\u00a0ms</h1>", "edgenas search --latency-budget 2ms"},
			[]string{"<figure", "by epoch", "Measured operations"}},
		{"profiled", []string{"request.json", "profile.json"}, []byte{},
			[]string{"Not finished", "A network for 2\u00a0ms on Example Board", "Measured operations", "Whole networks"},
			[]string{"by epoch", "In the network"}},
		{"one epoch", []string{"request.json"}, lines[0],
			[]string{"the search would choose now", "nor_conv_3x3", "The search, by epoch", "in → out"},
			[]string{"training of the found"}},
		{"torn line", []string{"request.json", "profile.json"}, bytes.Join([][]byte{lines[0], lines[1], lines[2][:40]}, nil),
			[]string{"Not finished", "The search, by epoch"},
			[]string{"training of the found"}},
		{"training", []string{"request.json", "architecture.json"}, bytes.Join(lines[:fixtureEpochs+3], nil),
			[]string{"The cell that was found", "training of the found network, by epoch"},
			[]string{"would choose now", "test <b>"}},
		{"unknown space", nil, lines[5],
			[]string{"Architecture search", "α 0, row 5", "operation 4"},
			[]string{`class="cell"`}},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := copyRun(t, c.files...)
			if c.history != nil {
				writeTestFile(t, filepath.Join(dir, "history.jsonl"), c.history)
			}
			if err := WriteFile(dir); err != nil {
				t.Fatal(err)
			}
			page, err := os.ReadFile(filepath.Join(dir, "report.html"))
			if err != nil {
				t.Fatal(err)
			}
			body, _ := withoutDownloads(string(page[bytes.Index(page, []byte("<body>")):]))
			for _, want := range c.has {
				if !strings.Contains(body, want) {
					t.Errorf("the page lacks %q", want)
				}
			}
			for _, not := range c.not {
				if strings.Contains(body, not) {
					t.Errorf("the page has %q", not)
				}
			}
			if at := regexp.MustCompile(`NaN|Inf|ZgotmplZ|nil`).FindString(body); at != "" {
				t.Errorf("the page says %q", at)
			}
		})
	}
}

func TestReadErrors(t *testing.T) {
	if err := WriteFile(t.TempDir()); !errors.Is(err, ErrNoRun) {
		t.Errorf("an empty folder: %v, want ErrNoRun", err)
	}
	for _, c := range []struct{ name, content string }{
		{"result.json", `{"seed": 1`},
		{"request.json", `{"seed": "one"}`},
		{"result.json", strings.Repeat(" ", runfile.MaxJSONBytes+1)},
		{"history.jsonl", "{}\nnonsense\n{}\n"},
		{"architecture.json", "{}"},
		{"profile.json", "{}"},
	} {
		dir := copyRun(t, "request.json")
		writeTestFile(t, filepath.Join(dir, c.name), []byte(c.content))
		if _, err := Read(dir); err == nil || !strings.Contains(err.Error(), c.name) {
			t.Errorf("%s with %.20q: error %v does not name it", c.name, c.content, err)
		}
	}
}

func TestVerdict(t *testing.T) {
	yes, no, ms := true, false, 0.001
	for _, c := range []struct {
		name string
		run  Run
		want string
	}{
		{"running", Run{}, "Not finished"},
		{"over", Run{finished: true, result: runfile.Summary{WithinBudget: &no, LatencyMeasuredS: &ms}}, "Over the budget"},
		{"predicted only", Run{finished: true, result: runfile.Summary{WithinBudget: &yes}}, "Within the budget, predicted"},
		{"measured", Run{finished: true, result: runfile.Summary{WithinBudget: &yes, LatencyMeasuredS: &ms}},
			"Within the budget, measured"},
		{"no budget", Run{finished: true}, "Budget not checked"},
	} {
		if got := judge(c.run).Text; got != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}

// dartsArchitecture is the cell that DARTS found on CIFAR-10 with second-order
// gradients.
func dartsArchitecture(t *testing.T) arch.Architecture {
	t.Helper()
	space, err := arch.NewSpace("darts", arch.Size{Cells: 8, Channels: 16, Image: 28, Colours: 1, Classes: 10})
	if err != nil {
		t.Fatal(err)
	}
	choice, err := space.Parse("Genotype(" +
		"normal=[('sep_conv_3x3', 0), ('sep_conv_3x3', 1), ('sep_conv_3x3', 0), ('sep_conv_3x3', 1), " +
		"('sep_conv_3x3', 1), ('skip_connect', 0), ('skip_connect', 0), ('dil_conv_3x3', 2)], normal_concat=[2, 3, 4, 5], " +
		"reduce=[('max_pool_3x3', 0), ('max_pool_3x3', 1), ('skip_connect', 2), ('max_pool_3x3', 1), " +
		"('max_pool_3x3', 0), ('skip_connect', 2), ('skip_connect', 2), ('max_pool_3x3', 1)], reduce_concat=[2, 3, 4, 5])")
	if err != nil {
		t.Fatal(err)
	}
	return arch.Architecture{Space: space, Choice: choice}
}

// The page of a search with edge selection, as it runs and at its end.
func TestEdgeSelection(t *testing.T) {
	a := dartsArchitecture(t)
	size := a.Space.Size()
	run := Run{result: runfile.Summary{Space: "darts", Size: &size}}
	for e := range 3 {
		p := point{Phase: "search", Epoch: e, Derived: a.Space.Notation(a.Choice)}
		for i, alpha := range a.Space.Alphas() {
			var rows [][]float64
			for row := range alpha.Rows {
				weights := make([]float64, len(alpha.Ops))
				for col := range weights {
					weights[col] = 0.1
				}
				weights[0] = 0.2
				weights[a.Choice[i][row]] += 0.1 * float64(e)
				rows = append(rows, weights)
			}
			p.Alpha = append(p.Alpha, rows)
		}
		run.history = append(run.history, p)
	}
	running := render(t, run)
	run.architecture = &a
	for name, c := range map[string]struct {
		page string
		has  []string
	}{
		"running": {running, []string{"The cells that the search would choose now", "<h3>normal</h3>",
			"<h3>reduce</h3>", "cells 8, channels 16"}},
		"found": {render(t, run), []string{"The cells that were found", "normal cell", "reduce cell", "k−2 → 2",
			"4 → 5", "kept: skip_connect", "none 40"}},
	} {
		for _, want := range c.has {
			if !strings.Contains(c.page, want) {
				t.Errorf("%s: the page lacks %q", name, want)
			}
		}
		if n := strings.Count(c.page, "kept: "); n != 16 {
			t.Errorf("%s: %d edges are kept: want 16", name, n)
		}
	}
	run.history[2].Derived = "nonsense" // of another version
	if n := strings.Count(render(t, run), "kept: "); n != 0 {
		t.Errorf("%d edges are kept by nonsense", n)
	}
}

// TestEscapes puts markup wherever a file's text reaches the page.
func TestEscapes(t *testing.T) {
	const evil = `"><script>alert(1)</script><p title='`
	one := 1.0
	run := Run{
		result: runfile.Summary{Command: evil, Space: evil, Method: evil, Dataset: evil, Device: evil, Runtime: evil,
			LatencyBudgetS: &one, TestAccuracy: &one},
		history:  []point{{Phase: "search", Derived: evil, Warning: evil, LossTrain: &one}},
		finished: true,
		profile: &profiles.Profile{
			Device: profiles.Device{Model: evil}, Warnings: []string{evil},
			Entries: []profiles.Entry{
				{Key: evil, Timing: profiles.Timing{Status: profiles.OK, N: 1, MedianS: 1, LoS: 1, HiS: 1,
					Warnings: []string{evil}}},
				{Key: evil + "2", Timing: profiles.Timing{Status: profiles.Failed, Reason: evil}},
				{Key: timedKey(1), Timing: ok(1, 1, 1)},
			},
			Networks: []profiles.Network{{Arch: evil, Counts: map[string]int{timedKey(1): 1}, Timing: ok(1, 1, 1)}},
		},
		files: []runfile.Document{{Name: runfile.ResultName, Text: evil}},
	}
	page := render(t, run)
	if strings.Contains(page, "<script") || strings.Contains(page, "title='") {
		t.Error("markup of a file reaches the page")
	}
	if n := strings.Count(page, "&lt;script&gt;"); n < 12 {
		t.Errorf("only %d of the texts are on the page", n)
	}
}

// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"encoding/json"
	"io"
	"regexp"
	"strings"
	"testing"

	"github.com/edgenas/edgenas/internal/fault"
	"github.com/edgenas/edgenas/internal/wording"
)

// runBench runs a command below bench on one thread.
func runBench(t *testing.T, args string, asJSON bool) outcome {
	t.Helper()
	var stdout bytes.Buffer
	a := newApp(nil, &stdout, io.Discard)
	a.threads, a.json, a.seed = 1, asJSON, 1
	c := a.benchCommand()
	c.SilenceErrors, c.SilenceUsage = true, true
	c.SetArgs(strings.Fields(args))
	err := c.ExecuteContext(t.Context())
	a.workers().Close()
	o := outcome{code: fault.Code(err), stdout: stdout.String()}
	if err != nil {
		o.stderr = wording.OneLine(err)
	}
	return o
}

// Lines with --json have what the peers' lines have; without, what benchstat reads.
func TestBench(t *testing.T) {
	benchmark := regexp.MustCompile(`^Benchmark[^ \t]+-1\t[0-9]+\t[0-9.]+ [^\t]+`)
	for _, tt := range []struct {
		args   string
		lines  int // of JSON
		bench  int // of benchmarks
		fields string
	}{
		{"step --space nb201 --batch 2 --channels 2 --cells 1 --image 8 --steps 2", 1, 2,
			"peer mode path batch channels cells image threads params loss median_s min_s steps_s images_per_s max_rss_bytes"},
		{"step --space darts --path gdas --batch 1 --channels 2 --cells 3 --image 8 --paths 3", 1, 3, "peer paths mean_s"},
		{"ops --match conv1x1 --seconds 0.001", 2, 4,
			"peer op n c size layout threads forward_ms forward_min_ms both_ms both_min_ms"},
	} {
		t.Run(tt.args, func(t *testing.T) {
			lines := strings.Split(strings.TrimSpace(runBench(t, tt.args, true).want(t, fault.Done).stdout), "\n")
			if len(lines) != tt.lines {
				t.Errorf("%d lines, want %d: %q", len(lines), tt.lines, lines)
			}
			for _, line := range lines {
				var object map[string]any
				if err := json.Unmarshal([]byte(line), &object); err != nil {
					t.Fatal(err)
				}
				for _, f := range strings.Fields(tt.fields) {
					if object[f] == nil {
						t.Errorf("%s: has no %s", line, f)
					}
				}
			}
			n := 0
			text := runBench(t, tt.args, false).want(t, fault.Done).stdout
			for line := range strings.Lines(text) {
				if benchmark.MatchString(line) {
					n++
				}
			}
			if n != tt.bench || !strings.HasPrefix(text, "goos: ") {
				t.Errorf("%d benchmarks, want %d: %s", n, tt.bench, text)
			}
		})
	}
	for args, want := range map[string]string{
		"step --space nb301":                      `space "nb301"`,
		"step --space nb201 --image 9":            "image 9",
		"step --paths 3":                          "only gdas draws paths",
		"step --path retrain --arch Genotype":     "genotype",
		"ops --match conv7x7":                     "no such operation",
		"ops --seconds 0":                         "--seconds 0",
		"limits --seconds NaN":                    "--seconds NaN",
		"step --path retrain --batch 0 --steps 1": "batch 0",
	} {
		if o := runBench(t, args, true).want(t, fault.Usage); !strings.Contains(o.stderr, want) || o.stdout != "" {
			t.Errorf("%s: stdout %s, stderr %s: want %q", args, o.stdout, o.stderr, want)
		}
	}
}

func TestBenchList(t *testing.T) {
	o := runBench(t, "--list", false)
	if o.code != 0 || !strings.Contains(o.stdout, "conv ") || !strings.Contains(o.stdout, "portable") {
		t.Errorf("%+v", o)
	}
	var variants []struct{ Loops []struct{ Name string } }
	o = runBench(t, "--list", true)
	if err := json.Unmarshal([]byte(o.stdout), &variants); err != nil || len(variants) == 0 ||
		len(variants[0].Loops) == 0 {
		t.Errorf("%+v: %v", o, err)
	}
}

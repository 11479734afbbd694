// SPDX-License-Identifier: Apache-2.0

//go:build unix

package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/edgenas/edgenas/internal/fault"
	"github.com/edgenas/edgenas/internal/runfile"
	"github.com/edgenas/edgenas/latency"
	"github.com/edgenas/edgenas/profiles"
)

// hotBoard makes this machine, and the agents that it starts, a Raspberry Pi
// that is hot and throttled: another tree stands in for /sys. It returns the
// file of the throttle word.
func hotBoard(t *testing.T) (word string) {
	t.Helper()
	root := t.TempDir()
	if err := os.Symlink("/proc", filepath.Join(root, "proc")); err != nil {
		t.Fatal(err)
	}
	file := func(path, text string) string {
		path = filepath.Join(root, "sys", path)
		if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
			t.Fatal(err)
		}
		return write(t, path, []byte(text+"\n"))
	}
	for cpu := range runtime.NumCPU() {
		dir := fmt.Sprintf("devices/system/cpu/cpu%d/cpufreq/", cpu)
		file(dir+"scaling_cur_freq", "1000000")
		file(dir+"scaling_max_freq", "1800000")
	}
	file("class/thermal/thermal_zone0/type", "cpu-thermal")
	file("class/thermal/thermal_zone0/temp", "84000")
	t.Setenv("EDGENAS_ROOT", root)
	return file("devices/platform/soc/soc:firmware/get_throttled", "0x4")
}

// profiled is what profile --json says.
type profiled struct {
	Mode                         string
	Entries, Networks, Throttled int
}

// profileInto are the arguments that measure what a file lacks.
func profileInto(path string, more ...string) []string {
	return append(append([]string{"profile", "--only-missing", "-o", path}, tinyFlags...), more...)
}

// lacking is a profile of this machine, measured in a mode, that lacks its
// first few operations.
func lacking(t *testing.T, mode string) (path string, keys []string) {
	t.Helper()
	const few = 5
	p := load(t, fixture(t, "here.json"))
	for _, e := range p.Entries[:few] {
		keys = append(keys, e.Key)
	}
	p.Entries, p.Protocol.Mode = p.Entries[few:], mode
	return save(t, p, filepath.Join(t.TempDir(), "lacking.json")), keys
}

// entry is one that was measured.
func entry(t *testing.T, p *profiles.Profile, key string) profiles.Entry {
	t.Helper()
	e, err := p.Lookup(key)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// Where throttling never ends, every entry carries a warning, the profile's
// last word says so, and the exit code is 0: here and on a board.
func TestThrottledForEver(t *testing.T) {
	fixture(t, "")
	hotBoard(t)
	b := newBoard(t)
	for _, tt := range []struct {
		name string
		args []string
	}{{"here", nil}, {"board", []string{"--device", b.address}}} {
		t.Run(tt.name, func(t *testing.T) {
			path, keys := lacking(t, "")
			o := b.edgenas(t, profileInto(path, append(tt.args, "--rounds", "1")...)...).want(t, fault.Done)
			p := load(t, path)
			for _, key := range keys {
				if e := entry(t, p, key); !e.Throttled() || len(e.SamplesS) != 3 || len(e.FrequencyHz) != 3 ||
					e.FrequencyHz[0] != 1e9 || len(e.TemperatureCelsius) != 3 || e.TemperatureCelsius[1] != 84 {
					t.Errorf("%s: %d rounds, clock %v, temperature %v, warnings %q", e.Key,
						len(e.SamplesS), e.FrequencyHz, e.TemperatureCelsius, e.Warnings)
				}
			}
			all := len(p.Entries) + len(p.Networks)
			want := fmt.Sprintf("throttled: the device was slowed down while %d of these %d were measured", len(keys), all)
			if lines := strings.Split(o.stdout, "\n"); len(lines) < 2 || !strings.HasPrefix(lines[1], want) {
				t.Errorf("stdout %s: want the second line %q", o.stdout, want)
			}
			// The next command still says so.
			o = b.edgenas(t, profileInto(path, append(tt.args, "--rounds", "1", "--json")...)...).want(t, fault.Done)
			var r profiled
			if err := json.Unmarshal([]byte(o.stdout), &r); err != nil || r.Throttled != len(keys) || r.Mode != "burst" {
				t.Errorf("%s, %v: want %d throttled", o.stdout, err, len(keys))
			}
		})
	}
	b.clean(t)
}

// Rounds in which the device was throttled are measured again.
func TestThrottledForAWhile(t *testing.T) {
	fixture(t, "")
	word := hotBoard(t)
	path, keys := lacking(t, "")
	b := &board{}
	// half-way through the first round, after all compilations
	o := b.interrupted(t, "measure", len(keys)*3/2, func(func()) {
		if err := os.WriteFile(word, []byte("0\n"), 0o666); err != nil {
			t.Error(err)
		}
	}, profileInto(path, "--rounds", "2")...).want(t, fault.Done)
	p := load(t, path)
	again := func(w string) bool {
		return strings.HasPrefix(w, profiles.Throttled+": the device was slowed down in ")
	}
	if !slices.ContainsFunc(p.Warnings, again) || !strings.Contains(o.stderr, "warning: throttled: ") {
		t.Errorf("warnings %q, stderr %s", p.Warnings, o.stderr)
	}
	for _, key := range keys {
		if e := entry(t, p, key); len(e.SamplesS) < 2 || len(e.SamplesS) > 6 {
			t.Errorf("%s: %d rounds, warnings %q", e.Key, len(e.SamplesS), e.Warnings)
		}
	}
}

// A table holds for one mode. Another one is refused like another runtime.
func TestModes(t *testing.T) {
	fixture(t, "")
	b := newBoard(t)
	path, keys := lacking(t, "paced=2ms")
	device := []string{"--device", b.address, "--rounds", "1"}
	o := b.edgenas(t, profileInto(path, append(device, "--mode", "paced=0.002s", "--json")...)...).want(t, fault.Done)
	var r profiled
	if err := json.Unmarshal([]byte(o.stdout), &r); err != nil || r.Mode != "paced=2ms" {
		t.Errorf("%s, %v", o.stdout, err)
	}
	p := load(t, path)
	if p.Protocol.Mode != "paced=2ms" || p.Protocol.MinSampleS != 0 || p.Protocol.ClockStepS <= 0 {
		t.Errorf("%+v", p.Protocol)
	}
	for _, key := range keys {
		if e := entry(t, p, key); e.N != 3*len(e.SamplesS) || e.P90S != 0 && e.MedianS > e.P90S {
			t.Errorf("%s: %d samples in %d rounds; %v, %v, %v", e.Key, e.N, len(e.SamplesS), e.P90S, e.P95S, e.P99S)
		}
	}

	// Without the flag, what is missing is measured as the file was.
	path, keys = lacking(t, "paced=2ms")
	b.edgenas(t, profileInto(path, device...)...).want(t, fault.Done)
	if q := load(t, path); q.Protocol.Mode != "paced=2ms" || entry(t, q, keys[0]).N%3 != 0 {
		t.Errorf("protocol %+v", q.Protocol)
	}

	// A model is verified as asked, here and there.
	model := filepath.Join(baseline(t), runfile.ModelName)
	for _, where := range [][]string{nil, {"--device", b.address}} {
		o := b.edgenas(t, append([]string{"verify", model, "--mode", "paced=2ms", "--json"}, where...)...).want(t, fault.Done)
		var v latency.Verification
		if err := json.Unmarshal([]byte(o.stdout), &v); err != nil || v.Mode != "paced=2ms" || !(v.MedianS > 0) {
			t.Errorf("%v: %s, %v", where, o.stdout, err)
		}
	}

	burst := fixture(t, "here.json")
	other := filepath.Join(t.TempDir(), "sustained.json")
	q := load(t, burst)
	q.Protocol.Mode = "sustained"
	save(t, q, other)
	for _, tt := range []struct {
		name string
		args []string
		code int
		want string
	}{
		{"another mode", profileInto(path, append(device, "--mode", "burst")...), fault.Profile,
			`protocol.mode is "paced=2ms", want "burst"`},
		{"another period", profileInto(path, append(device, "--mode", "paced=3ms")...), fault.Profile,
			`protocol.mode is "paced=2ms", want "paced=3ms"`},
		{"a file that names none", profileInto(burst, "--mode", "sustained"), fault.Profile,
			`protocol.mode is "burst", want "sustained"`},
		{"merged", []string{"lut", "merge", burst, other, "-o", filepath.Join(t.TempDir(), "both.json")}, fault.Profile,
			`protocol.mode is "sustained", want "burst"`},
		{"validated", append([]string{"lut", "validate", "--profile", burst, "--allow-emulated", "--mode", "paced=33ms"},
			tinyFlags...), fault.Profile,
			`protocol.mode is "burst", want "paced=33ms"`},
		{"searched", []string{"search", "--latency-budget", "1s", "--profile", burst, "--allow-emulated",
			"--device", "local", "--mode", "sustained", "--out", filepath.Join(t.TempDir(), "run")}, fault.Profile,
			`protocol.mode is "burst", want "sustained"`},
		{"unknown", []string{"profile", "--mode", "turbo"}, fault.Usage,
			`--mode: latency: mode "turbo": want burst, sustained or paced=33ms`},
		{"no period", []string{"profile", "--mode", "paced=33"}, fault.Usage, `want a period from 1ms to 1s`},
		{"contradiction", []string{"profile", "--mode", "sustained", "--max-temp", "60"}, fault.Usage,
			"--mode sustained does not wait for --max-temp 60"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if o := b.edgenas(t, tt.args...).want(t, tt.code); !strings.Contains(o.stderr, tt.want) {
				t.Errorf("stderr %s: want %s", o.stderr, tt.want)
			}
		})
	}
	b.clean(t)
}

// Operations whose bounds overlap are not listed as different.
func TestDiffWithinBounds(t *testing.T) {
	var paths [2]string
	for i, medians := range [2]map[string]float64{{"apart": 1e-3, "close": 2e-3}, {"apart": 2e-3, "close": 2.02e-3}} {
		p := &profiles.Profile{}
		for key, s := range medians {
			timing := profiles.Timing{Status: profiles.OK, N: 9, MedianS: s, LoS: 0.98 * s, HiS: 1.02 * s}
			p.Entries = append(p.Entries, profiles.Entry{Key: key, Timing: timing})
		}
		paths[i] = filepath.Join(t.TempDir(), "p.json")
		if err := p.Save(paths[i]); err != nil {
			t.Fatal(err)
		}
	}
	o := edgenas(t, "lut", "diff", paths[0], paths[1]).want(t, fault.Done)
	for _, want := range []string{
		"   1.00 ms    2.00 ms   2.000  apart\n", "   2.00 ms    2.02 ms       ~  close\n",
		"~: the bounds of the two times overlap, as those of 1 operations do\n",
	} {
		if !strings.Contains(o.stdout, want) {
			t.Errorf("%q is not in\n%s", want, o.stdout)
		}
	}
}

// The picture of a comparison is a file of its own, beside the text.
func TestDiffPlot(t *testing.T) {
	path := filepath.Join(t.TempDir(), "diff.svg")
	o := edgenas(t, "lut", "diff", fixture(t, "board.json"), fixture(t, "here.json"), "--plot", path).want(t, fault.Done)
	if svg := string(read(t, path)); !strings.HasPrefix(svg, "<svg ") ||
		!strings.Contains(svg, "A: Test Board 1, native runtime") || !strings.Contains(svg, "time in A (µs)") {
		t.Errorf("%.500s", svg)
	}
	if !strings.Contains(o.stdout, "Spearman 1.000") || !strings.Contains(o.stderr, "drawn in "+path) {
		t.Errorf("stdout %s, stderr %s", o.stdout, o.stderr)
	}
	o = edgenas(t, "lut", "diff", fixture(t, "board.json"), fixture(t, "here.json"),
		"--plot", filepath.Join(t.TempDir(), "missing", "diff.svg")).want(t, fault.Unexpected)
	if !strings.Contains(o.stderr, "missing") {
		t.Errorf("stderr %s", o.stderr)
	}
}

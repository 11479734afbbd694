// SPDX-License-Identifier: Apache-2.0

package hostinfo

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"
	"unicode"
)

// TestMachines compares all that is found out about each fixture with its
// golden file, and that it survives as JSON.
func TestMachines(t *testing.T) {
	for _, name := range machines {
		t.Run(name, func(t *testing.T) {
			f := ReadFacts(machine(t, name))
			checkFacts(t, f)
			got, err := json.MarshalIndent(struct {
				Facts    Facts     `json:"facts"`
				Findings []Finding `json:"findings"`
			}{f, Checks(f)}, "", " ")
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, '\n')
			golden := filepath.Join("testdata", name+".golden")
			if *update {
				if err := os.WriteFile(golden, got, 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(got, want) {
				kept := filepath.Join(t.ArtifactDir(), name+".golden")
				if err := os.WriteFile(kept, got, 0o644); err != nil {
					t.Fatal(err)
				}
				t.Errorf("%s differs from %s; -update accepts it", kept, golden)
			}
			b, err := json.Marshal(f)
			if err != nil {
				t.Fatal(err)
			}
			var back Facts
			if err := json.Unmarshal(b, &back); err != nil || !reflect.DeepEqual(back, f) {
				t.Errorf("%v\n got %+v\nwant %+v", err, back, f)
			}
		})
	}
}

// TestChecks names what each fixture has to be warned of, whatever the words.
func TestChecks(t *testing.T) {
	for name, want := range map[string][]string{
		"pi3":    {"governor", "temperature", "throttling", "throttled before"},
		"pi4":    {"governor", "temperature", "throttling", "throttled before", "background load"},
		"pi5":    nil,
		"zero2w": {"governor", "throttled before", "memory"},
		"pixel6": {"big cores", "governor", "clock limit", "temperature", "throttling", "battery", "battery saver",
			"screen"},
		"jetson":  {"governor"},
		"x86":     {"governor", "battery"},
		"armqemu": {"emulation"},
		"empty":   nil,
	} {
		var got []string
		for _, f := range Checks(ReadFacts(machine(t, name))) {
			if f.Verdict == Warn {
				got = append(got, f.Name)
			}
			if name == "empty" && f.Verdict != NoData {
				t.Errorf("%s: made up %+v", name, f)
			}
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s: warned of %q, want %q", name, got, want)
		}
	}
}

func TestCheck(t *testing.T) {
	phone := Host{Android: "14", Clusters: []Cluster{{CPUs: []int{0, 1}, Core: "Cortex-A55"},
		{CPUs: []int{2, 3}, Core: "Cortex-A76"}}}
	yes, no := true, false
	small, large, few, many := int64(1<<20), int64(1<<30), 0.1, 1.5
	for _, tc := range []struct {
		name, check string
		facts       Facts
		verdict     Verdict
		says        string // in what was found or in the advice
	}{
		{"big cores usable", "big cores", Facts{Host: phone, Online: []int{0, 1, 2, 3},
			Process: Process{CPUs: []int{0, 1, 2, 3}}}, OK, "2-3 Cortex-A76"},
		{"one of them", "big cores", Facts{Host: phone, Online: []int{0, 1, 3}}, OK, "usable 3"},
		{"in the background", "big cores", Facts{Host: phone, Process: Process{CPUs: []int{0, 1}, Cpuset: "/background"}},
			Warn, "/background"},
		{"off", "big cores", Facts{Host: phone, Online: []int{0, 1}}, Warn, "switched off"},
		{"not clamped", "big cores", Facts{Host: phone, Process: Process{Uclamp: &Uclamp{0, 1024}}}, OK, ""},
		{"governor of a phone", "governor", Facts{Host: phone, Policies: []Policy{{CPUs: []int{0}, Governor: "schedutil"}}},
			Warn, "fixed-performance"},
		{"governors", "governor", Facts{Policies: []Policy{{CPUs: []int{1}, Governor: "performance"},
			{CPUs: []int{2}, Governor: "powersave"}, {CPUs: []int{0}, Governor: "performance"}}}, Warn,
			"performance on 0-1, powersave on 2"},
		{"governor of a board", "governor", Facts{Policies: []Policy{{CPUs: []int{0}, Governor: "schedutil"}}}, Warn,
			"without root"},
		{"clock known, governor not", "governor", Facts{Policies: []Policy{{CPUs: []int{0}, FreqHz: 1}}}, NoData, ""},
		{"no limit", "clock limit", Facts{Policies: []Policy{{CPUs: []int{0}, MaxHz: 2e9, LimitHz: 2e9}}}, OK, ""},
		{"cool", "temperature", Facts{State: State{Zones: []Zone{{"cpu", 59.9}}}}, OK, "59.9"},
		{"hot", "temperature", Facts{State: State{Zones: []Zone{{"cpu", 60}}}}, Warn, "cool"},
		{"a phone's battery", "temperature", Facts{State: State{Zones: []Zone{{"battery", 38}}}}, Warn, "below 37"},
		{"power supply", "throttling", Facts{State: State{Throttled: []string{"throttled", "under-voltage"}}}, Warn,
			"power supply"},
		{"x86 before", "throttled before", Facts{State: State{ThrottleEvents: 3}}, OK, "3 times"},
		{"never", "throttled before", Facts{State: State{ThrottledEver: []string{}}}, OK, "never"},
		{"full", "battery", Facts{Host: phone, Battery: &Battery{100, "full", &yes}}, OK, "100 %"},
		{"phone on its battery", "battery", Facts{Host: phone, Battery: &Battery{80, "discharging", &no}}, OK, "80 %"},
		{"laptop on its battery", "battery", Facts{Battery: &Battery{80, "discharging", &no}}, Warn, "plug"},
		{"nearly empty", "battery", Facts{Battery: &Battery{20, "discharging", nil}}, Warn, "charge it"},
		{"low power profile", "battery saver", Facts{Power: Power{Saver: &yes}}, Warn, "profile"},
		{"saver off", "battery saver", Facts{Power: Power{Saver: &no}}, OK, "off"},
		{"screen off", "screen", Facts{Power: Power{Screen: "off"}}, Warn, "WAKEUP"},
		{"busy", "background load", Facts{Load: Load{Processors: &many, Average1m: &few, Busiest: []Busy{{7, "cc1", 1.5}}}},
			Warn, "cc1 (7)"},
		{"idle, though the average is high", "background load", Facts{Load: Load{Processors: &few, Average1m: &many}}, OK,
			""},
		{"average alone", "background load", Facts{Load: Load{Average1m: &many}}, Warn, "average 1.50"},
		{"a phone's average", "background load", Facts{Host: phone, Load: Load{Average1m: &many}}, NoData, ""},
		{"full disk", "free space", Facts{FreeBytes: &small}, Warn, "free 128 MiB"},
		{"empty disk", "free space", Facts{FreeBytes: &large}, OK, "1024 MiB"},
		{"memory", "memory", Facts{MemoryAvailableBytes: &large, Host: Host{MemoryBytes: 2 << 30}}, OK, "of 2048"},
	} {
		i := slices.IndexFunc(Checks(tc.facts), func(f Finding) bool { return f.Name == tc.check })
		f := Checks(tc.facts)[i]
		if f.Verdict != tc.verdict || !strings.Contains(f.Found+"\n"+f.Advice, tc.says) {
			t.Errorf("%s: %+v; want %s and %q", tc.name, f, tc.verdict, tc.says)
		}
		if f.Found == "" || (f.Advice != "") != (f.Verdict == Warn) {
			t.Errorf("%s: %+v: a finding says what was found, and a warning what to do", tc.name, f)
		}
	}
}

func TestLocalFacts(t *testing.T) {
	f := LocalFacts(t.TempDir(), nil)
	f.WatchLoad()
	checkFacts(t, f)
	if f.Host.OS == "" || f.Host.Cores < 1 {
		t.Errorf("this machine is %+v", f.Host)
	}
	if n := f.FreeBytes; n != nil && *n < 0 {
		t.Errorf("%d bytes are free", *n)
	}
}

// checkFacts checks what holds for the facts of any machine.
func checkFacts(t *testing.T, f Facts) {
	t.Helper()
	unsafe := func(s string) bool {
		return len(s) > 256 || strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsPrint(r) })
	}
	names := []string{f.Host.Model, f.Host.SoC, f.Host.Kernel, f.Host.Android, f.State.Governor, f.Process.Cpuset}
	for _, z := range f.State.Zones {
		names = append(names, z.Name)
		if !plausible(z.Celsius) {
			t.Errorf("implausible %+v", z)
		}
	}
	for _, c := range f.Host.Clusters {
		names = append(names, c.Core)
		if len(c.CPUs) == 0 || c.Capacity < 0 || c.MinHz < 0 || c.MaxHz < 0 {
			t.Errorf("cluster %+v", c)
		}
	}
	for _, p := range f.Policies {
		names = append(names, p.Governor)
	}
	names = append(names, f.State.Throttled...)
	names = append(names, f.Process.Cgroups...)
	if i := slices.IndexFunc(names, unsafe); i >= 0 {
		t.Errorf("not safe to print: %q", names[i])
	}
	h, s := f.Host, f.State
	if h.Cores < 0 || h.MemoryBytes < 0 || h.L1DBytes < 0 || h.AndroidAPI < 0 || s.FreqHz < 0 || s.MaxFreqHz < 0 ||
		s.ThrottleEvents < 0 {
		t.Errorf("negative facts: %+v", f)
	}
	if b := f.Battery; b != nil && (b.Percent < 0 || b.Percent > 100) {
		t.Errorf("battery %+v", *b)
	}
	if n := f.MemoryAvailableBytes; n != nil && *n < 0 {
		t.Errorf("%d bytes of memory", *n)
	}
	for _, finding := range Checks(f) {
		if finding.Found == "" || finding.Verdict != OK && finding.Verdict != Warn && finding.Verdict != NoData {
			t.Errorf("finding %+v", finding)
		}
	}
	if _, err := json.Marshal(f); err != nil {
		t.Error(err)
	}
}

// FuzzFiles puts the same text into every file of a machine.
func FuzzFiles(f *testing.F) {
	both := fstest.MapFS{"proc/12/stat": {}} // the files of two machines, whose folders differ
	seen := map[string]bool{}
	for _, name := range machines {
		root, _ := machine(f, name)
		for path, file := range root {
			if name == "pi5" || name == "x86" {
				both[path] = file
			}
			if !seen[string(file.Data)] {
				seen[string(file.Data)] = true
				f.Add(file.Data)
			}
		}
	}
	f.Add([]byte("12 (a b) c) S 1 1 1 0 -1 4194304 100 0 0 0 15 15 0 0 20 0 1 0 700 9170944 1 0"))
	f.Fuzz(func(t *testing.T, data []byte) {
		root := fstest.MapFS{}
		for path, file := range both {
			if file.Mode == 0 {
				file = &fstest.MapFile{Data: data}
			}
			root[path] = file
		}
		checkFacts(t, ReadFacts(root, nil))
		for id, ticks := range ReadUsage(root, time.Time{}).ticks {
			if id.pid != 12 || id.start < 0 || ticks < 0 {
				t.Errorf("process %+v used %d ticks", id, ticks)
			}
		}
	})
}

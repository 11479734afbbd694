// SPDX-License-Identifier: Apache-2.0

package profiles

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the golden file anew")

func loadPi(t testing.TB) *Profile {
	t.Helper()
	p, err := Load("testdata/pi4.json")
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestGolden(t *testing.T) {
	got, err := loadPi(t).Encode()
	if err != nil {
		t.Fatal(err)
	}
	const golden = "testdata/pi4.golden.json"
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
		t.Errorf("written differently from %s:\n%s", golden, got)
	}
}

// Nothing is lost on the way through Load and Save, and a second way changes
// nothing.
func TestRoundTrip(t *testing.T) {
	original, err := os.ReadFile("testdata/pi4.json")
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "profile.json")
	if err := loadPi(t).Save(path); err != nil {
		t.Fatal(err)
	}
	written, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var a, b map[string]any
	if err := errors.Join(json.Unmarshal(original, &a), json.Unmarshal(written, &b)); err != nil {
		t.Fatal(err)
	}
	for _, m := range []map[string]any{a, b} { // order means nothing
		for _, list := range []string{"entries", "networks"} {
			byName := map[string]any{}
			for _, x := range m[list].([]any) {
				key, ok := x.(map[string]any)["key"]
				if !ok {
					key = x.(map[string]any)["arch"]
				}
				byName[key.(string)] = x
			}
			m[list] = byName
		}
	}
	if !reflect.DeepEqual(a, b) {
		t.Errorf("lost or changed:\n%v\n%v", a, b)
	}
	p, err := Load(path)
	if err != nil {
		t.Fatal(err)
	}
	if again, err := p.Encode(); err != nil || !bytes.Equal(again, written) {
		t.Errorf("a second way changes the file (%v)", err)
	}
	if files, _ := filepath.Glob(filepath.Join(filepath.Dir(path), "*")); len(files) != 1 {
		t.Errorf("Save leaves %v", files)
	}
}

func TestDigest(t *testing.T) {
	p, q := loadPi(t), loadPi(t)
	q.Entries[0], q.Entries[2] = q.Entries[2], q.Entries[0]
	a, errA := p.Digest()
	b, errB := q.Digest()
	if errA != nil || errB != nil || a != b || !strings.HasPrefix(a, "sha256:") {
		t.Errorf("the order of entries changes the digest: %s, %s (%v, %v)", a, b, errA, errB)
	}
	q.Entries[0].MedianS *= 1.0001
	if b, _ := q.Digest(); a == b {
		t.Error("another time gives the same digest")
	}
}

func TestInvalid(t *testing.T) {
	valid, err := os.ReadFile("testdata/pi4.json")
	if err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		name, old, new string
		want           []string // parts of the message
	}{
		{"no format", `"format": "edgenas-profile/1",`, ``, []string{"format", "edgenas-profile/1"}},
		{"later format", `edgenas-profile/1`, `edgenas-profile/2`,
			[]string{`format: is "edgenas-profile/2"`, `reads "edgenas-profile/1"`, "newer edgenas"}},
		{"a format that is no text", `"edgenas-profile/1"`, `1`, []string{`format: is 1`}},
		{"zero median", `"median_s": 0.00105`, `"median_s": 0`, []string{`entry "conv/b"`, "median_s is 0"}},
		{"negative", `"min_s": 0.001`, `"min_s": -0.001`, []string{`entry "conv/b"`, "min_s is -0.001"}},
		{"NaN", `"median_s": 0.00105`, `"median_s": NaN`, []string{"invalid character"}},
		{"beyond float64", `"hi_s": 0.0011`, `"hi_s": 1e999`, []string{`entry "conv/b"`, "hi_s", "1e999"}},
		{"text for a number", `"hi_s": 0.0011`, `"hi_s": "fast"`, []string{`entry "conv/b"`, "hi_s"}},
		{"no bounds", `"lo_s": 0.9e-5, `, ``, []string{`entry "add/a"`, "lo_s"}},
		{"median outside its bounds", `"lo_s": 0.001,`, `"lo_s": 0.00106,`, []string{`entry "conv/b"`, "outside"}},
		{"number of a failure", `"reason": "unsupported <op>"`, `"reason": "x", "median_s": 0`,
			[]string{`entry "linear/c"`, "median_s", "failed"}},
		{"samples of a failure", `"reason": "unsupported <op>"`, `"reason": "x", "samples_s": [[1]]`,
			[]string{`entry "linear/c"`, "failed"}},
		{"failure without reason", `"reason": "unsupported <op>"`, `"reason": ""`, []string{`entry "linear/c"`, "reason"}},
		{"reason of a success", `"n": 4,`, `"n": 4, "reason": "x",`, []string{`entry "conv/b"`, "reason"}},
		{"unknown status", `"status": "failed", "reason": "unsupported <op>"`, `"status": "maybe"`,
			[]string{`entry "linear/c"`, `"maybe"`}},
		{"no status", `"status": "ok", "n": 4,`, `"n": 4,`, []string{`entry "conv/b"`, "status"}},
		{"key twice", `"key": "add/a"`, `"key": "conv/b"`, []string{`entry "conv/b"`, "twice"}},
		{"empty key", `"key": "add/a"`, `"key": ""`, []string{`entry ""`, "no name"}},
		{"control characters", `"key": "add/a"`, `"key": "add\u0007"`, []string{"control"}},
		{"endless key", `"key": "add/a"`, `"key": "` + strings.Repeat("k", 600) + `"`, []string{"600 bytes"}},
		{"field twice", `"n": 4,`, `"n": 4, "n": 5,`, []string{`entry "conv/b"`, `"n" stands twice`}},
		{"network twice", `"arch": "net b"`, `"arch": "net a"`, []string{`network "net a"`, "twice"}},
		{"negative count", `{"conv/b": 2}`, `{"conv/b": -2}`, []string{`network "net b"`, "conv/b"}},
		{"samples that n does not count", `"n": 4,`, `"n": 5,`, []string{`entry "conv/b"`, "4 samples"}},
		{"throttled rounds of a failure", `"reason": "unsupported <op>"`, `"reason": "x", "throttled_rounds": 1`,
			[]string{`entry "linear/c"`, "throttled_rounds", "failed"}},
		{"no throttled round", `"n": 4,`, `"n": 4, "throttled_rounds": 0,`,
			[]string{`entry "conv/b"`, "throttled_rounds is 0"}},
		{"negative throttled rounds", `"n": 4,`, `"n": 4, "throttled_rounds": -1,`,
			[]string{`entry "conv/b"`, "throttled_rounds is -1"}},
		{"more throttled rounds than rounds", `"n": 4,`, `"n": 4, "throttled_rounds": 3,`,
			[]string{`entry "conv/b"`, "throttled_rounds is 3", "2 rounds"}},
		{"zero sample", `[0.001, 0.0011]`, `[0, 0.0011]`, []string{`entry "conv/b"`, "sample"}},
		{"clock of no round", `"sentinel_s": [0.001, 0.00101]`, `"frequency_hz": [1e9]`,
			[]string{`entry "conv/b"`, "1 frequencies for 2 rounds"}},
		{"stopped clock", `"sentinel_s": [0.001, 0.00101]`, `"frequency_hz": [1e9, 0]`,
			[]string{`entry "conv/b"`, "has 0 among its frequencies"}},
		{"hot as the sun", `"sentinel_s": [0.001, 0.00101]`, `"temperature_celsius": [50, 5500]`,
			[]string{`entry "conv/b"`, "has 5500 among its temperatures"}},
		{"zero tail", `"n": 4,`, `"n": 4, "p95_s": 0,`, []string{`entry "conv/b"`, "p95_s is 0"}},
		{"sentinel of no round", `"sentinel_s": [0.001, 0.00101]`, `"sentinel_s": [0.001]`,
			[]string{`entry "conv/b"`, "1 sentinel"}},
		{"infinite constant", `"warnings": ["governor`, `"constant_s": 1e400, "warnings": ["governor`,
			[]string{"constant_s"}},
		{"entries that are no list", `"entries": [`, `"entries": 5, "x": [`, []string{"entries"}},
		{"an entry that is none", `{"key": "linear/c", "status": "failed", "reason": "unsupported <op>"}`, `7`,
			[]string{"entry 2", "object"}},
		{"a device that is none", `"device": {`, `"device": 3, "x": {`, []string{"device", "object"}},
		{"fraction of a core", `"cores": 4`, `"cores": 4.5`, []string{"device", "cores"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if !bytes.Contains(valid, []byte(tc.old)) {
				t.Fatalf("%s is not in the file", tc.old)
			}
			path := filepath.Join(t.TempDir(), "bad.json")
			if err := os.WriteFile(path, bytes.Replace(valid, []byte(tc.old), []byte(tc.new), 1), 0o644); err != nil {
				t.Fatal(err)
			}
			p, err := Load(path)
			var invalid *InvalidError
			if p != nil || !errors.As(err, &invalid) || invalid.File != path {
				t.Fatalf("%v, %v: want an InvalidError with the file's name", p, err)
			}
			for _, part := range tc.want {
				if !strings.Contains(err.Error(), part) {
					t.Errorf("%q does not say %q", err, part)
				}
			}
		})
	}
}

// However early the file ends, the message says that it is truncated.
func TestTruncated(t *testing.T) {
	valid, err := os.ReadFile("testdata/pi4.json")
	if err != nil {
		t.Fatal(err)
	}
	end := bytes.LastIndexByte(valid, '}')
	path := filepath.Join(t.TempDir(), "half.json")
	for size := 0; size < end; size += 37 {
		if err := os.WriteFile(path, valid[:size], 0o644); err != nil {
			t.Fatal(err)
		}
		_, err := Load(path)
		want := map[bool]string{true: "empty", false: "truncated"}[size == 0]
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Fatalf("after %d bytes: %v, want %q", size, err, want)
		}
	}
	if _, err := Decode(append(valid, "{}"...)); err == nil || !strings.Contains(err.Error(), "more text") {
		t.Errorf("two objects: %v", err)
	}
}

func TestTooLarge(t *testing.T) {
	path := filepath.Join(t.TempDir(), "huge.json")
	if err := os.WriteFile(path, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(path, MaxBytes+1); err != nil {
		t.Fatal(err)
	}
	if _, err := Load(path); err == nil || !strings.Contains(err.Error(), "64 MiB") {
		t.Errorf("%v", err)
	}
	if _, err := Load(filepath.Join(t.TempDir(), "absent")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("%v", err)
	}
}

func TestSaveRefuses(t *testing.T) {
	path := filepath.Join(t.TempDir(), "p.json")
	p := loadPi(t)
	p.Entries[0].MedianS, p.Entries[0].HiS = 0, 0
	if err := p.Save(path); err == nil || !strings.Contains(err.Error(), "median_s is 0") {
		t.Errorf("a zero time is saved: %v", err)
	}
	if _, err := os.Stat(path); !errors.Is(err, os.ErrNotExist) {
		t.Error("a refused profile leaves a file")
	}
	if err := loadPi(t).Save(filepath.Join(path, "below", "nothing")); err == nil {
		t.Error("saves into a folder that is not there")
	}
}

func TestLookup(t *testing.T) {
	p := loadPi(t)
	if e, err := p.Lookup("conv/b"); err != nil || e.MedianS != 0.00105 {
		t.Errorf("%v, %v", e, err)
	}
	var missing *MissingError
	if _, err := p.Lookup("conv/x"); !errors.As(err, &missing) || missing.Keys[0] != "conv/x" ||
		missing.Device != p.Device.Model {
		t.Errorf("%v", err)
	}
	var failed *FailedError
	if _, err := p.Lookup("linear/c"); !errors.As(err, &failed) || failed.Reason != "unsupported <op>" {
		t.Errorf("%v", err)
	}
	m := p.Missing([]string{"conv/y", "conv/b", "linear/c", "conv/x"})
	if !reflect.DeepEqual(m, []string{"conv/y", "conv/x"}) {
		t.Errorf("missing %v", m)
	}
}

func TestMerge(t *testing.T) {
	p := loadPi(t)
	ok := Timing{Status: OK, N: 1, MedianS: 1, LoS: 1, HiS: 1}
	p.Merge([]Entry{{Key: "linear/c", Timing: ok}, {Key: "new", Timing: ok}}, []Network{{Arch: "net b", Timing: ok}})
	if len(p.Entries) != 4 || len(p.Networks) != 2 {
		t.Fatalf("%d entries, %d networks", len(p.Entries), len(p.Networks))
	}
	for _, key := range []string{"linear/c", "new", "conv/b"} {
		if _, err := p.Lookup(key); err != nil {
			t.Error(err)
		}
	}
}

func TestCheck(t *testing.T) {
	for _, tc := range []struct {
		name     string
		change   func(*Device, *Runtime)
		refused  []string
		warnings int
	}{
		{"the same", func(*Device, *Runtime) {}, nil, 0},
		{"nothing asked for", func(d *Device, r *Runtime) { *d, *r = Device{}, Runtime{} }, nil, 0},
		{"another kernel, governor and build",
			func(d *Device, r *Runtime) { d.Kernel, d.Governor, r.Build = "7", "performance", "x" }, nil, 3},
		{"a little less memory", func(d *Device, r *Runtime) { d.MemoryBytes -= d.MemoryBytes / 30 }, nil, 0},
		{"half the memory", func(d *Device, r *Runtime) { d.MemoryBytes /= 2 }, []string{"device.memory_bytes"}, 0},
		{"another board", func(d *Device, r *Runtime) { d.Model, d.SoC, d.Cores = "Pi 5", "brcm,bcm2712", 8 },
			[]string{"device.model", "device.soc", "device.cores"}, 0},
		{"another runtime", func(d *Device, r *Runtime) { r.Name, r.Version, r.Layout = "onnxruntime", "1.20", "nchw" },
			[]string{"runtime.name", "runtime.version", "runtime.layout"}, 0},
		{"threads and dtype", func(d *Device, r *Runtime) { r.Threads, r.DType = 4, "int8" },
			[]string{"runtime.threads", "runtime.dtype"}, 0},
	} {
		t.Run(tc.name, func(t *testing.T) {
			p := loadPi(t)
			d, r := p.Device, p.Runtime
			tc.change(&d, &r)
			warnings, err := p.Check(d, r)
			if len(warnings) != tc.warnings {
				t.Errorf("warnings %q, want %d", warnings, tc.warnings)
			}
			var mismatch *MismatchError
			if errors.As(err, &mismatch) != (tc.refused != nil) {
				t.Fatalf("%v, want %v refused", err, tc.refused)
			}
			if mismatch == nil {
				return
			}
			var fields []string
			for _, f := range mismatch.Fields {
				fields = append(fields, f.Field)
				if !strings.Contains(err.Error(), f.Have) || !strings.Contains(err.Error(), f.Want) {
					t.Errorf("%q does not say both values of %s", err, f.Field)
				}
			}
			if !reflect.DeepEqual(fields, tc.refused) {
				t.Errorf("refused for %v, want %v", fields, tc.refused)
			}
		})
	}
}

// FuzzDecode: any text is a profile that survives its own writing, or an error.
func FuzzDecode(f *testing.F) {
	for _, file := range []string{"testdata/pi4.json", "testdata/pi4.golden.json"} {
		data, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Add([]byte(`{"format":"edgenas-profile/1","entries":[` +
		`{"key":"a","status":"ok","n":1,"median_s":1,"lo_s":1,"hi_s":1,"x":{"y":"\ud800"}}]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		p, err := Decode(data)
		if err != nil {
			return
		}
		text, err := p.Encode()
		if err != nil {
			t.Fatalf("read but not written: %v", err)
		}
		q, err := Decode(text)
		if err != nil {
			t.Fatalf("written but not read: %v\n%s", err, text)
		}
		if again, err := q.Encode(); err != nil || !bytes.Equal(text, again) {
			t.Fatalf("written differently the second time (%v):\n%s\n%s", err, text, again)
		}
	})
}

// The field counts, and so does the warning of files from before it.
func TestThrottled(t *testing.T) {
	for _, tc := range []struct {
		name   string
		timing string
		want   bool
	}{
		{"field", `"throttled_rounds": 2`, true},
		{"field and warning", `"throttled_rounds": 2, "warnings": ["throttled: in 2 of 3 rounds"]`, true},
		{"a warning in other words", `"throttled_rounds": 2, "warnings": ["too hot"]`, true},
		{"a file from before the field", `"warnings": ["unsteady", "throttled: in 2 of 3 rounds"]`, true},
		{"another warning", `"warnings": ["unsteady", "not throttled"]`, false},
		{"nothing", `"warnings": []`, false},
	} {
		text := `{"key": "x", "status": "ok", "n": 3, "median_s": 1, "lo_s": 1, "hi_s": 1, ` + tc.timing + `}`
		var e Entry
		if err := json.Unmarshal([]byte(text), &e); err != nil {
			t.Fatal(err)
		}
		if e.Throttled() != tc.want {
			t.Errorf("%s: %v, want %v", tc.name, e.Throttled(), tc.want)
		}
	}
}

// The example of FORMAT.md is a profile.
func TestFormatExample(t *testing.T) {
	text, err := os.ReadFile("FORMAT.md")
	if err != nil {
		t.Fatal(err)
	}
	_, example, found := bytes.Cut(text, []byte("```json\n"))
	example, _, closed := bytes.Cut(example, []byte("```"))
	if !found || !closed {
		t.Fatal("FORMAT.md has no example")
	}
	p, err := Decode(example)
	if err != nil {
		t.Fatal(err)
	}
	if len(p.Entries) != 3 || len(p.Networks) != 1 || p.Extra != nil || p.Entries[0].Extra != nil {
		t.Errorf("the example has %d entries, %d networks and fields that FORMAT.md does not name",
			len(p.Entries), len(p.Networks))
	}
}

// SPDX-License-Identifier: Apache-2.0

package oracle

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"math"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/edgenas/edgenas/arch"
	"github.com/edgenas/edgenas/internal/stats"
	"github.com/edgenas/edgenas/search"
)

const header = "arch,strings,c10_val12_pct,c10_test200_pct,c100_val12_pct,c100_test200_pct,pi4_ms,pi5_ms\n"

const (
	chain    = "|nor_conv_3x3~0|+|none~0|nor_conv_3x3~1|+|none~0|none~1|nor_conv_3x3~2|"
	skip     = "|none~0|+|none~0|none~1|+|skip_connect~0|none~1|none~2|"
	residual = "|nor_conv_3x3~0|+|none~0|nor_conv_3x3~1|+|skip_connect~0|none~1|skip_connect~2|"
)

func packed(t testing.TB, text string) []byte {
	t.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	if _, err := z.Write([]byte(text)); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// invented is a table of every live network, whose accuracies grow with the
// structure and whose times grow with the work.
func invented(t testing.TB) *Table {
	t.Helper()
	table, err := invent()
	if err != nil {
		t.Fatal(err)
	}
	return table
}

var invent = sync.OnceValues(func() (*Table, error) {
	space, err := arch.NewSpace("nb201", size)
	if err != nil {
		return nil, err
	}
	rng := rand.New(rand.NewPCG(1, 1))
	var b strings.Builder
	b.WriteString(header)
	for c := range arch.All(space) {
		if !c.Equal(space.Canonical(c)) {
			continue
		}
		g, err := space.Network(c, 1)
		if err != nil {
			continue // dead
		}
		s := search.StructureOf(g)
		good := 60 + 20*math.Tanh(float64(s.Params)/1e6) + float64(s.Depth)/10 - float64(s.Shortcut)/10 + rng.NormFloat64()
		pi5 := fmt.Sprint((0.8 + 0.4*rng.Float64()) * (0.3 + float64(s.MACs-7e6)/35e6))
		if rng.IntN(10) == 0 {
			pi5 = ""
		}
		fmt.Fprintf(&b, "%s,1,%.3f,%.3f,%.3f,%.3f,%.5f,%s\n", space.Notation(c), good-10+rng.NormFloat64(), good, good-30,
			good-20, (0.8+0.4*rng.Float64())*(2+float64(s.MACs-7e6)/4e6), pi5)
	}
	return Read(strings.NewReader(b.String()), "invented")
})

func TestRead(t *testing.T) {
	text := header + skip + ",341,73.64,86.57,44.84,58.308,2.87907,\n" + residual + ",1,80.5,93.9,50,70.9,30.5,5.25\n"
	for name, data := range map[string][]byte{"plain": []byte(text), "packed": packed(t, text)} {
		table, err := Read(bytes.NewReader(data), name)
		if err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(table.Devices, []string{"pi4", "pi5"}) || len(table.Networks) != 2 {
			t.Fatalf("%s: devices %q, %d networks", name, table.Devices, len(table.Networks))
		}
		looks := Looks(filepath.Join(t.TempDir(), "looks"))
		for m, want := range map[Measure][]float64{C10Val12: {73.64, 80.5}, C10Test200: {86.57, 93.9},
			C100Val12: {44.84, 50}, C100Test200: {58.308, 70.9}} {
			if got, err := table.Accuracy(m, looks, "test"); err != nil || !slices.Equal(got, want) {
				t.Errorf("%s: %s is %g, want %g (%v)", name, m, got, want, err)
			}
		}
		first, second := table.Networks[0], table.Networks[1]
		if first.latencyS[0] != 2.87907e-3 || !math.IsNaN(first.latencyS[1]) || second.latencyS[1] != 5.25e-3 {
			t.Errorf("%s: latencies %g and %g", name, first.latencyS, second.latencyS)
		}
		if first.Structure.Params >= second.Structure.Params {
			t.Errorf("%s: structures %+v and %+v", name, first.Structure, second.Structure)
		}
		if i, ok := table.Find(residual); !ok || i != 1 {
			t.Errorf("%s: %s is number %d", name, residual, i)
		}
	}
}

func TestReadRefuses(t *testing.T) {
	good := skip + ",1,70,80,40,50,3,1\n"
	for _, tc := range []struct{ name, text, want string }{
		{"nothing", "", "empty"},
		{"no networks", header, "no networks"},
		{"no devices", strings.ReplaceAll(header, "_ms", "_s") + good, "line 1: there is no column DEVICE_ms"},
		{"no accuracy", strings.Replace(header, "c10_test200_pct", "x", 1) + good, "there is no column c10_test200_pct"},
		{"a column twice", strings.Replace(header, "pi5", "pi4", 1) + good, `two columns "pi4_ms"`},
		{"a field too few", header + good + skip + ",1\n", "record on line 3"},
		{"notation", header + good + "|x~0|,1,70,80,40,50,3,1\n", "line 3: "},
		{"dead edges", header + strings.Replace(good, "|none~0|+", "|skip_connect~0|+", 1), "has dead edges"},
		{"dead", header + strings.Replace(good, "skip_connect", "none", 1), "line 2: arch: "},
		{"twice", header + good + good, "line 3: " + skip + " stands there twice"},
		{"accuracy above 100", header + strings.Replace(good, "70", "170", 1), `line 2: c10_val12_pct "170"`},
		{"accuracy NaN", header + strings.Replace(good, "80", "NaN", 1), `c10_test200_pct "NaN"`},
		{"latency 0", header + strings.Replace(good, ",3,", ",0,", 1), `pi4_ms "0"`},
		{"latency infinite", header + strings.Replace(good, ",3,", ",inf,", 1), `pi4_ms "inf"`},
		{"broken packing", "\x1f\x8b123456789012", "gzip"},
	} {
		_, err := Read(strings.NewReader(tc.text), "FILE")
		if err == nil || !strings.HasPrefix(err.Error(), "oracle: FILE: ") || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: error %v, want %q", tc.name, err, tc.want)
		}
	}
}

// A small file that unpacks to a large one is not read to its end.
func TestReadIsBounded(t *testing.T) {
	text := header + skip + ",1,70,80,40,50,3,1\n" + strings.Repeat("\n", maxTableBytes)
	_, err := Read(bytes.NewReader(packed(t, text)), "FILE")
	if err == nil || !strings.Contains(err.Error(), "larger than") {
		t.Errorf("error %v", err)
	}
}

func FuzzRead(f *testing.F) {
	text := header + skip + ",1,70,80,40,50,3,\n"
	f.Add([]byte(text))
	f.Add(packed(f, text))
	f.Fuzz(func(t *testing.T, data []byte) {
		table, err := Read(bytes.NewReader(data), "FILE")
		if err != nil {
			return
		}
		for i, n := range table.Networks {
			if at, ok := table.Find(n.Notation); !ok || at != i || len(n.latencyS) != len(table.Devices) {
				t.Errorf("network %d is found at %d and has %d latencies", i, at, len(n.latencyS))
			}
		}
	})
}

// Each look at what nothing may be tuned on is written down, and none where
// that fails.
func TestLooks(t *testing.T) {
	table, err := Read(strings.NewReader(header+skip+",1,70,80,40,50,3,1\n"), "FILE")
	if err != nil {
		t.Fatal(err)
	}
	looks := Looks(filepath.Join(t.TempDir(), "looks.jsonl"))
	for i, m := range []Measure{C10Val12, C100Test200, C10Test200, C10Test200} {
		if _, err := table.Accuracy(m, looks, "test"); err != nil {
			t.Fatal(err)
		}
		if n, err := looks.Count(); err != nil || n != max(0, i-1) {
			t.Errorf("after %d accuracies: %d looks (%v)", i+1, n, err)
		}
	}
	if _, err := table.Accuracy(C10Test200, Looks(filepath.Join(t.TempDir(), "none", "x")), "test"); err == nil {
		t.Error("the accuracy was given without a record")
	}
}

func TestWindows(t *testing.T) {
	table := invented(t)
	for _, s := range Sets {
		for _, b := range s.Budgets {
			fit, err := table.Fitting(b)
			if err != nil {
				t.Fatal(err)
			}
			window, err := table.Window(b)
			if err != nil {
				t.Fatal(err)
			}
			if len(window) < search.Fewest || len(window) > len(fit) {
				t.Errorf("%s: %d in the window, %d fit", b, len(window), len(fit))
			}
			d := slices.Index(table.Devices, b.Device)
			for _, i := range fit {
				s := 0.0
				if d >= 0 {
					s = table.Networks[i].latencyS[d]
				}
				if within := d < 0 || s >= 0.85*b.LimitS; !(d < 0 || s <= b.LimitS) || within != slices.Contains(window, i) {
					t.Fatalf("%s: network %d takes %g s: in the window: %v", b, i, s, !within)
				}
			}
		}
	}
	fastest := math.Inf(1)
	for _, n := range table.Networks {
		fastest = min(fastest, n.latencyS[0])
	}
	if w, err := table.Window(Budget{"pi4", fastest}); err != nil || len(w) == 0 {
		t.Errorf("the fastest alone: %d in the window (%v)", len(w), err)
	}
	if _, err := table.Window(Budget{"pi4", fastest / 2}); err == nil || !strings.Contains(err.Error(), "no network") {
		t.Errorf("no network fits: error %v", err)
	}
	if _, err := table.Window(Budget{"pi6", 1}); err == nil || !strings.Contains(err.Error(), `device "pi6"`) {
		t.Errorf("unknown device: error %v", err)
	}
}

func TestDraw(t *testing.T) {
	table, budgets := invented(t), Sets[0].Budgets
	long, err := table.Draw(budgets, 60, 1)
	if err != nil {
		t.Fatal(err)
	}
	short, err := table.Draw(budgets, 40, 1)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(long[:40], short) {
		t.Error("a larger draw does not begin with the smaller one")
	}
	if sorted := slices.Compact(slices.Sorted(slices.Values(long))); len(sorted) != 60 {
		t.Errorf("%d different networks of 60", len(sorted))
	}
	for i, b := range budgets {
		window, err := table.Window(b)
		if err != nil {
			t.Fatal(err)
		}
		count := 0
		for _, n := range long {
			if slices.Contains(window, n) {
				count++
			}
		}
		if count < 60/len(budgets) {
			t.Errorf("%d of 60 are in the window of budget %d", count, i)
		}
	}
	if other, _ := table.Draw(budgets, 40, 2); slices.Equal(other, short) {
		t.Error("another seed draws the same")
	}
	small := []Budget{{"pi4", 5e-3}}
	window, err := table.Window(small[0])
	if err != nil {
		t.Fatal(err)
	}
	if all, err := table.Draw(small, 1e6, 1); err != nil || !slices.Equal(slices.Sorted(slices.Values(all)), window) {
		t.Errorf("%d drawn of a window of %d (%v)", len(all), len(window), err)
	}
}

// The prior and the structure's parts say something of the invented accuracies,
// or the other tests test nothing.
func TestInvented(t *testing.T) {
	table := invented(t)
	var params, good []float64
	for _, n := range table.Networks {
		params, good = append(params, float64(n.Structure.Params)), append(good, n.accuracy[C10Test200])
	}
	if r := stats.Spearman(params, good); len(table.Networks) != 9444 || r < 0.4 || r > 0.97 {
		t.Errorf("%d networks, rank correlation %g", len(table.Networks), r)
	}
}

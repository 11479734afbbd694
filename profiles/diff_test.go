// SPDX-License-Identifier: Apache-2.0

package profiles

import (
	"errors"
	"math"
	"reflect"
	"testing"
)

func timed(key string, seconds float64, n int, sentinel float64) Entry {
	t := Timing{Status: OK, N: n, MedianS: seconds, LoS: seconds, HiS: seconds}
	if sentinel > 0 {
		t.SamplesS, t.SentinelS = [][]float64{{seconds}}, []float64{sentinel}
		t.N = 1
	}
	return Entry{Key: key, Timing: t}
}

func TestDiff(t *testing.T) {
	failed := Entry{Key: "f", Timing: Timing{Status: Failed, Reason: "crashed"}}
	a := &Profile{Entries: []Entry{
		timed("x", 1, 3, 2), timed("y", 2, 3, 2), timed("z", 4, 3, 2), timed("a", 1, 3, 2), failed,
	}}
	b := &Profile{Entries: []Entry{
		timed("z", 4.4, 3, 2.2), timed("y", 2.2, 3, 2.2), timed("x", 1.32, 3, 2.2),
		timed("b", 1, 3, 2.2), timed("f", 1, 3, 2.2),
	}}
	c, err := Diff(a, b)
	if err != nil {
		t.Fatal(err)
	}
	near := func(name string, got, want float64) {
		if math.Abs(got-want) > 1e-9 {
			t.Errorf("%s is %v: want %v", name, got, want)
		}
	}
	near("ratio", c.Ratio, 1.1)
	near("median", c.Median, 0.1)
	near("spearman", *c.Spearman, 1)
	near("drift", *c.Drift, 1.1)
	near("corrected median", *c.CorrectedMedian, 0)
	if *c.CorrectedP95 < 0.15 || *c.CorrectedP95 > 0.2 || c.P95 < 0.28 {
		t.Errorf("95th percentiles %v and %v", c.P95, *c.CorrectedP95)
	}
	if c.N != 3 || c.Entries[0].Key != "x" || len(c.OnlyA) != 1 || c.OnlyA[0] != "a" || len(c.OnlyB) != 2 {
		t.Errorf("%+v", c)
	}
	if _, err := Diff(a, &Profile{}); err == nil {
		t.Error("profiles without a common entry were compared")
	}
}

func TestAdd(t *testing.T) {
	failed := Entry{Key: "y", Timing: Timing{Status: Failed, Reason: "crashed"}}
	p := &Profile{Device: Device{Model: "m"}, Entries: []Entry{timed("x", 1, 3, 0), failed}, Warnings: []string{"hot"}}
	constant := 1e-6
	q := &Profile{Device: Device{Model: "m"}, ConstantS: &constant,
		Entries:  []Entry{timed("x", 2, 2, 0), timed("y", 3, 1, 0), timed("z", 4, 1, 0)},
		Networks: []Network{{Arch: "n", Timing: timed("", 9, 4, 0).Timing}}, Warnings: []string{"hot", "loaded"}}
	if err := p.Add(q); err != nil {
		t.Fatal(err)
	}
	for key, want := range map[string]float64{"x": 1, "y": 3, "z": 4} {
		if e, err := p.Lookup(key); err != nil || e.MedianS != want {
			t.Errorf("%s: %v s, %v: want %v s", key, e.MedianS, err, want)
		}
	}
	if len(p.Networks) != 1 || len(p.Warnings) != 2 || *p.ConstantS != constant {
		t.Errorf("%+v", p)
	}
	var mismatch *MismatchError
	if err := p.Add(&Profile{Device: Device{Model: "other"}}); !errors.As(err, &mismatch) {
		t.Errorf("%v: want a mismatch", err)
	}
	err := p.Add(&Profile{Device: Device{Model: "m"}, Runtime: Runtime{Cluster: "little"}})
	if !errors.As(err, &mismatch) {
		t.Errorf("%v: want a mismatch of the cores", err)
	}
	err = p.Add(&Profile{Device: Device{Model: "m"}, Protocol: Protocol{Mode: "sustained"}})
	if !errors.As(err, &mismatch) || mismatch.Fields[0] != (FieldDiff{"protocol.mode", "sustained", "burst"}) {
		t.Errorf("%v: want a mismatch of the modes", err)
	}
	if err := p.Add(&Profile{Device: Device{Model: "m"}, Protocol: Protocol{Mode: "burst"}}); err != nil {
		t.Error(err)
	}
}

// A profile that cannot be added changes nothing.
func TestAddRefuses(t *testing.T) {
	one, other := 1e-6, 2e-6
	profile := func() *Profile {
		return &Profile{Device: Device{Model: "m"}, ConstantS: &one, Entries: []Entry{timed("x", 1, 3, 0)}}
	}
	timing := timed("", 9, 4, 0).Timing
	for _, q := range []*Profile{
		{Device: Device{Model: "m"}, ConstantS: &other},
		{Device: Device{Model: "other"}},
		{Device: Device{Model: "m"}, Protocol: Protocol{Mode: "sustained"}},
	} {
		q.Entries, q.Warnings = []Entry{timed("x", 2, 9, 0)}, []string{"hot"}
		q.Networks = []Network{{Arch: "n", Timing: timing}}
		p := profile()
		if err := p.Add(q); err == nil || !reflect.DeepEqual(p, profile()) {
			t.Errorf("%v: the profile is now %+v", err, p)
		}
	}
}

// Where the bounds of two times overlap, their difference is not shown, and
// the entry comes after those that differ.
func TestDiffWithinBounds(t *testing.T) {
	entry := func(key string, lo, median, hi float64) Entry {
		return Entry{Key: key, Timing: Timing{Status: OK, N: 9, LoS: lo, MedianS: median, HiS: hi}}
	}
	a := &Profile{Entries: []Entry{
		entry("wide", 0.5, 1, 1.5), entry("narrow", 0.99, 1, 1.01), entry("touches", 0.9, 1, 1.1),
	}}
	b := &Profile{Entries: []Entry{
		entry("wide", 1, 1.4, 2), entry("narrow", 1.02, 1.03, 1.04), entry("touches", 1.1, 1.2, 1.3),
	}}
	c, err := Diff(a, b)
	if err != nil {
		t.Fatal(err)
	}
	if c.Indistinct != 2 {
		t.Errorf("%d are within their bounds: want 2", c.Indistinct)
	}
	for i, want := range []struct {
		key        string
		indistinct bool
	}{{"narrow", false}, {"wide", true}, {"touches", true}} {
		if e := c.Entries[i]; e.Key != want.key || e.Indistinct() != want.indistinct {
			t.Errorf("%d is %+v: want %+v", i, e, want)
		}
	}
	if e := c.Entries[1]; e.ALoS != 0.5 || e.AHiS != 1.5 || e.BLoS != 1 || e.BHiS != 2 {
		t.Errorf("the bounds are %+v", e)
	}
}

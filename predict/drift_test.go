// SPDX-License-Identifier: Apache-2.0

package predict

import (
	"fmt"
	"math"
	"slices"
	"testing"
)

// again are references of 1 ms, 2 ms, … that take that many times as long in a session.
func again(sessions ...[]float64) []Reference {
	all := make([]Reference, len(sessions[0]))
	for i := range all {
		all[i] = Reference{Arch: fmt.Sprint(i), ThenS: 1e-3 * float64(i+1)}
		for _, times := range sessions {
			all[i].NowS = append(all[i].NowS, all[i].ThenS*times[i])
		}
	}
	return all
}

func TestDriftOfReferences(t *testing.T) {
	for _, tt := range []struct {
		name             string
		references       []Reference
		relative, lo, hi float64
		in               []float64 // each session
	}{
		{"as fast as it was", again([]float64{1, 1, 1}), 0, 0, 0, []float64{0}},
		{"slower", again([]float64{1.02, 1.04, 1.03}), 0.03, 0.02, 0.04, []float64{0.03}},
		{"faster", again([]float64{0.9, 0.95, 0.97, 0.96}), -0.045, -0.1, -0.03, []float64{-0.045}},
		{"one network far off", again([]float64{1.01, 1.01, 1.5, 1.01, 1.01}), 0.01, 0.01, 0.5, []float64{0.01}},
		{"two sessions", again([]float64{1.06, 1.05, 1.04}, []float64{0.99, 1.01, 1}), 0.025, 0.02, 0.03,
			[]float64{0.05, 0}},
	} {
		d := NewDrift(tt.references)
		near := func(got, want float64) bool { return math.Abs(got-want) < 1e-12 }
		if !near(d.Relative, tt.relative) || !near(d.Lo, tt.lo) || !near(d.Hi, tt.hi) {
			t.Errorf("%s: %+v, want %v from %v to %v", tt.name, d, tt.relative, tt.lo, tt.hi)
		}
		for session, want := range tt.in {
			if got := d.In(session); !near(got, want) {
				t.Errorf("%s: %v in session %d, want %v", tt.name, got, session, want)
			}
		}
	}
}

// References are like the networks that they stand for, each taken once.
func TestChooseReferences(t *testing.T) {
	all := again([]float64{1, 1, 1, 1, 1, 1, 1, 1}) // of 1 to 8 ms
	for _, tt := range []struct {
		name    string
		of      []Reference
		seconds []float64
		want    []string
	}{
		{"spread evenly", all, []float64{1e-3, 2e-3, 3e-3, 4e-3, 5e-3, 6e-3, 7e-3, 8e-3}, []string{"0", "2", "4", "6"}},
		{"small ones", all, []float64{1e-4, 2e-4, 3e-4}, []string{"0", "1", "2", "3"}},
		{"large ones", all, []float64{1, 2, 3}, []string{"7", "6", "5", "4"}},
		{"small and large", all, []float64{1e-3, 1e-3, 8e-3, 8e-3}, []string{"0", "1", "7", "6"}},
		{"few", all[:3], []float64{2e-3}, []string{"1", "2", "0"}},
		{"too few", all[:2], []float64{2e-3}, nil},
	} {
		var got []string
		for _, r := range ChooseReferences(tt.of, tt.seconds, 4) {
			got = append(got, r.Arch)
		}
		if !slices.Equal(got, tt.want) {
			t.Errorf("%s: %v, want %v", tt.name, got, tt.want)
		}
	}
}

// References have the times that predictions are fitted to: of a slow moment,
// what the network would have taken at a usual one. Outliers are none.
func TestReferences(t *testing.T) {
	p := networksProfile(20, 1e-4, func(int) float64 { return 0 })
	p.Entries[0].SentinelS = []float64{1e-5}
	for i := range p.Networks {
		n, slow := &p.Networks[i], 1+0.1*float64(i%2)
		n.SentinelS = []float64{1e-5 * slow}
		n.MedianS, n.LoS, n.HiS = n.MedianS*slow, n.LoS*slow, n.HiS*slow
	}
	p.Networks[4].Timing = timing(2*p.Networks[4].MedianS, 0)
	p.Networks[4].SentinelS = []float64{1e-5}
	table := NewTable(p)
	if c := table.Calibration(); !c.Drift || len(c.LeftOut) != 1 {
		t.Fatalf("%+v: want one outlier, and drift removed", c)
	}
	// Which of the two states is the usual one does not matter; it is one for all.
	references := table.References()
	usual := 0.0
	for _, r := range references {
		count := 1 + (len(r.Arch)-1)%10
		ratio := r.ThenS / (float64(count)*1e-3 + 1e-4)
		if usual == 0 {
			usual = ratio
		}
		if len(r.Arch) == 5 || math.Abs(ratio/usual-1) > 1e-9 {
			t.Errorf("network %d took %v s: %v times the usual", len(r.Arch), r.ThenS, ratio/usual)
		}
	}
	if len(references) != 19 {
		t.Errorf("%d references, want 19", len(references))
	}
}

// A drift is allowed that an interval has room for, to either side.
func TestAllows(t *testing.T) {
	table := NewTable(networksProfile(40, 0, func(i int) float64 { return 0.02 * float64(i%3-1) }))
	_, hi := table.Interval(Estimate{Seconds: 1}, 0.95)
	for _, tt := range []struct {
		name  string
		times float64
		want  bool
	}{
		{"none", 1, true}, {"slower", hi - 1e-6, true}, {"much slower", hi + 1e-6, false},
		{"faster", 1/hi + 1e-6, true}, {"much faster", 1/hi - 1e-6, false},
	} {
		if got := table.Allows(NewDrift(again([]float64{tt.times, tt.times, tt.times})), 0.95); got != tt.want {
			t.Errorf("%s: %v", tt.name, got)
		}
	}
}

// Validation takes the drift out of the errors; without it, it is in them.
func TestValidateWithDrift(t *testing.T) {
	cases := []Case{
		{Arch: "a", PredictedS: 1, LoS: 0.95, HiS: 1.05, MeasuredS: 1.12, Drift: 0.12},
		{Arch: "b", PredictedS: 2, LoS: 1.9, HiS: 2.1, MeasuredS: 2.24 / 1.08, Drift: 0.12}, // predicted 8 % too high
		{Arch: "c", PredictedS: 3, LoS: 2.85, HiS: 3.15, MeasuredS: 3.15, Drift: 0.05},
	}
	raw := slices.Clone(cases)
	for i := range raw {
		raw[i].Drift = 0
	}
	for _, tt := range []struct {
		name                            string
		cases                           []Case
		bias, within5, within10, covers float64
	}{
		{"with drift", cases, 0.08 / 3, 2.0 / 3, 1, 2.0 / 3},
		{"as measured", raw, (1/1.12 + 1.08/1.12 + 1/1.05 - 3) / 3, 2.0 / 3, 2.0 / 3, 2.0 / 3},
	} {
		v, err := Validate(tt.cases)
		if err != nil {
			t.Fatal(err)
		}
		for name, is := range map[string][2]float64{"bias": {v.Bias, tt.bias}, "within 5 %": {v.Within5, tt.within5},
			"within 10 %": {v.Within10, tt.within10}, "covered": {*v.Covered, tt.covers}} {
			if math.Abs(is[0]-is[1]) > 1e-12 {
				t.Errorf("%s: %s %v, want %v", tt.name, name, is[0], is[1])
			}
		}
	}
}

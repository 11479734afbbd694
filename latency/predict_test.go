// SPDX-License-Identifier: Apache-2.0

package latency

import (
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/edgenas/edgenas/ops"
	"github.com/edgenas/edgenas/predict"
)

// A table of measured operations and networks predicts other networks.
func TestPredictsNetworks(t *testing.T) {
	f := newFake(20)
	f.noise = 0.0005
	networks := someNetworks(25)
	var held, calibration []Network // every fifth is not measured
	for i, n := range networks {
		if i%5 == 2 {
			held = append(held, n)
		} else {
			calibration = append(calibration, n)
		}
	}
	p := measured(t, f, Work{Keys: networkKeys(networks), Networks: calibration}, Options{})
	table := predict.NewTable(p)
	// A run costs 2 µs once; some of it is in the chains.
	if c := table.Constant(); c < 0 || c > 2*fakeOverhead.Seconds() {
		t.Errorf("constant %v s, want up to %v", c, fakeOverhead)
	}
	var cases []predict.Case
	for _, n := range held {
		e, err := table.Estimate(n.Graph)
		if err != nil {
			t.Fatal(err)
		}
		want := fakeOverhead.Seconds()
		for k, count := range ops.Keys(n.Graph) {
			want += float64(count) * truth(k).Seconds()
		}
		if e.Deviation <= 0 || e.Deviation > 0.01*e.Seconds {
			t.Errorf("%s: deviation %v of %v", n.Arch, e.Deviation, e.Seconds)
		}
		if upper := table.Upper(e, 0.95); upper < 0.998*want || upper > 1.07*want {
			t.Errorf("%s: upper end %v, truth %v", n.Arch, upper, want)
		}
		cases = append(cases, predict.Case{Arch: n.Arch, PredictedS: e.Seconds, MeasuredS: want})
	}
	for name, cases := range map[string][]predict.Case{"new networks": cases, "the profile's own": table.Networks()} {
		if v, err := predict.Validate(cases); err != nil || v.Within5 != 1 || v.Spearman == nil || *v.Spearman < 0.99 {
			t.Errorf("%s: %+v, %v", name, v, err)
		}
	}
	if g := table.Guard(0.95); g.Networks != 20 || g.Relative > 0.07 || !strings.Contains(g.Basis, "held-out") {
		t.Errorf("%+v", g)
	}
}

// A device that has become slower since it was profiled, or whose speed moves
// while networks are measured, is told from predictions that are wrong by
// networks that were measured in both sessions.
func TestDriftIsTold(t *testing.T) {
	for _, tt := range []struct {
		name  string
		speed func(at time.Duration) float64
		least float64 // drift
		most  float64
	}{
		{"4 % slower", func(time.Duration) float64 { return 1.04 }, 0.037, 0.043},
		{"slower and slower", func(at time.Duration) float64 { return 1 + 0.02*at.Seconds() }, 0.02, 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := newFake(21)
			f.noise = 0.001
			networks := someNetworks(25)
			var held, calibration []Network
			for i, n := range networks {
				if i%5 == 2 {
					held = append(held, n)
				} else {
					calibration = append(calibration, n)
				}
			}
			table := predict.NewTable(measured(t, f, Work{Keys: networkKeys(networks), Networks: calibration}, Options{}))
			var seconds []float64
			var cases []predict.Case
			for _, n := range held {
				e, err := table.Estimate(n.Graph)
				if err != nil {
					t.Fatal(err)
				}
				seconds = append(seconds, e.Seconds)
				cases = append(cases, predict.Case{Arch: n.Arch, PredictedS: e.Seconds})
			}
			references := predict.ChooseReferences(table.References(), seconds, 6)
			again := slices.Clone(held)
			for _, n := range calibration {
				if slices.ContainsFunc(references, func(r predict.Reference) bool { return r.Arch == n.Arch }) {
					again = append(again, n)
				}
			}
			later := newFake(22)
			later.noise, later.speed = f.noise, tt.speed
			now := map[string]float64{}
			for _, n := range measured(t, later, Work{Networks: again}, Options{}).Networks {
				now[n.Arch] = n.MedianS
			}
			for i := range references {
				references[i].NowS = []float64{now[references[i].Arch]}
			}
			drift := predict.NewDrift(references)
			if len(references) != 6 || drift.Relative < tt.least || drift.Relative > tt.most {
				t.Errorf("drift %+v", drift)
			}
			for i := range cases {
				cases[i].MeasuredS, cases[i].Drift = now[cases[i].Arch], drift.Relative
			}
			corrected, err := predict.Validate(cases)
			if err != nil || math.Abs(corrected.Bias) > 0.005 {
				t.Errorf("bias %v, %v", corrected.Bias, err)
			}
			for i := range cases {
				cases[i].Drift = 0
			}
			raw, err := predict.Validate(cases)
			if want := 1/(1+drift.Relative) - 1; err != nil || math.Abs(raw.Bias-want) > 0.005 {
				t.Errorf("as measured: bias %v, %v: want %v", raw.Bias, err, want)
			}
		})
	}
}

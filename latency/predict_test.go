// SPDX-License-Identifier: Apache-2.0

package latency

import (
	"strings"
	"testing"

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

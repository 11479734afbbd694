// SPDX-License-Identifier: Apache-2.0

package report

import (
	"math"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/edgenas/edgenas/internal/runfile"
	"github.com/edgenas/edgenas/ops"
	"github.com/edgenas/edgenas/predict"
	"github.com/edgenas/edgenas/profiles"
)

func ok(median, lo, hi float64) profiles.Timing {
	return profiles.Timing{Status: profiles.OK, N: 10, MedianS: median, LoS: lo, HiS: hi}
}

func TestDescribe(t *testing.T) {
	for _, c := range []struct{ key, want string }{
		{"conv/k=3/s=2/p=1/d=1/g=1/cin=16/cout=32/h=28/w=28/n=1/f32/nhwc/relu_in+bias",
			"conv 3×3 · stride 2 · 16 → 32 ch · 28×28 · ReLU in"},
		{"conv/k=5/s=1/p=4/d=2/g=16/cin=16/cout=16/h=28/w=28/n=1/f32/nhwc/bias+add+relu_out",
			"conv 5×5 · dilation 2 · 16 groups · 16 ch · 28×28 · add · ReLU out"},
		{"linear/cin=64/cout=10/h=1/w=1/n=1/f32/nhwc/bias", "linear · 64 → 10 ch · 1×1"},
		{"a key of another program", "a key of another program"},
	} {
		if got := describe(c.key); got != c.want {
			t.Errorf("%s: %q, want %q", c.key, got, c.want)
		}
	}
}

func TestTabulate(t *testing.T) {
	run, err := Read(fixtureDir)
	if err != nil {
		t.Fatal(err)
	}
	table := tabulate(run.profile, run.architecture)
	if table.OK != len(run.profile.Entries)-1 || table.Failed != 1 || len(table.Rows) != len(run.profile.Entries) {
		t.Errorf("%d ok, %d failed of %d", table.OK, table.Failed, len(run.profile.Entries))
	}
	shares, cost := 0.0, math.Inf(1)
	for _, r := range table.Rows {
		if c := float64(r.Uses) * r.median; c > cost {
			t.Errorf("%s stands below an operation that costs the network less", r.Key)
		} else {
			cost = c
		}
		shares += r.ShareLength
		if r.Left < 0 || r.Left > 50 || r.Left+r.Width < 50 || r.Left+r.Width > 100 {
			if !r.Failed {
				t.Errorf("%s: its interval is drawn at %v…%v, which does not include the median at 50",
					r.Key, r.Left, r.Left+r.Width)
			}
		}
		if r.Failed && (r.Median != "" || r.N != 0 || !strings.Contains(r.Status, "killed")) {
			t.Errorf("a failed entry shows %q, %d samples, status %q", r.Median, r.N, r.Status)
		}
	}
	if math.Abs(shares-100) > 1 {
		t.Errorf("the operations' shares of the network add up to %v %%", shares)
	}
}

// timedKey is an operation that predictions know.
func timedKey(channels int) string {
	return ops.Key{Kind: ops.ReLU, In: channels, Out: channels, H: 8, W: 8, N: 1}.String()
}

func TestCompare(t *testing.T) {
	half := -0.5
	a, b, c, d := timedKey(1), timedKey(2), timedKey(3), timedKey(4)
	p := &profiles.Profile{
		ConstantS: &half,
		Entries: []profiles.Entry{
			{Key: a, Timing: ok(1, 1, 1)}, {Key: b, Timing: ok(2, 2, 2)},
			{Key: c, Timing: profiles.Timing{Status: profiles.Failed, Reason: "crashed"}},
		},
		Networks: []profiles.Network{
			{Arch: "exact", Counts: map[string]int{a: 2, b: 1}, Timing: ok(3.5, 3.4, 3.6)},
			{Arch: "slow", Counts: map[string]int{a: 1}, Timing: ok(0.4, 0.4, 0.4)},
			{Arch: "needs the failed one", Counts: map[string]int{a: 1, c: 1}, Timing: ok(1, 1, 1)},
			{Arch: "needs an unknown one", Counts: map[string]int{d: 1}, Timing: ok(1, 1, 1)},
			{Arch: "failed itself", Counts: map[string]int{a: 1},
				Timing: profiles.Timing{Status: profiles.Failed, Reason: "crashed"}},
		},
	}
	s := compare(p, runfile.Summary{})
	if len(s.Dots) != 2 || s.LeftOut != 3 || s.Found {
		t.Fatalf("%d dots, %d left out, found %v; want 2, 3, false", len(s.Dots), s.LeftOut, s.Found)
	}
	// predicted 3.5 and 0.5, measured 3.5 and 0.4: errors 0 and 25 %
	want := map[string]string{"Networks": "2", "Bias": "12.5 %", "Mean absolute error": "12.5 %", "Within ±5 %": "50.0 %",
		"Spearman": "1.000", "Constant": "-500 ms"}
	for _, f := range s.Facts {
		if w := want[f.Name]; w != "" && strings.ReplaceAll(f.Value, space, " ") != w {
			t.Errorf("%s: %s, want %s", f.Name, f.Value, w)
		}
	}
	predicted, measured := 2.0, 2.1
	s = compare(p, runfile.Summary{LatencyPredictedS: &predicted, LatencyMeasuredS: &measured})
	if !s.Found || len(s.Dots) != 3 || !s.Dots[2].Found {
		t.Error("the found network is not drawn")
	}
}

// The page shows the predictions that the search went by: also where networks
// take much less than the sum of their operations.
func TestCompareIsWhatTheSearchUsed(t *testing.T) {
	p := &profiles.Profile{}
	for i := range 4 {
		p.Entries = append(p.Entries, profiles.Entry{Key: timedKey(i + 1),
			Timing: ok(float64(i+1), float64(i+1), float64(i+1))})
	}
	for i, took := range []float64{0.5, 1.2, 5.5, 7.9, 3.3} {
		counts := map[string]int{timedKey(1): 1 + i, timedKey(2 + i%3): 1}
		p.Networks = append(p.Networks, profiles.Network{Arch: strings.Repeat("n", i+1), Counts: counts,
			Timing: ok(took, took, took)})
	}
	table := predict.NewTable(p)
	v, err := predict.Validate(table.Networks())
	if err != nil {
		t.Fatal(err)
	}
	s := compare(p, runfile.Summary{})
	want := []fact{{"Networks", strconv.Itoa(v.N)}, {"Bias", share(v.Bias)}, {"Mean absolute error", share(v.MAPE)},
		{"Constant", latency(table.Constant())}}
	for _, w := range want {
		if !slices.Contains(s.Facts, w) {
			t.Errorf("%v: want %v among them", s.Facts, w)
		}
	}
	for i, c := range table.Networks() {
		title := c.Arch + ": predicted " + latency(c.PredictedS) + ", measured " + latency(c.MeasuredS)
		if i >= len(s.Dots) || s.Dots[i].Title != title {
			t.Errorf("dot %d: want %q", i, title)
		}
	}
}

// SPDX-License-Identifier: Apache-2.0

package oracle

import (
	"context"
	"math"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/edgenas/edgenas/internal/stats"
)

// Where networks take the sum of their operations, those are found, and a wrong
// table is off by as much as its entries are: in three stages, independent ones.
func TestNoisyTable(t *testing.T) {
	table := *invented(t)
	want := map[string]float64{"nor_conv_3x3": 2e-3, "nor_conv_1x1": 0.4e-3, "avg_pool_3x3": 0.3e-3, "skip_connect": 1e-4,
		"": 0.5e-3}
	i, _ := table.Find(skip)
	some := append(slices.Clone(table.Networks[:300]), table.Networks[i]) // the last is the empty cell
	networks := make([]Network, len(some))
	for i, n := range some {
		s := want[""]
		for name, each := range want {
			if name != "" {
				s += each * float64(strings.Count(n.Notation, name))
			}
		}
		n.latencyS = []float64{s, math.NaN()}
		networks[i] = n
	}
	table.Networks = networks
	e, err := table.entriesOf(0)
	if err != nil || len(e.operations) != len(want) {
		t.Fatalf("%+v (%v)", e, err)
	}
	for i, name := range e.operations {
		if got := e.seconds[i]; math.Abs(got/want[name]-1) > 1e-6 {
			t.Errorf("%q takes %g s, want %g", name, got, want[name])
		}
	}
	if _, err := table.entriesOf(1); err == nil {
		t.Error("operations of a device without latencies")
	}
	i = len(networks) - 1
	right := table.Networks[i].latencyS[0]
	var off []float64
	rng := rand.New(rand.NewPCG(1, 1))
	for range 2000 {
		seen := table.noisy(0, e, 0.05, rng)
		off = append(off, seen.Networks[i].latencyS[0]/right-1)
		if table.Networks[i].latencyS[0] != right {
			t.Fatal("the table itself has changed")
		}
	}
	// An empty cell has its rest and a skip, each in three stages.
	share := want[""] / right
	expected := 0.05 / math.Sqrt(3) * math.Hypot(share, 1-share)
	if mean, deviation := stats.MeanStdDev(off); math.Abs(mean) > 0.005 || math.Abs(deviation/expected-1) > 0.1 {
		t.Errorf("off by %g ± %g, want 0 ± %g", mean, deviation, expected)
	}
}

// Whatever a wrong table says, what a search chooses keeps the budget; it costs
// accuracy, and nothing where the table is hardly wrong.
func TestReplayWithNoise(t *testing.T) {
	r := replay(t)
	r.Budgets, r.Seeds = Sets[0].Budgets[3:], 6
	right, err := r.Run(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	results := map[float64]*Result{}
	for _, noise := range []float64{1e-9, 0.2} {
		r.Noise = noise
		for b, budget := range r.Budgets {
			there, seen, err := r.fields(budget, uint64(b))
			if err != nil || len(seen) != r.Seeds {
				t.Fatalf("%d fields (%v)", len(seen), err)
			}
			for seed, f := range seen {
				for _, s := range strategies {
					i, ok, err := s.choose(f, rand.New(rand.NewPCG(uint64(seed), 1)))
					if err != nil || ok && !there.keeps[i] {
						t.Errorf("%s, seed %d under %s: %d is over the budget (%v)", s.name, seed, budget, i, err)
					}
				}
			}
		}
		if results[noise], err = r.Run(context.Background()); err != nil {
			t.Fatal(err)
		}
	}
	if !reflect.DeepEqual(results[1e-9].Standings, right.Standings) {
		t.Errorf("hardly wrong: %+v, right: %+v", results[1e-9].Standings, right.Standings)
	}
	last := len(strategies) - 1
	wrong, own := results[0.2].Standings[last], right.Standings[last]
	if !(wrong.Mean.Value > own.Mean.Value) {
		t.Errorf("tables wrong by a fifth: %+v, right ones: %+v", wrong, own)
	}
	for _, o := range wrong.Outcomes {
		if !(o.Worst >= o.Regret) {
			t.Errorf("%+v", o)
		}
	}
	var text strings.Builder
	results[0.2].Write(&text)
	if !strings.Contains(text.String(), "of 6 seeds (worst), tables wrong by 20 % an entry") {
		t.Error(text.String())
	}
}

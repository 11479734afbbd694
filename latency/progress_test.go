// SPDX-License-Identifier: Apache-2.0

package latency

import (
	"context"
	"math"
	"testing"
	"time"

	"github.com/edgenas/edgenas/ops"
	"github.com/edgenas/edgenas/profiles"
)

// manyKeys are convolutions whose times are far apart.
func manyKeys() []ops.Key {
	var keys []ops.Key
	for _, size := range []int{4, 8, 16, 32} {
		for in := 4; in <= 20; in += 4 {
			for _, kernel := range []int{1, 3, 5} {
				for _, stride := range []int{1, 2} {
					keys = append(keys, ops.Key{Kind: ops.Conv, Window: ops.Same(kernel, stride, 1), Groups: 1, In: in, Out: in,
						H: size, W: size, N: 1, Bias: true})
				}
			}
		}
	}
	return keys
}

// From a fifth of the way on, the estimate of the whole time is within 20 % of
// the truth, however often the machine makes rounds be repeated.
func TestForecast(t *testing.T) {
	for _, tc := range []struct {
		name   string
		change func(*fakeMachine)
	}{
		{"a quiet machine", func(*fakeMachine) {}},
		{"slow compilation", func(f *fakeMachine) { f.compiling = 300 * time.Millisecond }},
		{"half of it is unsteady", func(f *fakeMachine) {
			for i, k := range manyKeys() {
				if i%2 == 0 {
					f.unsteady[k.String()] = 0.5
				}
			}
		}},
		{"a machine that changes its speed", func(f *fakeMachine) {
			f.speed = func(at time.Duration) float64 { return 1 + 0.04*math.Sin(at.Seconds()) }
		}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			f := newFake(70)
			f.noise, f.unsteady = 0.01, map[string]float64{}
			tc.change(f)
			var all []Progress
			w := Work{Keys: manyKeys(), Networks: someNetworks(20)}
			s := f.session(w, &profiles.Profile{}, Options{Progress: func(p Progress) { all = append(all, p) }})
			if err := s.measure(context.Background()); err != nil {
				t.Fatal(err)
			}
			took, worst, at := all[len(all)-1].Elapsed, 0.0, 0.0
			for _, p := range all {
				if p.Elapsed < took/5 {
					continue
				}
				if off := (p.Elapsed+p.Remaining).Seconds()/took.Seconds() - 1; math.Abs(off) > math.Abs(worst) {
					worst, at = off, p.Elapsed.Seconds()/took.Seconds()
				}
			}
			t.Logf("took %v; the worst estimate after a fifth of it was %+.0f %% off, at %.0f %%",
				took.Round(time.Second), 100*worst, 100*at)
			if math.Abs(worst) > 0.2 {
				t.Errorf("%+.0f %% off", 100*worst)
			}
			checkShares(t, all)
		})
	}
}

// checkShares compares what was reported after a fifth of the time with what
// came then: the share that had passed within 0.12, the remaining time within a
// factor of 2, give or take 2 % of the whole.
func checkShares(t *testing.T, all []Progress) {
	t.Helper()
	took := all[len(all)-1].Elapsed
	var offShare, offFactor, back, last float64
	for _, p := range all {
		if p.Elapsed < took/5 {
			continue
		}
		share := p.Share()
		offShare = max(offShare, math.Abs(share-float64(p.Elapsed)/float64(took)))
		give := 0.02 * took.Seconds()
		remaining, truth := p.Remaining.Seconds()+give, (took-p.Elapsed).Seconds()+give
		offFactor = max(offFactor, remaining/truth, truth/remaining)
		back, last = max(back, last-share), max(last, share)
	}
	t.Logf("the share was at most %.3f off and went back by %.3f, the remaining time off by a factor of %.2f",
		offShare, back, offFactor)
	if offShare > 0.12 || back > 0.15 {
		t.Errorf("the share was %.3f off and went back by %.3f", offShare, back)
	}
	if offFactor > 2 {
		t.Errorf("the remaining time was off by a factor of %.2f", offFactor)
	}
	if end := all[len(all)-1].Share(); end < 0.98 {
		t.Errorf("ends at %.3f", end)
	}
}

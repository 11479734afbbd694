// SPDX-License-Identifier: Apache-2.0

package latency

import (
	"context"
	"math"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/edgenas/edgenas/profiles"
)

// A process that has the measured core half of the time changes no times where
// the thread knows how long it has waited, and makes a warning. Elsewhere the
// sentinel tells.
func TestSharedCore(t *testing.T) {
	for _, tc := range []struct {
		name          string
		shared, known bool
		within        float64
		warning       string
	}{
		{"alone", false, true, 0.005, ""},
		{"shared", true, true, 0.012, "the measured core was shared"},
		{"shared, and nobody knows", true, false, 1, "the sentinel moved"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			f, keys := newFake(80), someKeys()
			f.noise = 0.002
			r := &rival{}
			if tc.shared {
				f.rival = r
			}
			p := &profiles.Profile{}
			s := f.session(Work{Keys: keys, Networks: someNetworks(3)}, p, Options{})
			if tc.known {
				s.machine.waited = func() time.Duration { return r.took }
			}
			if err := s.measure(context.Background()); err != nil {
				t.Fatal(err)
			}
			for _, k := range keys {
				e, err := p.Lookup(k.String())
				if err != nil {
					t.Fatal(err)
				}
				if got := e.MedianS/expected(k) - 1; math.Abs(got) > tc.within {
					t.Errorf("%s is off by %+.2f %%", k, 100*got)
				}
				if tc.known && len(e.SamplesS) != DefaultRounds {
					t.Errorf("%s: %d rounds", k, len(e.SamplesS))
				}
			}
			all := strings.Join(p.Warnings, "\n")
			if tc.warning == "" && all != "" || !strings.Contains(all, tc.warning) {
				t.Errorf("warnings %q, want %q", p.Warnings, tc.warning)
			}
		})
	}
}

// A clock of waiting that runs ahead leaves next to nothing of one run: the inner
// loop is as long as without it.
func TestCalibrateSharedCore(t *testing.T) {
	for _, ahead := range []time.Duration{0, 99*time.Microsecond + 999} {
		f := newFake(82)
		looks := 0
		waited := func() time.Duration {
			if looks++; looks > 7 {
				return ahead
			}
			return 0
		}
		it := &item{copies: 1, runner: &fakeRunner{machine: f, time: 100 * time.Microsecond}}
		if err := it.calibrate(stopwatch{f.now, waited}, 10*time.Millisecond, batchTime, samplesPerRound); err != nil {
			t.Fatal(err)
		}
		if it.inner < 90 || it.inner > 110 {
			t.Errorf("ahead by %v: %d runs of 100 µs in a sample of 10 ms", ahead, it.inner)
		}
	}
}

// The median of a verification is that of the network, and the tail has what
// the core's other processes cost a frame.
func TestVerifySharedCore(t *testing.T) {
	f := newFake(81)
	f.rival = &rival{}
	m := machine{root: fstest.MapFS{}, waited: func() time.Duration { return f.rival.took }}
	r := &fakeRunner{machine: f, time: 15 * time.Millisecond}
	v, err := verify(context.Background(), r, f.Info(), Mode{}, m, f.now, f.sleep)
	if err != nil {
		t.Fatal(err)
	}
	if math.Abs(v.MedianS/15e-3-1) > 0.01 || v.P90S < 20e-3 {
		t.Errorf("median %v, p90 %v", v.MedianS, v.P90S)
	}
	if !strings.Contains(strings.Join(v.Warnings, "\n"), "the measured core was shared") {
		t.Errorf("warnings %q", v.Warnings)
	}
}

// The wait clock tells nothing before the thread has waited, and never less
// than before.
func TestWaitClock(t *testing.T) {
	m, release := occupy(1)
	defer release()
	if m.waited == nil {
		return // the system does not tell
	}
	if a, b := m.waited(), m.waited(); a < 0 || b < a {
		t.Errorf("waited %v, then %v", a, b)
	}
}

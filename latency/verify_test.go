// SPDX-License-Identifier: Apache-2.0

package latency

import (
	"context"
	"encoding/json"
	"errors"
	"math"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/edgenas/edgenas/internal/hostinfo"
)

// verifyFake verifies a network that takes t, in a burst.
func verifyFake(ctx context.Context, f *fakeMachine, t time.Duration) (Verification, error) {
	m := machine{root: fstest.MapFS{}}
	return verify(ctx, &fakeRunner{machine: f, time: t}, f.Info(), Mode{}, m, f.now, f.sleep)
}

func TestVerify(t *testing.T) {
	for _, tc := range []struct {
		name string
		time time.Duration
		n    int // samples
	}{
		{"a thousand ticks of the clock are a run", 2 * time.Millisecond, 15 * 20},
		{"a short network is looped", 2 * time.Microsecond, 15 * 20},
		{"a slow one has fewer samples", 50 * time.Millisecond, 15 * 4},
		{"the slowest one in each round", time.Second, 15},
	} {
		t.Run(tc.name, func(t *testing.T) {
			f := newFake(30)
			f.noise = 0.01
			v, err := verifyFake(context.Background(), f, tc.time)
			if err != nil {
				t.Fatal(err)
			}
			want := tc.time.Seconds()
			if math.Abs(v.MedianS/want-1) > 0.02 || v.LoS > v.MedianS || v.HiS < v.MedianS ||
				v.MinS > v.LoS || v.P90S < v.MedianS {
				t.Errorf("%+v, want %v", v, want)
			}
			if v.N < tc.n*9/10 || v.N > tc.n {
				t.Errorf("%d samples, want %d", v.N, tc.n)
			}
			if v.Runtime.Name != "fake" || v.Device.Cores < 1 {
				t.Errorf("runtime %+v, device %+v", v.Runtime, v.Device)
			}
		})
	}
}

// The tail that loses frames is in the 99th percentile, not in the median.
func TestVerifySeesTheTail(t *testing.T) {
	f := newFake(31)
	f.interrupts = 15 // a second: 3 % of the runs
	v, err := verifyFake(context.Background(), f, 2*time.Millisecond)
	if err != nil {
		t.Fatal(err)
	}
	if v.P99S < (2*time.Millisecond+interrupt).Seconds() || v.MedianS > 2.001e-3 || v.P90S > 2.001e-3 {
		t.Errorf("median %v, p90 %v, p99 %v", v.MedianS, v.P90S, v.P99S)
	}
}

func TestVerifyFails(t *testing.T) {
	f := newFake(32)
	f.run = map[string]error{"": errBroken}
	r := &fakeRunner{machine: f, time: time.Microsecond}
	if _, err := Verify(context.Background(), r, f.Info(), Mode{}); !errors.Is(err, errBroken) {
		t.Errorf("%v", err)
	}
	f = newFake(33)
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := verifyFake(ctx, f, time.Microsecond); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
}

// A quantile that would only be the slowest sample is left out.
func TestUnknownQuantiles(t *testing.T) {
	for _, tc := range []struct {
		mode          string
		time          time.Duration
		n             int
		p90, p95, p99 bool // are known
	}{
		{"burst", 2 * time.Millisecond, 15 * 20, true, true, true},
		{"burst", 50 * time.Millisecond, 15 * 4, true, true, false},
		{"burst", time.Second, 15, true, false, false},
		{"paced=33ms", 2 * time.Millisecond, 15 * 20, true, true, true},
		{"paced=100ms", 2 * time.Millisecond, 15 * 10, true, true, true},
		{"paced=1s", 2 * time.Millisecond, 15 * 3, true, true, false},
	} {
		mode, err := ParseMode(tc.mode)
		if err != nil {
			t.Fatal(err)
		}
		f := newFake(36)
		f.noise = 0.01
		m, r := machine{root: fstest.MapFS{}}, &fakeRunner{machine: f, time: tc.time}
		v, err := verify(context.Background(), r, f.Info(), mode, m, f.now, f.sleep)
		if err != nil {
			t.Fatal(err)
		}
		if v.N < tc.n*9/10 || v.N > tc.n {
			t.Errorf("%s, %v: %d samples, want %d", tc.mode, tc.time, v.N, tc.n)
		}
		if v.P90S > 0 != tc.p90 || v.P95S > 0 != tc.p95 || v.P99S > 0 != tc.p99 {
			t.Errorf("%s, %v: %d samples, p90 %v, p95 %v, p99 %v", tc.mode, tc.time, v.N, v.P90S, v.P95S, v.P99S)
		}
		if text, err := json.Marshal(v); err != nil || strings.Contains(string(text), "p99_s") != tc.p99 {
			t.Errorf("%s, %v: %s, %v", tc.mode, tc.time, text, err)
		}
	}
}

// Bounds 3 % apart are unsteady in a burst, and steady enough in a paced loop.
func TestVerifyKnowsWhatIsSteady(t *testing.T) {
	for _, tc := range []struct {
		mode     Mode
		wave     float64 // of the machine's speed, in radians a second
		unsteady bool
	}{{Mode{}, 11, true}, {Mode{Period: 33 * time.Millisecond}, 0.7, false}} {
		mode := tc.mode
		f := newFake(37)
		f.speed = func(at time.Duration) float64 { return 1 + 0.02*math.Sin(tc.wave*at.Seconds()) }
		m, r := machine{root: fstest.MapFS{}}, &fakeRunner{machine: f, time: 2 * time.Millisecond}
		v, err := verify(context.Background(), r, f.Info(), mode, m, f.now, f.sleep)
		if err != nil {
			t.Fatal(err)
		}
		if apart := (v.HiS - v.LoS) / v.MedianS; apart < steadyWidth || apart > steadyWidthPaced {
			t.Fatalf("%s: the bounds are %.1f %% apart", mode, 100*apart)
		}
		if warned := strings.Contains(strings.Join(v.Warnings, "\n"), "unsteady"); warned != tc.unsteady {
			t.Errorf("%s: warnings %q", mode, v.Warnings)
		}
	}
}

// A model is verified in the mode that its table was measured in.
func TestVerifyModes(t *testing.T) {
	for _, tc := range []struct {
		mode string
		want float64 // seconds of a run; a run takes half as long again when the device is hot
		n    int
		took time.Duration
	}{
		{"burst", 2e-3, 15 * 20, 0},
		{"paced=33ms", 2e-3, 15 * 20, 15 * 20 * 33 * time.Millisecond},
		{"sustained", 3e-3, 15 * 20, time.Minute},
	} {
		t.Run(tc.mode, func(t *testing.T) {
			mode, err := ParseMode(tc.mode)
			if err != nil {
				t.Fatal(err)
			}
			f, m := newFake(35), machine{root: fstest.MapFS{}}
			if mode.Sustained {
				m.root = heating(f)
			}
			r := &fakeRunner{machine: f, time: 2 * time.Millisecond}
			v, err := verify(context.Background(), r, f.Info(), mode, m, f.now, f.sleep)
			if err != nil {
				t.Fatal(err)
			}
			if v.Mode != tc.mode || math.Abs(v.MedianS/tc.want-1) > 0.02 || v.N < tc.n*9/10 || v.N > tc.n || f.now() < tc.took {
				t.Errorf("%+v after %v: want %v s, %d samples, %v", v, f.now(), tc.want, tc.n, tc.took)
			}
		})
	}
}

func TestUnsettled(t *testing.T) {
	f := newFake(34)
	f.speed = func(at time.Duration) float64 { return 1 + at.Seconds() } // ever slower
	v, err := verifyFake(context.Background(), f, 10*time.Millisecond)
	if err != nil || !slices.Contains(v.Warnings, "times did not settle during the warm-up") {
		t.Errorf("%q, %v", v.Warnings, err)
	}
}

func TestStateWarnings(t *testing.T) {
	calm := hostinfo.State{Governor: "performance", FreqHz: 1800e6,
		Zones: []hostinfo.Zone{{Name: "cpu-thermal", Celsius: 60}}}
	for _, tc := range []struct {
		name      string
		emulation hostinfo.Emulation
		change    func(*hostinfo.State)
		want      []string
	}{
		{"calm", hostinfo.NotEmulated, func(*hostinfo.State) {}, nil},
		{"silent sensors", hostinfo.NotEmulated, func(s *hostinfo.State) { *s = hostinfo.State{} }, nil},
		{"emulated", hostinfo.Qemu, func(*hostinfo.State) {}, []string{"not valid"}},
		{"nobody knows", hostinfo.EmulationUnknown, func(*hostinfo.State) {}, []string{"emulation unknown"}},
		{"governor", hostinfo.NotEmulated, func(s *hostinfo.State) { s.Governor = "ondemand" }, []string{"ondemand"}},
		{"clock", hostinfo.NotEmulated, func(s *hostinfo.State) { s.FreqHz = 1500e6 }, []string{"from 1800 to 1500 MHz"}},
		{"clock rises", hostinfo.NotEmulated, func(s *hostinfo.State) { s.FreqHz = 2000e6 }, nil},
		{"throttled and hot", hostinfo.NotEmulated, func(s *hostinfo.State) {
			s.Throttled, s.ThrottleEvents = []string{"throttled", "under-voltage"}, 4
			s.Zones = []hostinfo.Zone{{Name: "cpu-thermal", Celsius: 81.6}}
		}, []string{"throttled, under-voltage", "4 times", "82 °C"}},
	} {
		after := calm
		tc.change(&after)
		got := stateWarnings(string(tc.emulation), calm, after)
		if len(got) != len(tc.want) {
			t.Errorf("%s: %q, want %q", tc.name, got, tc.want)
			continue
		}
		for i := range got {
			if !strings.Contains(got[i], tc.want[i]) {
				t.Errorf("%s: %q, want %q", tc.name, got[i], tc.want[i])
			}
		}
	}
}

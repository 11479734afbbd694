// SPDX-License-Identifier: Apache-2.0

package latency

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/edgenas/edgenas/profiles"
)

func TestParseMode(t *testing.T) {
	for _, tc := range []struct{ text, canonical, problem string }{
		{"", "burst", ""},
		{"burst", "burst", ""},
		{"sustained", "sustained", ""},
		{"paced=33ms", "paced=33ms", ""},
		{"paced=0.033s", "paced=33ms", ""},
		{"paced=33.3ms", "paced=33.3ms", ""},
		{"paced=1s", "paced=1s", ""},
		{"paced", "", "want burst"},
		{"Burst", "", "want burst"},
		{"paced=", "", "want a period"},
		{"paced=33", "", "want a period"},
		{"paced=-33ms", "", "want a period"},
		{"paced=999us", "", "want a period"},
		{"paced=1.1s", "", "want a period"},
	} {
		m, err := ParseMode(tc.text)
		switch {
		case tc.problem == "" && (err != nil || m.String() != tc.canonical):
			t.Errorf("%q: %s, %v: want %s", tc.text, m, err, tc.canonical)
		case tc.problem != "" && (err == nil || !strings.Contains(err.Error(), tc.problem)):
			t.Errorf("%q: %v: want %q", tc.text, err, tc.problem)
		}
		if again, err := ParseMode(m.String()); err != nil || again != m {
			t.Errorf("%q: reads its own text as %v, %v", tc.text, again, err)
		}
	}
}

// Runs begin a period apart; what comes late does not make the others hurry.
func TestPacer(t *testing.T) {
	var at time.Duration
	p := pacer{period: 10 * time.Millisecond, now: func() time.Duration { return at },
		sleep: func(d time.Duration) { at += d }}
	var starts []string
	for _, run := range []time.Duration{1, 4, 25, 1, 1} {
		p.wait()
		starts = append(starts, at.String())
		at += run * time.Millisecond
	}
	if got := fmt.Sprint(starts); got != "[0s 10ms 20ms 45ms 55ms]" {
		t.Errorf("runs begin at %s", got)
	}
}

// A paced loop sleeps between single runs, in which the clock is a lower one.
func TestPaced(t *testing.T) {
	f, keys := newFake(50), someKeys()
	f.noise = 0.002
	f.speed = func(time.Duration) float64 {
		if f.slept > 0 {
			return 2
		}
		return 1
	}
	p := &profiles.Profile{Protocol: profiles.Protocol{Mode: "paced=33ms"}}
	if err := f.session(Work{Keys: keys}, p, Options{}).measure(context.Background()); err != nil {
		t.Fatal(err)
	}
	for _, k := range keys {
		e, err := p.Lookup(k.String())
		if err != nil {
			t.Fatal(err)
		}
		if got := e.MedianS/(2*expected(k)) - 1; math.Abs(got) > 0.01 {
			t.Errorf("%s is off by %+.2f %%", k, 100*got)
		}
		if e.N != pacedSamples*len(e.SamplesS) || len(e.SamplesS) != DefaultRounds {
			t.Errorf("%s: %d samples in %d rounds", k, e.N, len(e.SamplesS))
		}
	}
	runs := time.Duration(len(keys) * DefaultRounds * (pacedSamples + 1))
	if least := runs * 25 * time.Millisecond; f.slept < least {
		t.Errorf("slept %v, want at least %v", f.slept, least)
	}
	if q := p.Protocol; q.Mode != "paced=33ms" || q.MinSampleS != 0 || q.SamplesPerRound != pacedSamples ||
		q.ClockStepS != 25e-9 {
		t.Errorf("%+v", q)
	}
}

// A run that the clock cannot tell well by itself says so.
func TestPacedCoarse(t *testing.T) {
	f := newFake(51)
	k := someKeys()[7] // no chain
	p := &profiles.Profile{Protocol: profiles.Protocol{Mode: "paced=5ms"}}
	s := f.session(Work{Keys: someKeys()[7:]}, p, Options{Rounds: 6})
	if err := s.measure(context.Background()); err != nil {
		t.Fatal(err)
	}
	e, err := p.Lookup(k.String())
	coarse := func(w string) bool { return strings.HasPrefix(w, "coarse: an inference of") }
	if err != nil || !slices.ContainsFunc(e.Warnings, coarse) {
		t.Errorf("%q, %v", e.Warnings, err)
	}
}

// heating makes the fake machine warmer, hotter and slower with a time constant
// of a minute, and says so in a file.
func heating(f *fakeMachine) fstest.MapFS {
	zone := &fstest.MapFile{Data: []byte("40000\n")}
	f.speed = func(at time.Duration) float64 {
		warm := 1 - math.Exp(-at.Seconds()/60)
		zone.Data = fmt.Appendf(nil, "%.0f\n", 40_000+40_000*warm)
		return 1 + 0.5*warm
	}
	return fstest.MapFS{"sys/class/thermal/thermal_zone0/temp": zone,
		"sys/class/thermal/thermal_zone0/type":                {Data: []byte("cpu-thermal\n")},
		"sys/devices/platform/soc/soc:firmware/get_throttled": {Data: []byte("0x4\n")}}
}

func TestSustained(t *testing.T) {
	f, keys := newFake(52), someKeys()[:3]
	p := &profiles.Profile{Protocol: profiles.Protocol{Mode: "sustained"}}
	var said []string
	s := f.session(Work{Keys: keys}, p,
		Options{MaxCelsius: 50, Progress: func(p Progress) { said = append(said, p.Label) }})
	s.machine.root = heating(f)
	if err := s.measure(context.Background()); err != nil {
		t.Fatal(err)
	}
	for _, k := range keys {
		e, err := p.Lookup(k.String())
		if err != nil || math.Abs(e.MedianS/(1.5*expected(k))-1) > 0.02 || e.Throttled() {
			t.Errorf("%s: %v s, want %v; %q, %v", k, e.MedianS, 1.5*expected(k), e.Warnings, err)
		}
		if len(e.TemperatureCelsius) != len(e.SamplesS) || e.TemperatureCelsius[0] < 75 {
			t.Errorf("%s: temperatures %v", k, e.TemperatureCelsius)
		}
	}
	if s.soaked < time.Minute || s.soaked > soakLimit || p.Protocol.WarmUpS != (warmUp+s.soaked).Seconds() ||
		p.Protocol.Mode != "sustained" {
		t.Errorf("soaked for %v; %+v", s.soaked, p.Protocol)
	}
	if !slices.Contains(said, "warming the device up: cpu-thermal is at 60 °C") {
		t.Errorf("progress says %q", said[:10])
	}
}

// A device that never comes to rest is measured all the same; one that is
// interrupted while it warms up is not.
func TestSoakEnds(t *testing.T) {
	f := newFake(53)
	f.speed = func(at time.Duration) float64 { return 1 + at.Minutes() }
	p := &profiles.Profile{Protocol: profiles.Protocol{Mode: "sustained"}}
	if err := f.session(Work{Keys: someKeys()[:1]}, p, Options{Rounds: 1}).measure(context.Background()); err != nil {
		t.Fatal(err)
	}
	if all := strings.Join(p.Warnings, "\n"); !strings.Contains(all, "still changed after 8m0s") ||
		!strings.Contains(all, "no temperature can be read") {
		t.Errorf("%q", p.Warnings)
	}
	ctx, cancel := context.WithCancel(context.Background())
	f = newFake(54)
	p = &profiles.Profile{Protocol: profiles.Protocol{Mode: "sustained"}}
	err := f.session(Work{Keys: someKeys()[:1]}, p, Options{Progress: func(Progress) { cancel() }}).measure(ctx)
	if !errors.Is(err, context.Canceled) || len(p.Entries) > 0 {
		t.Errorf("%v, %d entries", err, len(p.Entries))
	}
}

func TestUnknownMode(t *testing.T) {
	p := &profiles.Profile{Protocol: profiles.Protocol{Mode: "turbo"}}
	if err := newFake(55).session(Work{Keys: someKeys()}, p, Options{}).measure(context.Background()); err == nil {
		t.Error("an unknown mode was measured")
	}
}

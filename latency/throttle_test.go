// SPDX-License-Identifier: Apache-2.0

package latency

import (
	"context"
	"math"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/edgenas/edgenas/profiles"
)

// board is a machine whose throttle word and clock change while it is measured.
type board struct {
	word, khz *fstest.MapFile
	slow      bool
}

func newBoard() (*board, fstest.MapFS) {
	b := &board{word: &fstest.MapFile{Data: []byte("0\n")}, khz: &fstest.MapFile{Data: []byte("1800000\n")}}
	return b, fstest.MapFS{"sys/devices/platform/soc/soc:firmware/get_throttled": b.word,
		"sys/devices/system/cpu/cpu0/cpufreq/scaling_cur_freq": b.khz}
}

// Rounds in which the device slowed itself down are measured again. If that
// does not end, the entries say so.
func TestThrottled(t *testing.T) {
	says := func(b *board, slow bool) {
		if b.word.Data = []byte("0\n"); slow {
			b.word.Data = []byte("0x4\n")
		}
	}
	clock := func(b *board, slow bool) {
		if b.khz.Data = []byte("1800000\n"); slow {
			b.khz.Data = []byte("1200000\n")
		}
	}
	hidden := func(*board, bool) {}
	const never = 1 << 30
	for _, tc := range []struct {
		name     string
		mode     string
		from, to int // steps between which the device is throttled
		tell     func(*board, bool)
		times    float64 // what an entry takes, of what it takes unthrottled
		entries  bool    // carry the warning
		session  bool    // does
	}{
		{"the firmware says so for a while", "burst", 30, 70, says, 1, false, true},
		{"the clock falls for a while", "burst", 30, 70, clock, 1, false, true},
		{"only the sentinel tells", "burst", 30, 70, hidden, 1, false, true},
		{"the clock is low at first", "burst", 0, 60, clock, 1, false, true},
		{"it never ends", "burst", 0, never, says, 1.5, true, true},
		{"it begins and never ends", "burst", 40, never, clock, 1.5, true, true},
		{"a soaked device", "sustained", 0, never, says, 1.5, false, false},
		{"a paced loop has a clock of its own", "paced=5ms", 0, never, clock, 1.5, false, false},
		{"a paced loop on a hot device", "paced=5ms", 0, never, says, 1.5, true, true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			f, keys := newFake(60), someKeys()[:4]
			b, root := newBoard()
			f.speed = func(time.Duration) float64 {
				if b.slow {
					return 1.5
				}
				return 1
			}
			set := func(done int) {
				b.slow = done >= tc.from && done < tc.to
				tc.tell(b, b.slow)
			}
			set(0)
			p := &profiles.Profile{Protocol: profiles.Protocol{Mode: tc.mode}}
			s := f.session(Work{Keys: keys}, p, Options{Progress: func(p Progress) { set(p.Done) }})
			s.machine.root = root
			if err := s.measure(context.Background()); err != nil {
				t.Fatal(err)
			}
			for _, k := range keys {
				e, err := p.Lookup(k.String())
				if err != nil {
					t.Fatal(err)
				}
				if got := e.MedianS/(tc.times*expected(k)) - 1; math.Abs(got) > 0.01 {
					t.Errorf("%s is off by %+.1f %%", k, 100*got)
				}
				if e.Throttled() != tc.entries || (e.ThrottledRounds > 0) != tc.entries {
					t.Errorf("%s: %d throttled rounds, warnings %q", k, e.ThrottledRounds, e.Warnings)
				}
				if len(e.SamplesS) > moreRounds*DefaultRounds || !tc.entries && len(e.SamplesS) != DefaultRounds {
					t.Errorf("%s: %d rounds", k, len(e.SamplesS))
				}
				if len(e.FrequencyHz) != len(e.SamplesS) || e.FrequencyHz[0] < 1.2e9 || e.TemperatureCelsius != nil {
					t.Errorf("%s: clock %v, temperature %v", k, e.FrequencyHz, e.TemperatureCelsius)
				}
			}
			said := slices.ContainsFunc(p.Warnings, func(w string) bool { return strings.HasPrefix(w, profiles.Throttled) })
			if said != tc.session {
				t.Errorf("warnings %q", p.Warnings)
			}
			if _, err := p.Encode(); err != nil {
				t.Error(err)
			}
		})
	}
}

// What a session knows of its rounds' clock outlives an interruption.
func TestThrottledBeforeAnInterruption(t *testing.T) {
	f, keys := newFake(61), someKeys()[:2]
	b, root := newBoard()
	f.speed = func(time.Duration) float64 { return 1800e3 / float64(khz(b)) }
	b.khz.Data = []byte("1200000\n")
	p := &profiles.Profile{}
	ctx, cancel := context.WithCancel(context.Background())
	s := f.session(Work{Keys: keys}, p, Options{Progress: func(p Progress) {
		if p.Done == 14 {
			cancel()
		}
	}})
	s.machine.root = root
	s.measure(ctx)
	if len(p.Entries) != len(keys) || p.Entries[0].FrequencyHz[0] != 1.2e9 {
		t.Fatalf("%+v", p.Entries)
	}
	b.khz.Data = []byte("1800000\n")
	s = f.session(Work{Keys: keys}, p, Options{})
	s.machine.root = root
	if err := s.measure(context.Background()); err != nil {
		t.Fatal(err)
	}
	for _, k := range keys {
		if e, err := p.Lookup(k.String()); err != nil || math.Abs(e.MedianS/expected(k)-1) > 0.01 ||
			slices.Min(e.FrequencyHz) < 1.8e9 {
			t.Errorf("%s: %v s, want %v; clock %v, %v", k, e.MedianS, expected(k), e.FrequencyHz, err)
		}
	}
}

func khz(b *board) int {
	if string(b.khz.Data) == "1200000\n" {
		return 1200e3
	}
	return 1800e3
}

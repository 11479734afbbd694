// SPDX-License-Identifier: Apache-2.0

package latency

import (
	"context"
	"errors"
	"math"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/edgenas/edgenas/internal/hostinfo"
	"github.com/edgenas/edgenas/ops"
	"github.com/edgenas/edgenas/profiles"
)

// measured runs a whole measurement on f.
func measured(t *testing.T, f *fakeMachine, w Work, o Options) *profiles.Profile {
	t.Helper()
	p := &profiles.Profile{}
	if err := f.session(w, p, o).measure(context.Background()); err != nil {
		t.Fatal(err)
	}
	if _, err := p.Encode(); err != nil {
		t.Fatalf("not a valid profile: %v", err)
	}
	return p
}

// expected is what a perfect measurement of a key gives: its true time and its
// share of what a run costs once.
func expected(k ops.Key) float64 {
	return truth(k).Seconds() + fakeOverhead.Seconds()/float64(chainLength(k))
}

func TestTimesAreFound(t *testing.T) {
	// A slow wave of ±1 % over a second: less than moves the sentinel.
	wave := func(at time.Duration) float64 { return 1 + 0.01*math.Sin(2*math.Pi*at.Seconds()) }
	// The machine is a quarter slower for half a second.
	slump := func(at time.Duration) float64 {
		if at > time.Second && at < 1500*time.Millisecond {
			return 1.25
		}
		return 1
	}
	for _, tc := range []struct {
		name              string
		noise, interrupts float64
		speed             func(time.Duration) float64
		within            float64 // relative error of every entry
		warning           string  // of the profile
	}{
		{"silence", 0, 0, nil, 1e-3, ""},
		{"noise", 0.02, 0, nil, 0.01, ""},
		{"interrupts", 0.01, 20, nil, 0.01, ""},
		{"a wave", 0.005, 0, wave, 0.012, ""},
		{"a slump", 0.005, 0, slump, 0.01, "the sentinel moved"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			f := newFake(1)
			f.noise, f.interrupts, f.speed = tc.noise, tc.interrupts, tc.speed
			keys := someKeys()
			p := measured(t, f, Work{Keys: keys}, Options{Seed: 3, Rounds: 41})
			for _, k := range keys {
				e, err := p.Lookup(k.String())
				if err != nil {
					t.Fatal(err)
				}
				if got := e.MedianS/expected(k) - 1; math.Abs(got) > tc.within {
					t.Errorf("%s is off by %+.2f %%", k, 100*got)
				}
				if e.Copies != chainLength(k) || e.N < 41 || len(e.SamplesS) < 41 {
					t.Errorf("%s: %d copies, %d samples in %d rounds", k, e.Copies, e.N, len(e.SamplesS))
				}
			}
			if all := strings.Join(p.Warnings, "\n"); tc.warning != "" && !strings.Contains(all, tc.warning) ||
				tc.warning == "" && strings.Contains(all, "sentinel") {
				t.Errorf("warnings %q, want %q", p.Warnings, tc.warning)
			}
			if f.closed != len(f.order) {
				t.Errorf("%d of %d runners were closed", f.closed, len(f.order))
			}
		})
	}
}

func TestChainLength(t *testing.T) {
	keys := someKeys()
	for i, want := range []int{16, 60, 1, 16, 113, 128, 1, 1} {
		if n := chainLength(keys[i]); n != want {
			t.Errorf("%s: %d copies, want %d", keys[i], n, want)
		}
	}
}

// A machine that never comes to rest gives a result with warnings, in bounded
// time.
func TestRestless(t *testing.T) {
	f := newFake(2)
	f.speed = func(at time.Duration) float64 { return 1 + 0.2*math.Sin(7*at.Seconds()) }
	p := measured(t, f, Work{Keys: someKeys()}, Options{})
	doubted := 0
	for _, e := range p.Entries {
		if e.Status != profiles.OK || len(e.SamplesS) > moreRounds*DefaultRounds {
			t.Errorf("%s: %s after %d rounds", e.Key, e.Status, len(e.SamplesS))
		}
		if strings.Contains(strings.Join(e.Warnings, " "), "the sentinel moved") {
			doubted++
		}
	}
	if doubted < len(p.Entries)/2 {
		t.Errorf("only %d of %d entries are in doubt", doubted, len(p.Entries))
	}
	if len(p.Warnings) == 0 {
		t.Error("the profile has no warning")
	}
}

func TestUnsteadyGetsMoreRounds(t *testing.T) {
	f, keys := newFake(3), someKeys()
	f.unsteady = map[string]float64{keys[1].String(): 0.5}
	p := measured(t, f, Work{Keys: keys}, Options{})
	for i, k := range keys {
		e, err := p.Lookup(k.String())
		if err != nil {
			t.Fatal(err)
		}
		rounds, warned := DefaultRounds, false
		if i == 1 {
			rounds, warned = moreRounds*DefaultRounds, true
		}
		if len(e.SamplesS) != rounds || strings.Contains(strings.Join(e.Warnings, " "), "unsteady") != warned {
			t.Errorf("%s: %d rounds, warnings %q; want %d", k, len(e.SamplesS), e.Warnings, rounds)
		}
	}
}

// While many networks are unsteady, the others go on with them.
func TestNetworksShareRounds(t *testing.T) {
	f := newFake(23)
	f.noise, f.unsteady = 0.005, map[string]float64{"network": 0.05}
	networks := someNetworks(20)
	p := &profiles.Profile{}
	work := Work{Keys: networkKeys(networks), Networks: networks}
	if err := f.session(work, p, Options{}).measure(t.Context()); err != nil {
		t.Fatal(err)
	}
	var rounds []int
	for _, n := range p.Networks {
		rounds = append(rounds, len(n.SamplesS))
	}
	fewest := slices.Min(rounds)
	if fewest <= DefaultRounds || fewest == moreRounds*DefaultRounds {
		t.Fatalf("rounds %d: want networks that become steady after more than %d", rounds, DefaultRounds)
	}
	longer := 0
	for _, n := range rounds {
		if n > fewest {
			longer++
		}
	}
	if float64(longer) > company*float64(len(rounds)) {
		t.Errorf("rounds %d: %d networks went on when others ended", rounds, longer)
	}
}

func TestFailures(t *testing.T) {
	f, keys := newFake(4), someKeys()
	f.compile = map[string]error{keys[1].String(): errBroken}
	f.run = map[string]error{keys[3].String(): errBroken}
	impossible := keys[0]
	impossible.Window.Kernel = 99
	p := measured(t, f, Work{Keys: append(slices.Clone(keys), impossible)}, Options{})
	for i, k := range append(keys, impossible) {
		_, err := p.Lookup(k.String())
		var failed *profiles.FailedError
		if wantFailure := i == 1 || i == 3 || i == len(keys); errors.As(err, &failed) != wantFailure {
			t.Errorf("%s: %v", k, err)
		}
		if i < len(keys) && failed != nil && !strings.Contains(failed.Reason, errBroken.Error()) {
			t.Errorf("%s failed because of %q", k, failed.Reason)
		}
	}
	// What failed is tried again, the rest is not.
	f.compile, f.run = nil, nil
	before := len(f.order)
	if err := f.session(Work{Keys: keys}, p, Options{}).measure(context.Background()); err != nil {
		t.Fatal(err)
	}
	if again := len(f.order) - before; again != 3 { // two keys and the sentinel
		t.Errorf("%d networks were compiled again", again)
	}
	if _, err := p.Lookup(keys[3].String()); err != nil {
		t.Error(err)
	}
}

func TestSentinelFails(t *testing.T) {
	f := newFake(5)
	f.compile = map[string]error{sentinel.String(): errBroken}
	err := f.session(Work{Keys: someKeys()}, &profiles.Profile{}, Options{}).measure(context.Background())
	if !errors.Is(err, errBroken) {
		t.Errorf("%v", err)
	}
}

// An interrupted measurement leaves its finished samples in the journal, and
// the next one starts from them.
func TestCancelAndResume(t *testing.T) {
	work := Work{Keys: someKeys(), Networks: someNetworks(3)}
	path := filepath.Join(t.TempDir(), "profile.json")
	open := func(f *fakeMachine) (*profiles.Profile, *profiles.Journal) {
		p := &profiles.Profile{}
		f.session(work, p, Options{}) // names device and runtime
		j, err := profiles.OpenJournal(path, p)
		if err != nil {
			t.Fatal(err)
		}
		return p, j
	}

	f := newFake(6)
	f.noise = 0.002
	p, j := open(f)
	ctx, cancel := context.WithCancel(context.Background())
	err := f.session(work, p, Options{Record: j.Append, Progress: func(s Progress) {
		if s.Done == 60 {
			cancel()
		}
	}}).measure(ctx)
	if !errors.Is(err, context.Canceled) {
		t.Fatalf("%v", err)
	}
	j.Close()

	f = newFake(7)
	f.noise = 0.002
	q, j := open(f)
	if j.Resumed() != len(work.Keys) {
		t.Errorf("%d entries in the journal, want %d", j.Resumed(), len(work.Keys))
	}
	rounds, first := 0, map[string][]float64{}
	for _, e := range q.Entries {
		rounds += len(e.SamplesS)
		first[e.Key] = e.SamplesS[0]
	}
	for _, n := range q.Networks {
		rounds += len(n.SamplesS)
	}
	if want := 60 - len(work.Keys) - len(work.Networks); rounds != want { // the rest of the steps were compilations
		t.Errorf("%d batches in the journal, want %d", rounds, want)
	}
	if err := f.session(work, q, Options{Record: j.Append}).measure(context.Background()); err != nil {
		t.Fatal(err)
	}
	if err := j.Commit(); err != nil {
		t.Fatal(err)
	}
	done, err := profiles.Load(path)
	if err != nil {
		t.Fatal(err)
	}
	if len(done.Entries) != len(work.Keys) || len(done.Networks) != len(work.Networks) {
		t.Fatalf("%d entries and %d networks", len(done.Entries), len(done.Networks))
	}
	for _, e := range done.Entries {
		if len(e.SamplesS) != DefaultRounds || !reflect.DeepEqual(e.SamplesS[0], first[e.Key]) {
			t.Errorf("%s: %d rounds; starts with %v, was %v", e.Key, len(e.SamplesS), e.SamplesS[0], first[e.Key])
		}
	}
	// Nothing is left to do, and nothing is done.
	f = newFake(8)
	if err := f.session(work, done, Options{}).measure(context.Background()); err != nil || f.at > 0 {
		t.Errorf("a complete profile is measured for %v (%v)", f.at, err)
	}
}

// Rounds of an interrupted session in which the machine was in another state
// are measured anew.
func TestResumeInAnotherState(t *testing.T) {
	f, keys, p := newFake(9), someKeys(), &profiles.Profile{}
	ctx, cancel := context.WithCancel(context.Background())
	f.session(Work{Keys: keys}, p, Options{Progress: func(s Progress) {
		if s.Done == 60 {
			cancel()
		}
	}}).measure(ctx)
	if len(p.Entries) != len(keys) {
		t.Fatalf("%d entries", len(p.Entries))
	}
	f.speed = func(time.Duration) float64 { return 1.5 }
	if err := f.session(Work{Keys: keys}, p, Options{}).measure(context.Background()); err != nil {
		t.Fatal(err)
	}
	for _, k := range keys {
		if e, _ := p.Lookup(k.String()); math.Abs(e.MedianS/(1.5*expected(k))-1) > 0.01 {
			t.Errorf("%s: %v, want %v", k, e.MedianS, 1.5*expected(k))
		}
	}
	if all := strings.Join(p.Warnings, "\n"); !strings.Contains(all, "in those before") {
		t.Errorf("warnings %q do not tell of the other state", p.Warnings)
	}
}

func TestSameSeedSameProfile(t *testing.T) {
	encode := func(seed uint64) (string, []string) {
		f := newFake(10)
		f.noise = 0.01
		p := measured(t, f, Work{Keys: someKeys(), Networks: someNetworks(2)}, Options{Seed: seed})
		text, _ := p.Encode()
		return string(text), f.order
	}
	a, orderA := encode(1)
	b, _ := encode(1)
	c, orderC := encode(2)
	if a != b {
		t.Error("one seed gives two profiles")
	}
	if a == c || slices.Equal(orderA, orderC) {
		t.Error("two seeds give one order")
	}
}

func TestProgress(t *testing.T) {
	f := newFake(11)
	var all []Progress
	measured(t, f, Work{Keys: someKeys(), Networks: someNetworks(1)},
		Options{Progress: func(p Progress) { all = append(all, p) }})
	if want := 9 * (1 + DefaultRounds); len(all) != want {
		t.Fatalf("%d steps, want %d", len(all), want)
	}
	for i, p := range all {
		if p.Done != i+1 || p.Total < p.Done || p.Label == "" || p.Remaining < 0 {
			t.Fatalf("step %d: %+v", i, p)
		}
	}
	middle, last := all[len(all)/2], all[len(all)-1]
	if last.Total != last.Done || last.Remaining > last.Elapsed/20 {
		t.Errorf("ends with %+v", last)
	}
	if ratio := float64(middle.Elapsed+middle.Remaining) / float64(last.Elapsed); ratio < 0.7 || ratio > 1.4 {
		t.Errorf("foresaw %.2f of the time at half way", ratio)
	}
}

func TestRecordFails(t *testing.T) {
	f := newFake(12)
	full := func([]profiles.Entry, []profiles.Network) error { return errBroken }
	err := f.session(Work{Keys: someKeys()}, &profiles.Profile{}, Options{Record: full}).measure(context.Background())
	if !errors.Is(err, errBroken) {
		t.Errorf("%v", err)
	}
}

// Measure itself, on this machine's clock: the figures are the machine's
// affair, everything else is not.
func TestMeasureHere(t *testing.T) {
	f, keys := newFake(13), someKeys()[:2]
	before, affinityErr := hostinfo.Affinity()
	p := &profiles.Profile{Device: ThisDevice(), Runtime: f.Info()}
	if err := Measure(context.Background(), spinning{f}, Work{Keys: keys}, p, Options{Rounds: 6}); err != nil {
		t.Fatal(err)
	}
	for _, k := range keys {
		if e, err := p.Lookup(k.String()); err != nil || len(e.SamplesS) < 6 {
			t.Errorf("%v, %v", e, err)
		}
	}
	if _, err := p.Encode(); err != nil {
		t.Error(err)
	}
	if affinityErr == nil {
		if len(p.Runtime.Affinity) != 1 {
			t.Errorf("kept on %v", p.Runtime.Affinity)
		}
		if after, _ := hostinfo.Affinity(); !slices.Equal(before, after) {
			t.Errorf("affinity %v before, %v after", before, after)
		}
	}
}

// spinning is a runtime whose runs keep the processor busy.
type spinning struct{ *fakeMachine }

func (s spinning) Compile(*ops.Graph, ops.Weights) (Runner, error) { return spin{}, nil }

type spin struct{}

func (spin) Run() error {
	for start := time.Now(); time.Since(start) < 20*time.Microsecond; {
	}
	return nil
}

func (spin) Close() {}

// Rounds wait until the processor is cool, show that, and end with the context.
func TestCool(t *testing.T) {
	zone := &fstest.MapFile{Data: []byte("72000\n")}
	root := fstest.MapFS{"sys/class/thermal/thermal_zone0/temp": zone,
		"sys/class/thermal/thermal_zone0/type": {Data: []byte("cpu-thermal\n")}}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	var said []string
	look := func(label string) func(Progress) {
		return func(p Progress) {
			if strings.HasPrefix(p.Label, "waiting") {
				said = append(said, p.Label)
				switch label {
				case "cool":
					zone.Data = []byte("60000\n")
				case "stop":
					cancel()
				}
			}
		}
	}
	f := newFake(40)
	p := &profiles.Profile{}
	s := f.session(Work{Keys: someKeys()[:1]}, p, Options{Rounds: 1, MaxCelsius: 60, Progress: look("cool")})
	s.machine.root = root
	if err := s.measure(ctx); err != nil {
		t.Fatal(err)
	}
	if len(said) != 1 || said[0] != "waiting for 60 °C: cpu-thermal is at 72 °C" ||
		p.Protocol.MaxTemperatureCelsius != 60 || len(p.Entries) != 1 {
		t.Errorf("%q, %+v", said, p.Protocol)
	}
	zone.Data = []byte("72000\n")
	s = f.session(Work{Keys: someKeys()[:1]}, &profiles.Profile{},
		Options{Rounds: 1, MaxCelsius: 60, Progress: look("stop")})
	s.machine.root = root
	if err := s.measure(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("%v: want the interruption", err)
	}
	p = &profiles.Profile{}
	s = f.session(Work{Keys: someKeys()[:1]}, p, Options{Rounds: 1, MaxCelsius: 60})
	if err := s.measure(context.Background()); err != nil {
		t.Fatal(err)
	}
	if !slices.Contains(p.Warnings, "rounds were to wait for a temperature, but none can be read") {
		t.Errorf("%q", p.Warnings)
	}
}

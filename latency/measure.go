// SPDX-License-Identifier: Apache-2.0

package latency

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"runtime/debug"
	"slices"
	"time"

	"github.com/edgenas/edgenas/internal/stats"
	"github.com/edgenas/edgenas/ops"
	"github.com/edgenas/edgenas/profiles"
)

// DefaultRounds is how many rounds an entry gets at least: the bounds of its
// median are then the 4th and the 12th of them.
const DefaultRounds = 15

// MaxOpen is how many operations and networks are compiled at once, which bounds
// memory, and measured in the same rounds. What is beyond it comes after them.
const MaxOpen = 64

// The protocol's numbers. They keep a table of 75 operations and 20 networks
// of a millisecond at 20 to 30 seconds where the machine is quiet, half of its
// entries known to 1 %.
const (
	moreRounds       = 3    // unsteady entries get up to this many times the rounds
	samplesPerRound  = 5    // at most: a batch ends when batchTime is used up
	fewestSamples    = 3    // in a batch, so that its median survives an interruption
	steadyWidth      = 0.02 // width of the 95 % interval, relative to the median, that needs no more rounds
	steadyWidthPaced = 0.05 // the same of single runs, each after a sleep
	minSample        = time.Millisecond
	maxSample        = 20 * time.Millisecond  // even where the clock is coarse
	slowSample       = 200 * time.Millisecond // a batch of slower ones is one sample
	batchTime        = 10 * time.Millisecond
	warmUp           = 200 * time.Millisecond
	calibrationTime  = 20 * time.Millisecond
	pacedSamples     = 3    // in a batch of a paced loop, each a single run
	company          = 0.25 // share of the networks that makes the others go on as well
)

// sentinel is the operation that is measured at both ends of each round: a
// 3×3 convolution of a size that any runtime does well.
var sentinel = ops.Key{
	Kind: ops.Conv, Window: ops.Same(3, 1, 1), Groups: 1, In: 16, Out: 16, H: 32, W: 32, N: 1, Bias: true,
}

// Work is what to measure.
type Work struct {
	Keys     []ops.Key
	Networks []Network
}

// Network is a network to measure whole.
type Network struct {
	Arch    string // its name in the profile
	Graph   *ops.Graph
	Weights ops.Weights // nil: random
}

// Options of a measurement. The zero value is usable.
type Options struct {
	Seed   uint64 // of the order of measurement and of random weights
	Rounds int    // fewest rounds for an entry; 0: 15

	// MaxCelsius is a temperature: no round begins while the processor is
	// hotter. 0: rounds do not wait. A soaked device does not either.
	MaxCelsius float64

	// Record takes in what a round has added, for example Journal.Append of
	// the profile that is measured; nil: it is only merged into the profile.
	Record func([]profiles.Entry, []profiles.Network) error
	// Progress is called after each step, between timings; nil: nobody looks.
	Progress func(Progress)
}

// Measure measures the work on this machine and merges it into p, whose device,
// runtime and protocol.mode ([Mode]) the caller has set (see [ThisDevice]) and
// checked. The rest of the protocol, states and warnings are those of this session.
//
// What p already has of the work is kept if it has enough rounds, and goes on
// from its rounds if it has not, so an interrupted measurement is resumed by
// calling Measure with what it left; failed ones are tried again.
//
// A compilation or a run that fails makes a failed entry, not an error. When
// ctx ends, Measure returns its error within one batch and p and Record have
// all finished samples. Other errors are the mode's, the sentinel's and
// Record's.
func Measure(ctx context.Context, rt Runtime, w Work, p *profiles.Profile, o Options) error {
	m, release := occupy(rt.Info().Threads)
	defer release()
	s := &session{
		runtime: rt, work: w, profile: p, options: o, machine: m,
		now: newClock(), sleep: time.Sleep, date: time.Now(),
	}
	return s.measure(ctx)
}

// session is one call of Measure. Its clock and machine can be test doubles.
type session struct {
	runtime Runtime
	work    Work
	profile *profiles.Profile
	options Options
	machine machine
	now     func() time.Duration
	sleep   func(time.Duration)
	date    time.Time

	mode      Mode
	stopwatch stopwatch
	pacer     pacer
	rng       *rand.Rand
	tick      time.Duration // of the clock
	soaked    time.Duration // under load before the first round, in sustained mode
	sentinel  *item
	past      []conditions // of this session's rounds
	fastest   conditions   // the highest clock and the shortest sentinel of them
	usual     float64      // the sentinel's time in them; 0 before the first
	items     []*item
	done      int
	forecast  forecast
	warnings  []string

	samples, interrupted int // those of this session, and how many of them other processes interrupted
}

func (s *session) measure(ctx context.Context) error {
	if s.options.Rounds == 0 {
		s.options.Rounds = DefaultRounds
	}
	s.collect()
	if len(s.items) == 0 {
		return nil
	}
	var err error
	if s.mode, err = ParseMode(s.profile.Protocol.Mode); err != nil {
		return err
	}
	s.stopwatch = stopwatch{s.now, s.machine.waited}
	s.pacer = pacer{period: s.mode.Period, now: s.now, sleep: s.sleep}
	s.rng = rand.New(rand.NewPCG(s.options.Seed, 1))
	s.tick = clockStep(s.now)
	before, earlier := s.machine.state(), s.earlierSentinel()
	defer func() { s.describe(before, earlier) }()

	s.sentinel = newOperation(sentinel, s.options.Seed)
	defer s.sentinel.close()
	if err := s.open(s.sentinel); err != nil {
		return fmt.Errorf("latency: sentinel: %w", err)
	}
	s.sentinel.samples *= 2 // everything is compared with it
	g := settle
	if s.mode.Period > 0 {
		g = settlePaced(s.mode.Period)
	}
	if settled, err := converge(s.stopwatch, s.pacer.wait, s.sentinel.runner, g); err != nil {
		return fmt.Errorf("latency: sentinel: %w", err)
	} else if !settled {
		s.warn("times did not settle during the warm-up")
	}
	if s.mode.Sustained {
		var warning string
		s.soaked, warning, err = soak(ctx, s.sentinel.runner, s.machine, s.stopwatch, func() {
			s.progress("warming the device up" + s.machine.temperature())
		})
		if err != nil {
			return fmt.Errorf("latency: warming up: %w", err)
		}
		if warning != "" {
			s.warn(warning)
		}
	}
	s.rng.Shuffle(len(s.items), func(i, j int) { s.items[i], s.items[j] = s.items[j], s.items[i] })
	for block := range slices.Chunk(s.items, MaxOpen) {
		if err := s.measureBlock(ctx, block); err != nil {
			return err
		}
	}
	return nil
}

// collect lists what is left to do, with the rounds that the profile has of it.
func (s *session) collect() {
	entries := map[string]profiles.Entry{}
	for _, e := range s.profile.Entries {
		entries[e.Key] = e
	}
	networks := map[string]profiles.Network{}
	for _, n := range s.profile.Networks {
		networks[n.Arch] = n
	}
	seen := map[string]bool{}
	add := func(it *item, have profiles.Timing) {
		if seen[it.label] {
			return
		}
		seen[it.label] = true
		if have.Status == profiles.OK {
			if len(have.SamplesS) == 0 || len(have.SamplesS) >= s.options.Rounds { // made elsewhere, or complete
				return
			}
			it.resume(have)
		}
		s.items = append(s.items, it)
	}
	for _, k := range s.work.Keys {
		add(newOperation(k, s.options.Seed), entries[k.String()].Timing)
	}
	clear(seen)
	for _, n := range s.work.Networks {
		add(newNetwork(n, s.options.Seed), networks[n.Arch].Timing)
	}
}

// measureBlock compiles the items, measures them in rounds and closes them.
func (s *session) measureBlock(ctx context.Context, block []*item) error {
	for _, it := range block {
		defer it.close()
		if ctx.Err() != nil {
			break
		}
		from := s.now()
		if err := s.open(it); err != nil {
			it.fail(err)
		}
		s.forecast.opened++
		s.forecast.opening += s.now() - from
		s.foresee()
		s.step(it)
	}
	failed := slices.DeleteFunc(slices.Clone(block), func(it *item) bool { return it.failure == "" })
	if err := s.record(failed); err != nil {
		return err
	}
	for {
		if err := ctx.Err(); err != nil {
			return fmt.Errorf("latency: interrupted: %w", err)
		}
		todo := s.unfinished(block)
		var networks []float64 // the rounds that they are expected to need
		for _, it := range block {
			it.finished, it.again = !slices.Contains(todo, it), 0
			if !it.finished && len(it.rounds) >= s.options.Rounds {
				it.again = len(it.rounds) + 1
			}
			if it.expected = s.expect(it); it.counts != nil && it.expected > 0 {
				networks = append(networks, it.expected)
			}
		}
		for _, it := range block {
			if it.counts != nil && !it.finished && it.expected > 0 {
				it.expected = max(it.expected, stats.Quantile(networks, 1-company))
			}
		}
		if len(todo) == 0 {
			return nil
		}
		s.foresee()
		from := s.now()
		if err := s.cool(ctx); err != nil {
			return err
		}
		roundErr := s.round(ctx, todo)
		if err := errors.Join(roundErr, s.record(todo)); err != nil {
			return err
		}
		for _, it := range todo {
			s.forecast.planned += it.cost
		}
		s.forecast.took += s.now() - from
	}
}

// coolingStep is the time between two looks at the temperature.
const coolingStep = time.Second

// cool waits until the processor is as cool as it must be, and shows that.
func (s *session) cool(ctx context.Context) error {
	limit := s.options.MaxCelsius
	for limit > 0 && !s.mode.Sustained {
		z, ok := s.machine.state().Hottest()
		if !ok || z.Celsius <= limit {
			return nil
		}
		s.progress(fmt.Sprintf("waiting for %.0f °C: %s is at %.0f °C", limit, z.Name, z.Celsius))
		select {
		case <-time.After(coolingStep):
		case <-ctx.Done():
			return fmt.Errorf("latency: interrupted: %w", ctx.Err())
		}
	}
	return nil
}

// round measures each item once, in random order, between two looks at the
// sentinel. It stops early, keeping what it has, when ctx ends. The garbage
// collector rests meanwhile.
func (s *session) round(ctx context.Context, todo []*item) error {
	runtime.GC()
	defer debug.SetGCPercent(debug.SetGCPercent(-1))
	first, err := s.sentinel.batch(s.stopwatch, s.pacer.wait)
	if err != nil {
		return fmt.Errorf("latency: sentinel: %w", err)
	}
	seen := s.machine.watch() // from here on, since the clock is up by now
	s.rng.Shuffle(len(todo), func(i, j int) { todo[i], todo[j] = todo[j], todo[i] })
	var done []*item
	for _, it := range todo {
		if ctx.Err() != nil {
			break
		}
		if r, err := it.batch(s.stopwatch, s.pacer.wait); err != nil {
			it.fail(err)
		} else {
			s.samples, s.interrupted = s.samples+len(r.samples), s.interrupted+r.interrupted()
			it.rounds = append(it.rounds, r)
			done = append(done, it)
		}
		s.step(it)
	}
	conditions := seen()
	last, err := s.sentinel.batch(s.stopwatch, s.pacer.wait)
	if err != nil {
		return fmt.Errorf("latency: sentinel: %w", err)
	}
	// A slowdown within the round counts as well.
	conditions.sentinel = max(stats.Median(first.samples), stats.Median(last.samples))
	s.saw(conditions)
	for _, it := range done {
		it.rounds[len(it.rounds)-1].conditions = conditions
	}
	return nil
}

// unfinished lists the items of a block that need another round. Networks are
// compared with one another, so they share their rounds: a machine whose speed
// changes is then as fast for one as for another. All go on while many must.
func (s *session) unfinished(block []*item) []*item {
	networks, want := 0, 0
	for _, it := range block {
		if it.counts != nil && it.failure == "" {
			networks++
			if s.wants(it) {
				want++
			}
		}
	}
	together := float64(want) > company*float64(networks)
	return slices.DeleteFunc(slices.Clone(block), func(it *item) bool {
		return !(s.wants(it) || together && it.counts != nil && s.may(it))
	})
}

// may says whether an item can have another round.
func (s *session) may(it *item) bool {
	return it.failure == "" && len(it.rounds) < moreRounds*s.options.Rounds
}

// wants says whether an item needs another round.
func (s *session) wants(it *item) bool {
	if !s.may(it) {
		return false
	}
	good := s.good(it.rounds)
	return len(good) < s.options.Rounds || width(summarize(good, s.mode.steady())) > s.mode.steady()
}

// record hands over what is known of the items now.
func (s *session) record(items []*item) error {
	var entries []profiles.Entry
	var networks []profiles.Network
	for _, it := range items {
		if it.failure == "" && len(it.rounds) == 0 {
			continue
		}
		t := s.timing(it)
		switch {
		case it.counts != nil:
			networks = append(networks, profiles.Network{Arch: it.label, Counts: it.counts, Timing: t})
		case t.Status == profiles.Failed:
			entries = append(entries, profiles.Entry{Key: it.label, Timing: t})
		default:
			entries = append(entries, profiles.Entry{Key: it.label, Timing: t, Copies: it.copies})
		}
	}
	if s.options.Record == nil {
		s.profile.Merge(entries, networks)
		return nil
	}
	if err := s.options.Record(entries, networks); err != nil {
		return fmt.Errorf("latency: %w", err)
	}
	return nil
}

// timing is an item's part of the profile: from its good rounds, or from all
// of them, with a warning, if too few are good.
func (s *session) timing(it *item) profiles.Timing {
	if it.failure != "" {
		return profiles.Timing{Status: profiles.Failed, Reason: it.failure}
	}
	rounds := s.good(it.rounds)
	var throttled int
	var warnings []string
	exhausted := len(it.rounds) >= moreRounds*s.options.Rounds
	if len(rounds) == 0 || exhausted && len(rounds) < s.options.Rounds {
		rounds = it.rounds
		throttled, warnings = s.doubts(it.rounds)
	}
	if run := it.one; s.mode.Period > 0 && run > 0 && run < readable(s.tick) {
		warnings = append(warnings, fmt.Sprintf("coarse: an inference of %v is %d steps of the clock", run, run/s.tick))
	}
	t := summarize(rounds, s.mode.steady())
	t.ThrottledRounds = throttled
	t.Warnings = append(warnings, t.Warnings...)
	return t
}

// least is how long a sample lasts at least.
func (s *session) least() time.Duration { return max(minSample, readable(s.tick)) }

func (s *session) warn(text string) { s.warnings = append(s.warnings, text) }

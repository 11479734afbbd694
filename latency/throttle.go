// SPDX-License-Identifier: Apache-2.0

package latency

import (
	"fmt"
	"slices"
	"time"

	"github.com/edgenas/edgenas/internal/hostinfo"
	"github.com/edgenas/edgenas/internal/stats"
	"github.com/edgenas/edgenas/profiles"
)

// What makes a round a throttled one, apart from the device saying so: a clock
// below this share of the highest, and a sentinel above this multiple of the
// shortest, that the session has seen in a round.
const (
	throttledClock    = 0.9
	throttledSentinel = 1.3
)

// sampleEvery is the time between two looks at clock and temperature.
const sampleEvery = 200 * time.Millisecond

// conditions are those of a round.
type conditions struct {
	sentinel float64 // the sentinel's time, at its slower end
	hz       float64 // median clock; 0: no data
	celsius  float64 // highest temperature, if celsiusKnown
	slowed   bool    // the device said that it was slowed down

	celsiusKnown bool
}

// watch looks at the machine until the function that it returns is called,
// which says what was seen.
func (m machine) watch() func() conditions {
	list := m.affinity
	if list == nil {
		list = []int{m.core}
	}
	events := m.throttleEvents()
	before, _ := hostinfo.Throttled(m.root)
	sampler := hostinfo.StartSampler(m.root, list, sampleEvery)
	return func() conditions {
		seen := sampler.Stop()
		after, _ := hostinfo.Throttled(m.root)
		return conditions{
			hz: seen.FreqHz.Median, celsius: seen.Celsius.Max, celsiusKnown: seen.Celsius.N > 0,
			slowed: len(before)+len(after) > 0 || m.throttleEvents() > events,
		}
	}
}

func (m machine) throttleEvents() int64 { return hostinfo.ThrottleEvents(m.root, m.core) }

// throttled says whether the device slowed itself down in a round. One that is
// soaked may: that is what is measured then. In a paced loop the governor
// chooses the clock, and only the device itself can say why.
func (s *session) throttled(c conditions) bool {
	switch {
	case s.mode.Sustained:
		return false
	case c.slowed:
		return true
	case s.mode.Period > 0:
		return false
	}
	return c.hz > 0 && c.hz < throttledClock*s.fastest.hz || c.sentinel > throttledSentinel*s.fastest.sentinel
}

// The distances of the sentinel from its median that make a round worthless.
// A governor that chooses the clock makes it less steady.
const (
	sentinelMove      = 0.03
	sentinelMovePaced = 0.10
)

// moved says whether a sentinel's time is too far from the usual one.
func (s *session) moved(sentinel float64) bool {
	return max(sentinel/s.usual-1, 1-sentinel/s.usual) > s.tolerance()
}

func (s *session) tolerance() float64 {
	if s.mode.Period > 0 {
		return sentinelMovePaced
	}
	return sentinelMove
}

// saw takes in the conditions of a round. The sentinel's usual time is its
// median over the session's rounds, without throttled ones, unless all were.
func (s *session) saw(c conditions) {
	if s.fastest.sentinel == 0 {
		s.fastest.sentinel = c.sentinel
	}
	s.fastest.sentinel, s.fastest.hz = min(s.fastest.sentinel, c.sentinel), max(s.fastest.hz, c.hz)
	s.past = append(s.past, c)
	var calm, all []float64
	for _, c := range s.past {
		all = append(all, c.sentinel)
		if !s.throttled(c) {
			calm = append(calm, c.sentinel)
		}
	}
	if len(calm) == 0 {
		calm = all
	}
	s.usual = stats.Median(calm)
}

// good lists the rounds in which the device was not throttled and the sentinel
// was where it usually is.
func (s *session) good(rounds []round) []round {
	if s.usual == 0 {
		return rounds
	}
	return slices.DeleteFunc(slices.Clone(rounds), func(r round) bool {
		return s.throttled(r.conditions) || s.moved(r.sentinel)
	})
}

// count tells how many rounds were throttled, and in how many others the
// sentinel moved.
func (s *session) count(rounds []conditions) (throttled, moved int) {
	for _, c := range rounds {
		switch {
		case s.throttled(c):
			throttled++
		case s.moved(c.sentinel):
			moved++
		}
	}
	return throttled, moved
}

// doubts says why an item has too few good rounds, and in how many of them the
// device was throttled.
func (s *session) doubts(rounds []round) (throttled int, warnings []string) {
	all := make([]conditions, len(rounds))
	for i, r := range rounds {
		all[i] = r.conditions
	}
	throttled, moved := s.count(all)
	if throttled > 0 {
		warnings = append(warnings, fmt.Sprintf("%s: the device was slowed down in %d of %d rounds",
			profiles.Throttled, throttled, len(rounds)))
	}
	if moved > 0 {
		warnings = append(warnings, fmt.Sprintf(
			"the machine's speed changed: the sentinel moved by more than %.0f %% in %d of %d rounds",
			100*s.tolerance(), moved, len(rounds)))
	}
	return throttled, warnings
}

// sessionDoubts warn of the same in the whole session, and of a difference
// from earlier ones, whose sentinel took that long.
func (s *session) sessionDoubts(earlier float64) {
	throttled, moved := s.count(s.past)
	if throttled > 0 {
		s.warn(fmt.Sprintf("%s: the device was slowed down in %d of %d rounds, which were repeated",
			profiles.Throttled, throttled, len(s.past)))
	}
	if moved > 0 {
		s.warn(fmt.Sprintf("the sentinel moved by more than %.0f %% in %d of %d rounds, which were repeated",
			100*s.tolerance(), moved, len(s.past)))
	}
	if s.usual > 0 && earlier > 0 && s.moved(earlier) {
		s.warn(fmt.Sprintf("the sentinel takes %.4g s in this session, %.4g s in those before", s.usual, earlier))
	}
}

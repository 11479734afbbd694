// SPDX-License-Identifier: Apache-2.0

package latency

import (
	"math"
	"time"
)

// Progress is how far a measurement is. Steps differ in their time, and their
// number is not known before the end, so a bar shows Share and not Done of
// Total.
type Progress struct {
	Label       string // what was measured last
	Done, Total int    // steps; Total grows when something must be repeated
	Elapsed     time.Duration
	Remaining   time.Duration // estimated, repetitions and compilations included
}

// Share returns the share of the whole time that has passed, from 0 to 1. It
// always agrees with Elapsed and Remaining, and so goes back a little when it
// turns out that more is to be done than was foreseen.
func (p Progress) Share() float64 {
	if whole := p.Elapsed + p.Remaining; whole > 0 {
		return float64(p.Elapsed) / float64(whole)
	}
	return 0
}

// forecast is what a measurement has learnt of its own pace.
type forecast struct {
	opened  int // compiled items, and the time that they took
	opening time.Duration
	planned time.Duration // of the batches of all rounds
	took    time.Duration // those rounds, with everything around them

	at, remaining time.Duration // the last estimate, and when it was made
}

// foresee estimates the remaining time: the rounds that each item is expected
// to need, times its batch, with as much around them as so far; and the
// compilation of those that are not compiled yet, which are taken to be like
// the others.
func (s *session) foresee() {
	f := &s.forecast
	around := 1.0
	if f.planned > 0 {
		around = float64(f.took) / float64(f.planned)
	}
	var expected, known float64
	for _, it := range s.items {
		if it.expected > 0 {
			expected, known = expected+it.expected, known+1
		}
	}
	usual := float64(s.options.Rounds)
	if known > 0 {
		usual = expected / known
	}
	batch := s.meanBatch()
	left := 0.0
	for _, it := range s.items {
		if it.failure != "" || it.finished {
			continue
		}
		rounds, cost := it.expected, float64(it.cost)
		if rounds == 0 {
			rounds = usual
		}
		if cost == 0 {
			cost = batch[it.kind()]
			left += float64(f.opening) / float64(max(1, f.opened))
		}
		left += max(1, rounds-float64(len(it.rounds))) * cost * around
	}
	f.at, f.remaining = s.now(), time.Duration(left)
}

// fewRounds is the number from which rounds tell how many more are needed.
const fewRounds = 4

// expect estimates how many rounds an item needs: as many of them will be good
// as so far, and the bounds come closer with the root of their number. 0 is unknown.
func (s *session) expect(it *item) float64 {
	least, most := float64(s.options.Rounds), float64(moreRounds*s.options.Rounds)
	have := float64(len(it.rounds))
	switch {
	case it.finished:
		return have
	case have < fewRounds:
		return 0
	}
	good := s.good(it.rounds)
	if len(good) < 2 {
		return most
	}
	share := float64(len(good)) / have
	steady := float64(len(good)) * math.Pow(width(summarize(good, s.mode.steady()))/s.mode.steady(), 2)
	return min(most, max(least, steady)/share)
}

// meanBatch is the mean time of a batch of those operations and networks that
// are compiled, in nanoseconds by kind. Where only one kind is, the other is
// taken to be like it.
func (s *session) meanBatch() (mean [2]float64) {
	var sum [2]float64
	var n [2]int
	for _, it := range s.items {
		if it.cost > 0 {
			sum[it.kind()] += float64(it.cost)
			n[it.kind()]++
		}
	}
	for k := range mean {
		if of := k; n[0]+n[1] > 0 {
			if n[of] == 0 {
				of = 1 - k
			}
			mean[k] = sum[of] / float64(n[of])
		}
	}
	return mean
}

// kind is 0 for an operation and 1 for a network.
func (it *item) kind() int {
	if it.counts != nil {
		return 1
	}
	return 0
}

// step counts what was done and reports progress.
func (s *session) step(it *item) {
	s.done++
	s.progress(it.label)
}

func (s *session) progress(label string) {
	if s.options.Progress == nil {
		return
	}
	left := 0
	for _, it := range s.items {
		switch {
		case it.failure != "" || it.finished:
		case it.again > len(it.rounds):
			left++
		case len(it.rounds) < s.options.Rounds:
			left += s.options.Rounds - len(it.rounds)
			if it.runner == nil { // not compiled yet
				left++
			}
		}
	}
	elapsed := s.now()
	s.options.Progress(Progress{Label: label, Done: s.done, Total: s.done + left, Elapsed: elapsed,
		Remaining: max(0, s.forecast.remaining-(elapsed-s.forecast.at))})
}

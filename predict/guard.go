// SPDX-License-Identifier: Apache-2.0

package predict

import (
	"fmt"
	"math"

	"github.com/edgenas/edgenas/internal/stats"
)

// Guard is the distance to keep from a budget, because predictions err: a
// network predicted at budget / (1 + Relative) holds the budget with this
// confidence. It is what people are told of [Table.Upper] and [Table.Limit].
type Guard struct {
	Relative   float64 // 0.1 is 10 %
	Confidence float64
	Networks   int    // how many measured networks it rests on
	Basis      string // what it rests on, in words
}

// assumedGuard is the least band where too few networks were measured.
const assumedGuard = 0.10

// choices is how many degrees of freedom the choice among four models takes:
// the residuals of the best look better than they are.
const choices = 3

// tail is how many residuals must lie beyond a conformal bound for it to count.
const tail = 3

// Residuals of a good session may be small by luck, and smaller than what
// predictions err in the next session. A spread below usualError, or below
// usualWithin where it is about the same session, is therefore drawn towards it,
// as if by usualWeight more networks.
const (
	usualError  = 0.03
	usualWithin = 0.01
	usualWeight = 16
)

// spread is the standard deviation of residuals with this sum of squares, drawn
// towards what is usual where it is smaller.
func spread(squares, degrees, usual float64) float64 {
	drawn := (squares + usualWeight*usual*usual) / (degrees + usualWeight)
	return math.Sqrt(max(squares/degrees, drawn))
}

// sessions is the standard deviation, relative, of how fast a device is from one
// session of measuring to the next, which the residuals of one session cannot
// show. On a virtual machine sessions were 2 to 5 % apart, most of that in the
// first minute after other work.
const sessions = 0.02

// Guard returns the guard band at a confidence between 0 and 1.
func (t *Table) Guard(confidence float64) Guard {
	return Guard{Relative: t.beyond(confidence), Confidence: confidence, Networks: len(t.residuals),
		Basis: t.guardBasis()}
}

func (t *Table) guardBasis() string {
	n := len(t.residuals)
	switch left := len(t.calibration.LeftOut); {
	case n < fewNetworks:
		return "assumed: " + t.whole()
	case left > 0:
		return fmt.Sprintf("held-out errors of %d networks, %d left out", n, left)
	default:
		return fmt.Sprintf("held-out errors of %d networks", n)
	}
}

// beyond is how far, relative to a prediction, a measurement lies above it at
// most, with this confidence: the only place where the error of predictions for
// any session becomes a number. It depends on nothing but the table, so that a
// limit for predictions is the same for all networks.
//
// It is Student's t of the held-out residuals, of the entries' noise and of what
// sessions differ by. For skewed errors, it is no less than the conformal bound of
// the residuals at a confidence that leaves some of them beyond it: the worst of 20
// says little.
func (t *Table) beyond(confidence float64) float64 {
	n := float64(len(t.residuals))
	noise := stats.Z(confidence) * t.noise
	if n < fewNetworks {
		largest := assumedGuard
		for _, r := range t.residuals {
			largest = max(largest, math.Abs(r))
		}
		return max(largest, noise)
	}
	squares := 0.0
	for _, r := range t.residuals {
		squares += r * r
	}
	degrees := max(2, n-choices)
	between := math.Hypot(spread(squares, degrees, usualError), sessions)
	bound := stats.StudentT(confidence, degrees) * math.Hypot(between, t.noise)
	conformal := stats.ConformalUpper(t.residuals, min(confidence, max(0, 1-tail/n)))
	return max(0, bound, conformal)
}

// Upper returns the latency that a network with this estimate stays under with this
// confidence, in seconds.
func (t *Table) Upper(e Estimate, confidence float64) float64 { return t.upper(e.Seconds, confidence) }

func (t *Table) upper(seconds, confidence float64) float64 {
	return seconds * (1 + t.beyond(confidence))
}

// Interval bounds the latency of a network with this estimate, in seconds: it
// lies between the bounds with this confidence, and as often above as below.
func (t *Table) Interval(e Estimate, confidence float64) (lo, hi float64) {
	hi = t.upper(e.Seconds, (1+confidence)/2)
	return e.Seconds * (e.Seconds / hi), hi
}

// IntervalInSession is [Table.Interval] for a session in which the device is known
// to be as fast as when it was profiled, or how much slower: of what sessions
// differ by it has nothing.
func (t *Table) IntervalInSession(e Estimate, confidence float64) (lo, hi float64) {
	if t.within == 0 {
		return t.Interval(e, confidence)
	}
	n := float64(len(t.residuals))
	beyond := 1 + stats.StudentT((1+confidence)/2, n)*spread(t.within, n, usualWithin)
	return e.Seconds / beyond, e.Seconds * beyond
}

// Limit returns the greatest prediction, in seconds, of which [Table.Upper] keeps
// the budget with this confidence.
func (t *Table) Limit(budget, confidence float64) float64 {
	limit := budget / (1 + t.beyond(confidence))
	for t.upper(limit, confidence) > budget { // by rounding
		limit = math.Nextafter(limit, 0)
	}
	for {
		next := math.Nextafter(limit, math.Inf(1))
		if next == limit || t.upper(next, confidence) > budget {
			return limit
		}
		limit = next
	}
}

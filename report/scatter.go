// SPDX-License-Identifier: Apache-2.0

package report

import (
	"fmt"
	"math"
	"slices"

	"github.com/edgenas/edgenas/internal/stats"
	"github.com/edgenas/edgenas/profiles"
)

// scatter compares the predictions of whole networks with what they take.
type scatter struct {
	frame
	Desc, Unit     string
	X, Y           []tick
	Diagonal, Band string // paths: equal, and within ±10 %
	Dots           []dot
	Facts          []fact
	Found          bool // the last dot is the found network
	LeftOut        int  // networks that failed, are unsteady or lack an operation
}

type dot struct {
	X, Y  float64
	Found bool
	Title string
}

var square = frame{W: 360, H: 330, Left: 46, Right: 350, Top: 10, Bottom: 300}

// band is the relative error that the shaded area shows: DESIGN's ±10 %.
const band = 0.1

// vague is the width of a network's bounds, relative to its median, beyond
// which it says nothing of a prediction.
const vague = 0.1

// compare predicts the networks that the profile measured whole. A prediction
// is the sum of the operations' times and the profile's constant; where it has
// none, the median of what the sums of the other networks leave.
func compare(p *profiles.Profile, r Result) scatter {
	s := scatter{frame: square}
	var sums, measured, rest []float64
	var names []string
	for _, n := range p.Networks {
		sum, ok := sumOf(p, n)
		if !ok {
			s.LeftOut++
			continue
		}
		names = append(names, n.Arch)
		sums, measured, rest = append(sums, sum), append(measured, n.MedianS), append(rest, n.MedianS-sum)
	}
	if len(sums) == 0 {
		return s
	}
	constant := stats.Median(rest)
	if p.ConstantS != nil {
		constant = *p.ConstantS
	}
	var predicted []float64
	for i, sum := range sums {
		c := constant
		if p.ConstantS == nil && len(rest) > 1 {
			c = stats.Median(slices.Concat(rest[:i], rest[i+1:]))
		}
		predicted = append(predicted, sum+c)
	}
	s.describe(predicted, measured, constant)
	if r.LatencyPredictedS != nil && r.LatencyMeasuredS != nil {
		names = append(names, "the found network")
		predicted, measured = append(predicted, *r.LatencyPredictedS), append(measured, *r.LatencyMeasuredS)
	}
	s.draw(names, predicted, measured)
	if s.Found = len(s.Dots) > len(rest); s.Found {
		s.Dots[len(rest)].Found = true
	}
	return s
}

// sumOf adds the times of a network's operations; ok is false where it, or one
// of them, has none.
func sumOf(p *profiles.Profile, n profiles.Network) (sum float64, ok bool) {
	if n.Status != profiles.OK || len(n.Counts) == 0 || n.HiS-n.LoS > vague*n.MedianS {
		return 0, false
	}
	known := 0
	for _, e := range p.Entries {
		if times, in := n.Counts[e.Key]; in && e.Status == profiles.OK {
			sum += float64(times) * e.MedianS
			known++
		}
	}
	return sum, known == len(n.Counts)
}

func (s *scatter) describe(predicted, measured []float64, constant float64) {
	errs := stats.RelativeErrors(predicted, measured)
	s.Facts = []fact{
		{"Networks", fmt.Sprint(len(errs))},
		{"Bias", share(stats.Bias(errs))},
		{"Mean absolute error", share(stats.MAPE(errs))},
		{"Within ±5 %", share(stats.Within(errs, 0.05))},
		{"Within ±10 %", share(stats.Within(errs, 0.1))},
	}
	if rank := stats.Spearman(predicted, measured); !math.IsNaN(rank) {
		s.Facts = append(s.Facts, fact{"Spearman", fmt.Sprintf("%.3f", rank)})
	}
	s.Facts = append(s.Facts, fact{"Constant", latency(constant)})
}

func (s *scatter) draw(names []string, predicted, measured []float64) {
	r := newReach()
	r.add(predicted...)
	r.add(measured...)
	u := secondsUnit(r.hi)
	s.Unit = u.Name
	x := newAxis(math.Min(0, r.lo/u.Scale), r.hi/u.Scale, 0, s.Left, s.Right)
	y := newAxis(math.Min(0, r.lo/u.Scale), r.hi/u.Scale, 0, s.Bottom, s.Top)
	s.X, s.Y = x.ticks(), y.ticks()
	lo, hi := x.lo, x.hi
	s.Diagonal = path("M", x.at(lo), y.at(lo), "L", x.at(hi), y.at(hi))
	s.Band = path("M", x.at(lo), y.at(lo/(1+band)), "L", x.at(hi), y.at(hi/(1+band)), "L", x.at(hi), y.at(hi/(1-band)), "L", x.at(lo), y.at(lo/(1-band)), "Z")
	for i, name := range names {
		s.Dots = append(s.Dots, dot{X: x.at(predicted[i] / u.Scale), Y: y.at(measured[i] / u.Scale),
			Title: fmt.Sprintf("%s: predicted %s, measured %s", name, latency(predicted[i]), latency(measured[i]))})
	}
	s.Desc = fmt.Sprintf("Measured latency of %d networks against their predicted latency.", len(names))
}

// SPDX-License-Identifier: Apache-2.0

package report

import (
	"fmt"
	"math"

	"github.com/edgenas/edgenas/internal/runfile"
	"github.com/edgenas/edgenas/predict"
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

// compare shows the predictions of the networks that the profile measured
// whole, as the search's table makes them.
func compare(p *profiles.Profile, r runfile.Summary) scatter {
	s := scatter{frame: square}
	table := predict.NewTable(p)
	cases := table.Networks()
	s.LeftOut = len(p.Networks) - len(cases)
	v, err := predict.Validate(cases)
	if err != nil { // there is none
		return s
	}
	s.describe(v, table.Constant())
	if r.LatencyPredictedS != nil && r.LatencyMeasuredS != nil {
		s.Found = true
		cases = append(cases, predict.Case{Arch: "the found network", PredictedS: *r.LatencyPredictedS,
			MeasuredS: *r.LatencyMeasuredS})
	}
	s.draw(cases)
	if s.Found {
		s.Dots[len(s.Dots)-1].Found = true
	}
	return s
}

func (s *scatter) describe(v predict.Validation, constant float64) {
	s.Facts = []fact{
		{"Networks", fmt.Sprint(v.N)},
		{"Bias", share(v.Bias)},
		{"Mean absolute error", share(v.MAPE)},
		{"Within ±5 %", share(v.Within5)},
		{"Within ±10 %", share(v.Within10)},
	}
	if v.Spearman != nil {
		s.Facts = append(s.Facts, fact{"Spearman", fmt.Sprintf("%.3f", *v.Spearman)})
	}
	s.Facts = append(s.Facts, fact{"Constant", latency(constant)})
}

func (s *scatter) draw(cases []predict.Case) {
	r := newReach()
	for _, c := range cases {
		r.add(c.PredictedS, c.MeasuredS)
	}
	u := secondsUnit(r.hi)
	s.Unit = u.Name
	x := newAxis(math.Min(0, r.lo/u.Scale), r.hi/u.Scale, 0, s.Left, s.Right)
	y := newAxis(math.Min(0, r.lo/u.Scale), r.hi/u.Scale, 0, s.Bottom, s.Top)
	s.X, s.Y = x.ticks(), y.ticks()
	lo, hi := x.lo, x.hi
	s.Diagonal = path("M", x.at(lo), y.at(lo), "L", x.at(hi), y.at(hi))
	s.Band = path("M", x.at(lo), y.at(lo/(1+band)), "L", x.at(hi), y.at(hi/(1+band)),
		"L", x.at(hi), y.at(hi/(1-band)), "L", x.at(lo), y.at(lo/(1-band)), "Z")
	for _, c := range cases {
		s.Dots = append(s.Dots, dot{X: x.at(c.PredictedS / u.Scale), Y: y.at(c.MeasuredS / u.Scale),
			Title: fmt.Sprintf("%s: predicted %s, measured %s", c.Arch, latency(c.PredictedS), latency(c.MeasuredS))})
	}
	s.Desc = fmt.Sprintf("Measured latency of %d networks against their predicted latency.", len(cases))
}

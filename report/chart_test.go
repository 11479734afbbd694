// SPDX-License-Identifier: Apache-2.0

package report

import (
	"fmt"
	"math"
	"strings"
	"testing"
)

func TestAxis(t *testing.T) {
	for _, c := range []struct {
		name          string
		lo, hi, least float64
		labels        string
	}{
		{"latency", 1.87, 3.4, 0, "[1.5 2.0 2.5 3.0 3.5]"},
		{"share", 0, 100, 0, "[0 20 40 60 80 100]"},
		{"loss", 0.41, 1.93, 0, "[0.0 0.5 1.0 1.5 2.0]"},
		{"around zero", -0.3, 0.21, 0, "[-0.4 -0.2 0.0 0.2 0.4]"},
		{"two epochs", 0, 1, 1, "[0 1]"},
		{"one value", 5, 5, 0, "[4.4 4.6 4.8 5.0 5.2 5.4 5.6]"},
		{"zero", 0, 0, 0, "[0.0 0.2 0.4 0.6 0.8 1.0]"},
		{"tiny", 1e-13, 2e-13, 0, "[-1e-09 -5e-10 0 5e-10 1e-09 1.5e-09]"},
		{"large", 0, 4e9, 0, "[0 1e+09 2e+09 3e+09 4e+09]"},
	} {
		a := newAxis(c.lo, c.hi, c.least, 0, 100)
		var labels []string
		for _, tick := range a.ticks() {
			labels = append(labels, tick.Label)
		}
		if got := fmt.Sprint(labels); got != c.labels {
			t.Errorf("%s: ticks %s, want %s", c.name, got, c.labels)
		}
		if lo, hi := a.at(c.lo), a.at(c.hi); lo < 0 || hi > 100 || lo > hi {
			t.Errorf("%s: %v…%v is drawn at %v…%v", c.name, c.lo, c.hi, lo, hi)
		}
	}
}

func TestPlot(t *testing.T) {
	gap := math.NaN()
	c, ok := plot(wide, "Latency", unit{"ms", 1e-3}, []series{
		{"derived", "c1", []float64{0, 1, 2, 3}, []float64{0.003, gap, 0.002, 0.0015}},
		{"never", "c2", []float64{0, 1}, []float64{gap, math.Inf(1)}},
	}, []rule{{"budget", "2 ms", "limit", 0.002}}, nil)
	if !ok || len(c.Curves) != 1 || len(c.Rules) != 1 {
		t.Fatalf("ok %v, %d curves, %d rules; want true, 1, 1", ok, len(c.Curves), len(c.Rules))
	}
	// 0…3 epochs on 46…350, 1.5…3 ms on 182…10 pixels.
	if got, want := c.Curves[0].Path, "M46 10h0M248.7 124.7h0L350 182"; got != want {
		t.Errorf("path %s, want %s", got, want)
	}
	if c.Rules[0].At != 124.7 {
		t.Errorf("the budget is at %v, want 124.7 as its value on the curve", c.Rules[0].At)
	}
	if !strings.Contains(c.Desc, "derived from 3.00"+space+"ms to 1.50"+space+"ms; budget 2 ms") {
		t.Errorf("description %q", c.Desc)
	}
	if _, ok := plot(wide, "", plain, []series{{"", "", []float64{1}, []float64{gap}}}, nil, nil); ok {
		t.Error("a chart of nothing")
	}
}

func TestLongCurvesAreThinned(t *testing.T) {
	s := series{Name: "loss", Class: "c1"}
	for i := range 100_000 {
		s.X, s.Y = append(s.X, float64(i)), append(s.Y, math.Sin(float64(i)/9000))
	}
	c, _ := plot(wide, "", plain, []series{s}, nil, nil)
	n := strings.Count(c.Curves[0].Path, "L")
	if n < maxSegments/2 || n > maxSegments+1 {
		t.Errorf("%d segments, want about %d", n, maxSegments)
	}
	if !strings.Contains(c.Curves[0].Path, "L350 ") {
		t.Error("the last point is missing")
	}
}

func TestEpochs(t *testing.T) {
	var points []*point
	for _, e := range []int{0, 0, 0, 0, 1, 1} { // the second epoch is not complete
		points = append(points, &point{Epoch: e})
	}
	if got, want := fmt.Sprint(epochs(points)), "[0 0.25 0.5 0.75 1 1.25]"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

func TestSmooth(t *testing.T) {
	var points []*point
	for i := range 600 {
		loss := float64(i / 100)
		points = append(points, &point{Epoch: i / 100, LossTrain: &loss})
	}
	of := func(p *point) *float64 { return p.LossTrain }
	s := newPicker(points).smooth("loss", "c1", of)
	if len(s.Y) != maxMeans || s.Y[0] != 0 || math.Abs(s.Y[maxMeans-1]-5) > 1e-12 ||
		math.Abs(s.X[maxMeans-1]-5.945) > 1e-9 {
		t.Errorf("%d points from %v to (%v, %v); want %d from 0 to (5.945, 5)",
			len(s.Y), s.Y[0], s.X[maxMeans-1], s.Y[maxMeans-1], maxMeans)
	}
	if s := newPicker(points[:30]).smooth("loss", "c1", of); len(s.Y) != 30 {
		t.Errorf("a short history became %d points", len(s.Y))
	}
}

func TestThin(t *testing.T) {
	for _, n := range []int{1, maxMeans, maxMeans + 1, 1000} {
		var points []*point
		for i := range n {
			v := float64(i)
			points = append(points, &point{Epoch: i, Lambda: &v})
		}
		s := newPicker(points).thin("λ", "c0", func(p *point) *float64 { return p.Lambda })
		if got := len(s.Y); got != min(n, maxMeans) || s.Y[got-1] != float64(n-1) || s.X[got-1] != float64(n-1) {
			t.Errorf("%d points became %d, the last %v", n, got, s.Y[got-1])
		}
	}
}

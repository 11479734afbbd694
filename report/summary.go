// SPDX-License-Identifier: Apache-2.0

package report

import (
	"fmt"
	"math"
	"slices"
	"strconv"

	"github.com/edgenas/edgenas/internal/runfile"
)

// summary is the top of the page.
type summary struct {
	Verdict  verdict
	Tiles    []tile
	Bars     []bar
	Budget   float64 // where the budget stands in the bars, in per cent of their width
	Limit    string  // the budget, in words
	Ticks    string  // what the marks are
	Facts    []fact
	Warnings []string // those that are not the profile's
}

type verdict struct{ Class, Mark, Text string }

// tile is a number in large type.
type tile struct{ Name, Value, Note string }

// bar is a time beside the budget; positions are in per cent of the width.
type bar struct {
	Name, Value, Class string
	Length             float64
	Marks              []mark
}

type mark struct {
	At   float64
	Name string
}

type fact struct{ Name, Value string }

func title(run Run) string {
	if run.result.LatencyBudgetS == nil {
		return "Architecture search"
	}
	t := "A network for " + budget(*run.result.LatencyBudgetS)
	if device := run.device(); device != "" {
		t += " on " + device
	}
	return t
}

func summarise(run Run) summary {
	s := summary{Verdict: judge(run), Tiles: tiles(run.result), Facts: facts(run)}
	for _, w := range run.result.Warnings {
		if run.profile == nil || !slices.Contains(run.profile.Warnings, w) {
			s.Warnings = append(s.Warnings, w)
		}
	}
	s.addBars(run.result)
	return s
}

func judge(run Run) verdict {
	r := run.result
	switch {
	case !run.finished:
		return verdict{"open", "…", "Not finished"}
	case r.WithinBudget == nil:
		return verdict{"open", "?", "Budget not checked"}
	case !*r.WithinBudget:
		return verdict{"bad", "✗", "Over the budget"}
	case r.LatencyMeasuredS == nil:
		return verdict{"good", "✓", "Within the budget, predicted"}
	}
	return verdict{"good", "✓", "Within the budget, measured"}
}

func tiles(r runfile.Summary) []tile {
	var t []tile
	add := func(name string, v *float64, show func(float64) string, note string) {
		if v != nil {
			t = append(t, tile{name, show(*v), note})
		}
	}
	add("Latency budget", r.LatencyBudgetS, budget, "at most")
	note := ""
	if r.LatencyPredictedHiS != nil {
		note = "≤ " + latency(*r.LatencyPredictedHiS)
		if r.Confidence != nil {
			note += fmt.Sprintf(" at %g%s%%", tenth(100**r.Confidence), space)
		}
	}
	add("Predicted", r.LatencyPredictedS, latency, note)
	note = "median"
	if r.LatencyMeasuredP90S != nil && r.LatencyMeasuredP99S != nil {
		note = fmt.Sprintf("p90"+space+"%s · p99"+space+"%s", latency(*r.LatencyMeasuredP90S),
			latency(*r.LatencyMeasuredP99S))
	}
	add("Measured", r.LatencyMeasuredS, latency, note)
	note = ""
	if r.TestImages > 0 {
		note = fmt.Sprintf("on %d test images", r.TestImages)
	}
	add("Test accuracy", r.TestAccuracy, share, note)
	if r.Params != nil {
		t = append(t, tile{"Parameters", count(*r.Params), "float32: " + size(4**r.Params)})
	}
	if r.MACs != nil {
		t = append(t, tile{"MACs", count(*r.MACs), "per image"})
	}
	return t
}

// maxTail is how far beyond the other times a quantile may stretch the bars.
const maxTail = 1.5

// addBars compares the latencies with the budget.
func (s *summary) addBars(r runfile.Summary) {
	longest := 0.0
	for _, v := range []*float64{r.LatencyBudgetS, r.LatencyPredictedS, r.LatencyPredictedHiS, r.LatencyMeasuredS} {
		if v != nil {
			longest = math.Max(longest, *v)
		}
	}
	for _, v := range []*float64{r.LatencyMeasuredP90S, r.LatencyMeasuredP99S} { // a far tail does not set the scale
		if v != nil && *v <= maxTail*longest {
			longest = math.Max(longest, *v)
		}
	}
	if r.LatencyBudgetS == nil || !(longest > 0) || !drawable(longest) {
		return
	}
	at := func(v float64) float64 { return tenth(100 * v / (longest * 1.06)) }
	s.Budget, s.Limit = at(*r.LatencyBudgetS), "budget "+budget(*r.LatencyBudgetS)
	add := func(name, class string, v *float64, marks map[string]*float64, order ...string) {
		if v == nil {
			return
		}
		b := bar{Name: name, Class: class, Value: latency(*v), Length: at(*v)}
		for _, m := range order {
			if marks[m] != nil && at(*marks[m]) <= 100 {
				b.Marks = append(b.Marks, mark{at(*marks[m]), m + " " + latency(*marks[m])})
			}
		}
		s.Bars = append(s.Bars, b)
	}
	add("predicted", "c3", r.LatencyPredictedS, map[string]*float64{"upper end": r.LatencyPredictedHiS}, "upper end")
	switch {
	case r.LatencyMeasuredS != nil && r.LatencyMeasuredP90S != nil:
		s.Ticks = "Ticks: upper end of the prediction; p90 and p99 of the measurement, where they are on the scale."
	case r.LatencyPredictedHiS != nil:
		s.Ticks = "Tick: upper end of the prediction."
	}
	add("measured", "c2", r.LatencyMeasuredS,
		map[string]*float64{"p90": r.LatencyMeasuredP90S, "p99": r.LatencyMeasuredP99S}, "p90", "p99")
}

func facts(run Run) []fact {
	r := run.result
	var f []fact
	add := func(name, value string) {
		if value != "" {
			f = append(f, fact{name, value})
		}
	}
	add("Device", run.device())
	add("Runtime", r.Runtime)
	add("Space", r.Space)
	if space := run.space(); space != nil {
		s := space.Size()
		add("Size", fmt.Sprintf("cells %d, channels %d", s.Cells, s.Channels))
		add("Images", fmt.Sprintf("%d×%d×%d, %d classes", s.Image, s.Image, s.Colours, s.Classes))
	}
	add("Method", r.Method)
	add("Data", r.Dataset)
	if r.Seed != nil {
		add("Seed", strconv.FormatUint(*r.Seed, 10))
	}
	number := func(name string, v *float64, show func(float64) string) {
		if v != nil {
			add(name, show(*v))
		}
	}
	number("Guard band", r.GuardBand, share)
	number("Entropy of α", r.AlphaEntropy, func(e float64) string { return fmt.Sprintf("%.2f of the greatest", e) })
	number("Search took", r.SearchWallS, wall)
	number("Training took", r.TrainWallS, func(s float64) string {
		if r.TrainEpochs == nil {
			return wall(s)
		}
		return fmt.Sprintf("%s for %g epochs", wall(s), tenth(*r.TrainEpochs))
	})
	number("ONNX check", r.ONNXMaxDifference,
		func(d float64) string { return fmt.Sprintf("logits differ by at most %.1g", d) })
	add("Started", r.Date)
	add("Version", r.Version)
	return f
}

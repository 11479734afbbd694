// SPDX-License-Identifier: Apache-2.0

package report

import (
	"bytes"
	_ "embed"
	"fmt"
	"html/template"
	"io"
	"math"
	"strconv"
	"strings"

	"github.com/edgenas/edgenas/internal/atomicfile"
	"github.com/edgenas/edgenas/ops"
	"github.com/edgenas/edgenas/profiles"
)

//go:embed diff.svg
var diffSVG string

var diffTemplate = template.Must(template.New("diff").Parse(diffSVG))

// WriteDiff draws a comparison of two profiles as an SVG file; a and b say of
// what they are.
func WriteDiff(path string, c profiles.Comparison, a, b string) error {
	var buffer bytes.Buffer
	if err := Diff(&buffer, c, a, b); err != nil {
		return err
	}
	if err := atomicfile.Write(path, buffer.Bytes()); err != nil {
		return fmt.Errorf("report: %w", err)
	}
	return nil
}

// Diff is WriteDiff to a writer: each operation at its time in A and its ratio
// of B over A.
func Diff(w io.Writer, c profiles.Comparison, a, b string) error {
	if err := diffTemplate.Execute(w, drawDiff(c, a, b)); err != nil {
		return fmt.Errorf("report: diff: %w", err)
	}
	return nil
}

// diff is the picture, ready for the template. Positions are in pixels.
type diff struct {
	frame
	Title, Desc, A, B, Summary string
	XName, YName               string
	X, Y                       []tick
	Rules                      []diffRule
	Groups                     []diffGroup

	MiddleX, MiddleY, XLabels, XTitle, Legend, Facts float64
}

type diffRule struct {
	ruleLine
	LabelAt float64
	Dashed  bool
}

// diffGroup is a kind of operations, which have a colour and a mark of their own.
type diffGroup struct {
	Name, Colour string
	mark         func(x, y float64) string
	has          func(ops.Key) bool

	Dots    []diffDot
	Mark    string // in the legend
	LegendX float64
}

type diffDot struct {
	Path, Title string
	Faint       bool // the bounds of the two times overlap
}

var diffFrame = frame{W: 760, H: 520, Left: 70, Right: 640, Top: 84, Bottom: 420}

// diffGroups are the kinds, the last for all others. The colours are told
// apart by those who see few (Okabe and Ito).
func diffGroups() []diffGroup {
	conv := func(grouped bool) func(ops.Key) bool {
		return func(k ops.Key) bool { return k.Kind == ops.Conv && (k.Groups > 1) == grouped }
	}
	return []diffGroup{
		{Name: "convolution", Colour: "#0072b2", mark: circle, has: conv(false)},
		{Name: "grouped convolution", Colour: "#d55e00", mark: triangle, has: conv(true)},
		{Name: "pooling", Colour: "#009e73", mark: box, has: func(k ops.Key) bool {
			return k.Kind == ops.AvgPool || k.Kind == ops.MaxPool || k.Kind == ops.GlobalAvgPool
		}},
		{Name: "other", Colour: "#666666", mark: diamond, has: func(ops.Key) bool { return true }},
	}
}

func circle(x, y float64) string {
	return path("M", x-4, y, "a4 4 0 1 0 8 0a4 4 0 1 0 -8 0Z")
}
func triangle(x, y float64) string { return path("M", x, y-5, "l4.6 8h-9.2Z") }
func box(x, y float64) string      { return path("M", x-3.6, y-3.6, "h7.2v7.2h-7.2Z") }
func diamond(x, y float64) string  { return path("M", x, y-5, "l5 5l-5 5l-5 -5Z") }

func drawDiff(c profiles.Comparison, a, b string) diff {
	f := diffFrame
	d := diff{
		frame: f, A: a, B: b,
		Title:   fmt.Sprintf("B takes %s times as long as A (median of %d operations)", significant(c.Ratio), c.N),
		MiddleX: (f.Left + f.Right) / 2, MiddleY: (f.Top + f.Bottom) / 2, XLabels: f.Bottom + 18, XTitle: f.Bottom + 40,
		Legend: f.Bottom + 66, Facts: f.Bottom + 88,
	}
	times, ratios := newReach(), newReach()
	ratios.add(1, c.Ratio)
	for _, e := range c.Entries {
		times.add(e.AS)
		ratios.add(e.Ratio)
	}
	if times.empty() {
		times.add(1e-6)
	}
	u := secondsUnit(math.Sqrt(times.lo * times.hi))
	d.XName, d.YName = fmt.Sprintf("time in A (%s)", u.Name), "time in B / time in A"
	x := newLogAxis(times.lo/u.Scale, times.hi/u.Scale, f.Left, f.Right)
	d.X = x.ticks()
	y := scale(newAxis(ratios.lo, ratios.hi, 0, f.Bottom, f.Top))
	if ratios.hi > wideRatios*ratios.lo {
		y = newLogAxis(ratios.lo, ratios.hi, f.Bottom, f.Top)
	}
	d.Y = y.ticks()
	one, median := y.at(1), y.at(c.Ratio)
	d.Rules = []diffRule{
		{ruleLine{At: one, Name: "equal", Class: "#888888"}, one + 4, true},
		{ruleLine{At: median, Name: "median " + significant(c.Ratio), Class: "#222222"}, median + 4, false},
	}
	if gap := 13 - math.Abs(one-median); gap > 0 { // their names would touch
		up := math.Copysign(gap/2, one-median)
		d.Rules[0].LabelAt, d.Rules[1].LabelAt = tenth(d.Rules[0].LabelAt+up), tenth(d.Rules[1].LabelAt-up)
	}
	groups := diffGroups()
	for _, e := range c.Entries {
		if !drawable(e.AS) || !drawable(e.Ratio) {
			continue
		}
		k, err := ops.ParseKey(e.Key)
		i := len(groups) - 1
		for j := range groups {
			if err == nil && groups[j].has(k) {
				i = j
				break
			}
		}
		at := groups[i].mark(x.at(e.AS/u.Scale), y.at(e.Ratio))
		title := fmt.Sprintf("%s: A %s, B %s, ratio %s", e.Key, latency(e.AS), latency(e.BS), significant(e.Ratio))
		if e.Indistinct() {
			title += ", bounds overlap"
		}
		groups[i].Dots = append(groups[i].Dots, diffDot{at, title, e.Indistinct()})
	}
	at := f.Left
	for _, g := range groups {
		if len(g.Dots) > 0 {
			g.Name = fmt.Sprintf("%s (%d)", g.Name, len(g.Dots))
			g.Mark, g.LegendX = g.mark(at+5, d.Legend-4), at+16
			at += 40 + 6.5*float64(len(g.Name))
			d.Groups = append(d.Groups, g)
		}
	}
	d.Summary = diffFacts(c)
	d.Desc = fmt.Sprintf("Ratio of B over A for each of %d operations, against its time in A. %s.", c.N, d.Summary)
	return d
}

// wideRatios is the spread of ratios from which their axis is logarithmic.
const wideRatios = 5

func diffFacts(c profiles.Comparison) string {
	facts := []string{fmt.Sprintf("differences: median %s, 95th percentile %s", share(c.Median), share(c.P95))}
	if c.Indistinct > 0 {
		facts = append(facts, fmt.Sprintf("faint: bounds overlap (%d)", c.Indistinct))
	}
	if c.Drift != nil {
		facts = append(facts, fmt.Sprintf("without the sentinel's drift: %s, %s",
			share(*c.CorrectedMedian), share(*c.CorrectedP95)))
	}
	if c.Spearman != nil {
		facts = append(facts, fmt.Sprintf("Spearman %.3f", *c.Spearman))
	}
	return strings.Join(facts, " · ")
}

// scale maps values to pixels.
type scale interface {
	at(v float64) float64
	ticks() []tick
}

// logAxis is a logarithmic axis.
type logAxis struct {
	axis // of the logarithms
	step []float64
}

// newLogAxis covers lo…hi, both above 0, with ends at 1, 2 or 5 times a power
// of ten, or at powers of ten alone where those would be many.
func newLogAxis(lo, hi, from, to float64) logAxis {
	l := logAxis{step: []float64{1, 2, 5}}
	if hi > 2000*lo {
		l.step = []float64{1}
	}
	below, above := math.Inf(-1), math.Inf(1)
	for _, s := range l.step {
		below = math.Max(below, math.Log10(s)+math.Floor(math.Log10(lo/s)+1e-9))
		above = math.Min(above, math.Log10(s)+math.Ceil(math.Log10(hi/s)-1e-9))
	}
	if above-below < 1e-9 { // one value: in the middle
		below, above = below-0.5, above+0.5
	}
	l.axis = axis{lo: below, hi: above, from: from, to: to}
	return l
}

func (l logAxis) at(v float64) float64 { return l.axis.at(math.Log10(v)) }

func (l logAxis) ticks() []tick {
	var ticks []tick
	for e := math.Floor(l.lo); e <= math.Ceil(l.hi); e++ {
		for _, s := range l.step {
			if v := e + math.Log10(s); v > l.lo-1e-9 && v < l.hi+1e-9 {
				ticks = append(ticks, tick{At: l.axis.at(v), Label: strconv.FormatFloat(s*math.Pow(10, e), 'g', 6, 64)})
			}
		}
	}
	return ticks
}

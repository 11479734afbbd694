// SPDX-License-Identifier: Apache-2.0

package report

import (
	"math"
	"strconv"
	"strings"
)

// series is one curve to be drawn; NaN is a gap.
type series struct {
	Name  string
	Class string // its colour
	X, Y  []float64
}

// rule is a horizontal line across a chart, for example the budget.
type rule struct {
	Name, Value string
	Class       string
	Y           float64
}

// frame is the drawing area of an SVG, in its own pixels: the axes' ends.
type frame struct{ W, H, Left, Right, Top, Bottom float64 }

func (f frame) Width() float64  { return f.Right - f.Left }
func (f frame) Height() float64 { return f.Bottom - f.Top }

var (
	wide  = frame{W: 360, H: 210, Left: 46, Right: 350, Top: 10, Bottom: 182}
	small = frame{W: 345, H: 160, Left: 34, Right: 336, Top: 8, Bottom: 134}
)

// chart is a picture of curves, ready for the template.
type chart struct {
	frame
	ID, Title, Note string
	Desc            string // for those who cannot see it
	Unit            string // of Y
	X, Y            []tick
	Curves          []curve
	Rules           []ruleLine
}

type tick struct {
	At    float64
	Label string
}

type curve struct{ Name, Class, Path, Last string }

type ruleLine struct {
	At                 float64
	Name, Value, Class string
}

// axis maps values to pixels.
type axis struct{ lo, hi, step, from, to float64 }

// maxTicks is how many intervals an axis has at most.
const maxTicks = 5

// newAxis covers lo…hi with round ends, from…to in pixels. The distance of its
// ticks is 1, 2 or 5 times a power of ten, not below least.
func newAxis(lo, hi, least, from, to float64) axis {
	if magnitude := math.Max(math.Abs(lo), math.Abs(hi)); hi-lo < math.Max(1e-9*magnitude, 1e-12) {
		pad := math.Max(magnitude/10, math.Max(least, 1e-9)) // one value: in the middle
		if lo, hi = lo-pad, hi+pad; magnitude == 0 {
			lo, hi = 0, 1
		}
	}
	step := math.Pow(10, math.Floor(math.Log10((hi-lo)/maxTicks)))
	for _, m := range []float64{1, 2, 5, 10} {
		if s := m * step; (hi-lo)/s <= maxTicks {
			step = s
			break
		}
	}
	step = math.Max(step, least)
	return axis{lo: math.Floor(lo/step+1e-9) * step, hi: math.Ceil(hi/step-1e-9) * step, step: step, from: from, to: to}
}

// at is v's pixel, to a tenth. The conversions forbid fused multiply-adds, which
// would make pages differ between processors.
func (a axis) at(v float64) float64 {
	return tenth(a.from + float64((v-a.lo)/(a.hi-a.lo)*(a.to-a.from)))
}

func tenth(v float64) float64 { return math.Round(float64(v*10)) / 10 }

func (a axis) ticks() []tick {
	format, digits := byte('f'), max(0, -int(math.Floor(math.Log10(a.step)+1e-9)))
	if a.step >= 1e6 || digits > 4 {
		format, digits = 'g', 4
	}
	var ticks []tick
	for i := range int(math.Round((a.hi-a.lo)/a.step)) + 1 {
		v := a.lo + float64(float64(i)*a.step)
		if math.Abs(v) < a.step/2 {
			v = 0 // not -0
		}
		ticks = append(ticks, tick{At: a.at(v), Label: strconv.FormatFloat(v, format, digits, 64)})
	}
	return ticks
}

// maxMagnitude bounds what is drawn: differences and ratios stay finite.
const maxMagnitude = 1e100

func drawable(v float64) bool { return math.Abs(v) <= maxMagnitude } // false for NaN

// reach is the least and the greatest of what can be drawn.
type reach struct{ lo, hi float64 }

func newReach() reach { return reach{math.Inf(1), math.Inf(-1)} }

func (r *reach) add(values ...float64) {
	for _, v := range values {
		if drawable(v) {
			r.lo, r.hi = math.Min(r.lo, v), math.Max(r.hi, v)
		}
	}
}

func (r reach) empty() bool { return r.hi < r.lo }

// plot draws curves over epochs. Values are shown in unit u; fixed, if not
// nil, is the range of the vertical axis. Without a single value there is no
// chart: ok is false.
func plot(f frame, title string, u unit, all []series, rules []rule, fixed *reach) (c chart, ok bool) {
	xs, ys := newReach(), newReach()
	for _, s := range all {
		for i, y := range s.Y {
			if drawable(y) {
				xs.add(s.X[i])
				ys.add(y / u.Scale)
			}
		}
	}
	if xs.empty() {
		return chart{}, false
	}
	for _, r := range rules {
		ys.add(r.Y / u.Scale)
	}
	if fixed != nil {
		ys = *fixed
	}
	x, y := newAxis(xs.lo, xs.hi, 1, f.Left, f.Right), newAxis(ys.lo, ys.hi, 0, f.Bottom, f.Top)
	x.lo, x.hi = xs.lo, math.Max(xs.hi, xs.lo+1) // curves fill the width
	c = chart{frame: f, Title: title, Unit: u.Name, Y: y.ticks(), X: within(x)}
	var desc []string
	for _, s := range all {
		path, first, last := trace(s, x, y, u)
		if path == "" {
			continue
		}
		c.Curves = append(c.Curves, curve{Name: s.Name, Class: s.Class, Path: path, Last: u.in(last)})
		desc = append(desc, s.Name+" from "+u.in(first)+" to "+u.in(last))
	}
	for _, r := range rules {
		c.Rules = append(c.Rules, ruleLine{At: y.at(r.Y / u.Scale), Name: r.Name, Value: r.Value, Class: r.Class})
		desc = append(desc, r.Name+" "+r.Value)
	}
	c.Desc = title + ": " + strings.Join(desc, "; ") + "."
	return c, true
}

// within gives the ticks of x that lie between its ends.
func within(x axis) []tick {
	var ticks []tick
	for v := math.Ceil(x.lo/x.step) * x.step; v <= x.hi; v += x.step {
		ticks = append(ticks, tick{At: x.at(v), Label: number(v)})
	}
	return ticks
}

// maxSegments bounds the size of a curve: longer ones are thinned.
const maxSegments = 250

// trace is the SVG path of a curve, with its first and last value.
func trace(s series, x, y axis, u unit) (path string, first, last float64) {
	var b strings.Builder
	every := len(s.Y)/maxSegments + 1
	pen := false
	for i, v := range s.Y {
		if !drawable(v) {
			pen = false
			continue
		}
		if b.Len() == 0 {
			first = v
		}
		last = v
		if pen && i%every != 0 && i != len(s.Y)-1 {
			continue
		}
		command := "L"
		if !pen {
			command = "M"
		}
		at := number(x.at(s.X[i])) + " " + number(y.at(v/u.Scale))
		b.WriteString(command + at)
		if !pen {
			b.WriteString("h0") // a point alone is a dot
		}
		pen = true
	}
	return b.String(), first, last
}

func number(v float64) string { return strconv.FormatFloat(v, 'f', -1, 64) }

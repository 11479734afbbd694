// SPDX-License-Identifier: Apache-2.0

package report

import (
	"fmt"
	"math"

	"github.com/edgenas/edgenas/arch"
	"github.com/edgenas/edgenas/internal/runfile"
	"github.com/edgenas/edgenas/ops"
)

// epochs places points along the horizontal axis: the first of an epoch at its
// number, further ones evenly after it.
func epochs(points []*point) []float64 {
	most, in := 0, map[int]int{}
	for _, p := range points {
		in[p.Epoch]++
		most = max(most, in[p.Epoch])
	}
	clear(in)
	x := make([]float64, len(points))
	for i, p := range points {
		x[i] = float64(p.Epoch) + float64(in[p.Epoch])/float64(most)
		in[p.Epoch]++
	}
	return x
}

// picker collects charts over the same points.
type picker struct {
	points []*point
	x      []float64
	charts []chart
}

func newPicker(points []*point) *picker { return &picker{points: points, x: epochs(points)} }

// series reads one number off the points that have it.
func (k *picker) series(name, class string, of func(*point) *float64) series {
	s := series{Name: name, Class: class}
	for i, p := range k.points {
		if v := of(p); v != nil {
			s.X, s.Y = append(s.X, k.x[i]), append(s.Y, *v)
		}
	}
	return s
}

// maxMeans bounds the points of a smoothed or thinned curve.
const maxMeans = 60

// smooth is series with each stretch of points, at most maxMeans of them,
// replaced by its mean: what is read off single batches is noise.
func (k *picker) smooth(name, class string, of func(*point) *float64) series {
	s := k.series(name, class, of)
	n := len(s.Y)
	if n <= maxMeans {
		return s
	}
	m := series{Name: name, Class: class}
	for i := range maxMeans {
		from, to := i*n/maxMeans, (i+1)*n/maxMeans
		x, y := 0.0, 0.0
		for j := from; j < to; j++ {
			x, y = x+s.X[j]/float64(to-from), y+s.Y[j]/float64(to-from)
		}
		m.X, m.Y = append(m.X, x), append(m.Y, y)
	}
	return m
}

// thin is series with at most maxMeans points, the last among them.
func (k *picker) thin(name, class string, of func(*point) *float64) series {
	s := k.series(name, class, of)
	n := len(s.Y)
	if n <= maxMeans {
		return s
	}
	t := series{Name: name, Class: class}
	for i := range maxMeans {
		at := (i + 1) * n / maxMeans
		t.X, t.Y = append(t.X, s.X[at-1]), append(t.Y, s.Y[at-1])
	}
	return t
}

func (k *picker) add(f frame, title string, u unit, rules []rule, fixed *reach, all ...series) {
	if c, ok := plot(f, title, u, all, rules, fixed); ok {
		k.charts = append(k.charts, c)
	}
}

// noNetwork leaves a gap in a curve.
var noNetwork = math.NaN()

func searchCharts(points []*point, r runfile.Summary) []chart {
	k := newPicker(points)
	var limit []rule
	longest := 0.0
	if r.LatencyBudgetS != nil {
		limit, longest = []rule{{"budget", budget(*r.LatencyBudgetS), "limit", *r.LatencyBudgetS}}, *r.LatencyBudgetS
	}
	derived := k.series("derived", "c1", func(p *point) *float64 {
		if p.DerivedLatencyS != nil && *p.DerivedLatencyS <= 0 {
			return &noNetwork
		}
		return p.DerivedLatencyS
	})
	expected := k.series("expected", "c3", func(p *point) *float64 { return p.ExpectedLatencyS })
	for _, s := range []series{derived, expected} {
		for _, v := range s.Y {
			if drawable(v) {
				longest = math.Max(longest, v)
			}
		}
	}
	k.add(wide, "Latency", secondsUnit(longest), limit, nil, expected, derived)
	k.add(wide, "Loss", plain, nil, nil,
		k.smooth("training", "c3", func(p *point) *float64 { return p.LossTrain }),
		k.smooth("validation", "c1", func(p *point) *float64 { return p.LossVal }))
	k.add(wide, "Accuracy", percent, nil, nil,
		k.smooth("training", "c3", func(p *point) *float64 { return p.AccuracyTrain }),
		k.smooth("validation", "c1", func(p *point) *float64 { return p.AccuracyVal }))
	k.add(wide, "Multiplier λ of the budget", plain, nil, nil,
		k.series("λ", "c7", func(p *point) *float64 { return p.Lambda }))
	k.add(wide, "Entropy of α", percent, nil, &reach{0, 100},
		k.series("of the greatest possible", "c2", func(p *point) *float64 { return p.AlphaEntropy }))
	k.add(wide, "Skip connections", percent, nil, &reach{0, 100},
		k.series("share of the derived cell", "c1", func(p *point) *float64 { return p.SkipShare }))
	return k.charts
}

func trainCharts(points []*point, r runfile.Summary) []chart {
	k := newPicker(points)
	var test []rule
	if r.TestAccuracy != nil {
		test = []rule{{"test", share(*r.TestAccuracy), "c2", *r.TestAccuracy}}
	}
	k.add(wide, "Loss", plain, nil, nil,
		k.smooth("training", "c3", func(p *point) *float64 { return p.LossTrain }),
		k.smooth("validation", "c1", func(p *point) *float64 { return p.LossVal }))
	k.add(wide, "Accuracy", percent, test, nil,
		k.smooth("training", "c3", func(p *point) *float64 { return p.AccuracyTrain }),
		k.smooth("validation", "c1", func(p *point) *float64 { return p.AccuracyVal }))
	k.add(wide, "Learning rate", plain, nil, nil, k.series("rate", "c7", func(p *point) *float64 { return p.LR }))
	return k.charts
}

// alphaGroup is the charts of one α.
type alphaGroup struct {
	Name   string // empty if there is but one
	Charts []chart
}

// alphaCharts draws a small chart for each decision, a curve an operation. If
// the space is not known, decisions and operations have numbers for names.
func alphaCharts(points []*point, space arch.Space) ([]alphaGroup, []legend) {
	var first *point
	for _, p := range points {
		if len(p.Alpha) > 0 {
			first = p
			break
		}
	}
	if first == nil {
		return nil, nil
	}
	x := epochs(points)
	var groups []alphaGroup
	var legends []legend
	most := 0.0
	for _, p := range points {
		for _, rows := range p.Alpha {
			for _, row := range rows {
				for _, v := range row {
					if drawable(v) {
						most = math.Max(most, v/percent.Scale)
					}
				}
			}
		}
	}
	kept := keptEdges(points, space)
	for a, rows := range first.Alpha {
		k := &picker{points: points, x: x}
		for row, cols := range rows {
			var all []series
			for col := range cols {
				name := alphaOp(space, a, col)
				if col == len(legends) {
					legends = append(legends, legend{colour(col), name})
				}
				all = append(all, k.thin(name, colour(col), func(p *point) *float64 { return weight(p, a, row, col) }))
			}
			n := len(k.charts)
			k.add(small, alphaRow(space, a, row), percent, nil, &reach{0, most}, all...)
			if len(k.charts) == n {
				continue
			}
			if col, is := kept(a, row); is {
				k.charts[n].Note = "kept: " + leader(all[col:col+1])
			} else {
				k.charts[n].Note = leader(all)
			}
		}
		g := alphaGroup{Charts: k.charts}
		if len(first.Alpha) > 1 {
			g.Name = alphaName(space, a)
		}
		groups = append(groups, g)
	}
	return groups, legends
}

// keptEdges tells the columns of those edges that the search would keep at the
// last point, in spaces where nodes keep some edges only.
func keptEdges(points []*point, space arch.Space) func(a, row int) (col int, is bool) {
	var derived arch.Choice
	if space != nil {
		derived, _ = space.Parse(points[len(points)-1].Derived) // none, if it is not in the space
	}
	return func(a, row int) (int, bool) {
		if a >= len(derived) || row >= len(derived[a]) || space.Cells()[a].Keep == 0 {
			return 0, false
		}
		col := derived[a][row]
		return col, space.Alphas()[a].Ops[col] != ops.None
	}
}

func alphaName(space arch.Space, a int) string {
	if space == nil || a >= len(space.Alphas()) {
		return fmt.Sprintf("α %d", a)
	}
	return space.Alphas()[a].Name + " cell"
}

func alphaOp(space arch.Space, a, col int) string {
	if space != nil && a < len(space.Alphas()) && col < len(space.Alphas()[a].Ops) {
		return space.Alphas()[a].Ops[col]
	}
	return fmt.Sprintf("operation %d", col)
}

func alphaRow(space arch.Space, a, row int) string {
	if space == nil || a >= len(space.Cells()) || row >= len(space.Cells()[a].Edges) {
		return fmt.Sprintf("α %d, row %d", a, row)
	}
	names, e := nodeNames(space.Cells()[a]), space.Cells()[a].Edges[row]
	return names[e.From] + " → " + names[e.To]
}

// leader names the curve that ends highest.
func leader(all []series) string {
	best, at := math.Inf(-1), ""
	for _, s := range all {
		if n := len(s.Y); n > 0 && drawable(s.Y[n-1]) && s.Y[n-1] > best {
			best, at = s.Y[n-1], s.Name+" "+percent.in(s.Y[n-1])
		}
	}
	return at
}

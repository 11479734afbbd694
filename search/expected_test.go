// SPDX-License-Identifier: Apache-2.0

package search

import (
	"cmp"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/edgenas/edgenas/arch"
)

// additive prices each live edge of a choice by a table, plus a constant.
type additive struct {
	space arch.Space
	fixed float64
	t     [][]float64 // row, column
}

func (a additive) Latency(c arch.Choice) (float64, error) {
	total, alive := a.fixed, false
	for row, col := range a.space.Canonical(c)[0] {
		total += a.t[row][col]
		alive = alive || col != 0
	}
	if !alive {
		return 0, arch.ErrDead
	}
	return total, nil
}

func newNB201(t *testing.T) arch.Space {
	t.Helper()
	s, err := arch.NewSpace("nb201", arch.Size{Cells: 1, Channels: 4, Image: 8, Colours: 1, Classes: 3})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// newAdditive draws operation times; none and skip_connect cost nothing.
func newAdditive(s arch.Space, rng *rand.Rand) additive {
	a := additive{space: s, fixed: 1e-4}
	for range s.Alphas()[0].Rows {
		a.t = append(a.t, []float64{0, 0, 1e-4 * rng.Float64(), 1e-3 * rng.Float64(), 2e-4 * rng.Float64()})
	}
	return a
}

func newExpected(t testing.TB, space arch.Space, m *Matrix) *Expected {
	t.Helper()
	e, err := NewExpected(space, m)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func randomMixture(rows, cols int, rng *rand.Rand) []float64 {
	alpha := make([]float64, rows*cols)
	for i := range alpha {
		alpha[i] = 2 * rng.NormFloat64()
	}
	p := make([]float64, len(alpha))
	softmax(p, alpha, cols, 1)
	return p
}

func TestMatrixOfAdditiveCosts(t *testing.T) {
	space := newNB201(t)
	costs := newAdditive(space, rand.New(rand.NewPCG(1, 0)))
	m, err := NewMatrix(space, costs)
	if err != nil {
		t.Fatal(err)
	}
	if math.Abs(m.FixedS-costs.fixed) > 1e-15 {
		t.Errorf("constant %g s: want %g", m.FixedS, costs.fixed)
	}
	for row := range costs.t {
		for col, want := range costs.t[row] {
			if got := m.PerOpS[0][row][col]; math.Abs(got-want) > 1e-15 {
				t.Errorf("row %d column %d: %g s: want %g", row, col, got, want)
			}
		}
	}
}

// The expectation equals the sum over all 15,625 choices of probability times
// cost, dead choices costing the constant alone.
func TestExpectedLatencyIsTheExpectation(t *testing.T) {
	space := newNB201(t)
	rng := rand.New(rand.NewPCG(2, 0))
	costs := newAdditive(space, rng)
	m, err := NewMatrix(space, costs)
	if err != nil {
		t.Fatal(err)
	}
	e := newExpected(t, space, m)
	for range 3 {
		p := randomMixture(6, 5, rng)
		want := 0.0
		for c := range arch.All(space) {
			pr := 1.0
			for row, col := range c[0] {
				pr *= p[row*5+col]
			}
			cost := costs.fixed
			for row, col := range space.Canonical(c)[0] {
				cost += costs.t[row][col]
			}
			want += pr * cost
		}
		if got := e.Value([][]float64{p}, nil, 0); math.Abs(got-want) > 1e-12*want {
			t.Errorf("E = %g s: the sum over all choices is %g", got, want)
		}
	}
}

func TestExpectedLatencyGradient(t *testing.T) {
	for _, tc := range []struct {
		name  string
		space arch.Space
		costs func(arch.Space, *rand.Rand) Costs
		scale float64 // of α: the larger, the nearer to 1 the greatest weights
	}{
		{"nb201", newNB201(t), func(s arch.Space, rng *rand.Rand) Costs { return newAdditive(s, rng) }, 2},
		{"edge selection", toy{}, func(s arch.Space, rng *rand.Rand) Costs { return newEdgeCosts(s, rng) }, 2},
		{"edge selection, decided", toy{}, func(s arch.Space, rng *rand.Rand) Costs { return newEdgeCosts(s, rng) }, 6},
		{"darts", newDARTS(t), func(s arch.Space, rng *rand.Rand) Costs { return newEdgeCosts(s, rng) }, 2},
		{"mbconv", newMBConv(t, 9), func(s arch.Space, rng *rand.Rand) Costs { return newEdgeCosts(s, rng) }, 2},
	} {
		t.Run(tc.name, func(t *testing.T) {
			rng := rand.New(rand.NewPCG(3, 0))
			m, err := NewMatrix(tc.space, tc.costs(tc.space, rng))
			if err != nil {
				t.Fatal(err)
			}
			e := newExpected(t, tc.space, m)
			var p, grad [][]float64
			for _, a := range tc.space.Alphas() {
				alpha := make([]float64, len(a.Rows)*len(a.Ops))
				for i := range alpha {
					alpha[i] = tc.scale * rng.NormFloat64()
				}
				p, grad = append(p, make([]float64, len(alpha))), append(grad, make([]float64, len(alpha)))
				softmax(p[len(p)-1], alpha, len(a.Ops), 1)
			}
			e.Value(p, grad, 3)
			for i := range p {
				for j := range p[i] {
					h := 1e-4 * p[i][j]
					want := 3 * slope(p[i], j, h, func() float64 { return e.Value(p, nil, 0) })
					if math.Abs(grad[i][j]-want) > 1e-5*math.Abs(want)+1e-13/h {
						t.Errorf("dE/dp[%d][%d] = %g: central difference %g", i, j, grad[i][j], want)
					}
				}
			}
		})
	}
}

// Additive costs of kept edges, and of edges that are always there, are read
// off exactly, though any single entry could as well be another.
func TestMatrixOfEdgeCosts(t *testing.T) {
	for _, space := range []arch.Space{toy{}, newDARTS(t), newMBConv(t, 1), newMBConv(t, 3)} {
		rng := rand.New(rand.NewPCG(5, 0))
		costs := newEdgeCosts(space, rng)
		m, err := NewMatrix(space, costs)
		if err != nil {
			t.Fatal(err)
		}
		for range 200 {
			c := space.Derive(mixtures(space, rng))
			want, err := costs.Latency(c)
			if err != nil {
				t.Fatal(err)
			}
			got := m.FixedS
			for i, rows := range c {
				for row, col := range rows {
					got += m.PerOpS[i][row][col]
				}
			}
			if math.Abs(got-want) > 1e-14 {
				t.Fatalf("%s: %v adds up to %g s: want %g", space.Name(), c, got, want)
			}
		}
	}
}

// Two edges of each node are drawn by Gumbel-top-2 on ln β, an operation on
// each by its weight beside none: the mean of the costs is E within three
// standard errors.
func TestExpectedLatencyOfEdgeSelectionByMonteCarlo(t *testing.T) {
	t.Parallel()
	space := newDARTS(t)
	rng := rand.New(rand.NewPCG(6, 0))
	costs := newEdgeCosts(space, rng)
	m, err := NewMatrix(space, costs)
	if err != nil {
		t.Fatal(err)
	}
	e := newExpected(t, space, m)
	for range 5 {
		p := mixtures(space, rng)
		const draws = 20_000
		sum, squares := 0.0, 0.0
		for range draws {
			c := make(arch.Choice, len(p))
			for i, cell := range space.Cells() {
				c[i] = make([]int, len(cell.Edges))
				for _, rows := range cell.Incoming() {
					key := map[int]float64{}
					for _, row := range rows {
						key[row] = math.Log(slices.Max(p[i][row*8+1:row*8+8])) - math.Log(rng.ExpFloat64())
					}
					slices.SortFunc(rows, func(a, b int) int { return cmp.Compare(key[b], key[a]) })
					for _, row := range rows[:2] {
						weights := p[i][row*8 : row*8+8]
						at := rng.Float64() * (1 - weights[0])
						col := 1
						for ; col < 7 && at >= weights[col]; col++ {
							at -= weights[col]
						}
						c[i][row] = col
					}
				}
			}
			s, err := costs.Latency(c)
			if err != nil {
				t.Fatal(err)
			}
			sum, squares = sum+s, squares+s*s
		}
		mean := sum / draws
		deviation := math.Sqrt((squares/draws - mean*mean) / draws)
		if got := e.Value(p, nil, 0); math.Abs(got-mean) > 3*deviation {
			t.Errorf("E = %g s: the mean of %d draws is %g ± %g", got, draws, mean, deviation)
		}
	}
}

// The operations of a chain are drawn by their weights, block by block: the mean
// of the costs is E within three standard errors. All blocks count, with or
// without skip_connect.
func TestExpectedLatencyOfChainByMonteCarlo(t *testing.T) {
	t.Parallel()
	space := newMBConv(t, 8) // more blocks than a cell could have edges
	rng := rand.New(rand.NewPCG(8, 0))
	costs := newEdgeCosts(space, rng)
	m, err := NewMatrix(space, costs)
	if err != nil {
		t.Fatal(err)
	}
	e, alphas := newExpected(t, space, m), space.Alphas()
	for range 5 {
		p := mixtures(space, rng)
		const draws = 20_000
		sum, squares := 0.0, 0.0
		for range draws {
			var c arch.Choice
			for i, a := range alphas {
				var columns []int
				for row := range a.Rows {
					at, col := rng.Float64(), 0
					for ; col < len(a.Ops)-1 && at >= p[i][row*len(a.Ops)+col]; col++ {
						at -= p[i][row*len(a.Ops)+col]
					}
					columns = append(columns, col)
				}
				c = append(c, columns)
			}
			s, err := costs.Latency(c)
			if err != nil {
				t.Fatal(err)
			}
			sum, squares = sum+s, squares+s*s
		}
		mean := sum / draws
		deviation := math.Sqrt((squares/draws - mean*mean) / draws)
		if got := e.Value(p, nil, 0); math.Abs(got-mean) > 3*deviation {
			t.Errorf("E = %g s: the mean of %d draws is %g ± %g", got, draws, mean, deviation)
		}
	}
}

// Every node keeps two edges, however the weights stand: where each edge costs
// one second, so does each of the two.
func TestEdgesKeptAreTwo(t *testing.T) {
	space := toy{}
	m := &Matrix{}
	for range 2 {
		m.noneCol = append(m.noneCol, 0)
		m.PerOpS = append(m.PerOpS, [][]float64{{0, 1, 1, 1}, {0, 1, 1, 1}, {0, 1, 1, 1}, {0, 1, 1, 1}, {0, 1, 1, 1}})
	}
	e := newExpected(t, space, m)
	for name, strength := range map[string][]float64{
		"equal":       {0.2, 0.2, 0.2, 0.2, 0.2},
		"one strong":  {0.9, 0.05, 0.9, 0.05, 0.05},
		"one alone":   {1, 1e-18, 1, 1e-18, 1e-18},
		"others gone": {1, 0, 1, 0, 0},
		"all gone":    {0, 0, 0, 0, 0},
	} {
		var p, grad [][]float64
		for range 2 {
			var rows []float64
			for _, m := range strength {
				rows = append(rows, 1-m, m, 0, 0)
			}
			p, grad = append(p, rows), append(grad, make([]float64, len(rows)))
		}
		gone := name == "others gone" || name == "all gone"
		if got := e.Value(p, grad, 1); math.Abs(got-8) > 1e-12 && !gone || math.IsNaN(got) {
			t.Errorf("%s: %g edges are kept: want 8", name, got)
		}
		for i := range grad {
			for j, g := range grad[i] {
				if math.IsNaN(g) || math.IsInf(g, 0) {
					t.Errorf("%s: gradient %d,%d is %g", name, i, j, g)
				}
			}
		}
	}
}

func TestNewMatrixRefuses(t *testing.T) {
	for name, space := range map[string]arch.Space{
		"three edges": keepsThree{}, "nothing that works": idle{}, "none without skip": noSkip{},
	} {
		if _, err := NewMatrix(space, newEdgeCosts(space, rand.New(rand.NewPCG(1, 0)))); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

type keepsThree struct{ toy }

func (keepsThree) Cells() []arch.Cell {
	c := toy{}.Cells()
	c[1].Keep = 3
	return c
}

type idle struct{ toy }

func (idle) Alphas() []arch.Alpha {
	a := toy{}.Alphas()
	a[0].Ops = []string{"none", "skip_connect"}
	return a
}

type noSkip struct{ toy }

func (noSkip) Cells() []arch.Cell {
	c := toy{}.Cells()
	c[0].Keep = 0
	return c
}

func (noSkip) Alphas() []arch.Alpha {
	a := toy{}.Alphas()
	a[0].Ops = []string{"none", "sep_conv_3x3"}
	return a
}

// A space from elsewhere may have cells whose expectation is out of reach.
func TestNewExpectedRefuses(t *testing.T) {
	t.Run("edges of a cell", func(t *testing.T) {
		refuses(t, wide{edges: maxLiveEdges + 1}, "17 edges")
	})
	t.Run("edges of a node", func(t *testing.T) {
		refuses(t, wide{edges: maxKeptEdges + 1, keep: 2}, "33 edges")
	})
	t.Run("a lonely edge", func(t *testing.T) {
		if _, err := NewMatrix(wide{edges: 1, keep: 2}, nil); err == nil {
			t.Error("a node that keeps two of one edge was taken")
		}
	})
}

func refuses(t *testing.T, space wide, text string) {
	t.Helper()
	m := &Matrix{PerOpS: [][][]float64{make([][]float64, space.edges)}, noneCol: []int{0}}
	if _, err := NewExpected(space, m); err == nil || !strings.Contains(err.Error(), text) {
		t.Errorf("%v: want an error that has %q", err, text)
	}
}

// wide is a space of one cell whose edges all go to one node.
type wide struct {
	toy
	edges, keep int
}

func (w wide) Alphas() []arch.Alpha {
	return []arch.Alpha{{Name: "wide", Rows: make([]string, w.edges), Ops: toyOps}}
}

func (w wide) Cells() []arch.Cell {
	c := arch.Cell{Inputs: 1, Keep: w.keep}
	for range w.edges {
		c.Edges = append(c.Edges, arch.Edge{From: 0, To: 1})
	}
	return []arch.Cell{c}
}

func BenchmarkExpectedLatency(b *testing.B) {
	for i, sp := range arch.Spaces {
		b.Run("space="+sp.Name, func(b *testing.B) {
			space, err := arch.NewSpace(sp.Name, sp.Default)
			if err != nil {
				b.Fatal(err)
			}
			rng := rand.New(rand.NewPCG(4, 0))
			var costs Costs = newEdgeCosts(space, rng)
			if i == 0 {
				costs = newAdditive(space, rng)
			}
			m, err := NewMatrix(space, costs)
			if err != nil {
				b.Fatal(err)
			}
			e, p := newExpected(b, space, m), mixtures(space, rng)
			grad := make([][]float64, len(p))
			for i := range p {
				grad[i] = make([]float64, len(p[i]))
			}
			b.ReportAllocs()
			for b.Loop() {
				e.Value(p, grad, 1)
			}
		})
	}
}

func BenchmarkDiscretise(b *testing.B) {
	space := newDARTS(b)
	rng := rand.New(rand.NewPCG(7, 0))
	c, err := NewCatalogue(space, newEdgeCosts(space, rng))
	if err != nil {
		b.Fatal(err)
	}
	p := mixtures(space, rng)
	for _, budget := range []float64{5e-3, 10e-3, 20e-3} {
		b.Run(fmt.Sprintf("budget=%gms", 1e3*budget), func(b *testing.B) {
			for b.Loop() {
				if _, err := c.Discretise(p, budget, 100); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

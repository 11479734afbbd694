// SPDX-License-Identifier: Apache-2.0

package search

import (
	"math"
	"math/rand/v2"
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
	e := NewExpected(space, m)
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
	space := newNB201(t)
	rng := rand.New(rand.NewPCG(3, 0))
	m, err := NewMatrix(space, newAdditive(space, rng))
	if err != nil {
		t.Fatal(err)
	}
	e := NewExpected(space, m)
	p := [][]float64{randomMixture(6, 5, rng)}
	grad := [][]float64{make([]float64, 30)}
	e.Value(p, grad, 3)
	for i := range p[0] {
		if want := 3 * slope(p[0], i, 1e-6, func() float64 { return e.Value(p, nil, 0) }); math.Abs(grad[0][i]-want) > 1e-9 {
			t.Errorf("dE/dp[%d] = %g: central difference %g", i, grad[0][i], want)
		}
	}
}

func BenchmarkExpectedLatency(b *testing.B) {
	space, err := arch.NewSpace("nb201", arch.Spaces[0].Default)
	if err != nil {
		b.Fatal(err)
	}
	rng := rand.New(rand.NewPCG(4, 0))
	m, err := NewMatrix(space, newAdditive(space, rng))
	if err != nil {
		b.Fatal(err)
	}
	e, p, grad := NewExpected(space, m), [][]float64{randomMixture(6, 5, rng)}, [][]float64{make([]float64, 30)}
	b.ReportAllocs()
	for b.Loop() {
		e.Value(p, grad, 1)
	}
}

// SPDX-License-Identifier: Apache-2.0

package search

import (
	"math"
	"math/rand/v2"
	"testing"
)

// Every relaxation's mixture weights and gates must make sense, and its gradient
// must be zero along the direction that changes nothing: adding a constant to
// a row of α.
func TestRelaxationsComply(t *testing.T) {
	for _, m := range Relaxations {
		t.Run(m.Name(), func(t *testing.T) {
			m := m.New()
			rng := rand.New(rand.NewPCG(1, 0))
			const rows, cols = 6, 5
			alpha := make([]float64, rows*cols)
			for i := range alpha {
				alpha[i] = rng.NormFloat64()
			}
			before := append([]float64(nil), alpha...)
			p, open := make([]float64, rows*cols), make([]bool, rows*cols)
			for _, progress := range []float64{0, 0.5, 1} {
				m.Forward(alpha, p, open, cols, progress, rng)
				for r := range rows {
					sum, opened := 0.0, 0
					for i := r * cols; i < (r+1)*cols; i++ {
						sum += p[i]
						if open[i] {
							opened++
						} else if p[i] != 0 {
							t.Errorf("progress %g: closed operation %d has weight %g", progress, i, p[i])
						}
					}
					if math.Abs(sum-1) > 1e-12 {
						t.Errorf("progress %g: row %d sums to %g", progress, r, sum)
					}
					if m.Paths() && opened != 1 {
						t.Errorf("progress %g: row %d has %d open operations: want 1", progress, r, opened)
					}
				}
				dp, grad := make([]float64, rows*cols), make([]float64, rows*cols)
				for i := range dp {
					dp[i] = rng.NormFloat64()
				}
				m.Backward(dp, grad, cols)
				norm := 0.0
				for r := range rows {
					sum := 0.0
					for _, g := range grad[r*cols : (r+1)*cols] {
						sum += g
						norm += g * g
					}
					if math.Abs(sum) > 1e-9 {
						t.Errorf("progress %g: gradient of row %d sums to %g: want 0", progress, r, sum)
					}
				}
				if norm == 0 {
					t.Errorf("progress %g: no gradient", progress)
				}
			}
			for i := range alpha {
				if alpha[i] != before[i] {
					t.Fatalf("Forward changed α[%d]", i)
				}
			}
		})
	}
}

func TestSoftmaxGradient(t *testing.T) {
	rng := rand.New(rand.NewPCG(2, 0))
	x, dp := make([]float64, 10), make([]float64, 10)
	for i := range x {
		x[i], dp[i] = rng.NormFloat64(), rng.NormFloat64()
	}
	loss := func() float64 {
		p, l := make([]float64, len(x)), 0.0
		softmax(p, x, 5, 0.7)
		for i := range p {
			l += p[i] * dp[i]
		}
		return l
	}
	p, grad := make([]float64, 10), make([]float64, 10)
	softmax(p, x, 5, 0.7)
	softmaxGradient(grad, p, dp, 5, 0.7)
	for i := range x {
		if want := slope(x, i, 1e-6, loss); math.Abs(grad[i]-want) > 1e-8 {
			t.Errorf("gradient %d = %g: central difference %g", i, grad[i], want)
		}
	}
}

// The operations that GDAS opens follow softmax(α), whatever the temperature.
func TestGDASSamplesBySoftmax(t *testing.T) {
	alpha := []float64{0, 1, 2, -1, 0.5}
	want := make([]float64, 5)
	softmax(want, alpha, 5, 1)
	m, rng := (&gdas{}).New(), rand.New(rand.NewPCG(3, 0))
	counts, p, open := make([]float64, 5), make([]float64, 5), make([]bool, 5)
	const n = 20000
	for i := range n {
		m.Forward(alpha, p, open, 5, float64(i)/n, rng)
		for j := range open {
			if open[j] {
				counts[j]++
			}
		}
	}
	for j := range want {
		if sigma := math.Sqrt(n * want[j] * (1 - want[j])); math.Abs(counts[j]-n*want[j]) > 4*sigma {
			t.Errorf("operation %d was opened %g times of %d: want %.0f ± %.0f", j, counts[j], n, n*want[j], 4*sigma)
		}
	}
}

// betaDecayValue is the regulariser whose gradient betaDecay adds.
func betaDecayValue(alpha []float64, cols int, weight float64) float64 {
	total := 0.0
	for at := 0; at < len(alpha); at += cols {
		sum := 0.0
		for _, v := range alpha[at : at+cols] {
			sum += math.Exp(v)
		}
		total += math.Log(sum)
	}
	return weight * total / float64(len(alpha)/cols)
}

func TestBetaDecayGradient(t *testing.T) {
	rng := rand.New(rand.NewPCG(4, 0))
	alpha := make([]float64, 10)
	for i := range alpha {
		alpha[i] = 3 * rng.NormFloat64()
	}
	value := func() float64 { return betaDecayValue(alpha, 5, 2) }
	p, grad := make([]float64, 10), make([]float64, 10)
	softmax(p, alpha, 5, 1)
	betaDecay(p, grad, 5, 2)
	for i := range alpha {
		if want := slope(alpha, i, 1e-6, value); math.Abs(grad[i]-want) > 1e-8 {
			t.Errorf("gradient %d = %g: central difference %g", i, grad[i], want)
		}
	}
}

func TestMultiplier(t *testing.T) {
	for _, tc := range []struct {
		name            string
		lambda, derived float64
		want            float64
	}{
		{"over the budget grows", 0.1, 1.5, 0.15},
		{"at the budget stays", 0.1, 1, 0.1},
		{"below the budget is reset", 0.1, 0.5, 0},
		{"never negative", 0, 0.5, 0},
	} {
		m := Multiplier{Lambda: tc.lambda, Rate: 0.1}
		m.Update(tc.derived, 1)
		if math.Abs(m.Lambda-tc.want) > 1e-12 {
			t.Errorf("%s: λ = %g: want %g", tc.name, m.Lambda, tc.want)
		}
	}
}

// slope is the central difference of f by x[i].
func slope(x []float64, i int, h float64, f func() float64) float64 {
	keep := x[i]
	x[i] = keep + h
	up := f()
	x[i] = keep - h
	down := f()
	x[i] = keep
	return (up - down) / (2 * h)
}

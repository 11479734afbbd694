// SPDX-License-Identifier: Apache-2.0

package search

import (
	"math"
	"math/rand/v2"
)

// gdas samples one operation an edge by hard Gumbel softmax: with
// z = (ln softmax(α) + g)/τ and s = softmax(z), the operation arg max s runs
// with weight 1, and the gradient goes through s as if the weight were s.
// τ falls linearly from 10 to 0.1.
// Source: Dong and Yang, Searching for a robust neural architecture in four
// GPU hours, 2019, §3.2 (eq. 5–8).
type gdas struct {
	s    []float64
	open []bool
	tau  float64
	dp   []float64
}

func (*gdas) Name() string    { return "gdas" }
func (*gdas) Paths() bool     { return true }
func (*gdas) New() Relaxation { return &gdas{} }

func (m *gdas) Forward(alpha, p []float64, open []bool, cols int, progress float64, rng *rand.Rand) {
	m.tau = 10 + (0.1-10)*progress
	z := make([]float64, len(alpha))
	softmax(z, alpha, cols, 1)
	m.s = append(m.s[:0], z...)
	for i := range z {
		z[i] = math.Log(max(z[i], 1e-30)) - math.Log(max(rng.ExpFloat64(), 1e-30))
	}
	softmax(m.s, z, cols, 1/m.tau)
	m.open = append(m.open[:0], open...)
	for at := 0; at < len(z); at += cols {
		best := at
		for i := at; i < at+cols; i++ {
			p[i], m.open[i] = 0, false
			if z[i] > z[best] {
				best = i
			}
		}
		p[best], m.open[best] = 1, true
	}
	copy(open, m.open)
}

// Temperature returns τ of the last Forward.
func (m *gdas) Temperature() float64 { return m.tau }

func (m *gdas) Backward(dp, grad []float64, cols int) {
	m.dp = append(m.dp[:0], dp...)
	for i := range m.dp {
		if !m.open[i] {
			m.dp[i] = 0 // what did not run has no gradient
		}
	}
	softmaxGradient(grad, m.s, m.dp, cols, 1/m.tau)
}

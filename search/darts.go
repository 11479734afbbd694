// SPDX-License-Identifier: Apache-2.0

package search

import "math/rand/v2"

// darts mixes all operations by softmax(α), first order.
// Source: Liu, Simonyan and Yang, DARTS, 2019, §2.2 (eq. 2) and §2.3 (ξ = 0).
type darts struct{ p []float64 }

func (*darts) Name() string    { return "darts" }
func (*darts) Paths() bool     { return false }
func (*darts) New() Relaxation { return &darts{} }

func (d *darts) Forward(alpha, p []float64, open []bool, cols int, _ float64, _ *rand.Rand) {
	softmax(p, alpha, cols, 1)
	for i := range open {
		open[i] = true
	}
	d.p = append(d.p[:0], p...)
}

func (d *darts) Backward(dp, grad []float64, cols int) { softmaxGradient(grad, d.p, dp, cols, 1) }

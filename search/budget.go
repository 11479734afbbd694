// SPDX-License-Identifier: Apache-2.0

package search

// Multiplier is the learned weight λ of the latency term for a one-sided
// budget: it grows while the expected latency is over the budget and is reset to
// 0 when it is not, so that nothing is gained below the budget. The latency of
// the derived network would not do: while α is undecided it jumps at every step.
// Source: Luo et al., LightNAS, 2022, §3.3, but for the reset and the expectation.
type Multiplier struct {
	Lambda float64 `json:"lambda"`
	Rate   float64 `json:"rate"` // η
}

// Update learns from the expected latency, both in seconds.
func (m *Multiplier) Update(expectedS, budgetS float64) {
	excess := expectedS/budgetS - 1
	if excess < 0 {
		m.Lambda = 0 // no wind-up
		return
	}
	m.Lambda += m.Rate * excess
}

// SPDX-License-Identifier: Apache-2.0

package search

// Multiplier is the learned weight λ of the latency term for a one-sided
// budget: it grows while the derived network is over the budget and is reset to
// 0 when it is not, so that nothing is gained below the budget.
// Source: Luo et al., LightNAS, 2022, §3.3, but for the reset.
type Multiplier struct {
	Lambda float64 `json:"lambda"`
	Rate   float64 `json:"rate"` // η
}

// Update learns from the derived network's latency, both in seconds.
func (m *Multiplier) Update(derivedS, budgetS float64) {
	excess := derivedS/budgetS - 1
	if excess < 0 {
		m.Lambda = 0 // no wind-up
		return
	}
	m.Lambda += m.Rate * excess
}

// SPDX-License-Identifier: Apache-2.0

package search

import "math"

// betaDecay is the regulariser mean_e logsumexp_o(α_{e,o}), which keeps α from
// running away towards skip connections. It returns its value and adds
// weight·gradient = weight·p/edges to grad, p = softmax(α).
// Source: Ye et al., β-DARTS, 2022, §3.2.
func betaDecay(alpha, p, grad []float64, cols int, weight float64) float64 {
	edges := float64(len(alpha) / cols)
	total := 0.0
	for at := 0; at < len(alpha); at += cols {
		top := math.Inf(-1)
		for _, v := range alpha[at : at+cols] {
			top = max(top, v)
		}
		sum := 0.0
		for _, v := range alpha[at : at+cols] {
			sum += math.Exp(v - top)
		}
		total += top + math.Log(sum)
	}
	for i := range p {
		grad[i] += weight * p[i] / edges
	}
	return weight * total / edges
}

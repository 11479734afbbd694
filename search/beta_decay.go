// SPDX-License-Identifier: Apache-2.0

package search

// betaDecay adds weight times the gradient of the regulariser
// mean_e logsumexp_o(α_{e,o}) to grad: weight·p/edges, p = softmax(α). The
// regulariser keeps α from running away towards skip connections.
// Source: Ye et al., β-DARTS, 2022, §3.2.
func betaDecay(p, grad []float64, cols int, weight float64) {
	edges := float64(len(p) / cols)
	for i := range p {
		grad[i] += weight * p[i] / edges
	}
}

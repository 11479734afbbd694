// SPDX-License-Identifier: Apache-2.0

package ops

import (
	"math"
	"math/rand/v2"
	"strings"
)

// InitWeights draws the parameters of g as PyTorch does by default: weights
// and biases uniform in ±1/√fan-in (He et al. 2015 with a = √5), batch norm
// scale 1, shift 0, running mean 0 and variance 1. The draws follow the order
// of the nodes, so one seed gives one set of weights.
func InitWeights(g *Graph, rng *rand.Rand) Weights {
	w := Weights{}
	for _, n := range g.Nodes {
		for _, p := range g.Params(n) {
			t := Tensor{Dims: p.Dims, Data: make([]float32, p.Len())}
			switch {
			case p.FanIn > 0:
				bound := 1 / math.Sqrt(float64(p.FanIn))
				for i := range t.Data {
					t.Data[i] = float32((2*rng.Float64() - 1) * bound)
				}
			case strings.HasSuffix(p.Name, ".weight"), strings.HasSuffix(p.Name, ".running_var"):
				for i := range t.Data {
					t.Data[i] = 1
				}
			}
			w[p.Name] = t
		}
	}
	return w
}

// SPDX-License-Identifier: Apache-2.0

// Package opstest tests interpreters of graphs. Whatever runs an [ops.Graph] is
// tested by one call of [Run]: on the networks that [Cases] returns, against
// [Reference], which computes them with plain loops.
package opstest

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/edgenas/edgenas/ops"
)

// Compile returns a function that runs g, a network in training form, with
// batch norms using their running statistics. The function takes and returns
// N,C,H,W; its next call may overwrite what it returned.
type Compile func(g *ops.Graph, w ops.Weights) (run func(x []float32) ([]float32, error), err error)

// Run compares compile with Reference on all Cases. Each is run three times on
// two different inputs, to find an interpreter that leaves traces of one run in
// the next.
func Run(t *testing.T, compile Compile) {
	for _, c := range Cases() {
		t.Run(c.Name, func(t *testing.T) {
			run, err := compile(c.Graph, c.Weights)
			if err != nil {
				t.Fatal(err)
			}
			a, b := Input(c.Graph, 1), Input(c.Graph, 2)
			for i, x := range [][]float32{a, b, a} {
				got, err := run(x)
				if err != nil {
					t.Fatal(err)
				}
				want := Reference(c.Graph, c.Weights, Float64s(x))
				if err := Compare(got, want, 3e-5); err != nil {
					t.Errorf("run %d: %v", i, err)
				}
			}
		})
	}
}

// Input draws the elements of g's first input from a normal distribution.
func Input(g *ops.Graph, seed uint64) []float32 {
	rng := rand.New(rand.NewPCG(seed, 0))
	x := make([]float32, g.Shape(0).Len())
	for i := range x {
		x[i] = float32(rng.NormFloat64())
	}
	return x
}

// Weights draws parameters for g of which every one matters: unlike
// [ops.InitWeights], batch norms shift and scale, some of them negatively.
func Weights(g *ops.Graph, seed uint64) ops.Weights {
	rng := rand.New(rand.NewPCG(seed, 0))
	w := ops.InitWeights(g, rng)
	for _, n := range g.Nodes {
		if n.Kind != ops.BatchNorm {
			continue
		}
		for _, p := range g.Params(n) {
			for i := range w[p.Name].Data {
				v := rng.Float64() - 0.5
				switch p.Name {
				case n.Name + ".weight":
					v = math.Copysign(1+v, rng.Float64()-0.2)
				case n.Name + ".running_var":
					v += 0.8
				}
				w[p.Name].Data[i] = float32(v)
			}
		}
	}
	return w
}

// Float64s converts x for Reference.
func Float64s(x []float32) []float64 {
	y := make([]float64, len(x))
	for i, v := range x {
		y[i] = float64(v)
	}
	return y
}

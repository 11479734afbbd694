// SPDX-License-Identifier: Apache-2.0

package autodiff

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/edgenas/edgenas/internal/kernels"
	"github.com/edgenas/edgenas/ops"
)

// TestMuon moves each kind of parameter for three steps: the weights of a
// convolution as the rule says, everything else as SGD does.
func TestMuon(t *testing.T) {
	const lr, momentum, decay = 0.02, 0.9, 0.3
	for _, c := range []struct {
		name   string
		dims   []int
		matrix bool
		scale  float64 // of the rate
	}{
		{"dense 3×3", []int{4, 3, 3, 3}, true, 1},
		{"expanding 1×1", []int{12, 3, 1, 1}, true, 2},
		{"narrowing 1×1", []int{2, 7, 1, 1}, true, 1},
		{"depthwise", []int{5, 1, 3, 3}, false, 0},
		{"linear", []int{3, 6}, false, 0},
		{"bias", []int{6}, false, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			rng := rand.New(rand.NewPCG(1, 2))
			p := newParam[float64](ops.Param{Name: "p", Dims: c.dims, Learn: true})
			p.active = true
			for i := range p.W {
				p.W[i] = rng.NormFloat64()
			}
			want, v := slices.Clone(p.W), make([]float64, len(p.W))
			muon := &Muon[float64]{LR: lr, Momentum: momentum, WeightDecay: decay,
				SGD: SGD[float64]{LR: 0.1, Momentum: 0.8, WeightDecay: 0.01, Nesterov: true}}
			sgd := muon.SGD
			plain := NewParam("p", slices.Clone(p.W), p.G)
			for range 3 {
				for i := range p.G {
					p.G[i] = rng.NormFloat64()
				}
				if err := muon.Step(learnables(p)); err != nil {
					t.Fatal(err)
				}
				if !c.matrix {
					if err := sgd.Step(learnables(plain)); err != nil {
						t.Fatal(err)
					}
					want = plain.W
					continue
				}
				k := &kernels.Orthogonal[float64]{Rows: len(p.W) / c.dims[0], Cols: c.dims[0], X: make([]float64, len(p.W)),
					Y: make([]float64, len(p.W))}
				k.Scratch = make([]float64, k.ScratchLen(1))
				for i, g := range p.G {
					v[i] = momentum*v[i] + g
					k.X[i] = g + momentum*v[i]
				}
				pool := kernels.NewWorkers(1)
				k.Run(pool)
				pool.Close()
				for i, o := range k.Y {
					want[i] -= lr * c.scale * (o + decay*want[i])
				}
			}
			for i, w := range p.W {
				if !(math.Abs(w-want[i]) < 1e-12) {
					t.Fatalf("after three steps %v: want %v", p.W, want)
				}
			}
		})
	}
}

// Without a rate of its own Muon is SGD.
func TestMuonWithoutRate(t *testing.T) {
	a, b := drawn(), drawn()
	rule := SGD[float32]{LR: 0.1, Momentum: 0.9, Nesterov: true}
	muon, sgd := &Muon[float32]{SGD: rule}, &rule
	for range 2 {
		if err := muon.Step(learnables(a...)); err != nil {
			t.Fatal(err)
		}
		if err := sgd.Step(learnables(b...)); err != nil {
			t.Fatal(err)
		}
	}
	for i := range a {
		if !slices.Equal(a[i].W, b[i].W) {
			t.Errorf("%s: %v, by SGD %v", a[i].Name, a[i].W, b[i].W)
		}
	}
}

// A step of known parameters does not allocate.
func TestMuonAllocates(t *testing.T) {
	params := learnables(drawn()...)
	muon := &Muon[float32]{LR: 0.1, Momentum: 0.9, SGD: SGD[float32]{LR: 0.1, Momentum: 0.9}}
	step := func() {
		if err := muon.Step(params); err != nil {
			t.Fatal(err)
		}
	}
	step()
	if n := testing.AllocsPerRun(5, step); n != 0 {
		t.Errorf("a step allocates %v times", n)
	}
}

// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"errors"
	"math"
	"slices"
	"testing"

	"github.com/edgenas/edgenas/internal/kernels"
)

func run[T kernels.Float](pool *kernels.Workers, t *tape[T], backward bool) {
	for _, k := range t.forward {
		k.Run(pool)
	}
	if backward {
		for _, k := range slices.Backward(t.backward) {
			k.Run(pool)
		}
	}
}

// What is timed as an operation's backward pass is its gradient: along a
// random direction it equals the central difference.
func TestOperationGradients(t *testing.T) {
	pool := kernels.NewWorkers(1)
	defer pool.Close()
	for _, o := range operations[float64]() {
		t.Run(o.name, func(t *testing.T) {
			tape := newTape[float64](2, 6, 4, pool, 1)
			o.build(tape)
			run(pool, tape, true)
			x, direction := slices.Clone(tape.x), tape.random(len(tape.x))
			var slope float64
			for i, d := range direction {
				slope += tape.dx[i] * d
			}
			const h = 1e-6
			at := func(h float64) (sum float64) {
				for i := range x {
					tape.x[i] = x[i] + h*direction[i]
				}
				run(pool, tape, false)
				for i, y := range tape.y {
					sum += y * tape.dy[i]
				}
				return sum
			}
			if want := (at(h) - at(-h)) / (2 * h); math.Abs(slope-want) > 1e-5*math.Max(1, math.Abs(want)) {
				t.Errorf("slope %v: want %v", slope, want)
			}
		})
	}
}

// A separable operation computes what its layers one by one compute.
func TestSeparable(t *testing.T) {
	pool := kernels.NewWorkers(1)
	defer pool.Close()
	chain := newTape[float64](2, 6, 4, pool, 1)
	chain.separable(5, 2, 2)
	layers := newTape[float64](2, 6, 4, pool, 1)
	for range 2 {
		layers.relu()
		layers.depthwise(5, 2)
		layers.conv(1)
		layers.batchNorm()
		norm := layers.forward[len(layers.forward)-1].(*kernels.BatchNorm[float64])
		norm.Gamma, norm.Beta = nil, nil
	}
	copy(layers.x, chain.x)
	stages := chain.forward[0].(*kernels.SeparableChain[float64]).Stages
	for i, s := range stages {
		copy(layers.forward[4*i+1].(*kernels.Depthwise[float64]).Weights, s.Depth)
		copy(layers.forward[4*i+2].(*kernels.Conv[float64]).Weights, s.Point)
	}
	run(pool, chain, false)
	run(pool, layers, false)
	for i, want := range layers.y {
		if math.Abs(chain.y[i]-want) > 1e-9 {
			t.Fatalf("element %d: %v, want %v", i, chain.y[i], want)
		}
	}
	if chain.macs != layers.macs {
		t.Errorf("%d multiply-adds, want %d", chain.macs, layers.macs)
	}
}

func TestOps(t *testing.T) {
	all := Ops()
	if len(all) != 26 || all[0].String() != "conv3x3/n=32/c=32/size=32" {
		t.Fatalf("%d operations, the first %v", len(all), all[0])
	}
	if m := Match(all, "dwconv3x3/n=64"); len(m) != 1 || m[0].Name != "dwconv3x3" {
		t.Errorf("matched %v", m)
	}
	pool := kernels.NewWorkers(1)
	defer pool.Close()
	r, err := Op{"sep_conv_3x3", 1, 4, 8}.Run(t.Context(), pool, 1)
	if err != nil {
		t.Fatal(err)
	}
	if r.ForwardMS <= 0 || r.ForwardMinMS > r.ForwardMS || r.BothMinMS <= 0 || r.BothMinMS > r.BothMS ||
		r.MACs != 64*2*(9*4+16) {
		t.Errorf("%+v", r)
	}
	var spec *SpecError
	if _, err := (Op{"conv7x7", 1, 4, 8}).Run(t.Context(), pool, 1); !errors.As(err, &spec) {
		t.Errorf("%v: want a SpecError", err)
	}
}

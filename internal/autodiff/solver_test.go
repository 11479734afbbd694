// SPDX-License-Identifier: Apache-2.0

package autodiff

import (
	"errors"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/edgenas/edgenas/internal/kernels"
	"github.com/edgenas/edgenas/ops"
	"gorgonia.org/gorgonia"
)

// drawn makes parameters that solvers can move.
func drawn() []*Param[float32] {
	rng := rand.New(rand.NewPCG(5, 6))
	var params []*Param[float32]
	for _, name := range []string{"a", "b"} {
		p := NewParam(name, make([]float32, 7), make([]float32, 7))
		for i := range p.W {
			p.W[i], p.G[i] = rng.Float32(), rng.Float32()-0.5
		}
		params = append(params, p)
	}
	weights := newParam[float32](ops.Param{Name: "conv.weight", Dims: []int{3, 2, 3, 3}, Learn: true})
	weights.active = true
	for i := range weights.W {
		weights.W[i], weights.G[i] = rng.Float32(), rng.Float32()-0.5
	}
	return append(params, weights)
}

func learnables[T kernels.Float](params ...*Param[T]) (all []Learnable) {
	for _, p := range params {
		all = append(all, p)
	}
	return all
}

// TestSolverState continues on a copy of a solver's state, as a resumed search does.
func TestSolverState(t *testing.T) {
	for _, c := range []struct {
		name string
		make func(State[float32]) (gorgonia.Solver, func() State[float32])
	}{
		{"sgd", func(s State[float32]) (gorgonia.Solver, func() State[float32]) {
			x := &SGD[float32]{LR: 0.1, Momentum: 0.9, WeightDecay: 0.01, State: s}
			return x, func() State[float32] { return x.State }
		}},
		{"muon", func(s State[float32]) (gorgonia.Solver, func() State[float32]) {
			x := &Muon[float32]{LR: 0.1, Momentum: 0.9, SGD: SGD[float32]{LR: 0.1, Momentum: 0.9, State: s}}
			return x, func() State[float32] { return x.SGD.State }
		}},
		{"adam", func(s State[float32]) (gorgonia.Solver, func() State[float32]) {
			x := &Adam[float32]{LR: 0.1, Beta1: 0.5, Beta2: 0.999, Epsilon: 1e-8, State: s}
			return x, func() State[float32] { return x.State }
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			params := drawn()
			solver, current := c.make(nil)
			step := func(s gorgonia.Solver, params []*Param[float32]) {
				if err := s.Step(learnables(params...)); err != nil {
					t.Fatal(err)
				}
			}
			step(solver, params)
			step(solver, params)
			for name, m := range current() {
				if m.Steps != 2 {
					t.Errorf("%s: %d steps, want 2", name, m.Steps)
				}
			}
			copied := current().Clone()
			resumed := drawn()
			for i, p := range params {
				copy(resumed[i].W, p.W)
			}
			other, _ := c.make(copied)
			step(solver, params)
			step(other, resumed)
			for i, p := range params {
				if !slices.Equal(p.W, resumed[i].W) {
					t.Errorf("%s: %v, resumed %v", p.Name, p.W, resumed[i].W)
				}
			}
			copied["a"].First = nil
			if err := other.Step(learnables(resumed...)); err == nil || !strings.Contains(err.Error(), "want 7") {
				t.Errorf("a state of another size: %v", err)
			}
		})
	}
}

func TestSolversLeaveIdleParameters(t *testing.T) {
	for _, solver := range []gorgonia.Solver{
		&SGD[float32]{LR: 0.1, Momentum: 0.9, WeightDecay: 0.1},
		&Adam[float32]{LR: 0.1, Beta1: 0.9, Beta2: 0.999, Epsilon: 1e-8, WeightDecay: 0.1},
		&Muon[float32]{LR: 0.1, Momentum: 0.9, SGD: SGD[float32]{LR: 0.1, Momentum: 0.9}},
	} {
		for idle := range drawn() {
			params := drawn()
			if err := solver.Step(learnables(params...)); err != nil {
				t.Fatal(err)
			}
			var before [][]float32
			for _, p := range params {
				before = append(before, slices.Clone(p.W))
			}
			params[idle].active = false
			if err := solver.Step(learnables(params...)); err != nil {
				t.Fatal(err)
			}
			for i, p := range params {
				if moved := !slices.Equal(p.W, before[i]); moved == (i == idle) {
					t.Errorf("%T, %s idle: it moved %s: %t", solver, params[idle].Name, p.Name, moved)
				}
			}
		}
	}
	params := drawn()
	params[0].active = false
	if _, err := params[0].Grad(); !errors.Is(err, ErrIdle) {
		t.Errorf("gradient of an idle parameter: %v", err)
	}
}

// TestSolversOnGorgoniaNodes moves nodes of a graph of Gorgonia's own.
func TestSolversOnGorgoniaNodes(t *testing.T) {
	g := gorgonia.NewGraph()
	w := gorgonia.NewVector(g, gorgonia.Float32, gorgonia.WithShape(2), gorgonia.WithName("w"),
		gorgonia.WithValue(valueFor([]int{2}, []float32{1, 2})))
	cost := gorgonia.Must(gorgonia.Sum(gorgonia.Must(gorgonia.Square(w))))
	if _, err := gorgonia.Grad(cost, w); err != nil {
		t.Fatal(err)
	}
	vm := gorgonia.NewTapeMachine(g, gorgonia.BindDualValues(w))
	defer vm.Close()
	if err := vm.RunAll(); err != nil {
		t.Fatal(err)
	}
	sgd := SGD[float32]{LR: 0.25}
	if err := sgd.Step([]Learnable{w}); err != nil {
		t.Fatal(err)
	}
	if got := w.Value().Data().([]float32); !slices.Equal(got, []float32{0.5, 1}) { // w − LR·2w
		t.Errorf("w is %v", got)
	}
	wrong := SGD[float64]{LR: 0.25}
	if err := wrong.Step([]Learnable{w}); err == nil || !strings.Contains(err.Error(), "float64") {
		t.Errorf("float32 for a float64 solver: %v", err)
	}
}

func TestClipGradNorm(t *testing.T) {
	inf, nan := float32(math.Inf(1)), float32(math.NaN())
	for _, c := range []struct {
		name   string
		g      []float32
		limit  float64
		norm   float64
		factor float32
		err    error
	}{
		{"above", []float32{3, 4}, 1, 5, 0.2, nil},
		{"below", []float32{3, 4}, 6, 5, 1, nil},
		{"zero", []float32{0, 0}, 1, 0, 1, nil},
		{"infinite", []float32{3, inf}, 1, math.Inf(1), 1, ErrNotFinite},
		{"not a number", []float32{3, nan}, 1, math.NaN(), 1, ErrNotFinite},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := NewParam("p", make([]float32, 2), slices.Clone(c.g))
			idle := NewParam("idle", make([]float32, 1), []float32{100})
			idle.active = false
			norm, err := ClipGradNorm[float32](learnables(p, idle), c.limit)
			if !errors.Is(err, c.err) || norm != c.norm && !math.IsNaN(c.norm) {
				t.Errorf("norm %v (%v), want %v (%v)", norm, err, c.norm, c.err)
			}
			for i, g := range p.G {
				want := c.g[i] * c.factor
				if g != want && !(math.Abs(float64(g-want)) < 1e-6) && !math.IsNaN(float64(want)) {
					t.Errorf("gradient %v, want %v times %v", p.G, c.g, c.factor)
				}
			}
			if idle.G[0] != 100 {
				t.Errorf("an idle gradient was scaled")
			}
		})
	}
}

func TestCosineLR(t *testing.T) {
	for _, c := range []struct {
		step, steps int
		want        float64
	}{{0, 10, 1}, {5, 10, 0.55}, {10, 10, 0.1}, {0, 0, 1}} {
		if got := CosineLR(1, 0.1, c.step, c.steps); math.Abs(got-c.want) > 1e-12 {
			t.Errorf("step %d of %d: %v, want %v", c.step, c.steps, got, c.want)
		}
	}
}

// SPDX-License-Identifier: Apache-2.0

package ridge

import (
	"math"
	"math/rand/v2"
	"testing"
)

// lines draws observations of 2·a − 3·b with noise.
func lines(rng *rand.Rand, n int, noise float64) (x [][]float64, y, own []float64) {
	for range n {
		a, b := rng.NormFloat64(), rng.NormFloat64()
		x = append(x, []float64{a, b})
		y = append(y, 2*a-3*b+noise*rng.NormFloat64())
	}
	return x, y, make([]float64, n)
}

func TestRidge(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 0))
	x, y, own := lines(rng, 100, 0.1)
	r := Fit(x, y, own, []float64{10, 10}, 1e-3)
	if math.Abs(r.Coefficients[0]-2) > 0.04 || math.Abs(r.Coefficients[1]+3) > 0.04 || r.Noise < 0.07 || r.Noise > 0.13 {
		t.Errorf("%+v", r)
	}
	// Each coefficient is known to noise/√n.
	if d := r.Deviation([]float64{1, 0}); d < 0.006 || d > 0.016 {
		t.Errorf("deviation %v, want about 0.01", d)
	}
	// A column without a prior deviation is not there.
	if r := Fit(x, y, own, []float64{10, 0}, 1e-3); r.Coefficients[1] != 0 {
		t.Errorf("%+v", r.Coefficients)
	}
	// One observation between noise and prior of equal deviation: half way.
	r = Fit([][]float64{{1}}, []float64{1}, []float64{0}, []float64{1}, 1)
	if math.Abs(r.Coefficients[0]-0.5) > 1e-12 || math.Abs(r.Deviation([]float64{1})-math.Sqrt(0.5)) > 1e-12 {
		t.Errorf("%+v", r)
	}
	// What nobody observed stays as the prior has it.
	r = Fit([][]float64{{1, 0}}, []float64{1}, []float64{0}, []float64{1, 0.3}, 1)
	if d := r.Deviation([]float64{0, 1}); math.Abs(d-0.3) > 1e-12 {
		t.Errorf("deviation %v, want that of the prior", d)
	}
}

func TestRidgeIsRobust(t *testing.T) {
	rng := rand.New(rand.NewPCG(2, 0))
	x, y, own := lines(rng, 100, 0.1)
	for i := range 10 {
		y[i] += 50
	}
	r := Fit(x, y, own, []float64{10, 10}, 1e-3)
	if math.Abs(r.Coefficients[0]-2) > 0.1 || math.Abs(r.Coefficients[1]+3) > 0.1 || r.Noise > 0.2 {
		t.Errorf("%+v", r)
	}
	// Vague observations count for little.
	x, y, own = lines(rng, 100, 0.1)
	for i := range 40 {
		y[i], own[i] = -y[i], 100
	}
	if r := Fit(x, y, own, []float64{10, 10}, 1e-3); math.Abs(r.Coefficients[0]-2) > 0.1 {
		t.Errorf("%+v", r.Coefficients)
	}
}

func TestRidgePanics(t *testing.T) {
	for name, fit := range map[string]func(){
		"none":    func() { Fit(nil, nil, nil, nil, 1) },
		"rows":    func() { Fit([][]float64{{1}}, []float64{1, 2}, []float64{0, 0}, []float64{1}, 1) },
		"columns": func() { Fit([][]float64{{1}}, []float64{1}, []float64{0}, []float64{1, 1}, 1) },
		"floor":   func() { Fit([][]float64{{1}}, []float64{1}, []float64{0}, []float64{1}, 0) },
		"NaN":     func() { Fit([][]float64{{math.NaN()}}, []float64{1}, []float64{0}, []float64{1}, 1) },
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s: no panic", name)
				}
			}()
			fit()
		}()
	}
}

// SPDX-License-Identifier: Apache-2.0

package search

import (
	"fmt"
	"math"
	"math/rand/v2"
)

// A Relaxation turns α into the supernet's mixture weights and brings the
// gradient back. All slices are row-major: one row for each decision, one
// column for each operation.
type Relaxation interface {
	// Name is the relaxation's name on the command line.
	Name() string
	// Paths reports whether only one operation of each row is ever open.
	Paths() bool
	// Forward writes the mixture weights p, and which of them take part (open),
	// given α. progress runs from 0 to 1 over the search; rng is the search's own.
	Forward(alpha, p []float64, open []bool, cols int, progress float64, rng *rand.Rand)
	// Backward adds to grad the gradient by α, given the gradient dp by the
	// mixture weights of the last Forward.
	Backward(dp, grad []float64, cols int)
	// New makes a relaxation of this kind that remembers no Forward.
	New() Relaxation
}

// Relaxations lists the relaxations. Append only.
var Relaxations = []Relaxation{&darts{}, &gdas{}}

// DefaultRelaxation names the relaxation of the main job; docs/METHODS.md says
// why.
const DefaultRelaxation = "gdas"

// Reinforce is the method in which α compares whole networks, by the score
// function (see [Stage]). It relaxes nothing.
const Reinforce = "reinforce"

// Methods lists the names of the ways in which the α of a Stage can learn: each
// relaxation, and Reinforce.
func Methods() []string {
	var names []string
	for _, r := range Relaxations {
		names = append(names, r.Name())
	}
	return append(names, Reinforce)
}

// Paths reports whether the method ever has only one operation of each row of α
// open.
func Paths(method string) bool {
	r, err := NewRelaxation(method)
	return err != nil || r.Paths()
}

// NewRelaxation makes the relaxation with this name.
func NewRelaxation(name string) (Relaxation, error) {
	var known []string
	for _, r := range Relaxations {
		if r.Name() == name {
			return r.New(), nil
		}
		known = append(known, r.Name())
	}
	return nil, fmt.Errorf("search: method %q: unknown; known are %q", name, known)
}

// temperature is that of the relaxation's last sample, nil where it has none.
func temperature(r Relaxation) *float64 {
	annealed, ok := r.(interface{ Temperature() float64 })
	if !ok {
		return nil
	}
	t := annealed.Temperature()
	return &t
}

// softmax writes softmax(scale·x) of each row.
func softmax(dst, x []float64, cols int, scale float64) {
	for at := 0; at < len(x); at += cols {
		row, out := x[at:at+cols], dst[at:at+cols]
		top := math.Inf(-1)
		for _, v := range row {
			top = max(top, v)
		}
		sum := 0.0
		for i, v := range row {
			out[i] = math.Exp(scale * (v - top))
			sum += out[i]
		}
		for i := range out {
			out[i] /= sum
		}
	}
}

// softmaxGradient adds scale·Jᵀ·dp to grad, J the Jacobian of p = softmax(·).
func softmaxGradient(grad, p, dp []float64, cols int, scale float64) {
	for at := 0; at < len(p); at += cols {
		mean := 0.0
		for i := at; i < at+cols; i++ {
			mean += p[i] * dp[i]
		}
		for i := at; i < at+cols; i++ {
			grad[i] += scale * p[i] * (dp[i] - mean)
		}
	}
}

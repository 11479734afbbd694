// SPDX-License-Identifier: Apache-2.0

package search

import (
	"fmt"
	"math"
	"math/rand/v2"
)

// Method turns α into the supernet's mixture weights and brings the gradient
// back. All slices are row-major: one row a decision, one column an operation.
type Method interface {
	// Name is the method's name on the command line.
	Name() string
	// Paths says that only one operation of each row is ever open.
	Paths() bool
	// Forward writes the mixture weights p and which of them take part (open),
	// given α. progress runs from 0 to 1 over the search; rng is the search's own.
	Forward(alpha, p []float64, open []bool, cols int, progress float64, rng *rand.Rand)
	// Backward adds to grad the gradient by α, given the gradient dp by the
	// mixture weights of the last Forward.
	Backward(dp, grad []float64, cols int)
	// New is a fresh method of this kind: methods remember their last Forward.
	New() Method
}

// Methods lists the methods. Append only.
var Methods = []Method{&darts{}, &gdas{}}

// DefaultMethod is the method of the main job; docs/METHODS.md says why.
const DefaultMethod = "gdas"

// NewMethod makes the method with this name.
func NewMethod(name string) (Method, error) {
	var known []string
	for _, m := range Methods {
		if m.Name() == name {
			return m.New(), nil
		}
		known = append(known, m.Name())
	}
	return nil, fmt.Errorf("search: method %q: unknown; known are %q", name, known)
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

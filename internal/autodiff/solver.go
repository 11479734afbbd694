// SPDX-License-Identifier: Apache-2.0

package autodiff

import (
	"fmt"
	"slices"

	"github.com/edgenas/edgenas/internal/kernels"
)

// Moments is what a solver remembers of one parameter, laid out as the
// parameter's values are.
type Moments[T kernels.Float] struct {
	Steps  int // how often the solver moved the parameter
	First  []T // SGD: the momentum buffer. Adam: mean of the gradient
	Second []T // Adam: mean of the squared gradient
}

// State is what a solver remembers, by name of parameter. A solver given the
// State of another continues exactly as that one would have.
type State[T kernels.Float] map[string]*Moments[T]

// of gives the moments of a parameter of n values, new ones at its first step.
func (s State[T]) of(name string, n int) (*Moments[T], error) {
	m := s[name]
	if m == nil {
		m = &Moments[T]{First: make([]T, n)}
		s[name] = m
	}
	if len(m.First) != n {
		return nil, fmt.Errorf("autodiff: solver: the state of %s has %d elements: want %d", name, len(m.First), n)
	}
	return m, nil
}

// Clone is a deep copy; that of nil is nil.
func (s State[T]) Clone() State[T] {
	if s == nil {
		return nil
	}
	c := State[T]{}
	for name, m := range s {
		c[name] = &Moments[T]{Steps: m.Steps, First: slices.Clone(m.First), Second: slices.Clone(m.Second)}
	}
	return c
}

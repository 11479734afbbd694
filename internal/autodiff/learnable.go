// SPDX-License-Identifier: Apache-2.0

package autodiff

import (
	"slices"

	"gorgonia.org/gorgonia"
)

// Learnable is what a solver moves: a parameter with its gradient. It lets
// packages that do not know Gorgonia make lists for solvers.
type Learnable = gorgonia.ValueGrad

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

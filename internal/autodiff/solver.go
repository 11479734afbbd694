// SPDX-License-Identifier: Apache-2.0

package autodiff

import (
	"errors"
	"fmt"

	"github.com/edgenas/edgenas/internal/kernels"
	"gorgonia.org/gorgonia"
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

// each calls do for every parameter that has a gradient.
func each[T kernels.Float](params []gorgonia.ValueGrad, do func(name string, w, g []T) error) error {
	for _, v := range params {
		p, ok := v.(*Param[T])
		if !ok {
			var err error
			if p, err = adopt[T](v); err != nil {
				return err
			}
		}
		if p.Learn && p.active {
			if err := do(p.Name, p.W, p.G); err != nil {
				return err
			}
		}
	}
	return nil
}

// adopt makes a parameter of another kind of gorgonia.ValueGrad, as nodes are.
func adopt[T kernels.Float](v gorgonia.ValueGrad) (*Param[T], error) {
	named, ok := v.(gorgonia.Namer)
	if !ok {
		return nil, fmt.Errorf("autodiff: solver: a %T has no name", v)
	}
	p := &Param[T]{Name: named.Name(), Learn: true, active: true}
	grad, err := v.Grad()
	if errors.Is(err, ErrIdle) {
		p.active = false
		return p, nil
	}
	if err == nil {
		if p.W, err = dataOf[T](v.Value()); err == nil {
			p.G, err = dataOf[T](grad)
		}
	}
	if err == nil && len(p.W) != len(p.G) {
		err = fmt.Errorf("%d values and %d gradients", len(p.W), len(p.G))
	}
	if err != nil {
		return nil, fmt.Errorf("autodiff: solver: %s: %w", p.Name, err)
	}
	return p, nil
}

// Learnables makes parameters an argument for solvers.
func Learnables[T kernels.Float](params ...*Param[T]) []gorgonia.ValueGrad {
	all := make([]gorgonia.ValueGrad, len(params))
	for i, p := range params {
		all[i] = p
	}
	return all
}

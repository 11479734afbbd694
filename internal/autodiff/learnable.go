// SPDX-License-Identifier: Apache-2.0

package autodiff

import (
	"fmt"

	"github.com/edgenas/edgenas/internal/kernels"
	"gorgonia.org/gorgonia"
)

// Learnable is what a solver moves: a parameter with its gradient. It lets
// packages that do not know Gorgonia make lists for solvers.
type Learnable = gorgonia.ValueGrad

// each calls do for every parameter that has a gradient.
func each[T kernels.Float](params []Learnable, do func(name string, w, g []T) error) error {
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
func adopt[T kernels.Float](v Learnable) (*Param[T], error) {
	named, ok := v.(gorgonia.Namer)
	if !ok {
		return nil, fmt.Errorf("autodiff: solver: a %T has no name", v)
	}
	p := &Param[T]{Name: named.Name(), Learn: true, active: true}
	grad, err := v.Grad()
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

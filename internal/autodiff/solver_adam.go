// SPDX-License-Identifier: Apache-2.0

package autodiff

import (
	"fmt"
	"math"

	"github.com/edgenas/edgenas/internal/kernels"
	"gorgonia.org/gorgonia"
)

// Adam is PyTorch's Adam, with weight decay added to the gradient. Nothing has
// a default: PyTorch's are LR 1e-3, Beta1 0.9, Beta2 0.999, Epsilon 1e-8.
// Source: Kingma, Ba, Adam, 2015, algorithm 1.
type Adam[T kernels.Float] struct {
	LR, Beta1, Beta2, Epsilon, WeightDecay float64
	State                                  State[T] // nil: nothing remembered yet

	move func(name string, w, g []T) error
}

var _ gorgonia.Solver = (*Adam[float32])(nil)

// Step moves every parameter that has a gradient. It allocates only at a
// parameter's first step.
func (a *Adam[T]) Step(params []Learnable) error {
	if a.State == nil {
		a.State = State[T]{}
	}
	if a.move == nil {
		a.move = a.one
	}
	return each(params, a.move)
}

func (a *Adam[T]) one(name string, w, g []T) error {
	m, err := a.State.of(name, len(w))
	if err != nil {
		return err
	}
	if m.Steps == 0 {
		m.Second = make([]T, len(w))
	}
	if len(m.Second) != len(w) {
		return fmt.Errorf("autodiff: solver: the state of %s has %d squares: want %d", name, len(m.Second), len(w))
	}
	m.Steps++
	t := float64(m.Steps)
	rate := T(a.LR / (1 - math.Pow(a.Beta1, t)))
	root := T(math.Sqrt(1 - math.Pow(a.Beta2, t)))
	newest1, keep2, newest2, decay, epsilon := T(1-a.Beta1), T(a.Beta2), T(1-a.Beta2), T(a.WeightDecay), T(a.Epsilon)
	first, second := m.First[:len(w)], m.Second[:len(w)]
	for i, d := range g[:len(w)] {
		d += decay * w[i]
		first[i] += newest1 * (d - first[i])
		second[i] = keep2*second[i] + newest2*d*d
		w[i] -= rate * first[i] / (T(math.Sqrt(float64(second[i])))/root + epsilon)
	}
	return nil
}

// SPDX-License-Identifier: Apache-2.0

package autodiff

import (
	"github.com/edgenas/edgenas/internal/kernels"
	"gorgonia.org/gorgonia"
)

// SGD is stochastic gradient descent as PyTorch's, without dampening:
//
//	d = gradient + WeightDecay·w,  v = Momentum·v + d (at first: d)
//	w −= LR·(d + Momentum·v if Nesterov, else v)
//
// Change LR between steps for a schedule.
type SGD[T kernels.Float] struct {
	LR, Momentum, WeightDecay float64
	Nesterov                  bool
	Pool                      *kernels.Workers // threads; nil: the caller's alone
	State                     State[T]         // nil: nothing remembered yet

	kernel kernels.SGD[T]
	move   func(name string, w, g []T) error
}

var _ gorgonia.Solver = (*SGD[float32])(nil)

// Step moves every parameter that has a gradient. It allocates only at a
// parameter's first step.
func (s *SGD[T]) Step(params []Learnable) error {
	s.prepare()
	return each(params, s.move)
}

// prepare makes what the first step needs.
func (s *SGD[T]) prepare() {
	if s.State == nil {
		s.State = State[T]{}
	}
	if s.Pool == nil {
		s.Pool = kernels.NewWorkers(1)
	}
	if s.move == nil {
		s.move = s.one
	}
}

func (s *SGD[T]) one(name string, w, g []T) error {
	m, err := s.State.of(name, len(w))
	if err != nil {
		return err
	}
	s.kernel = kernels.SGD[T]{LR: T(s.LR), Momentum: T(s.Momentum), WeightDecay: T(s.WeightDecay), Nesterov: s.Nesterov,
		W: w, G: g, V: m.First, First: m.Steps == 0}
	s.kernel.Run(s.Pool)
	m.Steps++
	return nil
}

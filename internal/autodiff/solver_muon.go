// SPDX-License-Identifier: Apache-2.0

package autodiff

import (
	"math"

	"github.com/edgenas/edgenas/internal/kernels"
	"gorgonia.org/gorgonia"
)

// Muon moves the weights of convolutions, but for depthwise ones, by steps that
// are nearly orthogonal matrices, and everything else by SGD. With a weight as a
// matrix W of kernel·kernel·in rows and out columns:
//
//	V = Momentum·V + gradient (at first: the gradient)
//	O = orthogonal(gradient + Momentum·V), see [kernels.Orthogonal]
//	W −= LR·√max(1, columns/rows)·(O + WeightDecay·W)
//
// A step so moves W as far in all directions that the gradients have, also in
// those where they are small: networks come to the same loss in fewer steps
// (docs/METHODS.md).
// Source: Jordan et al., Muon: An optimizer for hidden layers in neural networks,
// 2024.
type Muon[T kernels.Float] struct {
	LR, Momentum, WeightDecay float64 // LR 0: SGD moves those weights as well
	SGD                       SGD[T]  // its Pool and State are those of all parameters

	moves []*muonMove[T] // of this step
	known map[string]*muonMove[T]
	bench []muonBench[T] // one for each thread
	rest  []Learnable
}

// muonMove is a parameter that is a matrix, and how it moves.
type muonMove[T kernels.Float] struct {
	p       *Param[T]
	moments *Moments[T]
	kernel  kernels.Orthogonal[T]
}

// muonBench is what a thread works with.
type muonBench[T kernels.Float] struct {
	alone  *kernels.Workers // this thread
	sgd    kernels.SGD[T]
	buffer []T // the argument and the result of the kernel, and its scratch memory
}

var _ gorgonia.Solver = (*Muon[float32])(nil)

// Step moves every parameter that has a gradient. It allocates only at a
// parameter's first step.
func (s *Muon[T]) Step(params []Learnable) error {
	if s.LR == 0 {
		return s.SGD.Step(params)
	}
	s.SGD.prepare()
	s.rest, s.moves = s.rest[:0], s.moves[:0]
	for _, v := range params {
		p, ok := v.(*Param[T])
		if !ok || !p.isMatrix() {
			s.rest = append(s.rest, v)
		} else if p.Learn && p.active {
			m, err := s.move(p)
			if err != nil {
				return err
			}
			s.moves = append(s.moves, m)
		}
	}
	s.furnish()
	s.SGD.Pool.For(len(s.moves), s) // matrices are small: each has one thread
	return s.SGD.Step(s.rest)
}

// isMatrix says whether the parameter is that of a convolution that mixes channels.
func (p *Param[T]) isMatrix() bool { return len(p.Dims) == 4 && p.Dims[1] > 1 }

// move is how a parameter moves.
func (s *Muon[T]) move(p *Param[T]) (*muonMove[T], error) {
	moments, err := s.SGD.State.of(p.Name, len(p.W))
	if err != nil {
		return nil, err
	}
	m := s.known[p.Name]
	if m == nil {
		if s.known == nil {
			s.known = map[string]*muonMove[T]{}
		}
		cols := p.Dims[0]
		m = &muonMove[T]{kernel: kernels.Orthogonal[T]{Rows: len(p.W) / cols, Cols: cols}}
		s.known[p.Name] = m
	}
	m.p, m.moments = p, moments
	return m, nil
}

// furnish gives each thread what it needs for the largest of the matrices.
func (s *Muon[T]) furnish() {
	for len(s.bench) < s.SGD.Pool.Threads() {
		s.bench = append(s.bench, muonBench[T]{alone: kernels.NewWorkers(1)})
	}
	most := 0
	for _, m := range s.moves {
		most = max(most, 2*len(m.p.W)+m.kernel.ScratchLen(1))
	}
	for i := range s.bench {
		if b := &s.bench[i]; len(b.buffer) < most {
			b.buffer = make([]T, most)
		}
	}
}

// Do moves one of the matrices. It is for [kernels.Workers].
func (s *Muon[T]) Do(piece, worker int) {
	m, b := s.moves[piece], &s.bench[worker]
	p, k, n := m.p, &m.kernel, len(m.p.W)
	k.X, k.Y, k.Scratch = b.buffer[:n], b.buffer[n:2*n], b.buffer[2*n:]
	clear(k.X)
	b.sgd = kernels.SGD[T]{LR: -1, Momentum: T(s.Momentum), Nesterov: true, W: k.X, G: p.G, V: m.moments.First,
		First: m.moments.Steps == 0}
	b.sgd.Run(b.alone)
	k.Run(b.alone)
	rate := s.LR * math.Sqrt(max(1, float64(k.Cols)/float64(k.Rows)))
	b.sgd = kernels.SGD[T]{LR: T(rate), WeightDecay: T(s.WeightDecay), W: p.W, G: k.Y}
	b.sgd.Run(b.alone)
	m.moments.Steps++
}

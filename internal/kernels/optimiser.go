// SPDX-License-Identifier: Apache-2.0

package kernels

// SGD is one step of stochastic gradient descent for len(W) parameters, with
// PyTorch's rules:
//
//	d = G + WeightDecay·W
//	V = d if First, else Momentum·V + d
//	W −= LR·(d + Momentum·V if Nesterov, else V)
//
// With Momentum 0, W −= LR·d and V is not used. First is the first step.
type SGD[T Float] struct {
	LR, Momentum, WeightDecay T
	Nesterov                  bool
	W, G, V                   []T
	First                     bool
}

// Run updates W and V.
func (k *SGD[T]) Run(p *Pool) {
	need("sgd", "G", k.G, len(k.W))
	if k.Momentum != 0 {
		need("sgd", "V", k.V, len(k.W))
	}
	p.For(flatPieces(len(k.W)), (*sgdTask[T])(k))
}

type sgdTask[T Float] SGD[T]

func (k *sgdTask[T]) Do(piece, _ int) {
	first, end := flatAt(piece, len(k.W))
	w, g := k.W[first:end], k.G[first:end]
	if k.Momentum == 0 {
		for i, d := range g {
			w[i] -= k.LR * (d + k.WeightDecay*w[i])
		}
		return
	}
	v := k.V[first:end]
	for i, d := range g {
		d += k.WeightDecay * w[i]
		s := d
		if !k.First {
			s += k.Momentum * v[i]
		}
		v[i] = s
		if k.Nesterov {
			s = d + k.Momentum*s
		}
		w[i] -= k.LR * s
	}
}

// SumSquares is Out[0] = Σ X², in float64, for a gradient's norm.
type SumSquares[T Float] struct {
	X   []T
	Out []float64 // 1
}

// Run computes Out, on one thread.
func (k *SumSquares[T]) Run(*Pool) {
	need("sum of squares", "Out", k.Out, 1)
	var sum float64
	for _, v := range k.X {
		sum += float64(v) * float64(v)
	}
	k.Out[0] = sum
}

// Scale is X *= Factor.
type Scale[T Float] struct {
	Factor T
	X      []T
}

// Run scales X.
func (k *Scale[T]) Run(p *Pool) { p.For(flatPieces(len(k.X)), (*scaleTask[T])(k)) }

type scaleTask[T Float] Scale[T]

func (k *scaleTask[T]) Do(piece, _ int) {
	first, end := flatAt(piece, len(k.X))
	for i := range k.X[first:end] {
		k.X[first+i] *= k.Factor
	}
}

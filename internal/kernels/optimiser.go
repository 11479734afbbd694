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

	zero, one, momentum, decay, rate [panel]T // for every channel of affine
}

// Run updates W and V.
func (k *SGD[T]) Run(p *Workers) {
	need("sgd", "G", k.G, len(k.W))
	if k.Momentum != 0 {
		need("sgd", "V", k.V, len(k.W))
	}
	for i := range panel {
		k.one[i], k.momentum[i], k.decay[i], k.rate[i] = 1, k.Momentum, k.WeightDecay, -k.LR
	}
	p.For(flatPieces(len(k.W)), (*sgdTask[T])(k))
}

type sgdTask[T Float] SGD[T]

// Do takes a block that stays in the first-level cache through one sum after
// the other.
func (k *sgdTask[T]) Do(piece, _ int) {
	first, end := flatAt(piece, len(k.W))
	if k.Momentum == 0 || k.Nesterov {
		k.plain(first, end)
		return
	}
	m := loops[T]()
	for ; end-first >= panel; first += min(blockSize, (end-first)/panel*panel) {
		rows := min(blockSize, end-first) / panel
		w, g, v := k.W[first:], k.G[first:], k.V[first:]
		if k.First {
			m.affine2(v, g, w, k.one[:], k.decay[:], k.zero[:], rows, panel, panel, false)
		} else {
			m.affine2(v, v, g, k.momentum[:], k.one[:], k.zero[:], rows, panel, panel, false)
			m.affine(v, w, k.decay[:], k.zero[:], floorOf[T](false), rows, panel, panel, true)
		}
		m.affine(w, v, k.rate[:], k.zero[:], floorOf[T](false), rows, panel, panel, true)
	}
	k.plain(first, end)
}

// plain is the rule, element by element.
func (k *sgdTask[T]) plain(first, end int) {
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

// SumSquares is Σ x², for a gradient's norm, as eight sums in float64 that do
// not wait for one another.
func SumSquares[T Float](x []T) float64 {
	var a, b, c, d, e, f, g, h float64
	for ; len(x) >= 8; x = x[8:] {
		v := (*[8]T)(x)
		a += float64(v[0]) * float64(v[0])
		b += float64(v[1]) * float64(v[1])
		c += float64(v[2]) * float64(v[2])
		d += float64(v[3]) * float64(v[3])
		e += float64(v[4]) * float64(v[4])
		f += float64(v[5]) * float64(v[5])
		g += float64(v[6]) * float64(v[6])
		h += float64(v[7]) * float64(v[7])
	}
	for _, v := range x {
		a += float64(v) * float64(v)
	}
	return ((a + b) + (c + d)) + ((e + f) + (g + h))
}

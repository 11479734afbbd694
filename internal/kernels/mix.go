// SPDX-License-Identifier: Apache-2.0

package kernels

import (
	"math"
	"slices"
)

// MixTerm is one term of a mixture, P·f(X), where f(x) = x, or, if Norm,
// (x−mean)·invstd: a batch norm without affine, whose statistics [Mix] takes
// from this batch and leaves in Mean and InvStd (C), unless they are Given.
type MixTerm[T Float] struct {
	X            []T   // M·C
	Norm, Given  bool  //
	Mean, InvStd []T   // only if Norm
	Open         *bool // nil or true: takes part. False: nothing of it is read, only its DP is written, as 0
	P            *T

	// Backward pass.
	DX    []T  // gradient in X; nil is not wanted
	Coefs []T  // 3·C, nil is not wanted: DX is DY·a + X·b + d, channel by channel
	AddDX bool // DX is added to
	DP    *T   // gradient in P; nil is not wanted
}

func (t *MixTerm[T]) open() bool { return t.Open == nil || *t.Open }

func (t *MixTerm[T]) check(kernel string, m, c int) {
	need(kernel, "X", t.X, m*c)
	optional(kernel, "DX", t.DX, m*c)
	if t.Norm {
		need(kernel, "Mean", t.Mean, c)
		need(kernel, "InvStd", t.InvStd, c)
	}
}

// Mix is a mixture of candidate operations' outputs, M rows of C channels:
// Y = Σ P·f(X) over the open terms, 0 if there are none, + Y if Add.
// Source: Liu et al., DARTS, 2019, eq. 2; gates as in Dong, Yang, GDAS, 2019.
type Mix[T Float] struct {
	M, C       int
	Add        bool
	Epsilon    T
	Terms      []MixTerm[T]
	Y, Scratch []T
}

// ScratchLen is the length of Scratch.
func (x *Mix[T]) ScratchLen(int) int {
	return len(x.Terms) * (3*rowChunks{x.M, x.C}.count() + 2) * x.C
}

// coefficients are a term's scale and shift; partial its chunks' moments.
func (x *Mix[T]) coefficients(term int) []T { return x.Scratch[term*2*x.C:][:2*x.C] }

func (x *Mix[T]) partial(term int) []T {
	n := 3 * rowChunks{x.M, x.C}.count() * x.C
	return x.Scratch[len(x.Terms)*2*x.C+term*n:][:n]
}

// Run computes Y, and Mean and InvStd of the open terms with Norm.
func (x *Mix[T]) Run(p *Workers) {
	checkRows("mix", x.M, x.C)
	need("mix", "Y", x.Y, x.M*x.C)
	need("mix", "Scratch", x.Scratch, x.ScratchLen(p.Threads()))
	r := rowChunks{x.M, x.C}
	norm, open := false, false
	for i := range x.Terms {
		if t := &x.Terms[i]; t.open() {
			open = true
			t.check("mix", x.M, x.C)
			norm = norm || t.Norm && !t.Given
		}
	}
	if !open && x.Add {
		return
	}
	if norm {
		p.For(r.count()*len(x.Terms), (*mixMoments[T])(x))
	}
	for i := range x.Terms {
		t := &x.Terms[i]
		if !t.open() {
			continue
		}
		scale, shift := x.coefficients(i)[:x.C], x.coefficients(i)[x.C:]
		for ch := range x.C {
			scale[ch], shift[ch] = *t.P, 0
			if t.Norm {
				if !t.Given {
					mean, squares := combine(r, x.partial(i), ch)
					t.Mean[ch], t.InvStd[ch] = T(mean), T(1/math.Sqrt(squares/float64(x.M)+float64(x.Epsilon)))
				}
				mean, inverse := float64(t.Mean[ch]), float64(t.InvStd[ch])
				scale[ch], shift[ch] = T(float64(*t.P)*inverse), T(-float64(*t.P)*inverse*mean)
			}
		}
	}
	p.For(r.count(), (*mixApply[T])(x))
}

// mixMoments takes the statistics of a chunk of a term.
type mixMoments[T Float] Mix[T]

func (x *mixMoments[T]) Do(piece, _ int) {
	r := rowChunks{x.M, x.C}
	term, chunk := piece/r.count(), piece%r.count()
	if t := &x.Terms[term]; t.Norm && !t.Given && t.open() {
		at, rows := r.at(chunk)
		moments(loops[T](), (*Mix[T])(x).partial(term)[3*chunk*x.C:], t.X[at:], rows, x.C)
	}
}

// blockSize elements of Y stay in the first-level cache while the terms are
// added to them: 8 KiB of float32.
const blockSize = 2 << 10

// mixApply writes a chunk of Y.
type mixApply[T Float] Mix[T]

func (x *mixApply[T]) Do(chunk, _ int) {
	m, none := loops[T](), floorOf[T](false)
	first, rows := rowChunks{x.M, x.C}.at(chunk)
	block := max(1, blockSize/x.C)
	for r := 0; r < rows; r += block {
		at, n := first+r*x.C, min(block, rows-r)
		add := x.Add
		for i := range x.Terms {
			if t := &x.Terms[i]; t.open() {
				f := (*Mix[T])(x).coefficients(i)
				m.affine(x.Y[at:], t.X[at:], f, f[x.C:], none, n, x.C, x.C, add)
				add = true
			}
		}
		if !add {
			clear(x.Y[at:][:n*x.C])
		}
	}
}

// MixBackward is the gradient of [Mix] in every open term's X and P: DX,
// through the batch norm if Norm, and DP = Σ DY·f(X). DY must not be a DX;
// terms may share a DX if all but the first have AddDX.
type MixBackward[T Float] struct {
	M, C        int
	Terms       []MixTerm[T]
	DY, Scratch []T
}

// ScratchLen is the length of Scratch.
func (x *MixBackward[T]) ScratchLen(int) int {
	return (len(x.Terms)*(2*rowChunks{x.M, x.C}.count()+3) + 1) * x.C
}

// coefficients are a term's a, b and d; partial its chunks' sums; zero is C zeros.
func (x *MixBackward[T]) coefficients(term int) []T { return x.Scratch[term*3*x.C:][:3*x.C] }

func (x *MixBackward[T]) partial(term int) []T {
	n := 2 * rowChunks{x.M, x.C}.count() * x.C
	return x.Scratch[(len(x.Terms)*3+1)*x.C+term*n:][:n]
}

func (x *MixBackward[T]) zero() []T { return x.Scratch[len(x.Terms)*3*x.C:][:x.C] }

// Run computes the DX and DP of all terms.
func (x *MixBackward[T]) Run(p *Workers) {
	const kernel = "mix backward"
	checkRows(kernel, x.M, x.C)
	need(kernel, "DY", x.DY, x.M*x.C)
	need(kernel, "Scratch", x.Scratch, x.ScratchLen(p.Threads()))
	r := rowChunks{x.M, x.C}
	clear(x.zero())
	for i := range x.Terms {
		if t := &x.Terms[i]; t.open() {
			t.check(kernel, x.M, x.C)
		} else if t.DP != nil {
			*t.DP = 0
		}
	}
	p.For(r.count(), (*mixSums[T])(x))
	for i := range x.Terms {
		if t := &x.Terms[i]; t.open() {
			x.solve(t, x.coefficients(i), x.partial(i))
			copy(t.Coefs, x.coefficients(i))
		}
	}
	if slices.ContainsFunc(x.Terms, func(t MixTerm[T]) bool { return t.open() && t.DX != nil }) {
		p.For(r.count(), (*mixGradient[T])(x))
	}
}

// solve turns a term's sums into DP and into the coefficients of DX.
func (x *MixBackward[T]) solve(t *MixTerm[T], f, partial []T) {
	r := rowChunks{x.M, x.C}
	var dp float64
	for ch := range x.C {
		f[ch], f[x.C+ch], f[2*x.C+ch] = *t.P, 0, 0
		if !t.sums() {
			continue
		}
		dot := total(r, partial[x.C:], 2*x.C, ch)
		if t.Norm {
			sum, invstd := total(r, partial, 2*x.C, ch), float64(t.InvStd[ch])
			a, b, d := normGradient(float64(*t.P), float64(t.Mean[ch]), invstd, sum, dot, x.M)
			f[ch], f[x.C+ch], f[2*x.C+ch] = T(a), T(b), T(d)
			dot *= invstd
		}
		dp += dot
	}
	if t.DP != nil {
		*t.DP = T(dp)
	}
}

// sums reports that a term's gradients need its sums.
func (t *MixTerm[T]) sums() bool { return t.Norm || t.DP != nil }

// mixSums sums dy and dy·(x − mean) over a chunk of every open term.
type mixSums[T Float] MixBackward[T]

func (x *mixSums[T]) Do(chunk, _ int) {
	at, rows := rowChunks{x.M, x.C}.at(chunk)
	b := (*MixBackward[T])(x)
	for i := range x.Terms {
		t := &x.Terms[i]
		if !t.open() || !t.sums() {
			continue
		}
		center := b.zero()
		if t.Norm {
			center = t.Mean
		}
		sums := b.partial(i)[2*chunk*x.C:][:2*x.C]
		clear(sums)
		loops[T]().reduce(sums, sums[x.C:], x.DY[at:], b.zero(), t.X[at:], center, floorOf[T](false), rows, x.C, x.C)
	}
}

// mixGradient writes a chunk of every wanted DX.
type mixGradient[T Float] MixBackward[T]

func (x *mixGradient[T]) Do(chunk, _ int) {
	m := loops[T]()
	at, rows := rowChunks{x.M, x.C}.at(chunk)
	for i := range x.Terms {
		t := &x.Terms[i]
		if !t.open() || t.DX == nil {
			continue
		}
		f := (*MixBackward[T])(x).coefficients(i)
		if t.Norm {
			m.affine2(t.DX[at:], x.DY[at:], t.X[at:], f, f[x.C:], f[2*x.C:], rows, x.C, x.C, t.AddDX)
		} else {
			m.affine(t.DX[at:], x.DY[at:], f, f[2*x.C:], floorOf[T](false), rows, x.C, x.C, t.AddDX)
		}
	}
}

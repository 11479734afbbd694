// SPDX-License-Identifier: Apache-2.0

package kernels

import (
	"fmt"
	"math"
)

// Orthogonal makes Y (Rows,Cols) of X: a matrix with the same singular vectors,
// whose singular values are near 1 unless those of X differ by a factor of
// hundreds. X is scaled meanwhile. Y is 0 if X is.
//
// Five Newton-Schulz steps X ← a·X + b·X·XᵀX + c·X·(XᵀX)² take the singular
// values there. All of them are factors of X on the side of fewer rows or
// columns, so that only X's Gram matrix is iterated, and X multiplied once.
// Source: Jordan et al., Muon: An optimizer for hidden layers in neural networks,
// 2024, with its a, b and c.
type Orthogonal[T Float] struct {
	Rows, Cols    int
	X, Y, Scratch []T

	gram   PointwiseBackward[T] // XᵀX
	square Pointwise[T]         // a product of matrices of the smaller side
	scale  Pointwise[T]         // X times such a matrix
}

const (
	schulzSteps = 5
	schulzA     = 3.4445
	schulzB     = -4.7750
	schulzC     = 2.0315
)

// sides are the longer and the shorter side of X.
func (k *Orthogonal[T]) sides() (long, short int) { return max(k.Rows, k.Cols), min(k.Rows, k.Cols) }

// asImage is a matrix of so many rows as an image of one row, a pixel for each of its own.
func asImage(rows, channels int) PointwiseShape {
	return PointwiseShape{N: 1, H: 1, W: rows, Out: channels, Channels: []int{channels}}
}

func (k *Orthogonal[T]) plan() {
	if k.gram.N > 0 {
		return
	}
	if min(k.Rows, k.Cols) < 1 {
		panic(fmt.Sprintf("kernels: orthogonal: bad shape %d×%d", k.Rows, k.Cols))
	}
	long, short := k.sides()
	k.gram = PointwiseBackward[T]{PointwiseShape: asImage(long, short), Add: []bool{false}, Xs: make([][]T, 1),
		DXs: make([][]T, 1)}
	k.square = Pointwise[T]{PointwiseShape: asImage(short, short), Xs: make([][]T, 1)}
	k.scale = Pointwise[T]{PointwiseShape: k.gram.PointwiseShape, Xs: make([][]T, 1)}
}

// squares is how many matrices of the smaller side are in use at once.
const squares = 5

// workLen is what the products need.
func (k *Orthogonal[T]) workLen(threads int) int {
	return max(k.gram.ScratchLen(threads), k.square.ScratchLen(threads), k.scale.ScratchLen(threads))
}

// ScratchLen returns the length that Scratch must have for so many threads.
func (k *Orthogonal[T]) ScratchLen(threads int) int {
	k.plan()
	_, short := k.sides()
	n := squares*short*short + k.workLen(threads)
	if k.Rows < k.Cols {
		n += 2 * k.Rows * k.Cols
	}
	return n
}

// Run computes Y. The shape must stay what it was in the first run.
func (k *Orthogonal[T]) Run(pool *Workers) {
	const kernel = "orthogonal"
	k.plan()
	size := k.Rows * k.Cols
	need(kernel, "X", k.X, size)
	need(kernel, "Y", k.Y, size)
	need(kernel, "Scratch", k.Scratch, k.ScratchLen(pool.Threads()))
	norm := math.Sqrt(SumSquares(k.X[:size]))
	if norm == 0 {
		clear(k.Y[:size])
		return
	}
	for i := range k.X[:size] {
		k.X[i] /= T(norm)
	}
	if k.Rows >= k.Cols {
		k.tall(k.X[:size], k.Y[:size], k.Scratch, pool)
		return
	}
	x, y, rest := k.Scratch[:size], k.Scratch[size:2*size], k.Scratch[2*size:]
	HWIOToOIHW(x, k.X, k.Cols, k.Rows, 1)
	k.tall(x, y, rest, pool)
	OIHWToHWIO(k.Y, y, k.Cols, k.Rows, 1)
}

// tall computes y of x, both with as many rows as columns or more.
func (k *Orthogonal[T]) tall(x, y, scratch []T, pool *Workers) {
	_, n := k.sides()
	work := scratch[squares*n*n:]
	k.gram.Scratch, k.square.Scratch, k.scale.Scratch = work, work, work
	at := func(i int) []T { return scratch[i*n*n:][:n*n] }
	gram, step, factor, a, b := at(0), at(1), at(2), at(3), at(4)
	clear(step)
	k.gram.Xs[0], k.gram.DY, k.gram.Weights, k.gram.DWeights = x, x, step, gram
	k.gram.Run(pool)
	times := func(y, x, w []T) {
		k.square.Xs[0], k.square.Weights, k.square.Y = x, w, y
		k.square.Run(pool)
	}
	for i := range schulzSteps {
		times(step, gram, gram)
		for j, v := range gram {
			step[j] = T(schulzB*v) + T(schulzC*step[j]) // no fused multiply-add
		}
		for j := 0; j < len(step); j += n + 1 {
			step[j] += schulzA
		}
		if i == 0 {
			copy(factor, step)
		} else {
			times(a, factor, step)
			factor, a = a, factor
		}
		if i < schulzSteps-1 {
			times(b, step, gram)
			times(gram, b, step)
		}
	}
	k.scale.Xs[0], k.scale.Weights, k.scale.Y = x, factor, y
	k.scale.Run(pool)
}

// SPDX-License-Identifier: Apache-2.0

package kernels

import "fmt"

// Concat puts the channels of several maps side by side: each of the M rows
// (pixels) of Y is that row of Xs[0], then of Xs[1], …; Xs[i] has Channels[i].
type Concat[T Float] struct {
	M        int
	Channels []int
	Xs       [][]T
	Y        []T

	width int
}

// Run computes Y.
func (k *Concat[T]) Run(p *Workers) {
	k.width = concatWidth("concat", k.M, k.Channels, len(k.Xs))
	for i, x := range k.Xs {
		need("concat", "Xs", x, k.M*k.Channels[i])
	}
	need("concat", "Y", k.Y, k.M*k.width)
	p.For(rowPieces(k.M, k.width), (*concatTask[T])(k))
}

type concatTask[T Float] Concat[T]

func (k *concatTask[T]) Do(piece, _ int) {
	first, end := rowsAt(piece, k.M, k.width)
	at := 0
	for i, x := range k.Xs {
		c := k.Channels[i]
		for m := first; m < end; m++ {
			copy(k.Y[m*k.width+at:][:c], x[m*c:])
		}
		at += c
	}
}

// ConcatBackward is the gradient of Concat in its inputs: DXs[i] is input i's
// channels of DY, or DXs[i] + them if Add[i]. A nil DXs[i] is left out; a nil
// Add adds to none.
type ConcatBackward[T Float] struct {
	M        int
	Channels []int
	DY       []T
	DXs      [][]T
	Add      []bool

	width int
}

// Run computes DXs.
func (k *ConcatBackward[T]) Run(p *Workers) {
	k.width = concatWidth("concat backward", k.M, k.Channels, len(k.DXs))
	for i, dx := range k.DXs {
		optional("concat backward", "DXs", dx, k.M*k.Channels[i])
	}
	need("concat backward", "DY", k.DY, k.M*k.width)
	if k.Add != nil {
		need("concat backward", "Add", k.Add, len(k.DXs))
	}
	p.For(rowPieces(k.M, k.width), (*concatBackwardTask[T])(k))
}

type concatBackwardTask[T Float] ConcatBackward[T]

func (k *concatBackwardTask[T]) Do(piece, _ int) {
	add, floor := loops[T]().add, floorOf[T](false)
	first, end := rowsAt(piece, k.M, k.width)
	at := 0
	for i, dx := range k.DXs {
		c := k.Channels[i]
		for m := first; m < end && dx != nil; m++ {
			dst, src := dx[m*c:][:c], k.DY[m*k.width+at:][:c]
			if k.Add != nil && k.Add[i] {
				add(dst, dst, src, floor)
			} else {
				copy(dst, src)
			}
		}
		at += c
	}
}

// concatWidth is the sum of the channels of n maps.
func concatWidth(kernel string, m int, channels []int, n int) (width int) {
	if len(channels) != n || n == 0 {
		panic(fmt.Sprintf("kernels: %s: channels of %d maps for %d", kernel, len(channels), n))
	}
	for _, c := range channels {
		checkRows(kernel, m, c)
		width += c
	}
	return width
}

// rowPieces is the number of pieces of m rows of so many elements, each about
// as large as a piece of an elementwise kernel.
func rowPieces(m, width int) int { return (m + pieceRows(width) - 1) / pieceRows(width) }

// rowsAt is the range of a piece's rows.
func rowsAt(piece, m, width int) (first, end int) {
	return piece * pieceRows(width), min(m, (piece+1)*pieceRows(width))
}

func pieceRows(width int) int { return max(1, flatSize/width) }

// SPDX-License-Identifier: Apache-2.0

package kernels

// flatSize elements are a piece of an elementwise kernel: 64 KiB of float32.
const flatSize = 16 << 10

// flatPieces is the number of pieces of n elements.
func flatPieces(n int) int { return (n + flatSize - 1) / flatSize }

// flatAt is the range of a piece's elements.
func flatAt(piece, n int) (first, end int) {
	return piece * flatSize, min(n, (piece+1)*flatSize)
}

// ReLU is Y = max(0, X) for len(Y) elements; NaN stays. Y may be X.
type ReLU[T Float] struct{ X, Y []T }

// Run computes Y.
func (k *ReLU[T]) Run(p *Workers) {
	need("relu", "X", k.X, len(k.Y))
	p.For(flatPieces(len(k.Y)), (*reluTask[T])(k))
}

type reluTask[T Float] ReLU[T]

func (k *reluTask[T]) Do(piece, _ int) {
	i, end := flatAt(piece, len(k.Y))
	loops[T]().relu(k.Y[i:end], k.X[i:end])
}

// ReLUBackward is DX = [X > 0]·DY for len(DX) elements, or DX + it if Add. DX may be DY.
type ReLUBackward[T Float] struct {
	Add       bool
	X, DY, DX []T
}

// Run computes DX.
func (k *ReLUBackward[T]) Run(p *Workers) {
	need("relu backward", "X", k.X, len(k.DX))
	need("relu backward", "DY", k.DY, len(k.DX))
	p.For(flatPieces(len(k.DX)), (*reluBackwardTask[T])(k))
}

type reluBackwardTask[T Float] ReLUBackward[T]

func (k *reluBackwardTask[T]) Do(piece, _ int) {
	i, end := flatAt(piece, len(k.DX))
	loops[T]().reluGrad(k.DX[i:end], k.X[i:end], k.DY[i:end], k.Add)
}

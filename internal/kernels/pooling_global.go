// SPDX-License-Identifier: Apache-2.0

package kernels

// GlobalAvgPool is the mean over an image's pixels: X is N,HW,C, Y is N,C.
type GlobalAvgPool[T Float] struct {
	N, HW, C int
	X, Y     []T
}

// Run computes Y.
func (k *GlobalAvgPool[T]) Run(p *Workers) {
	checkRows("global average pool", k.N*k.HW, k.C)
	need("global average pool", "X", k.X, k.N*k.HW*k.C)
	need("global average pool", "Y", k.Y, k.N*k.C)
	p.For(k.N, (*globalAvgPoolTask[T])(k))
}

// globalAvgPoolTask does an image.
type globalAvgPoolTask[T Float] GlobalAvgPool[T]

func (k *globalAvgPoolTask[T]) Do(image, _ int) {
	m := loops[T]()
	x, y := k.X[image*k.HW*k.C:][:k.HW*k.C], k.Y[image*k.C:][:k.C]
	copy(y, x)
	for i := 1; i < k.HW; i++ {
		m.add(y, y, x[i*k.C:][:k.C], floorOf[T](false))
	}
	for ch := range y {
		y[ch] /= T(k.HW)
	}
}

// GlobalAvgPoolBackward is the gradient of [GlobalAvgPool] in X: DX, or DX + it if Add.
type GlobalAvgPoolBackward[T Float] struct {
	N, HW, C int
	Add      bool
	DY, DX   []T
}

// Run computes DX.
func (k *GlobalAvgPoolBackward[T]) Run(p *Workers) {
	checkRows("global average pool backward", k.N*k.HW, k.C)
	need("global average pool backward", "DY", k.DY, k.N*k.C)
	need("global average pool backward", "DX", k.DX, k.N*k.HW*k.C)
	p.For(k.N, (*globalAvgPoolBackwardTask[T])(k))
}

// globalAvgPoolBackwardTask does an image.
type globalAvgPoolBackwardTask[T Float] GlobalAvgPoolBackward[T]

func (k *globalAvgPoolBackwardTask[T]) Do(image, _ int) {
	dy := k.DY[image*k.C:][:k.C]
	for i := range k.HW {
		dx := k.DX[(image*k.HW+i)*k.C:][:k.C]
		for ch, d := range dy {
			d /= T(k.HW)
			if k.Add {
				d += dx[ch]
			}
			dx[ch] = d
		}
	}
}

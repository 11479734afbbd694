// SPDX-License-Identifier: Apache-2.0

package kernels

import "testing"

// flatLengths: none, fewer than a vector, several pieces.
var flatLengths = []int{0, 1, 7, 100, 2*flatSize + 3}

func TestReLU(t *testing.T) {
	each(t, func(t *testing.T) {
		for _, n := range flatLengths {
			x, dy, before := random[float64](1, n), random[float64](2, n), random[float64](3, n)
			promises(t, func(int) (*ReLU[float32], [][]float32) {
				k := &ReLU[float32]{X: convert[float32](x), Y: scratch[float32](n)}
				run(k)
				near(t, "Y", k.Y, relu64(x), 1e-7)
				return k, [][]float32{k.Y}
			})
			back := &ReLUBackward[float64]{X: x, DY: dy, DX: scratch[float64](n)}
			run(back)
			gradient(t, "DX", x, back.DX, dy, func() []float64 { return relu64(x) })
			promises(t, func(int) (*ReLUBackward[float32], [][]float32) {
				k := &ReLUBackward[float32]{Add: true, X: convert[float32](x), DY: convert[float32](dy),
					DX: convert[float32](before)}
				run(k)
				near(t, "DX with Add", k.DX, plus(before, back.DX), 1e-6)
				copy(k.DX, convert[float32](before))
				return k, [][]float32{k.DX}
			})
		}
	})
}

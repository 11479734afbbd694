// SPDX-License-Identifier: Apache-2.0

package kernels

import "testing"

func TestGlobalAvgPool(t *testing.T) {
	each(t, func(t *testing.T) {
		const n, hw, c = 3, 7, 19
		x, dy, before := random[float64](1, n*hw*c), random[float64](2, n*c), random[float64](3, n*hw*c)
		forward := func() []float64 {
			y := make([]float64, n*c)
			for i, v := range x {
				y[i/(hw*c)*c+i%c] += v / hw
			}
			return y
		}
		promises(t, func(int) (*GlobalAvgPool[float32], [][]float32) {
			k := &GlobalAvgPool[float32]{N: n, HW: hw, C: c, X: convert[float32](x), Y: scratch[float32](n * c)}
			run(k)
			near(t, "Y", k.Y, forward(), tolerance[float32]())
			return k, [][]float32{k.Y}
		})
		back := &GlobalAvgPoolBackward[float64]{N: n, HW: hw, C: c, DY: dy, DX: clone(before)}
		run(back)
		gradient(t, "DX", x, back.DX, dy, forward)
		promises(t, func(int) (*GlobalAvgPoolBackward[float32], [][]float32) {
			k := &GlobalAvgPoolBackward[float32]{N: n, HW: hw, C: c, Add: true, DY: convert[float32](dy),
				DX: convert[float32](before)}
			run(k)
			near(t, "DX with Add", k.DX, plus(before, back.DX), tolerance[float32]())
			copy(k.DX, convert[float32](before))
			return k, [][]float32{k.DX}
		})
	})
}

// SPDX-License-Identifier: Apache-2.0

package kernels

import "testing"

func TestLinear(t *testing.T) {
	for _, s := range []struct{ n, in, out int }{{1, 1, 1}, {3, 5, 2}, {64, 64, 10}} {
		x, w, b := random[float64](1, s.n*s.in), random[float64](2, s.in*s.out), random[float64](3, s.out)
		dy, before := random[float64](4, s.n*s.out), random[float64](5, s.n*s.in)
		forward := func() []float64 {
			y := make([]float64, s.n*s.out)
			for i := range y {
				n, o := i/s.out, i%s.out
				y[i] = b[o]
				for j := range s.in {
					y[i] += x[n*s.in+j] * w[j*s.out+o]
				}
			}
			return y
		}
		promises(t, func(int) (*Linear[float32], [][]float32) {
			k := &Linear[float32]{N: s.n, In: s.in, Out: s.out, X: convert[float32](x), Weights: convert[float32](w),
				Bias: convert[float32](b), Y: scratch[float32](s.n * s.out)}
			run(k)
			near(t, "Y", k.Y, forward(), tolerance[float32]())
			return k, [][]float32{k.Y}
		})
		back := func() *LinearBackward[float64] {
			return &LinearBackward[float64]{N: s.n, In: s.in, Out: s.out, X: x, Weights: w, DY: dy,
				DX: clone(before), DW: scratch[float64](s.in * s.out), DB: scratch[float64](s.out)}
		}
		promises(t, func(int) (*LinearBackward[float64], [][]float64) {
			k := back()
			return k, [][]float64{k.DX, k.DW, k.DB}
		})
		k := back()
		run(k)
		gradient(t, "DX", x, k.DX, dy, forward)
		gradient(t, "DW", w, k.DW, dy, forward)
		gradient(t, "DB", b, k.DB, dy, forward)
		plain := clone(k.DX)
		k.Add, k.DX, k.DW, k.DB = true, clone(before), nil, nil
		run(k)
		near(t, "DX with Add", k.DX, plus(before, plain), 1e-14)
		run(&LinearBackward[float64]{N: s.n, In: s.in, Out: s.out, DY: dy, DB: scratch[float64](s.out)})
	}
}

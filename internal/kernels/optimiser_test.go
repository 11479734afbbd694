// SPDX-License-Identifier: Apache-2.0

package kernels

import "testing"

// TestSGD follows two parameters for three steps by PyTorch's formula.
func TestSGD(t *testing.T) {
	const lr, decay = 0.1, 0.01
	for _, c := range []struct {
		name     string
		momentum float64
		nesterov bool
	}{{"plain", 0, false}, {"momentum", 0.9, false}, {"nesterov", 0.9, true}} {
		t.Run(c.name, func(t *testing.T) {
			w, want, v := []float64{1, -2}, []float64{1, -2}, make([]float64, 2)
			k := &SGD[float64]{LR: lr, Momentum: c.momentum, WeightDecay: decay, Nesterov: c.nesterov, W: w,
				G: make([]float64, 2), V: scratch[float64](2), First: true}
			for step := range 3 {
				for i := range w {
					k.G[i] = float64(step+1) * float64(2*i-1)
					d := k.G[i] + decay*want[i]
					v[i] = c.momentum*v[i] + d
					s := v[i]
					if c.nesterov {
						s = d + c.momentum*v[i]
					}
					want[i] -= lr * s
				}
				run(k)
				k.First = false
				near(t, "W", w, want, 1e-14)
			}
		})
	}
	promises(t, func(int) (*SGD[float32], [][]float32) {
		n := 2*flatSize + 3
		k := &SGD[float32]{LR: lr, Momentum: 0.9, W: random[float32](1, n), G: random[float32](2, n),
			V: random[float32](3, n)}
		return k, [][]float32{k.W, k.V}
	})
}

// TestSGDLong compares whole blocks with the rule for single elements.
func TestSGDLong(t *testing.T) {
	for _, n := range []int{15, 16, blockSize, flatSize + 3*blockSize + 37} {
		k := &SGD[float32]{LR: 0.1, Momentum: 0.9, WeightDecay: 0.01, First: true, W: random[float32](1, n),
			G: random[float32](2, n), V: scratch[float32](n)}
		want := &SGD[float64]{LR: 0.1, Momentum: 0.9, WeightDecay: 0.01, First: true, W: convert[float64](k.W),
			G: convert[float64](k.G), V: make([]float64, n)}
		for range 3 {
			run(k)
			(*sgdTask[float64])(want).plain(0, n)
			near(t, "W", convert[float64](k.W), want.W, 1e-5)
			near(t, "V", convert[float64](k.V), want.V, 1e-5)
			k.First, want.First = false, false
		}
	}
}

func TestSumSquares(t *testing.T) {
	for n := range 19 {
		x := random[float32](1, n)
		var want float64
		for _, v := range x {
			want += float64(v) * float64(v)
		}
		near(t, "sum", []float64{SumSquares(x)}, []float64{want}, 1e-12)
	}
}

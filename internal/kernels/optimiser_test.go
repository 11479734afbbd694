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
			k := &SGD[float64]{LR: lr, Momentum: c.momentum, WeightDecay: decay, Nesterov: c.nesterov, W: w, G: make([]float64, 2), V: scratch[float64](2), First: true}
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
		k := &SGD[float32]{LR: lr, Momentum: 0.9, W: random[float32](1, n), G: random[float32](2, n), V: random[float32](3, n)}
		return k, [][]float32{k.W, k.V}
	})
}

func TestSumSquaresAndScale(t *testing.T) {
	x := random[float32](1, 2*flatSize+3)
	sum := &SumSquares[float32]{X: x, Out: make([]float64, 1)}
	run(sum)
	var want float64
	for _, v := range x {
		want += float64(v) * float64(v)
	}
	near(t, "sum", sum.Out, []float64{want}, 1e-12)
	promises(t, func(int) (*Scale[float32], [][]float32) {
		k := &Scale[float32]{Factor: 0.25, X: clone(x)}
		return k, [][]float32{k.X}
	})
	k := &Scale[float32]{Factor: 0.25, X: clone(x)}
	run(k)
	for i, v := range k.X {
		if v != x[i]*0.25 {
			t.Fatalf("X[%d] = %v, want %v", i, v, x[i]*0.25)
		}
	}
}

// SPDX-License-Identifier: Apache-2.0

package kernels

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
)

// onEachFiltering runs f on each implementation that has loops for minimal filtering.
func onEachFiltering(t *testing.T, f func(t *comparison, m *filtering[float32], g *guarded)) {
	onEach(t, func(t *comparison, m *micro[float32], odd bool) {
		for seed := uint64(0); m.product != nil && seed < 60; seed++ {
			g := newGuarded(seed, odd)
			f(t, &m.filtering, g)
			g.check(t.T)
		}
	})
}

// strides are at random, but what is written does not overlap.
func (g *guarded) strides(taps, planes, rows, c int) strides {
	s := strides{row: c + g.rng.IntN(3)}
	s.tap = rows*s.row + g.rng.IntN(3)
	s.plane = taps*s.tap + g.rng.IntN(3)
	if g.rng.IntN(2) == 0 {
		s.tap, s.row = s.row, taps*s.row+g.rng.IntN(3)
		s.plane = rows*s.row + g.rng.IntN(3)
	}
	return s
}

func TestMicroPoints(t *testing.T) {
	onEachFiltering(t, func(t *comparison, m *filtering[float32], g *guarded) {
		planes, rows, c := 1+g.rng.IntN(3), 1+g.rng.IntN(4), panel*(1+g.rng.IntN(4))
		floor := []float64{0, math.Inf(-1)}[g.rng.IntN(2)]
		for _, k := range []struct {
			name     string
			from, to int
			got      func(y []float32, ys strides, x []float32, xs strides, planes, rows, c int)
			want     func(y []float64, ys strides, x []float64, xs strides, planes, rows, c int)
		}{
			{"inputPoints", 6, 6, func(y []float32, ys strides, x []float32, xs strides, planes, rows, c int) {
				m.inputPoints(y, ys, x, xs, planes, rows, c, float32(floor))
			}, func(y []float64, ys strides, x []float64, xs strides, planes, rows, c int) {
				reference.inputPoints(y, ys, x, xs, planes, rows, c, floor)
			}},
			{"weightPoints", 3, 6, m.weightPoints, reference.weightPoints},
			{"weightTaps", 6, 3, m.weightTaps, reference.weightTaps},
			{"outputPoints", 4, 6, m.outputPoints, reference.outputPoints},
		} {
			xs, ys := g.strides(k.from, planes, rows, c), g.strides(k.to, planes, rows, c)
			x, y := g.slice(xs.last(k.from, planes, rows, c)+1), g.slice(ys.last(k.to, planes, rows, c)+1)
			y64 := convert[float64](y)
			k.got(y, ys, x, xs, planes, rows, c)
			k.want(y64, ys, convert[float64](x), xs, planes, rows, c)
			t.Log(k.name)
			t.same(y, y64)
		}
	})
}

func TestMicroOutputTile(t *testing.T) {
	onEachFiltering(t, func(t *comparison, m *filtering[float32], g *guarded) {
		planes, rows, c, taps := 1+g.rng.IntN(3), 1+g.rng.IntN(4), panel*(1+g.rng.IntN(4)), 1+g.rng.IntN(tileSide)
		floor := []float64{0, math.Inf(-1)}[g.rng.IntN(2)]
		xs, ys := g.strides(tileSpan, planes, rows, c), g.strides(taps, planes, rows, c)
		n := ys.last(taps, planes, rows, c) + 1
		x, y := g.slice(xs.last(tileSpan, planes, rows, c)+1), g.slice(n)
		mask, residual, bias := g.slice(n), g.slice(n), g.slice(c)
		x64, y64 := convert[float64](x), convert[float64](y)
		mask, residual, bias = g.orNil(2, mask), g.orNil(2, residual), g.orNil(2, bias)
		bias64 := convert[float64](bias)
		m.outputTile(y, ys, x, xs, planes, rows, c, mask, residual, bias, taps, float32(floor))
		reference.outputTile(y64, ys, x64, xs, planes, rows, c, convert[float64](mask), convert[float64](residual), bias64,
			taps, floor)
		t.same(y, y64)
		m.outputTile(y, ys, x, xs, planes, rows, c, y, y, bias, taps, float32(floor))
		reference.outputTile(y64, ys, x64, xs, planes, rows, c, y64, y64, bias64, taps, floor)
		t.same(y, y64)
		m.outputTile(x, xs, x, xs, planes, 1, c, nil, nil, nil, tileSide, float32(math.Inf(-1)))
		reference.outputTile(x64, xs, x64, xs, planes, 1, c, nil, nil, nil, tileSide, math.Inf(-1))
		t.same(x, x64)
	})
}

func TestMicroProduct(t *testing.T) {
	onEachFiltering(t, func(t *comparison, m *filtering[float32], g *guarded) {
		n, rows, depth, cols := g.rng.IntN(4), m.productRows*g.rng.IntN(4), 1+g.rng.IntN(40), panel*(1+g.rng.IntN(5))
		xPoint, yPoint := rows*depth+g.rng.IntN(5), rows*cols+g.rng.IntN(5)
		x, w, y := g.slice(n*xPoint), g.slice(n*depth*cols), g.slice(n*yPoint)
		y64 := convert[float64](y)
		m.product(y, x, w, n, rows, depth, cols, xPoint, yPoint)
		reference.product(y64, convert[float64](x), convert[float64](w), n, rows, depth, cols, xPoint, yPoint)
		t.same(y, y64)
	})
}

func TestMicroProductGrad(t *testing.T) {
	onEachFiltering(t, func(t *comparison, m *filtering[float32], g *guarded) {
		n, rows, in, out := g.rng.IntN(4), 1+g.rng.IntN(9), panel*(1+g.rng.IntN(3)), panel*(1+g.rng.IntN(5))
		xPoint, dyPoint := rows*in+g.rng.IntN(5), rows*out+g.rng.IntN(5)
		x, dy, dw := g.slice(n*xPoint), g.slice(n*dyPoint), g.slice(n*in*out)
		x64, dy64, dw64 := convert[float64](x), convert[float64](dy), convert[float64](dw)
		for _, add := range []bool{true, false} {
			m.productGrad(dw, x, dy, n, rows, in, out, xPoint, dyPoint, add)
			reference.productGrad(dw64, x64, dy64, n, rows, in, out, xPoint, dyPoint, add)
			t.same(dw, dw64)
		}
	})
}

// TestWinogradError bounds what minimal filtering loses to rounding: the
// distance from the convolution in float64, relative to its norm.
func TestWinogradError(t *testing.T) {
	each(t, func(t *testing.T) {
		for _, c := range []int{16, 64} {
			t.Run(fmt.Sprintf("c=%d", c), func(t *testing.T) {
				s := ConvShape{N: 3, H: 8, W: 8, In: c, Out: c, Kernel: 3, Stride: 1, Pad: 1}
				if !s.winograd() {
					t.Fatal("not by minimal filtering")
				}
				rng := rand.New(rand.NewPCG(1, 9))
				normal := func(n int) []float32 {
					v := make([]float32, n)
					for i := range v {
						v[i] = float32(rng.NormFloat64())
					}
					return v
				}
				x, w := normal(s.xLen()), normal(s.weightsLen())
				k := &Conv[float32]{ConvShape: s, X: x, Weights: w, Y: make([]float32, s.yLen())}
				k.Scratch = make([]float32, k.ScratchLen(1))
				run(k)
				var square, norm float64
				for i, v := range convReference(s, convert[float64](x), convert[float64](w)) {
					square += (float64(k.Y[i]) - v) * (float64(k.Y[i]) - v)
					norm += v * v
				}
				if e := math.Sqrt(square / norm); !(e < 2e-6) {
					t.Errorf("error is %.2g of the norm", e)
				} else {
					t.Logf("error is %.2g of the norm", e)
				}
			})
		}
	})
}

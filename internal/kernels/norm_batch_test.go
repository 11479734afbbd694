// SPDX-License-Identifier: Apache-2.0

package kernels

import (
	"math"
	"testing"
)

// rowShapes: one row, fewer than a chunk, several chunks, channels around eight.
var rowShapes = []struct{ m, c int }{{2, 1}, {5, 3}, {64, 16}, {1500, 16}, {700, 37}, {33, 300}}

// normReference is (x−mean)/√(variance+epsilon) for each channel.
func normReference(x []float64, c int, epsilon float64) (y, mean, invstd []float64) {
	y, mean, invstd = make([]float64, len(x)), make([]float64, c), make([]float64, c)
	m := float64(len(x) / c)
	for i, v := range x {
		mean[i%c] += v / m
	}
	for i, v := range x {
		d := v - mean[i%c]
		invstd[i%c] += d * d / m
	}
	for i, v := range invstd {
		invstd[i] = 1 / math.Sqrt(v+epsilon)
	}
	for i, v := range x {
		y[i] = (v - mean[i%c]) * invstd[i%c]
	}
	return y, mean, invstd
}

func TestBatchNorm(t *testing.T) {
	each(t, func(t *testing.T) {
		for _, s := range rowShapes {
			t.Run(shapeName(s), func(t *testing.T) {
				testBatchNorm[float32](t, s.m, s.c)
				testBatchNorm[float64](t, s.m, s.c)
			})
		}
	})
}

func testBatchNorm[T Float](t *testing.T, m, c int) {
	const epsilon, momentum = 1e-5, 0.1
	x, gamma, beta := random[T](1, m*c), random[T](2, c), random[T](3, c)
	want, mean, invstd := normReference(convert[float64](x), c, epsilon)
	b := &BatchNorm[T]{M: m, C: c, Epsilon: epsilon, X: x, Y: scratch[T](m * c), Mean: scratch[T](c),
		InvStd: scratch[T](c)}
	b.Scratch = scratch[T](b.ScratchLen(1))
	run(b)
	near(t, "Y", b.Y, want, 2*tolerance[T]())
	near(t, "Mean", b.Mean, mean, tolerance[T]())
	near(t, "InvStd", b.InvStd, invstd, tolerance[T]())
	y := b.Y
	b.X = clone(x)
	b.Y = b.X
	run(b)
	near(t, "Y in place", b.Y, convert[float64](y), 0)

	for i := range want {
		want[i] = want[i]*float64(gamma[i%c]) + float64(beta[i%c])
	}
	runningMean, runningVar := random[T](4, c), random[T](5, c)
	wantMean, wantVar := convert[float64](runningMean), convert[float64](runningVar)
	for i := range wantMean {
		unbiased := (1/(invstd[i]*invstd[i]) - epsilon) * float64(m) / float64(m-1)
		wantMean[i] += momentum * (mean[i] - wantMean[i])
		wantVar[i] += momentum * (unbiased - wantVar[i])
	}
	promises(t, func(threads int) (*BatchNorm[T], [][]T) {
		b := &BatchNorm[T]{M: m, C: c, Epsilon: epsilon, Momentum: momentum, X: x, Gamma: gamma, Beta: beta,
			Y:    scratch[T](m * c),
			Mean: scratch[T](c), InvStd: scratch[T](c), RunningMean: clone(runningMean), RunningVar: clone(runningVar)}
		b.Scratch = scratch[T](b.ScratchLen(threads))
		if threads == 1 {
			run(b)
			near(t, "affine Y", b.Y, want, 2*tolerance[T]())
			near(t, "RunningMean", b.RunningMean, wantMean, tolerance[T]())
			near(t, "RunningVar", b.RunningVar, wantVar, tolerance[T]())
			b.RunningMean, b.RunningVar = clone(runningMean), clone(runningVar)
		}
		return b, [][]T{b.Y, b.Mean, b.InvStd, b.RunningMean, b.RunningVar}
	})
}

// TestBatchNormVariance: a mean a thousand times the deviation, and a first
// row far from the others, leave five digits of the variance.
func TestBatchNormVariance(t *testing.T) {
	each(t, func(t *testing.T) {
		const m, c = 40000, 16
		x := random[float32](1, m*c)
		for i := range x {
			x[i] += 1000 * float32(i%c%2)
			if i < c {
				x[i] += 50
			}
		}
		_, mean, invstd := normReference(convert[float64](x), c, 0)
		b := &BatchNorm[float32]{M: m, C: c, X: x, Y: scratch[float32](m * c), Mean: scratch[float32](c),
			InvStd: scratch[float32](c)}
		b.Scratch = scratch[float32](b.ScratchLen(1))
		run(b)
		for i := range c {
			if e := math.Abs(float64(b.Mean[i])-mean[i]) / max(1, mean[i]); e > 1e-6 {
				t.Errorf("mean of channel %d is %v, want %v", i, b.Mean[i], mean[i])
			}
			if e := math.Abs(math.Pow(invstd[i]/float64(b.InvStd[i]), 2) - 1); e > 1e-5 {
				t.Errorf("variance of channel %d is off by %.2g", i, e)
			}
		}
	})
}

func TestBatchNormGradients(t *testing.T) {
	const epsilon = 1e-3
	for _, s := range rowShapes {
		t.Run(shapeName(s), func(t *testing.T) {
			m, c := s.m, s.c
			x, dy, before := random[float64](1, m*c), random[float64](2, m*c), random[float64](3, m*c)
			gamma, beta := random[float64](4, c), random[float64](5, c)
			affine := true
			forward := func() []float64 {
				y, _, _ := normReference(x, c, epsilon)
				for i := range y {
					if affine {
						y[i] = y[i]*gamma[i%c] + beta[i%c]
					}
				}
				return y
			}
			_, mean, invstd := normReference(x, c, epsilon)
			b := &BatchNormBackward[float64]{M: m, C: c, X: x, Gamma: gamma, Mean: mean, InvStd: invstd, DY: dy,
				DX: clone(before), DGamma: scratch[float64](c), DBeta: scratch[float64](c)}
			b.Scratch = scratch[float64](b.ScratchLen(1))
			run(b)
			gradient(t, "DX", x, b.DX, dy, forward)
			gradient(t, "DGamma", gamma, b.DGamma, dy, forward)
			gradient(t, "DBeta", beta, b.DBeta, dy, forward)

			each(t, func(t *testing.T) {
				promises(t, func(threads int) (*BatchNormBackward[float32], [][]float32) {
					k := &BatchNormBackward[float32]{M: m, C: c, Add: true, X: convert[float32](x), Gamma: convert[float32](gamma),
						Mean: convert[float32](mean), InvStd: convert[float32](invstd), DY: convert[float32](dy),
						DX: convert[float32](before), DGamma: scratch[float32](c), DBeta: scratch[float32](c)}
					k.Scratch = scratch[float32](k.ScratchLen(threads))
					if threads == 1 {
						run(k)
						near(t, "float32 DX with Add", k.DX, plus(before, b.DX), 2e-5)
						near(t, "float32 DGamma", k.DGamma, b.DGamma, 2e-5)
						near(t, "float32 DBeta", k.DBeta, b.DBeta, 2e-5)
						copy(k.DX, convert[float32](before))
					}
					return k, [][]float32{k.DX, k.DGamma, k.DBeta}
				})
			})

			affine = false
			b.Gamma, b.DGamma, b.DBeta = nil, nil, nil
			run(b)
			gradient(t, "DX without affine", x, b.DX, dy, forward)

			y, coefs := forward(), make([]float64, 3*c)
			b.X, b.Normalised, b.Coefs = y, true, coefs
			run(b)
			gradient(t, "DX of a norm in place", x, b.DX, dy, forward)
			for i := range y {
				ch := i % c
				y[i] = dy[i]*coefs[ch] + y[i]*coefs[c+ch] + coefs[2*c+ch]
			}
			near(t, "DX by its coefficients", y, b.DX, 1e-12)
			each(t, func(t *testing.T) {
				promises(t, func(threads int) (*BatchNormBackward[float32], [][]float32) {
					k := &BatchNormBackward[float32]{M: m, C: c, Normalised: true, X: convert[float32](forward()),
						Mean:   convert[float32](mean),
						InvStd: convert[float32](invstd), DY: convert[float32](dy), DX: scratch[float32](m * c)}
					k.Scratch = scratch[float32](k.ScratchLen(threads))
					run(k)
					near(t, "float32 DX of a norm in place", k.DX, b.DX, 1e-4)
					return k, [][]float32{k.DX}
				})
			})
		})
	}
}

func TestScaleShift(t *testing.T) {
	each(t, func(t *testing.T) {
		for _, s := range rowShapes {
			x, scale, shift := random[float32](1, s.m*s.c), random[float32](2, s.c), random[float32](3, s.c)
			want := make([]float64, len(x))
			for i, v := range x {
				want[i] = float64(v)*float64(scale[i%s.c]) + float64(shift[i%s.c])
			}
			k := &ScaleShift[float32]{M: s.m, C: s.c, X: x, Scale: scale, Shift: shift, Y: scratch[float32](len(x))}
			run(k)
			near(t, "Y", k.Y, want, tolerance[float32]())
			promises(t, func(int) (*ScaleShift[float32], [][]float32) {
				k := &ScaleShift[float32]{M: s.m, C: s.c, ReLUOut: true, X: clone(x), Scale: scale, Shift: shift}
				k.Y = k.X
				return k, [][]float32{k.Y}
			})
			k.ReLUOut, k.X = true, clone(x)
			k.Y = k.X
			run(k)
			near(t, "in place, with ReLU", k.Y, relu64(want), tolerance[float32]())
		}
	})
}

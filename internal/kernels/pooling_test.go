// SPDX-License-Identifier: Apache-2.0

package kernels

import (
	"math"
	"reflect"
	"runtime"
	"testing"
)

var poolShapes = []PoolShape{
	{N: 1, H: 1, W: 1, C: 1, Kernel: 1, Stride: 1},
	{N: 2, H: 6, W: 7, C: 16, Kernel: 3, Stride: 1, Pad: 1},
	{N: 2, H: 8, W: 8, C: 16, Kernel: 2, Stride: 2},
	{N: 1, H: 7, W: 9, C: 5, Kernel: 3, Stride: 2, Pad: 1},
	{N: 3, H: 5, W: 5, C: 9, Kernel: 5, Stride: 1, Pad: 2},
	{N: 1, H: 2, W: 2, C: 3, Kernel: 3, Stride: 1, Pad: 1},
	{N: 2, H: 1, W: 3, C: 12, Kernel: 3, Stride: 1, Pad: 1},
	{N: 1, H: 3, W: 1, C: 21, Kernel: 3, Stride: 1, Pad: 1},
	{N: 1, H: 5, W: 6, C: 2, Kernel: 2, Stride: 3, Pad: 1},
}

// elements lists the elements of X in the window of output element i.
func (s PoolShape) elements(i int) (at []int) {
	ch, c, r, n := i%s.C, i/s.C%s.OutW(), i/s.C/s.OutW()%s.OutH(), i/s.C/s.OutW()/s.OutH()
	for kr := range s.Kernel {
		for kc := range s.Kernel {
			h, v := r*s.Stride+kr-s.Pad, c*s.Stride+kc-s.Pad
			if h >= 0 && h < s.H && v >= 0 && v < s.W {
				at = append(at, ((n*s.H+h)*s.W+v)*s.C+ch)
			}
		}
	}
	return at
}

// withScratch gives a kernel working memory for so many threads, which holds NaN.
func withScratch[K Scratcher](k K, threads int) K {
	n := k.ScratchLen(threads)
	switch s := reflect.ValueOf(k).Elem().FieldByName("Scratch").Addr().Interface().(type) {
	case *[]float32:
		*s = scratch[float32](n)
	case *[]float64:
		*s = scratch[float64](n)
	}
	return k
}

// TestPoolsPlanned: what a pooling works in is its Scratch; a run allocates
// nothing, not even the first, and what is in Scratch before does not matter.
func TestPoolsPlanned(t *testing.T) {
	p := NewWorkers(1)
	defer p.Close()
	for _, s := range poolShapes {
		t.Run(shapeName(s), func(t *testing.T) {
			x, y := random[float32](1, s.xLen()), random[float32](2, s.yLen())
			dy, v := random[float32](3, s.yLen()), random[float32](4, s.C)
			for _, k := range []func() Scratcher{
				func() Scratcher { return &AvgPool[float32]{PoolShape: s, X: x, Residual: dy, Y: y, Mean: v, InvStd: v} },
				func() Scratcher { return &MaxPool[float32]{PoolShape: s, X: x, Residual: dy, Y: y, Mean: v, InvStd: v} },
				func() Scratcher {
					return &AvgPoolBackward[float32]{PoolShape: s, DY: dy, DX: scratch[float32](len(x))}
				},
				func() Scratcher {
					return &MaxPoolBackward[float32]{PoolShape: s, X: x, DY: dy, A: v, B: v, D: v, Y: y, Mean: v, InvStd: v,
						DX: scratch[float32](len(x))}
				},
			} {
				least := uint64(math.MaxUint64)
				for range 3 { // what is allocated beside it counts as well: now and then the runtime does
					k := withScratch(k(), 1)
					var before, after runtime.MemStats
					runtime.ReadMemStats(&before)
					k.Run(p)
					runtime.ReadMemStats(&after)
					least = min(least, after.TotalAlloc-before.TotalAlloc)
				}
				if least > 0 {
					t.Errorf("%T: the first run allocates %d bytes", k(), least)
				}
			}
		})
	}
}

func avgPoolReference(s PoolShape, x []float64) []float64 {
	y := make([]float64, s.yLen())
	for i := range y {
		at := s.elements(i)
		for _, j := range at {
			y[i] += x[j] / float64(len(at))
		}
	}
	return y
}

func maxPoolReference(s PoolShape, x []float64) []float64 {
	y := make([]float64, s.yLen())
	for i := range y {
		y[i] = math.Inf(-1)
		for _, j := range s.elements(i) {
			y[i] = max(y[i], x[j])
		}
	}
	return y
}

func TestPools(t *testing.T) {
	each(t, func(t *testing.T) {
		for _, s := range poolShapes {
			t.Run(shapeName(s), func(t *testing.T) {
				testPools[float32](t, s)
				testPools[float64](t, s)
			})
		}
	})
}

func testPools[T Float](t *testing.T, s PoolShape) {
	x, residual := random[T](1, s.xLen()), random[T](2, s.yLen())
	average, maximum := avgPoolReference(s, convert[float64](x)), maxPoolReference(s, convert[float64](x))

	avg := withScratch(&AvgPool[T]{PoolShape: s, X: x, Y: scratch[T](s.yLen())}, 1)
	run(avg)
	near(t, "average", avg.Y, average, tolerance[T]())
	copy(avg.Y, residual)
	avg.Residual = avg.Y
	run(avg)
	near(t, "average with residual", avg.Y, plus(convert[float64](residual), average), tolerance[T]())
	promises(t, func(threads int) (*AvgPool[T], [][]T) {
		k := withScratch(&AvgPool[T]{PoolShape: s, X: x, Residual: residual, Y: scratch[T](s.yLen())}, threads)
		return k, [][]T{k.Y}
	})

	most := withScratch(&MaxPool[T]{PoolShape: s, X: x, Y: scratch[T](s.yLen())}, 1)
	run(most)
	near(t, "maximum", most.Y, maximum, 0)
	copy(most.Y, residual)
	most.Residual = most.Y
	run(most)
	near(t, "maximum with residual", most.Y, plus(convert[float64](residual), maximum), tolerance[T]())
	promises(t, func(threads int) (*MaxPool[T], [][]T) {
		k := withScratch(&MaxPool[T]{PoolShape: s, X: x, Residual: residual, Y: scratch[T](s.yLen())}, threads)
		return k, [][]T{k.Y}
	})
}

func TestPoolGradients(t *testing.T) {
	for _, s := range poolShapes {
		t.Run(shapeName(s), func(t *testing.T) {
			x, dy, before := random[float64](1, s.xLen()), random[float64](2, s.yLen()), random[float64](3, s.xLen())
			avg := withScratch(&AvgPoolBackward[float64]{PoolShape: s, DY: dy, DX: clone(before)}, 1)
			run(avg)
			gradient(t, "average DX", x, avg.DX, dy, func() []float64 { return avgPoolReference(s, x) })
			most := withScratch(&MaxPoolBackward[float64]{PoolShape: s, X: x, DY: dy, DX: clone(before)}, 1)
			run(most)
			gradient(t, "maximum DX", x, most.DX, dy, func() []float64 { return maxPoolReference(s, x) })

			each(t, func(t *testing.T) {
				promises(t, func(threads int) (*AvgPoolBackward[float32], [][]float32) {
					k := withScratch(&AvgPoolBackward[float32]{PoolShape: s, Add: true, DY: convert[float32](dy),
						DX: convert[float32](before)}, threads)
					if threads == 1 {
						run(k)
						near(t, "float32 average DX with Add", k.DX, plus(before, avg.DX), tolerance[float32]())
						k.DX = convert[float32](before)
					}
					return k, [][]float32{k.DX}
				})
				promises(t, func(threads int) (*MaxPoolBackward[float32], [][]float32) {
					k := withScratch(&MaxPoolBackward[float32]{PoolShape: s, Add: true, X: convert[float32](x),
						DY: convert[float32](dy), DX: convert[float32](before)}, threads)
					if threads == 1 {
						run(k)
						near(t, "float32 maximum DX with Add", k.DX, plus(before, most.DX), tolerance[float32]())
						k.DX = convert[float32](before)
					}
					return k, [][]float32{k.DX}
				})
			})
		})
	}
}

// TestMaxPoolTies: of equal elements the first, row by row, gets the gradient.
func TestMaxPoolTies(t *testing.T) {
	k := &MaxPoolBackward[float32]{PoolShape: PoolShape{N: 1, H: 2, W: 2, C: 1, Kernel: 2, Stride: 2},
		X: []float32{1, 3, 3, 3}, DY: []float32{5}, DX: make([]float32, 4)}
	run(withScratch(k, 1))
	near(t, "DX", k.DX, []float64{0, 5, 0, 0}, 0)
	each(t, func(t *testing.T) {
		k := &MaxPoolBackward[float32]{PoolShape: PoolShape{N: 1, H: 3, W: 3, C: 1, Kernel: 3, Stride: 1, Pad: 1},
			X: []float32{1, 1, 1, 1, 2, 2, 1, 2, 2}, DY: []float32{1, 2, 4, 8, 16, 32, 64, 128, 256}, DX: make([]float32, 9)}
		run(withScratch(k, 1))
		near(t, "DX", k.DX, []float64{0, 0, 0, 0, 511, 0, 0, 0, 0}, 0)
		k.X[4] = 1 // windows without it go to the next in their rows
		run(k)
		near(t, "DX", k.DX, []float64{1, 0, 0, 0, 0, 438, 0, 72, 0}, 0)
	})
}

// TestMaxPoolShare: where share and spread make the gradient it has the same bits.
func TestMaxPoolShare(t *testing.T) {
	defer func(best micro[float32]) { micro32 = best }(micro32)
	for _, s := range poolShapes {
		if !peaks[float32](s) {
			continue
		}
		t.Run(shapeName(s), func(t *testing.T) {
			x, dy, before := random[float32](1, s.xLen()), random[float32](2, s.yLen()), random[float32](3, s.xLen())
			for i := range x {
				x[i] = float32(math.Round(float64(x[i]))) // ties
			}
			a, b, d, y := random[float32](4, s.C), random[float32](5, s.C), random[float32](6, s.C), scratch[float32](s.yLen())
			run(withScratch(&MaxPool[float32]{PoolShape: s, X: x, Y: y}, 1))
			for _, add := range []bool{false, true} {
				plain := MaxPoolBackward[float32]{PoolShape: s, Add: add, X: x, DY: dy}
				norm := plain
				norm.A, norm.B, norm.D, norm.Y = a, b, d, y
				for _, k := range []MaxPoolBackward[float32]{plain, norm} {
					micro32 = portable[float32]()
					k.DX = clone(before)
					run(withScratch(&k, 1))
					want := convert[float64](k.DX)
					micro32.peakGrad = nil
					promises(t, func(threads int) (*MaxPoolBackward[float32], [][]float32) {
						k := k
						k.plan, k.DX = nil, clone(before)
						run(withScratch(&k, threads))
						near(t, "DX", k.DX, want, 0)
						k.plan, k.Add, k.DX = nil, false, scratch[float32](s.xLen())
						return &k, [][]float32{k.DX}
					})
				}
			}
		})
	}
}

// TestPoolsBesideNorms: the statistics of what a pooling makes, and its
// gradient behind a batch norm.
func TestPoolsBesideNorms(t *testing.T) {
	each(t, func(t *testing.T) {
		for _, s := range poolShapes {
			t.Run(shapeName(s), func(t *testing.T) {
				x, dy := random[float32](1, s.xLen()), random[float32](2, s.yLen())
				a, b, d := random[float32](3, s.C), random[float32](4, s.C), random[float32](5, s.C)
				avg := withScratch(&AvgPool[float32]{PoolShape: s, Epsilon: 1e-5, X: x, Y: scratch[float32](s.yLen()),
					Mean: scratch[float32](s.C), InvStd: scratch[float32](s.C)}, 1)
				most := withScratch(&MaxPool[float32]{PoolShape: s, Epsilon: 1e-5, X: x, Y: scratch[float32](s.yLen()),
					Mean: scratch[float32](s.C), InvStd: scratch[float32](s.C)}, 1)
				run(avg)
				run(most)
				moments := func(y, mean, invstd []float32) {
					n := &BatchNorm[float32]{M: len(y) / s.C, C: s.C, Epsilon: 1e-5, X: y, Y: scratch[float32](len(y)),
						Mean: scratch[float32](s.C), InvStd: scratch[float32](s.C)}
					n.Scratch = scratch[float32](n.ScratchLen(1))
					run(n)
					near(t, "mean", mean, convert[float64](n.Mean), 1e-5)
					near(t, "invstd", invstd, convert[float64](n.InvStd), 1e-4)
				}
				moments(avg.Y, avg.Mean, avg.InvStd)
				moments(most.Y, most.Mean, most.InvStd)
				promises(t, func(threads int) (*AvgPool[float32], [][]float32) {
					k := *avg
					k.plan, k.Y, k.Mean, k.InvStd = nil, scratch[float32](s.yLen()), scratch[float32](s.C), scratch[float32](s.C)
					return withScratch(&k, threads), [][]float32{k.Y, k.Mean, k.InvStd}
				})
				promises(t, func(threads int) (*MaxPool[float32], [][]float32) {
					k := *most
					k.plan, k.Y, k.Mean, k.InvStd = nil, scratch[float32](s.yLen()), scratch[float32](s.C), scratch[float32](s.C)
					return withScratch(&k, threads), [][]float32{k.Y, k.Mean, k.InvStd}
				})
				behind := func(y []float32) []float32 {
					g := clone(dy)
					for i := range g {
						g[i] = g[i]*a[i%s.C] + y[i]*b[i%s.C] + d[i%s.C]
					}
					return g
				}
				plainAvg := withScratch(&AvgPoolBackward[float32]{PoolShape: s, DY: behind(avg.Y), DX: make([]float32, s.xLen())},
					1)
				plainMost := withScratch(&MaxPoolBackward[float32]{PoolShape: s, X: x, DY: behind(most.Y),
					DX: make([]float32, s.xLen())}, 1)
				run(plainAvg)
				run(plainMost)
				promises(t, func(threads int) (*AvgPoolBackward[float32], [][]float32) {
					k := withScratch(&AvgPoolBackward[float32]{PoolShape: s, DY: dy, A: a, B: b, D: d, Y: avg.Y,
						DX: scratch[float32](s.xLen())}, threads)
					run(k)
					near(t, "average DX", k.DX, convert[float64](plainAvg.DX), 1e-5)
					k.plan = nil
					return k, [][]float32{k.DX}
				})
				promises(t, func(threads int) (*MaxPoolBackward[float32], [][]float32) {
					k := withScratch(&MaxPoolBackward[float32]{PoolShape: s, X: x, DY: dy, A: a, B: b, D: d, Y: most.Y,
						DX: scratch[float32](s.xLen())}, threads)
					run(k)
					near(t, "maximum DX", k.DX, convert[float64](plainMost.DX), 1e-5)
					k.plan = nil
					return k, [][]float32{k.DX}
				})
				norm := &BatchNorm[float32]{M: len(most.Y) / s.C, C: s.C, Given: true, X: most.Y, Y: most.Y, Mean: most.Mean,
					InvStd: most.InvStd}
				norm.Scratch = scratch[float32](norm.ScratchLen(1))
				run(norm)
				plainMost.DY = behind(most.Y)
				run(plainMost)
				promises(t, func(threads int) (*MaxPoolBackward[float32], [][]float32) {
					k := withScratch(&MaxPoolBackward[float32]{PoolShape: s, X: x, DY: dy, A: a, B: b, D: d, Y: most.Y,
						Mean: most.Mean, InvStd: most.InvStd, DX: scratch[float32](s.xLen())}, threads)
					run(k)
					near(t, "maximum DX behind a norm in place", k.DX, convert[float64](plainMost.DX), 1e-4)
					k.plan = nil
					return k, [][]float32{k.DX}
				})
			})
		}
	})
}

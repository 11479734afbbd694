// SPDX-License-Identifier: Apache-2.0

package kernels

import "testing"

var depthwiseShapes = []DepthwiseShape{
	{N: 1, H: 1, W: 1, C: 1, Kernel: 1, Stride: 1},
	{N: 2, H: 6, W: 7, C: 16, Kernel: 3, Stride: 1, Pad: 1},
	{N: 2, H: 7, W: 8, C: 13, Kernel: 3, Stride: 2, Pad: 1, Dilation: 1},
	{N: 1, H: 8, W: 8, C: 8, Kernel: 5, Stride: 1, Pad: 2},
	{N: 1, H: 9, W: 9, C: 9, Kernel: 3, Stride: 1, Pad: 2, Dilation: 2},
	{N: 1, H: 9, W: 10, C: 24, Kernel: 5, Stride: 2, Pad: 4, Dilation: 2},
	{N: 1, H: 11, W: 11, C: 3, Kernel: 7, Stride: 2, Pad: 3},
	{N: 17, H: 4, W: 3, C: 5, Kernel: 3, Stride: 1},
	{N: 2, H: 3, W: 17, C: 20, Kernel: 5, Stride: 1, Pad: 2},
	{N: 1, H: 5, W: 34, C: 16, Kernel: 3, Stride: 1, Pad: 2, Dilation: 2},
	{N: 1, H: 4, W: 40, C: 3, Kernel: 5, Stride: 1, Pad: 4, Dilation: 2},
	{N: 1, H: 1, W: 1, C: 4, Kernel: 2, Stride: 2, Pad: 1, Dilation: 2},
	{N: 2, H: 4, W: 4, C: 36, Kernel: 3, Stride: 1, Pad: 1},
	{N: 1, H: 5, W: 21, C: 12, Kernel: 5, Stride: 1, Pad: 4, Dilation: 2},
	{N: 1, H: 3, W: 2, C: 8, Kernel: 3, Stride: 1, Pad: 4}, // windows outside of the image
}

// depthwiseReference is the convolution by its definition.
func depthwiseReference(s DepthwiseShape, x, w []float64) []float64 {
	y := make([]float64, s.yLen())
	oh, ow, d := s.OutH(), s.OutW(), max(1, s.Dilation)
	for i := range y {
		ch, c, r, n := i%s.C, i/s.C%ow, i/s.C/ow%oh, i/s.C/ow/oh
		for kr := range s.Kernel {
			for kc := range s.Kernel {
				h, v := r*s.Stride+kr*d-s.Pad, c*s.Stride+kc*d-s.Pad
				if h >= 0 && h < s.H && v >= 0 && v < s.W {
					y[i] += x[((n*s.H+h)*s.W+v)*s.C+ch] * w[(kr*s.Kernel+kc)*s.C+ch]
				}
			}
		}
	}
	return y
}

func TestDepthwise(t *testing.T) {
	each(t, func(t *testing.T) {
		for _, s := range depthwiseShapes {
			t.Run(shapeName(s), func(t *testing.T) {
				testDepthwise[float32](t, s)
				testDepthwise[float64](t, s)
			})
		}
	})
}

func testDepthwise[T Float](t *testing.T, s DepthwiseShape) {
	x, w := random[T](1, s.xLen()), random[T](2, s.weightsLen())
	bias, residual := random[T](3, s.C), random[T](4, s.yLen())
	plain := depthwiseReference(s, convert[float64](x), convert[float64](w))
	fused := depthwiseReference(s, relu64(convert[float64](x)), convert[float64](w))
	biased := clone(plain)
	for i := range fused {
		biased[i] += float64(bias[i%s.C])
		fused[i] += float64(bias[i%s.C]) + float64(residual[i])
	}
	fused = relu64(fused)

	c := &Depthwise[T]{DepthwiseShape: s, X: x, Weights: w, Y: scratch[T](s.yLen())}
	c.Scratch = scratch[T](c.ScratchLen(1))
	run(c)
	near(t, "Y", c.Y, plain, tolerance[T]())
	c.Bias = bias
	run(c)
	near(t, "Y with bias", c.Y, biased, tolerance[T]())

	promises(t, func(threads int) (*Depthwise[T], [][]T) {
		c := &Depthwise[T]{DepthwiseShape: s, ReLUIn: true, ReLUOut: true, X: x, Weights: w, Bias: bias, Residual: residual,
			Y: scratch[T](s.yLen())}
		c.Scratch = scratch[T](c.ScratchLen(threads))
		return c, [][]T{c.Y}
	})
	c = &Depthwise[T]{DepthwiseShape: s, ReLUIn: true, ReLUOut: true, X: x, Weights: w, Bias: bias, Y: clone(residual)}
	c.Residual = c.Y
	c.Scratch = scratch[T](c.ScratchLen(1))
	run(c)
	near(t, "fused Y", c.Y, fused, tolerance[T]())
}

func TestDepthwiseGradients(t *testing.T) {
	for _, s := range depthwiseShapes {
		t.Run(shapeName(s), func(t *testing.T) {
			for _, reluIn := range []bool{false, true} {
				x, w, dy := random[float64](1, s.xLen()), random[float64](2, s.weightsLen()), random[float64](3, s.yLen())
				forward := func() []float64 {
					if reluIn {
						return depthwiseReference(s, relu64(x), w)
					}
					return depthwiseReference(s, x, w)
				}
				before := random[float64](4, s.xLen())
				data := &DepthwiseBackwardData[float64]{DepthwiseShape: s, ReLUIn: reluIn, X: x, Weights: w, DY: dy,
					DX: clone(before)}
				data.Scratch = scratch[float64](data.ScratchLen(1))
				run(data)
				gradient(t, "DX", x, data.DX, dy, forward)
				plain := clone(data.DX)
				data.Add = true
				copy(data.DX, before)
				run(data)
				near(t, "DX with Add", data.DX, plus(before, plain), 1e-14)

				weights := &DepthwiseBackwardWeights[float64]{DepthwiseShape: s, ReLUIn: reluIn, X: x, DY: dy,
					DW: scratch[float64](s.weightsLen())}
				weights.Scratch = scratch[float64](weights.ScratchLen(1))
				run(weights)
				gradient(t, "DW", w, weights.DW, dy, forward)
			}
		})
	}
}

// TestDepthwiseBackward compares the gradients of every implementation with
// the portable float64 ones, which TestDepthwiseGradients checks.
func TestDepthwiseBackward(t *testing.T) {
	each(t, func(t *testing.T) {
		for _, s := range depthwiseShapes {
			t.Run(shapeName(s), func(t *testing.T) {
				x, w := random[float32](1, s.xLen()), random[float32](2, s.weightsLen())
				dy, dx := random[float32](3, s.yLen()), random[float32](4, s.xLen())
				data := &DepthwiseBackwardData[float64]{DepthwiseShape: s, ReLUIn: true, Add: true, X: convert[float64](x),
					Weights: convert[float64](w), DY: convert[float64](dy), DX: convert[float64](dx)}
				data.Scratch = scratch[float64](data.ScratchLen(1))
				run(data)
				promises(t, func(threads int) (*DepthwiseBackwardData[float32], [][]float32) {
					k := &DepthwiseBackwardData[float32]{DepthwiseShape: s, ReLUIn: true, Add: true, X: x, Weights: w, DY: dy,
						DX: clone(dx)}
					k.Scratch = scratch[float32](k.ScratchLen(threads))
					if threads == 1 {
						run(k)
						near(t, "DX", k.DX, data.DX, tolerance[float32]())
						copy(k.DX, dx)
					}
					return k, [][]float32{k.DX}
				})

				weights := &DepthwiseBackwardWeights[float64]{DepthwiseShape: s, ReLUIn: true, X: data.X, DY: data.DY,
					DW: scratch[float64](s.weightsLen())}
				weights.Scratch = scratch[float64](weights.ScratchLen(1))
				run(weights)
				promises(t, func(threads int) (*DepthwiseBackwardWeights[float32], [][]float32) {
					k := &DepthwiseBackwardWeights[float32]{DepthwiseShape: s, ReLUIn: true, X: x, DY: dy,
						DW: scratch[float32](s.weightsLen())}
					k.Scratch = scratch[float32](k.ScratchLen(threads))
					if threads == 1 {
						run(k)
						near(t, "DW", k.DW, weights.DW, 1e-5)
					}
					return k, [][]float32{k.DW}
				})
			})
		}
	})
}

// TestDepthBounds: depth panics where a tap's weights lie outside w.
func TestDepthBounds(t *testing.T) {
	const c, cols = 16, 2
	up := window{rows: 3, cols: 3, row: 4 * c, col: c, numberRow: 3 * c, numberCol: c}
	down := window{rows: 3, cols: 3, row: 4 * c, col: c, number: 8 * c, numberRow: -3 * c, numberCol: -c}
	for _, im := range native() {
		for _, w := range []window{up, down} {
			for _, n := range []int{9 * c, 9*c - 1} {
				func() {
					defer func() {
						if r := recover(); (r == nil) != (n == 9*c) {
							t.Errorf("%s: %d weights of %d: panics with %v", im.name, n, 9*c, r)
						}
					}()
					if im.usable {
						x := make([]float32, 3*4*c)
						im.depth(depthOperands[float32]{y: make([]float32, cols*c), yCol: c, x: x, xCol: c,
							w: make([]float32, n), window: w, cols: cols, c: c})
					}
				}()
			}
		}
	}
}

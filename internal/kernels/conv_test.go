// SPDX-License-Identifier: Apache-2.0

package kernels

import (
	"strings"
	"testing"
)

// convShapes: each kind of window, odd sizes, channels around a panel.
var convShapes = []ConvShape{
	{N: 1, H: 1, W: 1, In: 1, Out: 1, Kernel: 1, Stride: 1},
	{N: 2, H: 5, W: 7, In: 3, Out: 16, Kernel: 3, Stride: 1, Pad: 1, Dilation: 1},
	{N: 3, H: 6, W: 6, In: 16, Out: 16, Kernel: 3, Stride: 1, Pad: 1},
	{N: 2, H: 8, W: 8, In: 16, Out: 32, Kernel: 3, Stride: 2, Pad: 1},
	{N: 2, H: 7, W: 9, In: 5, Out: 18, Kernel: 3, Stride: 2, Pad: 1},
	{N: 2, H: 6, W: 5, In: 16, Out: 16, Kernel: 1, Stride: 1},
	{N: 2, H: 7, W: 6, In: 16, Out: 20, Kernel: 1, Stride: 2},
	{N: 1, H: 9, W: 9, In: 4, Out: 7, Kernel: 3, Stride: 1, Pad: 2, Dilation: 2},
	{N: 1, H: 9, W: 10, In: 2, Out: 33, Kernel: 3, Stride: 2, Pad: 2, Dilation: 2},
	{N: 1, H: 8, W: 8, In: 3, Out: 4, Kernel: 5, Stride: 3, Pad: 2},
	{N: 1, H: 6, W: 7, In: 4, Out: 16, Kernel: 3, Stride: 1},
	{N: 1, H: 5, W: 5, In: 2, Out: 3, Kernel: 2, Stride: 1, Pad: 2},
	{N: 1, H: 4, W: 4, In: 2, Out: 3, Kernel: 1, Stride: 1, Pad: 1},
	{N: 1, H: 7, W: 7, In: 2, Out: 3, Kernel: 2, Stride: 3},
	{N: 2, H: 8, W: 6, In: 16, Out: 8, Kernel: 1, Stride: 2, Crop: 1},
	{N: 3, H: 7, W: 9, In: 5, Out: 18, Kernel: 1, Stride: 2, Crop: 1},
	{N: 2, H: 6, W: 5, In: 3, Out: 16, Kernel: 1, Stride: 1, Crop: 2},
	{N: 1, H: 9, W: 8, In: 4, Out: 7, Kernel: 3, Stride: 2, Crop: 1},
	{N: 1, H: 9, W: 10, In: 16, Out: 16, Kernel: 3, Stride: 1, Dilation: 2, Crop: 3},
	{N: 1, H: 2, W: 2, In: 1, Out: 1, Kernel: 1, Stride: 2, Crop: 1},
	{N: 1, H: 41, W: 40, In: 40, Out: 17, Kernel: 1, Stride: 2, Crop: 1},
	{N: 17, H: 3, W: 2, In: 2, Out: 3, Kernel: 3, Stride: 1, Pad: 1},
	{N: 1, H: 40, W: 41, In: 40, Out: 17, Kernel: 3, Stride: 1, Pad: 1},

	// Minimal filtering: every padding, tiles that are cut off, one to three
	// vectors of channels, strips that are longer than a block.
	{N: 1, H: 14, W: 14, In: 16, Out: 16, Kernel: 3, Stride: 1, Pad: 1},
	{N: 5, H: 7, W: 7, In: 16, Out: 32, Kernel: 3, Stride: 1, Pad: 1, Dilation: 1},
	{N: 1, H: 15, W: 16, In: 16, Out: 16, Kernel: 3, Stride: 1},
	{N: 2, H: 9, W: 11, In: 16, Out: 48, Kernel: 3, Stride: 1, Pad: 2},
	{N: 18, H: 4, W: 3, In: 16, Out: 16, Kernel: 3, Stride: 1, Pad: 1},
	{N: 9, H: 8, W: 8, In: 48, Out: 32, Kernel: 3, Stride: 1, Pad: 1},
	{N: 1, H: 8, W: 217, In: 16, Out: 16, Kernel: 3, Stride: 1, Pad: 1},
}

// convReference is the convolution by its definition.
func convReference(s ConvShape, x, w []float64) []float64 {
	y := make([]float64, s.yLen())
	oh, ow, d := s.OutH(), s.OutW(), max(1, s.Dilation)
	for n := range s.N {
		for r := range oh {
			for c := range ow {
				for kr := range s.Kernel {
					for kc := range s.Kernel {
						h, v := s.Crop+r*s.Stride+kr*d-s.Pad, s.Crop+c*s.Stride+kc*d-s.Pad
						if h < 0 || h >= s.H || v < 0 || v >= s.W {
							continue
						}
						pixel := y[((n*oh+r)*ow+c)*s.Out:][:s.Out]
						for i, a := range x[((n*s.H+h)*s.W+v)*s.In:][:s.In] {
							for o, b := range w[((kr*s.Kernel+kc)*s.In+i)*s.Out:][:s.Out] {
								pixel[o] += a * b
							}
						}
					}
				}
			}
		}
	}
	return y
}

func TestConv(t *testing.T) {
	each(t, func(t *testing.T) {
		for _, s := range convShapes {
			t.Run(shapeName(s), func(t *testing.T) {
				testConv[float32](t, s)
				testConv[float64](t, s)
			})
		}
	})
}

func testConv[T Float](t *testing.T, s ConvShape) {
	x, w := random[T](1, s.xLen()), random[T](2, s.weightsLen())
	bias, residual := random[T](3, s.Out), random[T](4, s.yLen())
	plain := convReference(s, convert[float64](x), convert[float64](w))
	fused := convReference(s, relu64(convert[float64](x)), convert[float64](w))
	for i := range fused {
		fused[i] += float64(bias[i%s.Out]) + float64(residual[i])
	}
	fused = relu64(fused)

	c := &Conv[T]{ConvShape: s, X: x, Weights: w, Y: scratch[T](s.yLen())}
	c.Scratch = scratch[T](c.ScratchLen(1))
	run(c)
	near(t, "Y", c.Y, plain, tolerance[T]())

	packed := scratch[T](s.PackedLen())
	PackConv(s, packed, w)
	promises(t, func(threads int) (*Conv[T], [][]T) {
		c := &Conv[T]{ConvShape: s, ReLUIn: true, ReLUOut: true, X: x, Packed: packed, Bias: bias, Residual: residual,
			Y: scratch[T](s.yLen())}
		c.Scratch = scratch[T](c.ScratchLen(threads))
		return c, [][]T{c.Y}
	})
	c = &Conv[T]{ConvShape: s, ReLUIn: true, ReLUOut: true, X: x, Packed: packed, Bias: bias, Y: clone(residual)}
	c.Residual = c.Y
	c.Scratch = scratch[T](c.ScratchLen(1))
	run(c)
	near(t, "fused Y", c.Y, fused, tolerance[T]())
}

func TestConvGradients(t *testing.T) {
	for _, s := range convShapes {
		if s.xLen() > 4000 {
			continue // central differences of the large ones would take minutes
		}
		t.Run(shapeName(s), func(t *testing.T) {
			for _, reluIn := range []bool{false, true} {
				x, w, dy := random[float64](1, s.xLen()), random[float64](2, s.weightsLen()), random[float64](3, s.yLen())
				forward := func() []float64 {
					if reluIn {
						return convReference(s, relu64(x), w)
					}
					return convReference(s, x, w)
				}
				before := random[float64](4, s.xLen())
				data := &ConvBackwardData[float64]{ConvShape: s, ReLUIn: reluIn, X: x, Weights: w, DY: dy, DX: clone(before)}
				data.Scratch = scratch[float64](data.ScratchLen(1))
				run(data)
				gradient(t, "DX", x, data.DX, dy, forward)
				plain := clone(data.DX)
				data.Add = true
				copy(data.DX, before)
				run(data)
				near(t, "DX with Add", data.DX, plus(before, plain), 1e-14)

				weights := &ConvBackwardWeights[float64]{ConvShape: s, ReLUIn: reluIn, X: x, DY: dy,
					DW: scratch[float64](s.weightsLen())}
				weights.Scratch = scratch[float64](weights.ScratchLen(1))
				run(weights)
				gradient(t, "DW", w, weights.DW, dy, forward)
			}
		})
	}
}

// TestConvBackward compares the gradients of every implementation with the
// portable float64 ones, which TestConvGradients checks.
func TestConvBackward(t *testing.T) {
	each(t, func(t *testing.T) {
		for _, s := range convShapes {
			t.Run(shapeName(s), func(t *testing.T) {
				x, w := random[float32](1, s.xLen()), random[float32](2, s.weightsLen())
				dy, dx := random[float32](3, s.yLen()), random[float32](4, s.xLen())
				data := &ConvBackwardData[float64]{ConvShape: s, ReLUIn: true, Add: true, X: convert[float64](x),
					Weights: convert[float64](w), DY: convert[float64](dy), DX: convert[float64](dx)}
				data.Scratch = scratch[float64](data.ScratchLen(1))
				run(data)
				promises(t, func(threads int) (*ConvBackwardData[float32], [][]float32) {
					k := &ConvBackwardData[float32]{ConvShape: s, ReLUIn: true, Add: true, X: x, Weights: w, DY: dy, DX: clone(dx)}
					k.Scratch = scratch[float32](k.ScratchLen(threads))
					if threads == 1 {
						run(k)
						near(t, "DX", k.DX, data.DX, tolerance[float32]())
						copy(k.DX, dx)
					}
					return k, [][]float32{k.DX}
				})

				weights := &ConvBackwardWeights[float64]{ConvShape: s, ReLUIn: true, X: data.X, DY: data.DY,
					DW: scratch[float64](s.weightsLen())}
				weights.Scratch = scratch[float64](weights.ScratchLen(1))
				run(weights)
				promises(t, func(threads int) (*ConvBackwardWeights[float32], [][]float32) {
					k := &ConvBackwardWeights[float32]{ConvShape: s, ReLUIn: true, X: x, DY: dy, DW: scratch[float32](s.weightsLen())}
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

// A convolution crops or pads, not both.
func TestConvCropsOrPads(t *testing.T) {
	for _, s := range []ConvShape{
		{N: 1, H: 4, W: 4, In: 1, Out: 1, Kernel: 3, Stride: 1, Pad: 1, Crop: 1},
		{N: 1, H: 4, W: 4, In: 1, Out: 1, Kernel: 1, Stride: 1, Crop: -1},
		{N: 1, H: 4, W: 4, In: 1, Out: 1, Kernel: 1, Stride: 2, Crop: 4},
	} {
		func() {
			defer func() {
				if message, _ := recover().(string); !strings.HasPrefix(message, "kernels: conv: bad shape") {
					t.Errorf("%+v: panic is %q", s, message)
				}
			}()
			run(&Conv[float32]{ConvShape: s, X: make([]float32, 16), Weights: make([]float32, 9), Y: make([]float32, 16),
				Scratch: make([]float32, 4096)})
		}()
	}
}

// TestSameBits: every vector implementation of a platform adds in the same
// order, so a seed gives the same network with AVX2 as with AVX-512.
func TestSameBits(t *testing.T) {
	for _, s := range convShapes {
		t.Run(shapeName(s), func(t *testing.T) {
			x, w, dy := random[float32](1, s.xLen()), random[float32](2, s.weightsLen()), random[float32](3, s.yLen())
			best := micro32
			defer func() { micro32 = best }()
			var first [][]float32
			for _, im := range native() {
				if !im.usable {
					continue
				}
				micro32 = im.micro
				c := &Conv[float32]{ConvShape: s, X: x, Weights: w, Y: make([]float32, len(dy))}
				c.Scratch = make([]float32, c.ScratchLen(1))
				data := &ConvBackwardData[float32]{ConvShape: s, Weights: w, DY: dy, DX: make([]float32, len(x))}
				data.Scratch = make([]float32, data.ScratchLen(1))
				weights := &ConvBackwardWeights[float32]{ConvShape: s, X: x, DY: dy, DW: make([]float32, len(w))}
				weights.Scratch = make([]float32, weights.ScratchLen(1))
				run(c)
				run(data)
				run(weights)
				results := [][]float32{c.Y, data.DX, weights.DW}
				for i := range first {
					for j, v := range results[i] {
						if v != first[i][j] {
							t.Fatalf("%s: result %d[%d] = %v, want %v", im.name, i, j, v, first[i][j])
						}
					}
				}
				first = results
			}
		})
	}
}

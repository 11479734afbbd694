// SPDX-License-Identifier: Apache-2.0

package kernels

import (
	"fmt"
	"math"
	"testing"
)

var separableShapes = []SeparableShape{
	{DepthwiseShape{N: 3, H: 8, W: 8, C: 16, Kernel: 3, Stride: 1, Pad: 1}, 16},
	{DepthwiseShape{N: 2, H: 7, W: 9, C: 5, Kernel: 5, Stride: 1, Pad: 2}, 7},
	{DepthwiseShape{N: 2, H: 8, W: 8, C: 24, Kernel: 3, Stride: 2, Pad: 1}, 36},
	{DepthwiseShape{N: 2, H: 9, W: 8, C: 16, Kernel: 5, Stride: 2, Pad: 2}, 16},
	{DepthwiseShape{N: 17, H: 6, W: 6, C: 8, Kernel: 3, Stride: 1, Pad: 2, Dilation: 2}, 16},
	{DepthwiseShape{N: 1, H: 8, W: 10, C: 17, Kernel: 5, Stride: 2, Pad: 4, Dilation: 2}, 33},
	{DepthwiseShape{N: 2, H: 40, W: 33, C: 16, Kernel: 3, Stride: 1, Pad: 1}, 16},
	{DepthwiseShape{N: 2, H: 1, W: 1, C: 8, Kernel: 5, Stride: 2, Pad: 2}, 8},
	{DepthwiseShape{N: 2, H: 1, W: 1, C: 12, Kernel: 3, Stride: 2, Pad: 2, Dilation: 2}, 8},
	{DepthwiseShape{N: 2, H: 5, W: 11, C: 12, Kernel: 5, Stride: 1, Pad: 4, Dilation: 2}, 12},
}

// separableReference is the convolution by its definition, from the input
// after its ReLU.
func separableReference(s SeparableShape, x, depth, point []float64) []float64 {
	z := depthwiseReference(s.DepthwiseShape, x, depth)
	y := make([]float64, s.yLen())
	for i := range y {
		for c := range s.C {
			y[i] += z[i/s.Out*s.C+c] * point[c*s.Out+i%s.Out]
		}
	}
	return y
}

// normalised is max(0, x·scale + shift).
func normalised(x, scale, shift []float64) []float64 {
	y := make([]float64, len(x))
	for i := range x {
		y[i] = max(0, x[i]*scale[i%len(scale)]+shift[i%len(scale)])
	}
	return y
}

func TestSeparable(t *testing.T) {
	each(t, func(t *testing.T) {
		for _, s := range separableShapes {
			for _, norm := range []bool{false, true} {
				t.Run(fmt.Sprintf("%s norm=%t", shapeName(s), norm), func(t *testing.T) {
					testSeparable[float32](t, s, norm)
					testSeparable[float64](t, s, norm)
				})
			}
		}
	})
}

func testSeparable[T Float](t *testing.T, s SeparableShape, norm bool) {
	x, depth, point := random[T](1, s.xLen()), random[T](2, s.weightsLen()), random[T](3, s.C*s.Out)
	k := Separable[T]{SeparableShape: s, Epsilon: 1e-5, X: x, Depth: depth, Point: point}
	in := relu64(convert[float64](x))
	if norm {
		k.Scale, k.Shift = random[T](4, s.C), random[T](5, s.C)
		in = normalised(convert[float64](x), convert[float64](k.Scale), convert[float64](k.Shift))
	}
	want := separableReference(s, in, convert[float64](depth), convert[float64](point))
	mean, invstd := make([]float64, s.Out), make([]float64, s.Out)
	n := float64(len(want) / s.Out)
	for i, v := range want {
		mean[i%s.Out] += v / n
	}
	for i, v := range want {
		invstd[i%s.Out] += (v - mean[i%s.Out]) * (v - mean[i%s.Out]) / n
	}
	for i, v := range invstd {
		invstd[i] = 1 / math.Sqrt(v+1e-5)
	}
	build := func(threads int) (*Separable[T], [][]T) {
		k := k
		k.Y, k.Mean, k.InvStd = scratch[T](s.yLen()), scratch[T](s.Out), scratch[T](s.Out)
		k.Scratch = scratch[T](k.ScratchLen(threads))
		return &k, [][]T{k.Y, k.Mean, k.InvStd}
	}
	promises(t, build)
	done, _ := build(1)
	run(done)
	near(t, "y", done.Y, want, tolerance[T]())
	near(t, "mean", done.Mean, mean, tolerance[T]())
	near(t, "invstd", done.InvStd, invstd, 10*tolerance[T]())
}

func TestSeparableBackward(t *testing.T) {
	each(t, func(t *testing.T) {
		for _, s := range separableShapes {
			for _, norm := range []bool{false, true} {
				t.Run(fmt.Sprintf("%s norm=%t", shapeName(s), norm), func(t *testing.T) {
					testSeparableBackward[float32](t, s, norm)
					testSeparableBackward[float64](t, s, norm)
				})
			}
		}
	})
}

// testSeparableBackward compares with the gradients of the parts.
func testSeparableBackward[T Float](t *testing.T, s SeparableShape, norm bool) {
	x, depth := random[T](1, s.xLen()), random[T](2, s.weightsLen())
	point, dy := random[T](3, s.C*s.Out), random[T](4, s.yLen())
	old := random[T](5, s.xLen())
	k := SeparableBackward[T]{SeparableShape: s, X: x, Depth: depth, Point: point, DY: dy}
	in, gradient := relu64(convert[float64](x)), convert[float64](dy)
	if norm {
		k.Scale, k.Shift, k.Mean = random[T](6, s.C), random[T](7, s.C), random[T](8, s.C)
		in = normalised(convert[float64](x), convert[float64](k.Scale), convert[float64](k.Shift))
		k.A, k.B, k.D, k.Y = random[T](9, s.Out), random[T](10, s.Out), random[T](11, s.Out), random[T](12, s.yLen())
		for i := range gradient {
			gradient[i] = gradient[i]*float64(k.A[i%s.Out]) + float64(k.Y[i])*float64(k.B[i%s.Out]) + float64(k.D[i%s.Out])
		}
	}
	z := depthwiseReference(s.DepthwiseShape, in, convert[float64](depth))
	dpoint, dz := make([]float64, s.C*s.Out), make([]float64, len(z))
	for i, g := range gradient {
		for c := range s.C {
			dpoint[c*s.Out+i%s.Out] += z[i/s.Out*s.C+c] * g
			dz[i/s.Out*s.C+c] += float64(point[c*s.Out+i%s.Out]) * g
		}
	}
	one := NewWorkers(1)
	defer one.Close()
	weights := &DepthwiseBackwardWeights[float64]{DepthwiseShape: s.DepthwiseShape, X: in, DY: dz,
		DW: make([]float64, s.weightsLen())}
	weights.Scratch = make([]float64, weights.ScratchLen(1))
	weights.Run(one)
	data := &DepthwiseBackwardData[float64]{DepthwiseShape: s.DepthwiseShape, Weights: convert[float64](depth), DY: dz,
		DX: make([]float64, s.xLen())}
	data.Scratch = make([]float64, data.ScratchLen(1))
	data.Run(one)
	sum, dot := make([]float64, s.C), make([]float64, s.C)
	for i := range data.DX {
		if in[i] <= 0 {
			data.DX[i] = 0
		}
		if norm {
			sum[i%s.C] += data.DX[i]
			dot[i%s.C] += data.DX[i] * (float64(x[i]) - float64(k.Mean[i%s.C]))
		} else {
			data.DX[i] += float64(old[i])
		}
	}
	build := func(threads int) (*SeparableBackward[T], [][]T) {
		k := k
		k.DX, k.DDepth, k.DPoint = clone(old), scratch[T](s.weightsLen()), scratch[T](s.C*s.Out)
		if norm {
			k.Sum, k.Dot = scratch[T](s.C), scratch[T](s.C)
		}
		k.Scratch = scratch[T](k.ScratchLen(threads))
		return &k, [][]T{k.DX, k.DDepth, k.DPoint, k.Sum, k.Dot}
	}
	promises(t, build)
	done, _ := build(1)
	done.Add = !norm
	run(done)
	near(t, "dx", done.DX, data.DX, tolerance[T]())
	near(t, "ddepth", done.DDepth, weights.DW, tolerance[T]())
	near(t, "dpoint", done.DPoint, dpoint, tolerance[T]())
	if norm {
		near(t, "sum", done.Sum, sum, tolerance[T]())
		near(t, "dot", done.Dot, dot, tolerance[T]())
	}
}

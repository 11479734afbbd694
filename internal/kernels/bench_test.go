// SPDX-License-Identifier: Apache-2.0

package kernels

import (
	"fmt"
	"testing"
)

// benchShapes are the dense convolutions of the nb201 space at 32×32 and
// 28×28, batch 64 (training) and 1 (inference).
var benchShapes = []ConvShape{
	{N: 64, H: 32, W: 32, In: 16, Out: 16, Kernel: 3, Stride: 1, Pad: 1},
	{N: 64, H: 16, W: 16, In: 32, Out: 32, Kernel: 3, Stride: 1, Pad: 1},
	{N: 64, H: 8, W: 8, In: 64, Out: 64, Kernel: 3, Stride: 1, Pad: 1},
	{N: 64, H: 28, W: 28, In: 16, Out: 16, Kernel: 3, Stride: 1, Pad: 1},
	{N: 64, H: 32, W: 32, In: 16, Out: 16, Kernel: 1, Stride: 1},
	{N: 64, H: 8, W: 8, In: 64, Out: 64, Kernel: 1, Stride: 1},
	{N: 64, H: 32, W: 32, In: 16, Out: 32, Kernel: 3, Stride: 2, Pad: 1},
	{N: 64, H: 32, W: 32, In: 3, Out: 16, Kernel: 3, Stride: 1, Pad: 1},
	{N: 1, H: 32, W: 32, In: 16, Out: 16, Kernel: 3, Stride: 1, Pad: 1},
	{N: 1, H: 16, W: 16, In: 32, Out: 32, Kernel: 3, Stride: 1, Pad: 1},
	{N: 1, H: 8, W: 8, In: 64, Out: 64, Kernel: 3, Stride: 1, Pad: 1},
	{N: 1, H: 7, W: 7, In: 64, Out: 64, Kernel: 3, Stride: 1, Pad: 1},
}

func (s ConvShape) name() string {
	return fmt.Sprintf("n=%d/h=%d/in=%d/out=%d/k=%d/s=%d", s.N, s.H, s.In, s.Out, s.Kernel, s.Stride)
}

// benchmark runs a kernel on one thread with each implementation; work is its
// multiply-adds times two, or 0, and bytes what it reads and writes at least, or 0.
func benchmark(b *testing.B, name string, work, bytes int, build func() Kernel) {
	best := micro32
	defer func() { micro32 = best }()
	p := NewWorkers(1)
	defer p.Close()
	for _, im := range implementations() {
		micro32 = im.micro
		b.Run(name+"/cpu="+im.name, func(b *testing.B) {
			k := build()
			k.Run(p)
			b.SetBytes(int64(bytes))
			for b.Loop() {
				k.Run(p)
			}
			if work > 0 {
				b.ReportMetric(float64(work)*float64(b.N)/b.Elapsed().Seconds()/1e9, "GFLOP/s")
			}
		})
	}
}

func (s ConvShape) work() int {
	return 2 * s.N * s.OutH() * s.OutW() * s.Out * s.Kernel * s.Kernel * s.In
}

func BenchmarkConv(b *testing.B) {
	for _, s := range benchShapes {
		benchmark(b, s.name(), s.work(), 0, func() Kernel {
			c := &Conv[float32]{ConvShape: s, ReLUIn: true, X: random[float32](1, s.xLen()),
				Weights: random[float32](2, s.weightsLen()), Y: make([]float32, s.yLen())}
			if s.N == 1 {
				c.Packed = make([]float32, s.PackedLen())
				PackConv(s, c.Packed, c.Weights)
			}
			c.Scratch = make([]float32, c.ScratchLen(1))
			return c
		})
	}
}

func BenchmarkConvBackwardData(b *testing.B) {
	for _, s := range benchShapes[:8] {
		benchmark(b, s.name(), s.work(), 0, func() Kernel {
			c := &ConvBackwardData[float32]{ConvShape: s, ReLUIn: true, X: random[float32](1, s.xLen()),
				Weights: random[float32](2, s.weightsLen()), DY: random[float32](3, s.yLen()), DX: make([]float32, s.xLen())}
			c.Scratch = make([]float32, c.ScratchLen(1))
			return c
		})
	}
}

func BenchmarkConvBackwardWeights(b *testing.B) {
	for _, s := range benchShapes[:8] {
		benchmark(b, s.name(), s.work(), 0, func() Kernel {
			c := &ConvBackwardWeights[float32]{ConvShape: s, ReLUIn: true, X: random[float32](1, s.xLen()),
				DY: random[float32](3, s.yLen()), DW: make([]float32, s.weightsLen())}
			c.Scratch = make([]float32, c.ScratchLen(1))
			return c
		})
	}
}

// benchDepthwise are the darts space's, in each stage, batch 64 (training) and 1 (inference).
var benchDepthwise = []DepthwiseShape{
	{N: 64, H: 32, W: 32, C: 16, Kernel: 3, Stride: 1, Pad: 1},
	{N: 64, H: 32, W: 32, C: 16, Kernel: 5, Stride: 1, Pad: 2},
	{N: 64, H: 32, W: 32, C: 16, Kernel: 3, Stride: 1, Pad: 2, Dilation: 2},
	{N: 64, H: 32, W: 32, C: 16, Kernel: 5, Stride: 1, Pad: 4, Dilation: 2},
	{N: 64, H: 16, W: 16, C: 32, Kernel: 3, Stride: 1, Pad: 1},
	{N: 64, H: 16, W: 16, C: 32, Kernel: 5, Stride: 1, Pad: 2},
	{N: 64, H: 8, W: 8, C: 64, Kernel: 3, Stride: 1, Pad: 1},
	{N: 64, H: 8, W: 8, C: 64, Kernel: 5, Stride: 1, Pad: 2},
	{N: 64, H: 32, W: 32, C: 36, Kernel: 5, Stride: 1, Pad: 2},
	{N: 64, H: 16, W: 16, C: 64, Kernel: 3, Stride: 2, Pad: 1},
	{N: 1, H: 16, W: 16, C: 64, Kernel: 3, Stride: 1, Pad: 1},
}

func (s DepthwiseShape) name() string {
	return fmt.Sprintf("n=%d/h=%d/c=%d/k=%d/s=%d/d=%d", s.N, s.H, s.C, s.Kernel, s.Stride, max(1, s.Dilation))
}

func (s DepthwiseShape) work() int { return 2 * s.yLen() * s.Kernel * s.Kernel }

func BenchmarkDepthwise(b *testing.B) {
	for _, s := range benchDepthwise {
		x, w, dy := random[float32](1, s.xLen()), random[float32](2, s.weightsLen()), random[float32](3, s.yLen())
		bytes := 4 * (s.xLen() + s.yLen())
		benchmark(b, "pass=forward/"+s.name(), s.work(), bytes, func() Kernel {
			c := &Depthwise[float32]{DepthwiseShape: s, ReLUIn: true, X: x, Weights: w, Y: make([]float32, s.yLen())}
			c.Scratch = make([]float32, c.ScratchLen(1))
			return c
		})
		benchmark(b, "pass=data/"+s.name(), s.work(), bytes, func() Kernel {
			c := &DepthwiseBackwardData[float32]{DepthwiseShape: s, ReLUIn: true, X: x, Weights: w, DY: dy,
				DX: make([]float32, s.xLen())}
			c.Scratch = make([]float32, c.ScratchLen(1))
			return c
		})
		benchmark(b, "pass=weights/"+s.name(), s.work(), bytes, func() Kernel {
			c := &DepthwiseBackwardWeights[float32]{DepthwiseShape: s, ReLUIn: true, X: x, DY: dy,
				DW: make([]float32, s.weightsLen())}
			c.Scratch = make([]float32, c.ScratchLen(1))
			return c
		})
	}
}

func BenchmarkPool(b *testing.B) {
	for _, s := range []PoolShape{
		{N: 32, H: 32, W: 32, C: 32, Kernel: 3, Stride: 1, Pad: 1},
		{N: 64, H: 32, W: 32, C: 16, Kernel: 3, Stride: 1, Pad: 1},
		{N: 64, H: 32, W: 32, C: 16, Kernel: 3, Stride: 2, Pad: 1},
		{N: 64, H: 8, W: 8, C: 64, Kernel: 3, Stride: 1, Pad: 1},
		{N: 32, H: 32, W: 32, C: 36, Kernel: 3, Stride: 1, Pad: 1},
	} {
		name := fmt.Sprintf("/n=%d/h=%d/c=%d/s=%d", s.N, s.H, s.C, s.Stride)
		x, y := random[float32](1, s.xLen()), make([]float32, s.yLen())
		dy, dx := random[float32](2, s.yLen()), make([]float32, s.xLen())
		bytes := 4 * (s.xLen() + s.yLen())
		benchmark(b, "op=avg/pass=forward"+name, 0, bytes,
			func() Kernel { return withScratch(&AvgPool[float32]{PoolShape: s, X: x, Y: y}, 1) })
		benchmark(b, "op=avg/pass=backward"+name, 0, bytes,
			func() Kernel { return withScratch(&AvgPoolBackward[float32]{PoolShape: s, DY: dy, DX: dx}, 1) })
		benchmark(b, "op=max/pass=forward"+name, 0, bytes,
			func() Kernel { return withScratch(&MaxPool[float32]{PoolShape: s, X: x, Y: y}, 1) })
		benchmark(b, "op=max/pass=backward"+name, 0, bytes,
			func() Kernel { return withScratch(&MaxPoolBackward[float32]{PoolShape: s, X: x, DY: dy, DX: dx}, 1) })
	}
}

// BenchmarkRows has the kernels that are bound by memory: M rows of C channels
// as in a batch of 64 in nb201's first and last stage. A supernet's edge mixes
// five terms, two of which, the convolutions', are normalised.
func BenchmarkRows(b *testing.B) {
	for _, s := range []struct{ m, c int }{{64 * 32 * 32, 16}, {64 * 8 * 8, 64}} {
		n := s.m * s.c
		name := fmt.Sprintf("/m=%d/c=%d", s.m, s.c)
		x, dy, y := random[float32](1, n), random[float32](2, n), make([]float32, n)
		v := func(i uint64) []float32 { return random[float32](i, s.c) }
		benchmark(b, "op=relu"+name, 0, 8*n, func() Kernel { return &ReLU[float32]{X: x, Y: y} })
		benchmark(b, "op=reluBackward"+name, 0, 12*n, func() Kernel { return &ReLUBackward[float32]{X: x, DY: dy, DX: y} })
		benchmark(b, "op=add"+name, 0, 12*n, func() Kernel { return &Add[float32]{Xs: [][]float32{x, dy}, Y: y} })
		benchmark(b, "op=batchNorm"+name, 0, 12*n, func() Kernel {
			k := &BatchNorm[float32]{M: s.m, C: s.c, Epsilon: 1e-5, X: x, Gamma: v(3), Beta: v(4), Y: y, Mean: v(5),
				InvStd: v(6)}
			k.Scratch = make([]float32, k.ScratchLen(1))
			return k
		})
		benchmark(b, "op=batchNormBackward"+name, 0, 20*n, func() Kernel {
			k := &BatchNormBackward[float32]{M: s.m, C: s.c, X: x, Gamma: v(3), Mean: v(5), InvStd: v(6), DY: dy, DX: y,
				DGamma: v(7), DBeta: v(8)}
			k.Scratch = make([]float32, k.ScratchLen(1))
			return k
		})
		terms := make([]MixTerm[float32], 4)
		for i := range terms {
			p := float32(0.25)
			terms[i] = MixTerm[float32]{X: random[float32](uint64(20+i), n), DX: make([]float32, n), Norm: i < 2, Mean: v(5),
				InvStd: v(6), P: &p, DP: new(float32)}
		}
		benchmark(b, "op=mix"+name, 0, 4*7*n, func() Kernel {
			k := &Mix[float32]{M: s.m, C: s.c, Epsilon: 1e-5, Terms: terms, Y: y}
			k.Scratch = make([]float32, k.ScratchLen(1))
			return k
		})
		benchmark(b, "op=mixBackward"+name, 0, 4*(5+1+2+4)*n, func() Kernel {
			k := &MixBackward[float32]{M: s.m, C: s.c, Terms: terms, DY: dy}
			k.Scratch = make([]float32, k.ScratchLen(1))
			return k
		})
	}
}

// BenchmarkSeparable has a stage of sep_conv_3x3 in the three stages of the
// retrained DARTS network, batch 32, and in the first of its supernet.
func BenchmarkSeparable(b *testing.B) {
	for _, e := range []struct{ n, h, c int }{{32, 32, 36}, {32, 16, 72}, {32, 8, 144}, {64, 32, 16}} {
		s := SeparableShape{DepthwiseShape{N: e.n, H: e.h, W: e.h, C: e.c, Kernel: 3, Stride: 1, Pad: 1}, e.c}
		name := fmt.Sprintf("/n=%d/h=%d/c=%d", e.n, e.h, e.c)
		work := s.DepthwiseShape.work() + 2*s.yLen()*s.C
		x, dy := random[float32](1, s.xLen()), random[float32](2, s.yLen())
		depth, point := random[float32](3, s.weightsLen()), random[float32](4, s.C*s.Out)
		v := func(n int) []float32 { return make([]float32, n) }
		benchmark(b, "pass=forward"+name, work, 0, func() Kernel {
			k := &Separable[float32]{SeparableShape: s, Epsilon: 1e-5, X: x, Depth: depth, Point: point, Y: v(s.yLen()),
				Mean: v(s.Out), InvStd: v(s.Out)}
			k.Scratch = v(k.ScratchLen(1))
			return k
		})
		benchmark(b, "pass=backward"+name, 2*work, 0, func() Kernel {
			k := &SeparableBackward[float32]{SeparableShape: s, X: x, Depth: depth, Point: point, DY: dy,
				DDepth: v(s.weightsLen()), DPoint: v(s.C * s.Out), DX: v(s.xLen())}
			k.Scratch = v(k.ScratchLen(1))
			return k
		})
	}
}

// BenchmarkPointwise has the 1×1 convolutions that cells of DARTS begin with, on
// the four nodes of a cell before.
func BenchmarkPointwise(b *testing.B) {
	for _, e := range []struct{ n, h, c int }{{64, 32, 16}, {64, 8, 64}, {32, 32, 36}} {
		s := PointwiseShape{N: e.n, H: e.h, W: e.h, Channels: []int{e.c, e.c, e.c, e.c}, Out: e.c}
		name := fmt.Sprintf("/n=%d/h=%d/c=%d", e.n, e.h, e.c)
		work := 2 * s.yLen() * s.In()
		dy, weights, add := random[float32](2, s.yLen()), random[float32](3, s.In()*s.Out), []bool{true, true, true, true}
		var xs, dxs [][]float32
		for i := range s.Channels {
			xs, dxs = append(xs, random[float32](uint64(10+i), s.yLen())), append(dxs, random[float32](uint64(20+i), s.yLen()))
		}
		v := func(n int) []float32 { return make([]float32, n) }
		benchmark(b, "pass=forward"+name, work, 0, func() Kernel {
			k := &Pointwise[float32]{PointwiseShape: s, ReLUIn: true, Epsilon: 1e-5, Xs: xs, Weights: weights, Y: v(s.yLen()),
				Mean: v(s.Out), InvStd: v(s.Out)}
			k.Scratch = v(k.ScratchLen(1))
			return k
		})
		benchmark(b, "pass=backward"+name, 2*work, 0, func() Kernel {
			k := &PointwiseBackward[float32]{PointwiseShape: s, ReLUIn: true, Add: add, Xs: xs, DXs: dxs, Weights: weights,
				DY: dy, DWeights: v(len(weights))}
			k.Scratch = v(k.ScratchLen(1))
			return k
		})
	}
}

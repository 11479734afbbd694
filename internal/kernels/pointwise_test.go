// SPDX-License-Identifier: Apache-2.0

package kernels

import (
	"fmt"
	"math"
	"testing"
)

var pointwiseShapes = []PointwiseShape{
	{N: 3, H: 8, W: 8, Out: 16, Channels: []int{16, 16, 16, 16}},
	{N: 2, H: 7, W: 9, Out: 5, Channels: []int{3}},
	{N: 17, H: 4, W: 3, Out: 36, Channels: []int{20, 7}},
	{N: 2, H: 5, W: 40, Out: 33, Channels: []int{36, 36, 36, 36}},
}

// pointwiseCase is random data for a shape, and what the layers come to.
type pointwiseCase[T Float] struct {
	s           PointwiseShape
	xs          [][]T
	weights, dy []T
	in          []float64 // the maps side by side, after the ReLU
}

func newPointwiseCase[T Float](s PointwiseShape, relu bool) pointwiseCase[T] {
	c := pointwiseCase[T]{s: s, weights: random[T](1, s.In()*s.Out), dy: random[T](2, s.yLen())}
	rows := s.N * s.pixels()
	for i, n := range s.Channels {
		c.xs = append(c.xs, random[T](uint64(3+i), rows*n))
	}
	for r := range rows {
		for i, n := range s.Channels {
			for _, v := range c.xs[i][r*n:][:n] {
				if relu {
					v = max(0, v)
				}
				c.in = append(c.in, float64(v))
			}
		}
	}
	return c
}

func eachPointwise(t *testing.T, f32 func(*testing.T, pointwiseCase[float32], bool),
	f64 func(*testing.T, pointwiseCase[float64], bool)) {
	each(t, func(t *testing.T) {
		for _, s := range pointwiseShapes {
			for _, relu := range []bool{false, true} {
				t.Run(fmt.Sprintf("%s relu=%t", shapeName(s), relu), func(t *testing.T) {
					f32(t, newPointwiseCase[float32](s, relu), relu)
					f64(t, newPointwiseCase[float64](s, relu), relu)
				})
			}
		}
	})
}

func TestPointwise(t *testing.T) { eachPointwise(t, testPointwise[float32], testPointwise[float64]) }

func testPointwise[T Float](t *testing.T, c pointwiseCase[T], relu bool) {
	s, in := c.s, c.s.In()
	want, mean, invstd := make([]float64, s.yLen()), make([]float64, s.Out), make([]float64, s.Out)
	n := float64(s.N * s.pixels())
	for i := range want {
		for k := range in {
			want[i] += c.in[i/s.Out*in+k] * float64(c.weights[k*s.Out+i%s.Out])
		}
		mean[i%s.Out] += want[i] / n
	}
	for i, v := range want {
		invstd[i%s.Out] += (v - mean[i%s.Out]) * (v - mean[i%s.Out]) / n
	}
	for i, v := range invstd {
		invstd[i] = 1 / math.Sqrt(v+1e-5)
	}
	build := func(threads int) (*Pointwise[T], [][]T) {
		k := &Pointwise[T]{PointwiseShape: s, ReLUIn: relu, Epsilon: 1e-5, Xs: c.xs, Weights: c.weights,
			Y: scratch[T](s.yLen()), Mean: scratch[T](s.Out), InvStd: scratch[T](s.Out)}
		k.Scratch = scratch[T](k.ScratchLen(threads))
		return k, [][]T{k.Y, k.Mean, k.InvStd}
	}
	promises(t, build)
	done, _ := build(1)
	run(done)
	near(t, "y", done.Y, want, tolerance[T]())
	near(t, "mean", done.Mean, mean, 10*tolerance[T]())
	near(t, "invstd", done.InvStd, invstd, 10*tolerance[T]())
}

func TestPointwiseBackward(t *testing.T) {
	eachPointwise(t, testPointwiseBackward[float32], testPointwiseBackward[float64])
}

// testPointwiseBackward adds to every other map's gradient; with a ReLU the
// gradient of Y comes through a batch norm.
func testPointwiseBackward[T Float](t *testing.T, c pointwiseCase[T], relu bool) {
	s, in := c.s, c.s.In()
	k := PointwiseBackward[T]{PointwiseShape: s, ReLUIn: relu, Xs: c.xs, Weights: c.weights, DY: c.dy,
		Add: make([]bool, len(s.Channels))}
	dy := convert[float64](c.dy)
	if relu {
		k.A, k.B, k.D, k.Y = random[T](19, s.Out), random[T](20, s.Out), random[T](21, s.Out), random[T](22, s.yLen())
		for i := range dy {
			dy[i] = dy[i]*float64(k.A[i%s.Out]) + float64(k.Y[i])*float64(k.B[i%s.Out]) + float64(k.D[i%s.Out])
		}
	}
	dw, dx := make([]float64, in*s.Out), make([]float64, len(c.in))
	for i, d := range dy {
		for j := range in {
			x := i/s.Out*in + j
			dw[j*s.Out+i%s.Out] += c.in[x] * d
			if !relu || c.in[x] > 0 {
				dx[x] += float64(c.weights[j*s.Out+i%s.Out]) * d
			}
		}
	}
	build := func(threads int) (*PointwiseBackward[T], [][]T) {
		k := k
		k.DWeights, k.DXs = scratch[T](in*s.Out), nil
		for i, x := range c.xs {
			k.DXs = append(k.DXs, random[T](uint64(30+i), len(x)))
		}
		k.Scratch = scratch[T](k.ScratchLen(threads))
		return &k, append([][]T{k.DWeights}, k.DXs...)
	}
	promises(t, build)
	done, _ := build(1)
	done.Add = make([]bool, len(s.Channels))
	old := make([][]float64, len(s.Channels))
	for i := range s.Channels {
		done.Add[i] = i%2 == 1
		old[i] = convert[float64](done.DXs[i])
	}
	run(done)
	near(t, "dw", done.DWeights, dw, tolerance[T]())
	first := 0
	for i, n := range s.Channels {
		want := make([]float64, len(done.DXs[i]))
		for j := range want {
			want[j] = dx[j/n*in+first+j%n]
			if done.Add[i] {
				want[j] += old[i][j]
			}
		}
		near(t, fmt.Sprintf("dx %d", i), done.DXs[i], want, tolerance[T]())
		first += n
	}
	done.DWeights, done.DXs[0] = nil, nil
	run(done) // nothing that is not wanted is written
}

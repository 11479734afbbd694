// SPDX-License-Identifier: Apache-2.0

package kernels

import (
	"fmt"
	"math"
	"testing"
)

var reduceShapes = []FactorizedReduceShape{
	{N: 3, H: 8, W: 8, Stride: 2, Channels: []int{32}, Outs: []int{16, 16}},
	{N: 17, H: 6, W: 4, Stride: 2, Channels: []int{20}, Outs: []int{18, 18}},
	{N: 2, H: 4, W: 10, Stride: 2, Channels: []int{7}, Outs: []int{2, 3}},
	{N: 2, H: 34, W: 66, Stride: 2, Channels: []int{16}, Outs: []int{5, 21}},
	{N: 2, H: 14, W: 16, Stride: 2, Channels: []int{32, 16, 32}, Outs: []int{16, 16}},
	{N: 3, H: 8, W: 6, Stride: 2, Channels: []int{36, 4}, Outs: []int{18, 7}},
	{N: 2, H: 7, W: 9, Stride: 2, Channels: []int{16}, Outs: []int{20}},
	{N: 1, H: 5, W: 6, Stride: 3, Channels: []int{3}, Outs: []int{4, 17}},
}

// reduceCase is random data for a shape.
type reduceCase[T Float] struct {
	s           FactorizedReduceShape
	relu        bool
	dy          []T
	xs, weights [][]T
}

func newReduceCase[T Float](s FactorizedReduceShape, relu bool) reduceCase[T] {
	c := reduceCase[T]{s: s, relu: relu, dy: random[T](2, s.yLen())}
	for m := range s.Channels {
		c.xs = append(c.xs, random[T](uint64(40+m), s.xLen(m)))
	}
	for i, out := range s.Outs {
		c.weights = append(c.weights, random[T](uint64(3+i), s.In()*out))
	}
	return c
}

// each calls f for every product of an element of a map and a weight that Y
// has: those of element y of Y, element x of map m, weight w of convolution i.
func (c reduceCase[T]) each(f func(y, m, x, i, w int)) {
	s, first := c.s, 0
	for i, out := range s.Outs {
		for y := range s.N * s.pixels() {
			n, h, w := y/s.pixels(), y%s.pixels()/s.OutW(), y%s.OutW()
			x, row := (n*s.H+h*s.Stride+i)*s.W+w*s.Stride+i, 0
			for m, channels := range s.Channels {
				for k := range channels {
					for o := range out {
						f(y*s.Out()+first+o, m, x*channels+k, i, row*out+o)
					}
					row++
				}
			}
		}
		first += out
	}
}

// in is what the convolutions read of element x of map m.
func (c reduceCase[T]) in(m, x int) float64 {
	if v := float64(c.xs[m][x]); v > 0 || !c.relu {
		return v
	}
	return 0
}

func eachReduce(t *testing.T, f32 func(*testing.T, reduceCase[float32]), f64 func(*testing.T, reduceCase[float64])) {
	each(t, func(t *testing.T) {
		for _, s := range reduceShapes {
			for _, relu := range []bool{false, true} {
				t.Run(fmt.Sprintf("%s relu=%t", shapeName(s), relu), func(t *testing.T) {
					f32(t, newReduceCase[float32](s, relu))
					f64(t, newReduceCase[float64](s, relu))
				})
			}
		}
	})
}

func TestFactorizedReduce(t *testing.T) { eachReduce(t, testReduce[float32], testReduce[float64]) }

func testReduce[T Float](t *testing.T, c reduceCase[T]) {
	s, out := c.s, c.s.Out()
	want, mean, invstd := make([]float64, s.yLen()), make([]float64, out), make([]float64, out)
	c.each(func(y, m, x, i, w int) { want[y] += c.in(m, x) * float64(c.weights[i][w]) })
	n := float64(s.N * s.pixels())
	for i, v := range want {
		mean[i%out] += v / n
	}
	for i, v := range want {
		invstd[i%out] += (v - mean[i%out]) * (v - mean[i%out]) / n
	}
	for i, v := range invstd {
		invstd[i] = 1 / math.Sqrt(v+1e-5)
	}
	build := func(threads int) (*FactorizedReduce[T], [][]T) {
		k := &FactorizedReduce[T]{FactorizedReduceShape: s, ReLUIn: c.relu, Epsilon: 1e-5, Xs: c.xs, Weights: c.weights,
			Y: scratch[T](s.yLen()), Mean: scratch[T](out), InvStd: scratch[T](out)}
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

func TestFactorizedReduceBackward(t *testing.T) {
	eachReduce(t, testReduceBackward[float32], testReduceBackward[float64])
}

// testReduceBackward takes the gradient of Y through a batch norm if there is a ReLU.
func testReduceBackward[T Float](t *testing.T, c reduceCase[T]) {
	s, out := c.s, c.s.Out()
	k := FactorizedReduceBackward[T]{FactorizedReduceShape: s, ReLUIn: c.relu, Xs: c.xs, Weights: c.weights, DY: c.dy,
		Add: make([]bool, len(s.Channels))}
	dy := convert[float64](c.dy)
	if c.relu {
		k.A, k.B, k.D, k.Y = random[T](19, out), random[T](20, out), random[T](21, out), random[T](22, s.yLen())
		for i := range dy {
			dy[i] = dy[i]*float64(k.A[i%out]) + float64(k.Y[i])*float64(k.B[i%out]) + float64(k.D[i%out])
		}
	}
	dx, dw := make([][]float64, len(s.Channels)), make([][]float64, len(s.Outs))
	for m := range dx {
		dx[m] = make([]float64, s.xLen(m))
	}
	for i, w := range c.weights {
		dw[i] = make([]float64, len(w))
	}
	c.each(func(y, m, x, i, w int) {
		dw[i][w] += c.in(m, x) * dy[y]
		if !c.relu || c.xs[m][x] > 0 {
			dx[m][x] += float64(c.weights[i][w]) * dy[y]
		}
	})
	build := func(threads int) (*FactorizedReduceBackward[T], [][]T) {
		k := k
		k.DXs, k.DWeights = nil, nil
		for m := range s.Channels {
			k.DXs = append(k.DXs, scratch[T](s.xLen(m)))
		}
		for _, w := range c.weights {
			k.DWeights = append(k.DWeights, scratch[T](len(w)))
		}
		k.Scratch = scratch[T](k.ScratchLen(threads))
		return &k, append(k.DXs[:len(k.DXs):len(k.DXs)], k.DWeights...)
	}
	promises(t, build)
	done, _ := build(1)
	run(done)
	for i := range dw {
		near(t, fmt.Sprintf("dw %d", i), done.DWeights[i], dw[i], tolerance[T]())
	}
	for m := range dx {
		near(t, fmt.Sprintf("dx %d", m), done.DXs[m], dx[m], tolerance[T]())
	}
	before := random[T](23, s.xLen(0))
	done.Add, done.DXs[0], done.DWeights[0] = append([]bool{true}, done.Add[1:]...), clone(before), nil
	run(done) // what is not wanted is not written
	near(t, "dx added", done.DXs[0], plus(dx[0], convert[float64](before)), tolerance[T]())
	done.DXs[0] = nil
	run(done)
}

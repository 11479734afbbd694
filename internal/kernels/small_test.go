// SPDX-License-Identifier: Apache-2.0

package kernels

import (
	"math"
	"testing"
)

// flatLengths: none, fewer than a vector, several pieces.
var flatLengths = []int{0, 1, 7, 100, 2*flatSize + 3}

func TestReLU(t *testing.T) {
	each(t, func(t *testing.T) {
		for _, n := range flatLengths {
			x, dy, before := random[float64](1, n), random[float64](2, n), random[float64](3, n)
			promises(t, func(int) (*ReLU[float32], [][]float32) {
				k := &ReLU[float32]{X: convert[float32](x), Y: scratch[float32](n)}
				run(k)
				near(t, "Y", k.Y, relu64(x), 1e-7)
				return k, [][]float32{k.Y}
			})
			back := &ReLUBackward[float64]{X: x, DY: dy, DX: scratch[float64](n)}
			run(back)
			gradient(t, "DX", x, back.DX, dy, func() []float64 { return relu64(x) })
			promises(t, func(int) (*ReLUBackward[float32], [][]float32) {
				k := &ReLUBackward[float32]{Add: true, X: convert[float32](x), DY: convert[float32](dy), DX: convert[float32](before)}
				run(k)
				near(t, "DX with Add", k.DX, plus(before, back.DX), 1e-6)
				copy(k.DX, convert[float32](before))
				return k, [][]float32{k.DX}
			})
		}
	})
}

func TestAdd(t *testing.T) {
	each(t, func(t *testing.T) {
		for _, n := range flatLengths {
			for count := 1; count <= 4; count++ {
				for _, relu := range []bool{false, true} {
					xs, want := [][]float32{}, make([]float64, n)
					for i := range count {
						xs = append(xs, random[float32](uint64(i), n))
						want = plus(want, convert[float64](xs[i]))
					}
					if relu {
						want = relu64(want)
					}
					promises(t, func(int) (*Add[float32], [][]float32) {
						k := &Add[float32]{Xs: xs, ReLUOut: relu, Y: scratch[float32](n)}
						run(k)
						near(t, "Y", k.Y, want, tolerance[float32]())
						return k, [][]float32{k.Y}
					})
					k := &Add[float32]{Xs: append([][]float32{clone(xs[0])}, xs[1:]...), ReLUOut: relu}
					k.Y = k.Xs[0]
					run(k)
					near(t, "Y in place", k.Y, want, tolerance[float32]())
				}
			}
		}
	})
}

func TestLinear(t *testing.T) {
	for _, s := range []struct{ n, in, out int }{{1, 1, 1}, {3, 5, 2}, {64, 64, 10}} {
		x, w, b := random[float64](1, s.n*s.in), random[float64](2, s.in*s.out), random[float64](3, s.out)
		dy, before := random[float64](4, s.n*s.out), random[float64](5, s.n*s.in)
		forward := func() []float64 {
			y := make([]float64, s.n*s.out)
			for i := range y {
				n, o := i/s.out, i%s.out
				y[i] = b[o]
				for j := range s.in {
					y[i] += x[n*s.in+j] * w[j*s.out+o]
				}
			}
			return y
		}
		promises(t, func(int) (*Linear[float32], [][]float32) {
			k := &Linear[float32]{N: s.n, In: s.in, Out: s.out, X: convert[float32](x), Weights: convert[float32](w), Bias: convert[float32](b), Y: scratch[float32](s.n * s.out)}
			run(k)
			near(t, "Y", k.Y, forward(), tolerance[float32]())
			return k, [][]float32{k.Y}
		})
		back := func() *LinearBackward[float64] {
			return &LinearBackward[float64]{N: s.n, In: s.in, Out: s.out, X: x, Weights: w, DY: dy,
				DX: clone(before), DW: scratch[float64](s.in * s.out), DB: scratch[float64](s.out)}
		}
		promises(t, func(int) (*LinearBackward[float64], [][]float64) {
			k := back()
			return k, [][]float64{k.DX, k.DW, k.DB}
		})
		k := back()
		run(k)
		gradient(t, "DX", x, k.DX, dy, forward)
		gradient(t, "DW", w, k.DW, dy, forward)
		gradient(t, "DB", b, k.DB, dy, forward)
		plain := clone(k.DX)
		k.Add, k.DX, k.DW, k.DB = true, clone(before), nil, nil
		run(k)
		near(t, "DX with Add", k.DX, plus(before, plain), 1e-14)
		run(&LinearBackward[float64]{N: s.n, In: s.in, Out: s.out, DY: dy, DB: scratch[float64](s.out)})
	}
}

func TestSoftmaxCrossEntropy(t *testing.T) {
	const n, classes = 5, 4
	labels := []int32{0, 3, 1, 2, 0}
	for _, smoothing := range []float64{0, 0.1} {
		logits := random[float64](1, n*classes)
		forward := func() []float64 {
			var loss float64
			for i := range n {
				var sum float64
				for _, v := range logits[i*classes:][:classes] {
					sum += math.Exp(v)
				}
				for j, v := range logits[i*classes:][:classes] {
					target := smoothing / classes
					if j == int(labels[i]) {
						target += 1 - smoothing
					}
					loss -= target * (v - math.Log(sum)) / n
				}
			}
			return []float64{loss}
		}
		promises(t, func(int) (*SoftmaxCrossEntropy[float64], [][]float64) {
			k := &SoftmaxCrossEntropy[float64]{N: n, Classes: classes, Smoothing: smoothing, Logits: logits, Labels: labels,
				Loss: scratch[float64](1), DLogits: scratch[float64](n * classes), Correct: make([]int32, 1)}
			run(k)
			near(t, "Loss", k.Loss, forward(), 1e-14)
			gradient(t, "DLogits", logits, k.DLogits, []float64{1}, forward)
			return k, [][]float64{k.Loss, k.DLogits}
		})
	}
}

func TestSoftmaxCrossEntropyExtremes(t *testing.T) {
	k := &SoftmaxCrossEntropy[float32]{N: 3, Classes: 3, Labels: []int32{1, 0, 2}, Loss: make([]float32, 1), DLogits: make([]float32, 9), Correct: make([]int32, 1),
		Logits: []float32{-1e4, 1e4, 0 /* right */, 5, 5, 1 /* tie: the first, right */, 2, 7, 7 /* tie: the first, wrong */}}
	run(k)
	if k.Correct[0] != 2 {
		t.Errorf("%d right, want 2", k.Correct[0])
	}
	for i, v := range append(k.DLogits, k.Loss...) {
		if v != v || math.IsInf(float64(v), 0) {
			t.Errorf("value %d is %v", i, v)
		}
	}
}

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

func TestLayout(t *testing.T) {
	const out, in, k = 3, 2, 2
	src := random[float32](1, out*in*k*k)
	hwio, back := make([]float32, len(src)), make([]float32, len(src))
	OIHWToHWIO(hwio, src, out, in, k)
	if got, want := hwio[((1*k+0)*in+1)*out+2], src[((2*in+1)*k+1)*k+0]; got != want {
		t.Errorf("weight [1][0][1][2] = %v, want %v", got, want)
	}
	HWIOToOIHW(back, hwio, out, in, k)
	near(t, "weights", back, convert[float64](src), 0)

	const n, c, hw = 2, 3, 4
	x := random[float32](2, n*c*hw)
	nhwc, planar := make([]float32, len(x)), make([]float32, len(x))
	NCHWToNHWC(nhwc, x, n, c, hw)
	if got, want := nhwc[(1*hw+3)*c+2], x[(1*c+2)*hw+3]; got != want {
		t.Errorf("pixel 3, channel 2 of image 1 = %v, want %v", got, want)
	}
	NHWCToNCHW(planar, nhwc, n, c, hw)
	near(t, "images", planar, convert[float64](x), 0)
}

// tally counts how often each piece is done, and checks the workers.
type tally struct {
	count   []int32
	threads int
	bad     bool
}

func (c *tally) Do(piece, worker int) {
	c.count[piece]++
	c.bad = c.bad || worker < 0 || worker >= c.threads
}

func TestPool(t *testing.T) {
	for _, threads := range []int{1, 2, 5} {
		p := NewPool(threads)
		if p.Threads() != threads {
			t.Errorf("%d threads, want %d", p.Threads(), threads)
		}
		for _, pieces := range []int{0, 1, 2, 100} {
			c := &tally{count: make([]int32, pieces), threads: threads}
			p.For(pieces, c)
			for i, n := range c.count {
				if n != 1 {
					t.Errorf("%d threads: piece %d of %d done %d times", threads, i, pieces, n)
				}
			}
			if c.bad {
				t.Errorf("%d threads: worker out of range", threads)
			}
		}
		p.Close()
	}
	if p := NewPool(0); p.Threads() < 1 {
		t.Error("no threads")
	} else {
		p.Close()
	}
}

// TestPanics: a caller's bug is a panic, not a wild write.
func TestPanics(t *testing.T) {
	shape := ConvShape{N: 1, H: 4, W: 4, In: 2, Out: 2, Kernel: 3, Stride: 1, Pad: 1}
	for name, k := range map[string]Kernel{
		"short X":          &Conv[float32]{ConvShape: shape, X: make([]float32, 31), Weights: make([]float32, 36), Y: make([]float32, 32), Scratch: make([]float32, 5000)},
		"short Scratch":    &Conv[float32]{ConvShape: shape, X: make([]float32, 32), Weights: make([]float32, 36), Y: make([]float32, 32)},
		"no stride":        &Conv[float32]{ConvShape: ConvShape{N: 1, H: 4, W: 4, In: 2, Out: 2, Kernel: 3}},
		"window too wide":  &Conv[float32]{ConvShape: ConvShape{N: 1, H: 1, W: 1, In: 2, Out: 2, Kernel: 3, Stride: 2}},
		"no channels":      &Depthwise[float32]{DepthwiseShape: DepthwiseShape{N: 1, H: 4, W: 4, Kernel: 3, Stride: 1, Pad: 1}},
		"pool padding":     &MaxPool[float32]{PoolShape: PoolShape{N: 1, H: 4, W: 4, C: 1, Kernel: 2, Stride: 1, Pad: 2}},
		"short batch norm": &BatchNorm[float32]{M: 4, C: 2, X: make([]float32, 7)},
		"nothing to add":   &Add[float32]{},
	} {
		t.Run(name, func(t *testing.T) {
			defer func() {
				if recover() == nil {
					t.Error("no panic")
				}
			}()
			run(k)
		})
	}
}

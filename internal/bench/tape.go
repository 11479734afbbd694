// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"math/rand/v2"

	"github.com/edgenas/edgenas/internal/kernels"
	"github.com/edgenas/edgenas/ops"
)

// tape is a chain of layers on images of one extent, each a kernel forward and
// some backward, as a training step would run them.
type tape[T kernels.Float] struct {
	n, size, c int
	threads    int
	rng        *rand.Rand
	arena      []T // what is left of it
	x, dx      []T // the images and the gradient in them
	y, dy      []T // what the last layer makes, and the gradient that it is given
	forward    []kernels.Kernel
	backward   []kernels.Kernel // run last to first
	macs       int64
}

// newTape starts with n random images of c channels.
func newTape[T kernels.Float](n, size, c int, pool *kernels.Workers, seed uint64) *tape[T] {
	t := &tape[T]{n: n, size: size, c: c, threads: pool.Threads(), rng: rand.New(rand.NewPCG(seed, 0))}
	t.x, t.dx = t.random(t.len()), t.random(t.len())
	t.y, t.dy = t.x, t.dx
	return t
}

func (t *tape[T]) rows() int { return t.n * t.size * t.size }
func (t *tape[T]) len() int  { return t.rows() * t.c }

// arenaLen holds what most operations need.
const arenaLen = 16 << 20

// take is memory as a training step has it: large pages, one thing behind
// another.
func (t *tape[T]) take(n int) []T {
	const line = 16 // elements
	whole := (n + line - 1) / line * line
	if whole > len(t.arena) {
		t.arena = make([]T, max(whole, arenaLen))
		kernels.LargePages(t.arena)
	}
	v := t.arena[:n:n]
	t.arena = t.arena[whole:]
	return v
}

// random draws normal values: pages are then in memory.
func (t *tape[T]) random(n int) []T {
	v := t.take(n)
	for i := range v {
		v[i] = T(t.rng.NormFloat64())
	}
	return v
}

// next makes the output of a layer, which reads x and has dx to write.
func (t *tape[T]) next() (x, dx, y, dy []T) {
	x, dx = t.y, t.dy
	t.y, t.dy = t.random(t.len()), t.random(t.len())
	return x, dx, t.y, t.dy
}

// scratch is working memory for a kernel.
func (t *tape[T]) scratch(k kernels.Scratcher) []T { return t.take(k.ScratchLen(t.threads)) }

func (t *tape[T]) conv(kernel int) {
	s := kernels.ConvShape{N: t.n, H: t.size, W: t.size, In: t.c, Out: t.c, Kernel: kernel, Stride: 1, Pad: kernel / 2,
		Dilation: 1}
	n := kernel * kernel * t.c * t.c
	x, dx, y, dy := t.next()
	w := t.random(n)
	f := &kernels.Conv[T]{ConvShape: s, X: x, Weights: w, Y: y}
	f.Scratch = t.scratch(f)
	data := &kernels.ConvBackwardData[T]{ConvShape: s, X: x, Weights: w, DY: dy, DX: dx}
	data.Scratch = t.scratch(data)
	weights := &kernels.ConvBackwardWeights[T]{ConvShape: s, X: x, DY: dy, DW: t.random(n)}
	weights.Scratch = t.scratch(weights)
	t.forward, t.backward = append(t.forward, f), append(t.backward, data, weights)
	t.macs += int64(t.rows() * n)
}

func (t *tape[T]) depthwise(kernel, dilation int) {
	s := t.depthwiseShape(kernel, dilation)
	n := kernel * kernel * t.c
	x, dx, y, dy := t.next()
	w := t.random(n)
	f := &kernels.Depthwise[T]{DepthwiseShape: s, X: x, Weights: w, Y: y}
	f.Scratch = t.scratch(f)
	data := &kernels.DepthwiseBackwardData[T]{DepthwiseShape: s, X: x, Weights: w, DY: dy, DX: dx}
	data.Scratch = t.scratch(data)
	weights := &kernels.DepthwiseBackwardWeights[T]{DepthwiseShape: s, X: x, DY: dy, DW: t.random(n)}
	weights.Scratch = t.scratch(weights)
	t.forward, t.backward = append(t.forward, f), append(t.backward, data, weights)
	t.macs += int64(t.rows() * n)
}

func (t *tape[T]) depthwiseShape(kernel, dilation int) kernels.DepthwiseShape {
	return kernels.DepthwiseShape{N: t.n, H: t.size, W: t.size, C: t.c, Kernel: kernel, Stride: 1,
		Pad: dilation * (kernel - 1) / 2, Dilation: dilation}
}

func (t *tape[T]) batchNorm() {
	x, dx, y, dy := t.next()
	f := &kernels.BatchNorm[T]{M: t.rows(), C: t.c, Epsilon: ops.BatchNormEpsilon, Momentum: 0.1, X: x, Y: y,
		Mean: t.random(t.c), InvStd: t.random(t.c),
		Gamma: t.random(t.c), Beta: t.random(t.c), RunningMean: make([]T, t.c), RunningVar: make([]T, t.c)}
	b := &kernels.BatchNormBackward[T]{M: t.rows(), C: t.c, X: x, Mean: f.Mean, InvStd: f.InvStd, Gamma: f.Gamma, DY: dy,
		DX: dx, DGamma: t.random(t.c), DBeta: t.random(t.c)}
	f.Scratch, b.Scratch = t.scratch(f), t.scratch(b)
	t.forward, t.backward = append(t.forward, f), append(t.backward, b)
}

func (t *tape[T]) relu() {
	x, dx, y, dy := t.next()
	t.forward = append(t.forward, &kernels.ReLU[T]{X: x, Y: y})
	t.backward = append(t.backward, &kernels.ReLUBackward[T]{X: x, DY: dy, DX: dx})
}

func (t *tape[T]) poolShape() kernels.PoolShape {
	return kernels.PoolShape{N: t.n, H: t.size, W: t.size, C: t.c, Kernel: 3, Stride: 1, Pad: 1}
}

// maxPool adds a max pooling and the batch norm behind it, as a training step
// runs them: the statistics come from the pooling, the norm writes over what it
// reads, the gradient goes on as coefficients.
func (t *tape[T]) maxPool() {
	x, dx, y, _ := t.next()
	f := &kernels.MaxPool[T]{PoolShape: t.poolShape(), Epsilon: ops.BatchNormEpsilon, X: x, Y: y, Mean: t.random(t.c),
		InvStd: t.random(t.c)}
	b := &kernels.MaxPoolBackward[T]{PoolShape: t.poolShape(), X: x, Y: y, Mean: f.Mean, InvStd: f.InvStd, DX: dx}
	f.Scratch, b.Scratch = t.scratch(f), t.scratch(b)
	t.forward, t.backward = append(t.forward, f), append(t.backward, b)
	b.DY, b.A, b.B, b.D = t.behind(f.Mean, f.InvStd)
}

// avgPool is maxPool for the mean.
func (t *tape[T]) avgPool() {
	x, dx, y, _ := t.next()
	f := &kernels.AvgPool[T]{PoolShape: t.poolShape(), Epsilon: ops.BatchNormEpsilon, X: x, Y: y, Mean: t.random(t.c),
		InvStd: t.random(t.c)}
	b := &kernels.AvgPoolBackward[T]{PoolShape: t.poolShape(), Y: y, DX: dx}
	f.Scratch, b.Scratch = t.scratch(f), t.scratch(b)
	t.forward, t.backward = append(t.forward, f), append(t.backward, b)
	b.DY, b.A, b.B, b.D = t.behind(f.Mean, f.InvStd)
}

// behind adds a batch norm whose gradient the layer before makes itself, of dy
// and the coefficients.
func (t *tape[T]) behind(mean, invstd []T) (dy, a, b, d []T) {
	k := t.normalise(mean, invstd)
	k.DX, k.Coefs = nil, t.random(3*t.c)
	return k.DY, k.Coefs[:t.c], k.Coefs[t.c:][:t.c], k.Coefs[2*t.c:]
}

// normalise adds a batch norm without affine whose statistics the layer before
// knows, in place: nothing else reads what that layer made.
func (t *tape[T]) normalise(mean, invstd []T) *kernels.BatchNormBackward[T] {
	dx := t.dy
	t.dy = t.random(t.len())
	f := &kernels.BatchNorm[T]{M: t.rows(), C: t.c, Given: true, X: t.y, Y: t.y, Mean: mean, InvStd: invstd}
	b := &kernels.BatchNormBackward[T]{M: t.rows(), C: t.c, Normalised: true, X: t.y, Mean: mean, InvStd: invstd,
		DY: t.dy, DX: dx}
	f.Scratch, b.Scratch = t.scratch(f), t.scratch(b)
	t.forward, t.backward = append(t.forward, f), append(t.backward, b)
	return b
}

// separable adds ReLU, depthwise and 1×1 convolution and batch norm so many
// times, as one chain and the batch norm behind it.
func (t *tape[T]) separable(kernel, dilation, stages int) {
	s := kernels.SeparableShape{DepthwiseShape: t.depthwiseShape(kernel, dilation), Out: t.c}
	depth, point := kernel*kernel*t.c, t.c*t.c
	f := &kernels.SeparableChain[T]{Norms: make([]kernels.ChainNorm[T], stages-1)}
	b := &kernels.SeparableChainBackward[T]{InvStd: make([][]T, stages), Norms: make([]kernels.ChainNorm[T], stages-1)}
	v := func() []T { return t.random(t.c) }
	for i := range stages {
		x, dx, y, dy := t.next()
		k := kernels.Separable[T]{SeparableShape: s, Epsilon: ops.BatchNormEpsilon, X: x, Depth: t.random(depth),
			Point: t.random(point), Y: y, Mean: v(), InvStd: v()}
		g := kernels.SeparableBackward[T]{SeparableShape: s, X: x, Depth: k.Depth, Point: k.Point, DY: dy,
			DDepth: t.random(depth), DPoint: t.random(point), DX: dx}
		if i > 0 {
			before := &b.Stages[i-1]
			before.A, before.B, before.D, before.Y = v(), v(), v(), x
			k.Scale, k.Shift = v(), v()
			g.Scale, g.Shift, g.Sum, g.Dot = k.Scale, k.Shift, v(), v()
			g.Mean, b.InvStd[i] = f.Stages[i-1].Mean, f.Stages[i-1].InvStd
		}
		k.Scratch, g.Scratch = t.scratch(&k), t.scratch(&g)
		f.Stages, b.Stages = append(f.Stages, k), append(b.Stages, g)
		t.macs += int64(t.rows() * (depth + point))
	}
	t.forward, t.backward = append(t.forward, f), append(t.backward, b)
	last := f.Stages[stages-1]
	t.normalise(last.Mean, last.InvStd)
}

// SPDX-License-Identifier: Apache-2.0

package autodiff

import (
	"fmt"

	"github.com/edgenas/edgenas/internal/kernels"
	"github.com/edgenas/edgenas/ops"
	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// batchNorm is a batch normalisation over m rows of c channels. Inputs: x,
// scale and shift if it has them, and the statistics (mean, inverse of the
// standard deviation) if the operation that made x knows them. Outputs: y, and
// the statistics (2·c) if they are not given.
type batchNorm[T kernels.Float] struct {
	// name makes each norm a distinct graph node. Gorgonia merges nodes whose
	// operations look alike, and two norms must not share running statistics.
	name   string
	m, c   int
	affine bool // it has a scale and a shift
	given  *int // where the statistics begin in the input; nil: they are an output
}

// shapes returns the shapes of the outputs.
func (d batchNorm[T]) shapes(x tensor.Shape) []tensor.Shape {
	if d.given != nil {
		return []tensor.Shape{x}
	}
	return []tensor.Shape{x, {2 * d.c}}
}

// statistics returns where the mean begins among the statistics.
func (d batchNorm[T]) statistics() int {
	if d.given != nil {
		return *d.given
	}
	return 0
}

func (d batchNorm[T]) String() string { return fmt.Sprintf("batch norm %s %d×%d", d.name, d.m, d.c) }

func (d batchNorm[T]) compile(c *compiler[T], in, out *operands) {
	k := &batchNormForward[T]{BatchNorm: kernels.BatchNorm[T]{
		M: d.m, C: d.c, Epsilon: ops.BatchNormEpsilon, Given: d.given != nil,
	}}
	var statistics []T
	x := c.add(k).read(&k.X, in.next())
	if d.affine {
		x.read(&k.Gamma, in.next()).read(&k.Beta, in.next())
	}
	x.write(&k.Y, out.next(), d.m*d.c)
	if k.Given {
		k.statistics = in.next()
		x.read(&statistics, k.statistics)
	} else {
		x.write(&statistics, out.next(), 2*d.c)
		k.statistics = x.out[len(x.out)-1].value
	}
	x.scratch(&k.Scratch, k.ScratchLen(c.pool.Threads()))
	x.ready = func() {
		own := statistics[d.statistics():]
		k.Mean, k.InvStd = own[:d.c], own[d.c:][:d.c]
	}
}

// batchNormForward is a kernel that knows which value holds its statistics.
// Gradients that read its output instead of its input need them.
type batchNormForward[T kernels.Float] struct {
	kernels.BatchNorm[T]
	statistics value
}

func (d batchNorm[T]) differentiate(
	b *grapher[T], in gorgonia.Nodes, out, grad *gorgonia.Node, want []bool,
) gorgonia.Nodes {
	g := make(gorgonia.Nodes, len(in))
	args := gorgonia.Nodes{in[0], nil, grad}
	if d.given != nil {
		args[1] = in[len(in)-1]
	} else {
		args[1] = b.pick(out, 1)
	}
	shapes := []tensor.Shape{in[0].Shape()}
	if !d.affine {
		g[0] = b.apply(batchNormGrad[T](d), shapes, args...)
		return g
	}
	all := b.apply(batchNormGrad[T](d), append(shapes, in[1].Shape(), in[2].Shape()), append(args, in[1])...)
	g[1], g[2] = b.pick(all, 1), b.pick(all, 2)
	if want[0] {
		g[0] = b.pick(all, 0)
	}
	return g
}

// batchNormGrad gives dx, dscale and dshift of batchNorm. Inputs: x, its
// statistics, dy, and the scale if there is one.
type batchNormGrad[T kernels.Float] batchNorm[T]

func (d batchNormGrad[T]) String() string       { return batchNorm[T](d).String() + " backward" }
func (d batchNormGrad[T]) adds(output int) bool { return output == 0 }

func (d batchNormGrad[T]) compile(c *compiler[T], in, out *operands) {
	k := &kernels.BatchNormBackward[T]{M: d.m, C: d.c}
	var statistics []T
	x := c.add(k).read(&k.X, in.next()).read(&statistics, in.next()).grad(&k.DY, in.next())
	x.offer(&k.DX, out.next(), &k.Add)
	if d.affine {
		x.read(&k.Gamma, in.next()).offer(&k.DGamma, out.next(), nil).offer(&k.DBeta, out.next(), nil)
	}
	x.scratch(&k.Scratch, k.ScratchLen(c.pool.Threads()))
	x.ready = func() {
		own := statistics[batchNorm[T](d).statistics():]
		k.Mean, k.InvStd = own[:d.c], own[d.c:][:d.c]
	}
}

// batchNormMomentum is the weight of the newest batch in running statistics,
// PyTorch's default.
const batchNormMomentum = 0.1

// runningStatistics moves a batch norm's running statistics towards those of
// the batch, with the unbiased variance. It is a kernel.
type runningStatistics[T kernels.Float] struct {
	m               int
	open            *bool // nil, or whether the batch went through
	mean, invstd    []T   // of the batch
	average, spread []T   // running mean and variance
}

func (r *runningStatistics[T]) Run(*kernels.Workers) {
	if r.open != nil && !*r.open {
		return
	}
	unbiased := float64(r.m) / float64(max(1, r.m-1))
	for i, s := range r.invstd {
		variance := max(0, 1/(float64(s)*float64(s))-ops.BatchNormEpsilon) * unbiased
		r.average[i] += batchNormMomentum * (r.mean[i] - r.average[i])
		r.spread[i] += batchNormMomentum * (T(variance) - r.spread[i])
	}
}

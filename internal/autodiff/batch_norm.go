// SPDX-License-Identifier: Apache-2.0

package autodiff

import (
	"fmt"

	"github.com/edgenas/edgenas/internal/kernels"
	"github.com/edgenas/edgenas/ops"
	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// batchNorm is a batch normalisation over m rows of c channels. Inputs: x, and
// scale and shift if it has them. Outputs: y, and the statistics that the
// backward pass needs (2·c: mean, inverse of the standard deviation).
type batchNorm[T kernels.Float] struct {
	name string // one node for each: they have running statistics of their own
	m, c int
}

func (d batchNorm[T]) String() string { return fmt.Sprintf("batch norm %s %d×%d", d.name, d.m, d.c) }

func (d batchNorm[T]) compile(c *compiler[T], in, out []value) {
	k := &kernels.BatchNorm[T]{M: d.m, C: d.c, Epsilon: ops.BatchNormEpsilon}
	var statistics []T
	x := c.add(k).read(&k.X, in[0])
	if len(in) == 3 {
		x.read(&k.Gamma, in[1]).read(&k.Beta, in[2])
	}
	x.write(&k.Y, out[0], d.m*d.c).write(&statistics, out[1], 2*d.c).scratch(&k.Scratch, k.ScratchLen(c.pool.Threads()))
	x.ready = func() { k.Mean, k.InvStd = statistics[:d.c], statistics[d.c:] }
}

func (d batchNorm[T]) differentiate(b *grapher[T], in gorgonia.Nodes, out, grad *gorgonia.Node, want []bool) gorgonia.Nodes {
	args := gorgonia.Nodes{in[0], b.pick(out, 1), grad}
	shapes := []tensor.Shape{in[0].Shape()}
	if len(in) == 3 {
		args = append(args, in[1])
		shapes = append(shapes, in[1].Shape(), in[2].Shape())
	}
	all := b.apply(batchNormGrad[T](d), shapes, args...)
	if len(in) == 1 {
		return gorgonia.Nodes{all}
	}
	g := gorgonia.Nodes{nil, b.pick(all, 1), b.pick(all, 2)}
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

func (d batchNormGrad[T]) compile(c *compiler[T], in, out []value) {
	k := &kernels.BatchNormBackward[T]{M: d.m, C: d.c}
	var statistics []T
	x := c.add(k).read(&k.X, in[0]).read(&statistics, in[1]).grad(&k.DY, in[2]).offer(&k.DX, out[0], &k.Add)
	if len(in) == 4 {
		x.read(&k.Gamma, in[3]).offer(&k.DGamma, out[1], nil).offer(&k.DBeta, out[2], nil)
	}
	x.scratch(&k.Scratch, k.ScratchLen(c.pool.Threads()))
	x.ready = func() { k.Mean, k.InvStd = statistics[:d.c], statistics[d.c:] }
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

func (r *runningStatistics[T]) Run(*kernels.Pool) {
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

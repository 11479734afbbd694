// SPDX-License-Identifier: Apache-2.0

package autodiff

import (
	"fmt"

	"github.com/edgenas/edgenas/internal/kernels"
	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// site tells equal operations on one input apart. Gorgonia makes one node of
// those without a site, which then serves every edge that pools the same map;
// where paths are sampled, each has a site, so that it serves one gate and
// shares the memory of that gate's row.
type site string

// avgPool is the mean over windows, padding not counted. Input: x.
type avgPool[T kernels.Float] struct {
	kernels.PoolShape
	site site
}

func (d avgPool[T]) String() string         { return fmt.Sprintf("avg pool %s %+v", d.site, d.PoolShape) }
func (d avgPool[T]) outShape() tensor.Shape { return tensor.Shape{d.N, d.OutH(), d.OutW(), d.C} }

func (d avgPool[T]) compile(c *compiler[T], in, out []value) {
	k := &kernels.AvgPool[T]{PoolShape: d.PoolShape}
	c.add(k).read(&k.X, in[0]).write(&k.Y, out[0], size(d.outShape()))
}

func (d avgPool[T]) differentiate(b *grapher[T], in gorgonia.Nodes, _, grad *gorgonia.Node, want []bool) gorgonia.Nodes {
	out := make(gorgonia.Nodes, 1)
	if want[0] {
		out[0] = b.apply(avgPoolGrad[T](d), []tensor.Shape{in[0].Shape()}, grad)
	}
	return out
}

// avgPoolGrad is the gradient of avgPool. Input: dy.
type avgPoolGrad[T kernels.Float] avgPool[T]

func (d avgPoolGrad[T]) String() string { return avgPool[T](d).String() + " backward" }
func (d avgPoolGrad[T]) adds(int) bool  { return true }

func (d avgPoolGrad[T]) compile(c *compiler[T], in, out []value) {
	k := &kernels.AvgPoolBackward[T]{PoolShape: d.PoolShape}
	c.add(k).grad(&k.DY, in[0]).offer(&k.DX, out[0], &k.Add)
}

// maxPool is the maximum over windows, padding never the largest. Input: x.
type maxPool[T kernels.Float] struct {
	kernels.PoolShape
	site site
}

func (d maxPool[T]) String() string         { return fmt.Sprintf("max pool %s %+v", d.site, d.PoolShape) }
func (d maxPool[T]) outShape() tensor.Shape { return tensor.Shape{d.N, d.OutH(), d.OutW(), d.C} }

func (d maxPool[T]) compile(c *compiler[T], in, out []value) {
	k := &kernels.MaxPool[T]{PoolShape: d.PoolShape}
	c.add(k).read(&k.X, in[0]).write(&k.Y, out[0], size(d.outShape()))
}

func (d maxPool[T]) differentiate(b *grapher[T], in gorgonia.Nodes, _, grad *gorgonia.Node, want []bool) gorgonia.Nodes {
	out := make(gorgonia.Nodes, 1)
	if want[0] {
		out[0] = b.apply(maxPoolGrad[T](d), []tensor.Shape{in[0].Shape()}, in[0], grad)
	}
	return out
}

// maxPoolGrad is the gradient of maxPool. Inputs: x, dy.
type maxPoolGrad[T kernels.Float] maxPool[T]

func (d maxPoolGrad[T]) String() string { return maxPool[T](d).String() + " backward" }
func (d maxPoolGrad[T]) adds(int) bool  { return true }

func (d maxPoolGrad[T]) compile(c *compiler[T], in, out []value) {
	k := &kernels.MaxPoolBackward[T]{PoolShape: d.PoolShape}
	c.add(k).read(&k.X, in[0]).grad(&k.DY, in[1]).offer(&k.DX, out[0], &k.Add)
}

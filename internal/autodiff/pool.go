// SPDX-License-Identifier: Apache-2.0

package autodiff

import (
	"fmt"

	"github.com/edgenas/edgenas/internal/kernels"
	"github.com/edgenas/edgenas/ops"
	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// site distinguishes equal operations on one input. Gorgonia merges those without
// a site into one node, which then serves every edge that pools the same map.
// Where paths are sampled, each has a site, so that it serves one gate and
// shares the memory of that gate's row.
type site string

// avgPool is the mean over windows, padding not counted. Input: x. Outputs: y,
// and if a batch norm follows its statistics (mean and inverse of the standard
// deviation).
type avgPool[T kernels.Float] struct {
	kernels.PoolShape
	site site
	norm bool
}

func (d avgPool[T]) String() string {
	return fmt.Sprintf("avg pool %s %+v norm=%t", d.site, d.PoolShape, d.norm)
}

// poolShapes returns the shapes of a pooling's outputs.
func poolShapes(s kernels.PoolShape, norm bool) []tensor.Shape {
	out := []tensor.Shape{{s.N, s.OutH(), s.OutW(), s.C}}
	if norm {
		out = append(out, tensor.Shape{2 * s.C})
	}
	return out
}

// writePool makes y and its statistics outputs.
func writePool[T kernels.Float](
	x *instruction[T], s kernels.PoolShape, norm bool, out *operands, y, mean, invstd *[]T,
) {
	x.write(y, out.next(), s.N*s.OutH()*s.OutW()*s.C)
	if norm {
		x.writeStatistics(out.next(), s.C, mean, invstd)
	}
}

func (d avgPool[T]) compile(c *compiler[T], in, out *operands) {
	k := &kernels.AvgPool[T]{PoolShape: d.PoolShape, Epsilon: ops.BatchNormEpsilon}
	x := c.add(k).read(&k.X, in.next()).scratch(&k.Scratch, k.ScratchLen(c.pool.Threads()))
	writePool(x, d.PoolShape, d.norm, out, &k.Y, &k.Mean, &k.InvStd)
}

func (d avgPool[T]) differentiate(
	b *grapher[T], in gorgonia.Nodes, out, grad *gorgonia.Node, want []bool,
) gorgonia.Nodes {
	return gorgonia.Nodes{poolGrad(b, avgPoolGrad[T](d), in[0], out, grad, want[0], d.norm)}
}

// poolGrad adds the gradient of a pooling, of its input, dy and, if a batch norm
// follows, its output.
func poolGrad[T kernels.Float](
	b *grapher[T], d definition[T], in, out, grad *gorgonia.Node, want, norm bool,
) *gorgonia.Node {
	if !want {
		return nil
	}
	args := gorgonia.Nodes{in, grad}
	if norm {
		args = append(args, b.pick(out, 0))
	}
	return b.apply(d, []tensor.Shape{in.Shape()}, args...)
}

// avgPoolGrad is the gradient of avgPool. Inputs: x, dy, and y if a batch norm follows.
type avgPoolGrad[T kernels.Float] avgPool[T]

func (d avgPoolGrad[T]) String() string { return avgPool[T](d).String() + " backward" }
func (d avgPoolGrad[T]) adds(int) bool  { return true }

func (d avgPoolGrad[T]) compile(c *compiler[T], in, out *operands) {
	k := &avgPoolBackward[T]{AvgPoolBackward: kernels.AvgPoolBackward[T]{PoolShape: d.PoolShape}}
	in.next() // x, which only the gradient of a maximum needs
	x := c.add(k).grad(&k.DY, in.next()).offer(&k.DX, out.next(), &k.Add)
	x.scratch(&k.Scratch, k.ScratchLen(c.pool.Threads()))
	k.y = poolOutput(d.norm, in)
}

// avgPoolBackward is a kernel that knows which value the operation wrote, so
// that it can take over the gradient of the batch norm that follows.
type avgPoolBackward[T kernels.Float] struct {
	kernels.AvgPoolBackward[T]
	y value
}

// poolOutput takes the output of a pooling, which is an input of its gradient if
// a batch norm follows.
func poolOutput(norm bool, in *operands) value {
	if norm {
		return in.next()
	}
	return none
}

// maxPool is the maximum over windows, padding never the largest. Input and
// outputs are as in avgPool.
type maxPool[T kernels.Float] struct {
	kernels.PoolShape
	site site
	norm bool
}

func (d maxPool[T]) String() string {
	return fmt.Sprintf("max pool %s %+v norm=%t", d.site, d.PoolShape, d.norm)
}

func (d maxPool[T]) compile(c *compiler[T], in, out *operands) {
	k := &kernels.MaxPool[T]{PoolShape: d.PoolShape, Epsilon: ops.BatchNormEpsilon}
	x := c.add(k).read(&k.X, in.next()).scratch(&k.Scratch, k.ScratchLen(c.pool.Threads()))
	writePool(x, d.PoolShape, d.norm, out, &k.Y, &k.Mean, &k.InvStd)
}

func (d maxPool[T]) differentiate(
	b *grapher[T], in gorgonia.Nodes, out, grad *gorgonia.Node, want []bool,
) gorgonia.Nodes {
	return gorgonia.Nodes{poolGrad(b, maxPoolGrad[T](d), in[0], out, grad, want[0], d.norm)}
}

// maxPoolGrad is the gradient of maxPool. Inputs: x, dy, and y if a batch norm follows.
type maxPoolGrad[T kernels.Float] maxPool[T]

func (d maxPoolGrad[T]) String() string { return maxPool[T](d).String() + " backward" }
func (d maxPoolGrad[T]) adds(int) bool  { return true }

func (d maxPoolGrad[T]) compile(c *compiler[T], in, out *operands) {
	k := &maxPoolBackward[T]{MaxPoolBackward: kernels.MaxPoolBackward[T]{PoolShape: d.PoolShape}}
	x := c.add(k).read(&k.X, in.next()).grad(&k.DY, in.next()).offer(&k.DX, out.next(), &k.Add)
	x.scratch(&k.Scratch, k.ScratchLen(c.pool.Threads()))
	k.y = poolOutput(d.norm, in)
}

// maxPoolBackward is avgPoolBackward of a max pooling.
type maxPoolBackward[T kernels.Float] struct {
	kernels.MaxPoolBackward[T]
	y value
}

// SPDX-License-Identifier: Apache-2.0

package autodiff

import (
	"fmt"

	"github.com/edgenas/edgenas/internal/kernels"
	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// depthwise is a convolution of each channel by itself, rectifying its input if
// relu. Inputs: x, weights, then the bias if there is one.
type depthwise[T kernels.Float] struct {
	kernels.DepthwiseShape
	relu, bias bool
}

func (d depthwise[T]) String() string {
	return fmt.Sprintf("depthwise %+v relu=%t bias=%t", d.DepthwiseShape, d.relu, d.bias)
}

func (d depthwise[T]) outShape() tensor.Shape { return tensor.Shape{d.N, d.OutH(), d.OutW(), d.C} }

func (d depthwise[T]) compile(c *compiler[T], in, out *operands) {
	k := &kernels.Depthwise[T]{DepthwiseShape: d.DepthwiseShape, ReLUIn: d.relu}
	x := c.add(k).read(&k.X, in.next()).read(&k.Weights, in.next())
	if d.bias {
		x.read(&k.Bias, in.next())
	}
	x.write(&k.Y, out.next(), size(d.outShape())).scratch(&k.Scratch, k.ScratchLen(c.pool.Threads()))
}

func (d depthwise[T]) differentiate(
	b *grapher[T], in gorgonia.Nodes, _, grad *gorgonia.Node, want []bool,
) gorgonia.Nodes {
	out := make(gorgonia.Nodes, len(in))
	out[1] = b.apply(depthwiseWeights[T](d), []tensor.Shape{in[1].Shape()}, in[0], grad)
	if want[0] {
		args := gorgonia.Nodes{in[1], grad}
		if d.relu {
			args = append(args, in[0])
		}
		out[0] = b.apply(depthwiseData[T](d), []tensor.Shape{in[0].Shape()}, args...)
	}
	if d.bias {
		out[2] = b.apply(biasGrad[T]{d.N * d.OutH() * d.OutW(), d.C}, []tensor.Shape{in[2].Shape()}, grad)
	}
	return out
}

// depthwiseWeights is the gradient of depthwise in its weights. Inputs: x, dy.
type depthwiseWeights[T kernels.Float] depthwise[T]

func (d depthwiseWeights[T]) String() string { return depthwise[T](d).String() + " backward weights" }

func (d depthwiseWeights[T]) compile(c *compiler[T], in, out *operands) {
	k := &kernels.DepthwiseBackwardWeights[T]{DepthwiseShape: d.DepthwiseShape, ReLUIn: d.relu}
	x := c.add(k).read(&k.X, in.next()).grad(&k.DY, in.next()).offer(&k.DW, out.next(), nil)
	x.scratch(&k.Scratch, k.ScratchLen(c.pool.Threads()))
}

// depthwiseData is the gradient of depthwise in its input. Inputs: weights, dy, and x if relu.
type depthwiseData[T kernels.Float] depthwise[T]

func (d depthwiseData[T]) String() string { return depthwise[T](d).String() + " backward data" }
func (d depthwiseData[T]) adds(int) bool  { return true }

func (d depthwiseData[T]) compile(c *compiler[T], in, out *operands) {
	k := &kernels.DepthwiseBackwardData[T]{DepthwiseShape: d.DepthwiseShape, ReLUIn: d.relu}
	x := c.add(k).read(&k.Weights, in.next()).grad(&k.DY, in.next())
	if d.relu {
		x.read(&k.X, in.next())
	}
	x.offer(&k.DX, out.next(), &k.Add).scratch(&k.Scratch, k.ScratchLen(c.pool.Threads()))
}

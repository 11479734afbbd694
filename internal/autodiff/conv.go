// SPDX-License-Identifier: Apache-2.0

package autodiff

import (
	"fmt"

	"github.com/edgenas/edgenas/internal/kernels"
	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// conv is a dense convolution, rectifying its input if relu.
// Inputs: x, weights, then the bias if there is one.
type conv[T kernels.Float] struct {
	kernels.ConvShape
	relu, bias bool
}

func (d conv[T]) String() string {
	return fmt.Sprintf("conv %+v relu=%t bias=%t", d.ConvShape, d.relu, d.bias)
}

func (d conv[T]) outShape() tensor.Shape { return tensor.Shape{d.N, d.OutH(), d.OutW(), d.Out} }

func (d conv[T]) compile(c *compiler[T], in, out *operands) {
	k := &kernels.Conv[T]{ConvShape: d.ConvShape, ReLUIn: d.relu}
	x := c.add(k).read(&k.X, in.next()).read(&k.Weights, in.next())
	if d.bias {
		x.read(&k.Bias, in.next())
	}
	x.write(&k.Y, out.next(), size(d.outShape())).scratch(&k.Scratch, k.ScratchLen(c.pool.Threads()))
}

func (d conv[T]) differentiate(b *grapher[T], in gorgonia.Nodes, _, grad *gorgonia.Node, want []bool) gorgonia.Nodes {
	out := make(gorgonia.Nodes, len(in))
	out[1] = b.apply(convWeights[T](d), []tensor.Shape{in[1].Shape()}, in[0], grad)
	if want[0] {
		args := gorgonia.Nodes{in[1], grad}
		if d.relu {
			args = append(args, in[0])
		}
		out[0] = b.apply(convData[T](d), []tensor.Shape{in[0].Shape()}, args...)
	}
	if d.bias {
		out[2] = b.apply(biasGrad[T]{d.N * d.OutH() * d.OutW(), d.Out}, []tensor.Shape{in[2].Shape()}, grad)
	}
	return out
}

// convWeights is the gradient of conv in its weights. Inputs: x, dy.
type convWeights[T kernels.Float] conv[T]

func (d convWeights[T]) String() string { return conv[T](d).String() + " backward weights" }

func (d convWeights[T]) compile(c *compiler[T], in, out *operands) {
	k := &kernels.ConvBackwardWeights[T]{ConvShape: d.ConvShape, ReLUIn: d.relu}
	x := c.add(k).read(&k.X, in.next()).grad(&k.DY, in.next()).offer(&k.DW, out.next(), nil)
	x.scratch(&k.Scratch, k.ScratchLen(c.pool.Threads()))
}

// convData is the gradient of conv in its input. Inputs: weights, dy, and x if relu.
type convData[T kernels.Float] conv[T]

func (d convData[T]) String() string { return conv[T](d).String() + " backward data" }
func (d convData[T]) adds(int) bool  { return true }

func (d convData[T]) compile(c *compiler[T], in, out *operands) {
	k := &kernels.ConvBackwardData[T]{ConvShape: d.ConvShape, ReLUIn: d.relu}
	x := c.add(k).read(&k.Weights, in.next()).grad(&k.DY, in.next())
	if d.relu {
		x.read(&k.X, in.next())
	}
	x.offer(&k.DX, out.next(), &k.Add).scratch(&k.Scratch, k.ScratchLen(c.pool.Threads()))
}

// biasGrad is the gradient of a bias: the sum of dy over rows. Input: dy.
type biasGrad[T kernels.Float] struct{ rows, channels int }

func (d biasGrad[T]) String() string { return fmt.Sprintf("bias gradient %d×%d", d.rows, d.channels) }

func (d biasGrad[T]) compile(c *compiler[T], in, out *operands) {
	k := &kernels.LinearBackward[T]{N: d.rows, In: 1, Out: d.channels}
	c.add(k).grad(&k.DY, in.next()).offer(&k.DB, out.next(), nil)
}

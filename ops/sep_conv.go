// SPDX-License-Identifier: Apache-2.0

package ops

import "fmt"

// sepConv is a separable k×k convolution applied twice, the second time at
// stride 1: ReLU, depthwise k×k, 1×1, batch norm. The channels stay until the
// second 1×1. x: N,C,H,W → N,Channels,⌈H/Stride⌉,⌈W/Stride⌉.
// Source: Liu et al., DARTS, 2019, §3.1.
type sepConv struct{ kernel int }

func (o sepConv) Name() string { return fmt.Sprintf("sep_conv_%dx%d", o.kernel, o.kernel) }

func (o sepConv) Build(b Builder, x Value, c Config) Value {
	first := c
	first.Channels = b.Shape(x).C
	x = separable(b.Scope("first"), x, Same(o.kernel, c.Stride, 1), first)
	return separable(b.Scope("second"), x, Same(o.kernel, 1, 1), c)
}

// separable records ReLU, depthwise convolution over w, 1×1 convolution, batch
// norm; neither convolution has a bias.
func separable(b Builder, x Value, w Window, c Config) Value {
	x = b.ReLU("relu", x)
	x = b.Conv("depthwise", x, b.Shape(x).C, w, b.Shape(x).C, false)
	x = b.Conv("pointwise", x, c.Channels, Same(1, 1, 1), 1, false)
	return b.BatchNorm("bn", x, c.Affine)
}

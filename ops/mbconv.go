// SPDX-License-Identifier: Apache-2.0

package ops

import "fmt"

// mbConv is an inverted residual block (see [InvertedResidual]) with this
// kernel and expansion: mbconv_5x5_e3 is 5×5 on three times the channels.
// x: N,C,H,W → N,Channels,⌈H/Stride⌉,⌈W/Stride⌉.
// Source: Cai et al., ProxylessNAS, 2019, §4.1; Wu et al., FBNet, 2019, §3.1.
type mbConv struct{ kernel, expansion int }

func (o mbConv) Name() string {
	return fmt.Sprintf("mbconv_%dx%d_e%d", o.kernel, o.kernel, o.expansion)
}

func (o mbConv) Build(b Builder, x Value, c Config) Value {
	return InvertedResidual(b, x, o.kernel, o.expansion, c)
}

// InvertedResidual records the block that mobile networks are made of: 1×1 to
// expansion times the channels (none for 1), batch norm, ReLU; depthwise k×k
// of the stride, batch norm, ReLU; 1×1 to Channels, batch norm; and, if that
// leaves the shape as it was, plus x. No convolution has a bias.
//
// The non-linearity is FBNet's, ReLU. MobileNetV2 and ProxylessNAS bound it at
// 6 for the sake of fixed-point arithmetic; these networks are float32, and a
// ReLU becomes part of the convolutions beside it (see [Fuse]).
// Source: Sandler et al., MobileNetV2, 2018, §3.3.
func InvertedResidual(b Builder, x Value, kernel, expansion int, c Config) Value {
	y, hidden := x, expansion*b.Shape(x).C
	if expansion > 1 {
		e := b.Scope("expand")
		y = e.ReLU("relu", convBN(e, y, hidden, Same(1, 1, 1), 1, c.Affine))
	}
	d := b.Scope("depthwise")
	y = d.ReLU("relu", convBN(d, y, hidden, Same(kernel, c.Stride, 1), hidden, c.Affine))
	y = convBN(b.Scope("project"), y, c.Channels, Same(1, 1, 1), 1, c.Affine)
	if b.Shape(y) == b.Shape(x) {
		y = b.Add("add", x, y)
	}
	return y
}

// convBN records a convolution without bias and its batch norm.
func convBN(b Builder, x Value, out int, w Window, groups int, affine bool) Value {
	return b.BatchNorm("bn", b.Conv("conv", x, out, w, groups, false), affine)
}

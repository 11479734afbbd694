// SPDX-License-Identifier: Apache-2.0

package ops

import "fmt"

// dilConv is a separable k×k convolution of dilation 2, once: ReLU, depthwise
// k×k, 1×1, batch norm. x: N,C,H,W → N,Channels,⌈H/Stride⌉,⌈W/Stride⌉.
// Source: Liu et al., DARTS, 2019, §3.1.
type dilConv struct{ kernel int }

func (o dilConv) Name() string { return fmt.Sprintf("dil_conv_%dx%d", o.kernel, o.kernel) }

func (o dilConv) Build(b Builder, x Value, c Config) Value {
	return separable(b, x, Same(o.kernel, c.Stride, 2), c)
}

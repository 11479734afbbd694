// SPDX-License-Identifier: Apache-2.0

package ops

import "fmt"

// norConv is ReLU, dense k×k convolution, batch norm.
// x: N,C,H,W → N,Channels,⌈H/Stride⌉,⌈W/Stride⌉.
// Source: Dong and Yang, NAS-Bench-201, 2020, §2.1.
type norConv struct{ kernel int }

func (o norConv) Name() string { return fmt.Sprintf("nor_conv_%dx%d", o.kernel, o.kernel) }

func (o norConv) Build(b Builder, x Value, c Config) Value {
	return ReLUConvBN(b, x, o.kernel, c)
}

// ReLUConvBN records ReLU, dense k×k convolution without bias, batch norm: the
// block that cells and skeletons of this field are made of.
func ReLUConvBN(b Builder, x Value, kernel int, c Config) Value {
	x = b.ReLU("relu", x)
	x = b.Conv("conv", x, c.Channels, Same(kernel, c.Stride, 1), 1, false)
	return b.BatchNorm("bn", x, c.Affine)
}

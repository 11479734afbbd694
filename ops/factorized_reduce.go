// SPDX-License-Identifier: Apache-2.0

package ops

// FactorizedReduce records what halves a map: ReLU; two 1×1 convolutions of
// stride 2 without bias, one on the even rows and columns, one on the odd
// ones; their channels side by side; batch norm. H and W must be even, or the
// two do not fit together (a [ShapeError]); Stride must be 2.
// x: N,C,H,W → N,Channels,H/2,W/2.
// Source: the code published with Liu et al., DARTS, 2019.
func FactorizedReduce(b Builder, x Value, c Config) Value {
	w := Same(1, c.Stride, 1)
	x = b.ReLU("relu", x)
	even := b.Conv("even", x, c.Channels/2, w, 1, false)
	w.Crop = 1
	odd := b.Conv("odd", x, c.Channels-c.Channels/2, w, 1, false)
	return b.BatchNorm("bn", b.Concat("concat", even, odd), c.Affine)
}

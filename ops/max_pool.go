// SPDX-License-Identifier: Apache-2.0

package ops

// maxPool3x3 is the maximum over 3×3 windows; padding never wins.
// Source: Liu et al., DARTS, 2019, §3.1.
type maxPool3x3 struct{}

func (maxPool3x3) Name() string { return "max_pool_3x3" }

func (maxPool3x3) Build(b Builder, x Value, c Config) Value {
	return b.MaxPool("pool", x, Same(3, c.Stride, 1))
}

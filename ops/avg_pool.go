// SPDX-License-Identifier: Apache-2.0

package ops

// avgPool3x3 is the mean over 3×3 windows; padding is not counted.
// Source: Dong and Yang, NAS-Bench-201, 2020, §2.1.
type avgPool3x3 struct{}

func (avgPool3x3) Name() string { return "avg_pool_3x3" }

func (avgPool3x3) Build(b Builder, x Value, c Config) Value {
	return b.AvgPool("pool", x, Same(3, c.Stride, 1))
}

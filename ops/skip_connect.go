// SPDX-License-Identifier: Apache-2.0

package ops

// skipConnect hands its input on unchanged: it records no node, so it costs
// nothing; the sum that it ends in is counted there. With stride 2 it is a
// factorised reduce (see [FactorizedReduce]). At stride 1 its edge must keep
// the channels: the sum reports it where it does not.
// Source: Liu et al., DARTS, 2019, §3.1.
type skipConnect struct{}

func (skipConnect) Name() string { return SkipConnect }

// SkipConnect names the operation that passes its input on.
const SkipConnect = "skip_connect"

func (skipConnect) Build(b Builder, x Value, c Config) Value {
	if c.Stride == 1 {
		return x
	}
	return FactorizedReduce(b, x, c)
}

// SPDX-License-Identifier: Apache-2.0

package ops

// skipConnect hands its input on unchanged. It records no node, so it costs
// nothing; the sum that it ends in is counted there. Its edge must keep the
// shape: the sum reports it where it does not.
// Source: Dong and Yang, NAS-Bench-201, 2020, §2.1.
type skipConnect struct{}

func (skipConnect) Name() string { return "skip_connect" }

func (skipConnect) Build(_ Builder, x Value, _ Config) Value { return x }

// SPDX-License-Identifier: Apache-2.0

package ops

// none is the absent edge: a map of zeros. Derived networks never build it and
// supernets give it a weight but no work.
// Source: Liu et al., DARTS, 2019, §2.1.
type none struct{}

func (none) Name() string { return None }

// None names the operation that removes an edge.
const None = "none"

func (none) Build(b Builder, x Value, c Config) Value { return b.Zero("zero", x, c.Stride) }

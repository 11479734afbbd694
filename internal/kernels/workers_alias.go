// SPDX-License-Identifier: Apache-2.0

package kernels

// Pool is the former name of [Workers].
type Pool = Workers

// NewPool is the former name of [NewWorkers].
func NewPool(threads int) *Workers { return NewWorkers(threads) }

// SPDX-License-Identifier: Apache-2.0

//go:build !noasm

package bench

// multiplyAdds is a loop of fused multiply-adds on registers, and the
// floating-point operations of a turn.
func multiplyAdds() (loop func(turns int), flops int) { return fma128, 16 * 4 * 2 }

// fma128 runs 16 independent multiply-adds of 4 elements, turns times; turns is not 0.
//
//go:noescape
func fma128(turns int)

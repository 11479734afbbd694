// SPDX-License-Identifier: Apache-2.0

//go:build !noasm

package bench

import "golang.org/x/sys/cpu"

// multiplyAdds is a loop of fused multiply-adds on registers, and the
// floating-point operations of a turn; nil if the processor has none.
func multiplyAdds() (loop func(turns int), flops int) {
	switch {
	case cpu.X86.HasAVX512F:
		return fma512, 12 * 16 * 2
	case cpu.X86.HasAVX2 && cpu.X86.HasFMA:
		return fma256, 12 * 8 * 2
	}
	return nil, 0
}

// fma256 runs 12 independent multiply-adds of 8 elements, turns times; turns is not 0.
//
//go:noescape
func fma256(turns int)

// fma512 runs 12 independent multiply-adds of 16 elements, turns times; turns is not 0.
//
//go:noescape
func fma512(turns int)

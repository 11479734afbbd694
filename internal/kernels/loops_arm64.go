// SPDX-License-Identifier: Apache-2.0

//go:build !noasm

package kernels

const (
	lanes        = 8 // float32 in a pair of NEON registers
	channelStep  = lanes
	convVecRows  = 6 // 6 × 4 sums of 4, four registers of weights, four of input: all 32
	outerVecRows = 4 // one register of input, and divides every run of channels that is a multiple of 4
)

// native lists NEON, which Go takes for granted on arm64, so nothing is asked of cpuid.
func native() []implementation {
	return []implementation{{vector("neon"), true}}
}

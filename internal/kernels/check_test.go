// SPDX-License-Identifier: Apache-2.0

package kernels

import (
	"strings"
	"testing"
)

// TestPanics: a caller's bug is a panic, not a wild write.
func TestPanics(t *testing.T) {
	shape := ConvShape{N: 1, H: 4, W: 4, In: 2, Out: 2, Kernel: 3, Stride: 1, Pad: 1}
	for name, k := range map[string]Kernel{
		"short X": &Conv[float32]{ConvShape: shape, X: make([]float32, 31), Weights: make([]float32, 36),
			Y: make([]float32, 32), Scratch: make([]float32, 5000)},
		"short Scratch": &Conv[float32]{ConvShape: shape, X: make([]float32, 32), Weights: make([]float32, 36),
			Y: make([]float32, 32)},
		"no stride":       &Conv[float32]{ConvShape: ConvShape{N: 1, H: 4, W: 4, In: 2, Out: 2, Kernel: 3}},
		"window too wide": &Conv[float32]{ConvShape: ConvShape{N: 1, H: 1, W: 1, In: 2, Out: 2, Kernel: 3, Stride: 2}},
		"no channels": &Depthwise[float32]{DepthwiseShape: DepthwiseShape{N: 1, H: 4, W: 4, Kernel: 3, Stride: 1,
			Pad: 1}},
		"pool padding":     &MaxPool[float32]{PoolShape: PoolShape{N: 1, H: 4, W: 4, C: 1, Kernel: 2, Stride: 1, Pad: 2}},
		"short batch norm": &BatchNorm[float32]{M: 4, C: 2, X: make([]float32, 7)},
		"nothing to add":   &Add[float32]{},
	} {
		t.Run(name, func(t *testing.T) {
			defer func() {
				if message, _ := recover().(string); !strings.HasPrefix(message, "kernels: ") {
					t.Errorf("panic is %q", message)
				}
			}()
			run(k)
		})
	}
}

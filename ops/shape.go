// SPDX-License-Identifier: Apache-2.0

package ops

import "fmt"

// Shape is the extent of a tensor: N images of C channels, H rows and W
// columns. A vector of features has H = W = 1. The zero Shape is no tensor.
type Shape struct{ N, C, H, W int }

// Len returns the number of elements.
func (s Shape) Len() int { return s.N * s.C * s.H * s.W }

// String returns N×C×H×W.
func (s Shape) String() string { return fmt.Sprintf("%d×%d×%d×%d", s.N, s.C, s.H, s.W) }

// Window describes how a convolution or a pooling moves over an image: a square
// kernel, one stride and one dilation for both axes, Pad pixels on each side.
// A dense convolution without padding may leave out the first Crop rows and
// columns, as half of a factorised reduce does.
type Window struct{ Kernel, Stride, Pad, Dilation, Crop int }

// Same returns the window of a kernel with dilation·(kernel−1)/2 pixels of
// padding, rounded down. At stride 1 it keeps H and W, unless kernel is even
// and dilation odd: then they become one pixel smaller.
func Same(kernel, stride, dilation int) Window {
	return Window{Kernel: kernel, Stride: stride, Pad: dilation * (kernel - 1) / 2, Dilation: dilation}
}

// Out returns the extent of the output along an axis of n pixels, and 0 where
// the kernel does not fit.
func (w Window) Out(n int) int {
	rest := n - w.Crop + 2*w.Pad - w.Dilation*(w.Kernel-1) - 1
	if rest < 0 {
		return 0
	}
	return rest/w.Stride + 1
}

// valid reports whether the window moves, and is never wholly in the padding.
func (w Window) valid() bool {
	return w.Kernel > 0 && w.Stride > 0 && w.Dilation > 0 && w.Pad >= 0 && w.Pad < w.Dilation*(w.Kernel-1)+1
}

// convolves reports whether a convolution of this many groups may have the window.
func (w Window) convolves(groups int) bool {
	return w.valid() && groups > 0 && (w.Crop == 0 || w.Crop > 0 && w.Pad == 0 && groups == 1)
}

// pools reports whether a pooling may have the window: it is never wholly in the
// padding.
func (w Window) pools() bool {
	return w.valid() && w.Dilation == 1 && 2*w.Pad <= w.Kernel && w.Crop == 0
}

// ShapeError says that a primitive cannot take the shapes it was given.
type ShapeError struct {
	Node string  // the node being recorded
	In   []Shape // what it was given
	Want string  // what it takes, in words
}

func (e *ShapeError) Error() string {
	return fmt.Sprintf("ops: %s: input %v: want %s", e.Node, e.In, e.Want)
}

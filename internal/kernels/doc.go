// SPDX-License-Identifier: Apache-2.0

// Package kernels computes: convolutions, poolings, normalisations and their
// gradients, on one machine's cores.
//
// A kernel is a struct: its fields are the extents and the slices that it reads
// and writes, Run does the work. Whoever plans a network makes the structs
// once, binds their slices to an arena, and then only calls Run. The first Run
// (or ScratchLen) of a windowed kernel makes its tables; no Run after it
// allocates, and slices may be bound anew before each. Zero or wrong extents
// and short slices are caller bugs and panic. A kernel runs on one set of [Workers] at a time.
//
// # Layout
//
// Images are channels-last: N,H,W,C in memory, C fastest (docs/adr/0002).
// Dense convolution weights are [kernel][kernel][In][Out], Out fastest;
// depthwise weights are [kernel][kernel][C]; linear weights are [In][Out].
// [OIHWToHWIO] and its inverse translate from and to PyTorch's and ONNX's order.
//
// # Determinism
//
// Work is cut into pieces that do not depend on the number of threads where
// sums are concerned, and sums over pieces are added in the order of the
// pieces, so the bits of every result are the same for any [Workers]. Every vector
// implementation of a loop gives the same bits, those of a scalar twin that the
// tests have (loops_twin_test.go), so AVX2 and AVX-512 agree in all. NEON lacks some
// loops, and other ones take their place: there, and without assembly, results
// differ by roundings.
//
// # Implementations
//
// The portable Go in this package is generic over float32 and float64 and is
// compiled everywhere; float64 is the reference that gradients are checked
// with. For float32, assembly replaces the inner loops listed in loops.go
// where cpuid finds AVX2 with FMA or AVX-512, and on every arm64, which has
// NEON; the build tag noasm leaves it out.
//
// Windowed kernels share conv_gather.go, which describes what each output reads,
// pads the input and cuts the work; conv_dense.go turns that into an implicit
// matrix product for [Conv] and [ConvBackwardData] alike. Depthwise
// convolutions read images as they lie in memory where there are loops for it
// (depthwise_plane.go). 3×3 windows of stride 1 take Winograd's minimal filtering
// instead where that is faster (conv_winograd.go, docs/adr/0004). 1×1 convolutions
// have the loops of pointwise_blocks.go, or else those of [Conv]. [Separable], [Pointwise]
// and their gradients take an image through several layers at once (docs/adr/0003).
package kernels

// Float is the element type of a kernel.
type Float interface{ float32 | float64 }

// Kernel is work that can be run again and again on the same memory.
type Kernel interface {
	// Run does the work with p's threads and returns when it is done.
	Run(p *Workers)
}

// Scratcher is a kernel that needs working memory.
type Scratcher interface {
	Kernel
	// ScratchLen is the length that its Scratch must have to run with so
	// many threads. What is in Scratch before and after a run does not matter.
	ScratchLen(threads int) int
}

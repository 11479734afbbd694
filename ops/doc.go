// SPDX-License-Identifier: Apache-2.0

// Package ops describes operations, once for all uses: what is measured is what
// is trained is what is shipped.
//
// An operation (nor_conv_3x3, skip_connect, …) is an [Op]: its Build records a
// few primitives (convolution, batch norm, ReLU, pooling, sum, …) on a
// [Builder]. The recorded [Graph] carries every shape and is interpreted
// elsewhere: internal/autodiff trains it, internal/infer runs it, export
// writes it as ONNX. [Graph.Count] counts it and [Fuse] turns it into the form
// that runtimes execute, whose nodes carry the keys of the latency tables.
//
// # Terms
//
// Shapes are N,C,H,W: images, channels, rows, columns. A node is one recorded
// primitive; a [Value] names a node's output. A fused graph has its batch norms
// folded and its ReLUs and sums merged into the nodes around them. A [Key]
// names one fused primitive with everything that changes its time.
package ops

// SPDX-License-Identifier: Apache-2.0

// Package autodiff trains networks that package ops recorded: networks found
// by a search, and supernets with mixtures of operations.
//
// Gorgonia holds the graph. Its nodes are coarse operations of ours (a
// convolution with the ReLU before it, a mixture with the batch norms of its
// terms), which Gorgonia differentiates; it does not run them. A program of
// instructions is made of the differentiated graph, one kernel each, whose
// memory is planned ahead in one arena by the time in which each value is
// used. Where Gorgonia sums gradients, kernels add in place. Gorgonia's tape
// machine runs the same graph in tests, as the reference.
//
// # Fusion
//
// Chains of ReLU, depthwise and pointwise convolution, with the batch norms
// between them, are one operation, and so is a pointwise convolution with the
// ReLU and the concatenation before it; mixtures take in the batch norms of
// their terms. Statistics come from the operation that a batch norm follows,
// which takes its gradient as coefficients in turn. A norm without affine
// writes over what it reads where only gradients need that (docs/adr/0003).
//
// # Gates
//
// Every mixture weight has a gate. Instructions that serve closed gates only do
// not run: the forward pass computes values that an open term reads, and the
// backward pass carries on gradients that exist. A parameter that was not reached has no
// gradient ([ErrIdle]) and solvers leave it alone. With [Options].Paths, values
// that serve different gates of a row share memory.
//
// # Solvers
//
// [SGD] and [Adam] satisfy gorgonia.Solver and compute what PyTorch's do, as
// [ClipGradNorm] and [CosineLR] do. Their state can be saved and restored.
package autodiff

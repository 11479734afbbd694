// SPDX-License-Identifier: Apache-2.0

// Package export writes networks as ONNX models and checks them.
//
// [Model] turns a trained graph and its weights into a model as it will run:
// batch norms folded, ReLUs and sums where the fused graph has them, nothing
// that the output does not need. [Check] reads the written bytes back through
// onnx-go, a reader that this project did not write, and compares what the
// result computes. So a mistake in writing cannot hide behind the same mistake
// in reading.
//
// # Terms
//
// Logits are the network's outputs, one for each class, before any softmax.
package export

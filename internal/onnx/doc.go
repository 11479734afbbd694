// SPDX-License-Identifier: Apache-2.0

// Package onnx reads and writes the ONNX file format, and translates models
// into graphs of package ops.
//
// A file becomes a [Model] ([Unmarshal], [ReadFile]) and a model a file
// ([Model.Marshal], [Model.WriteFile]); both check that the model is sound:
// every name is made once and before it is read. [Model.Graph] translates a
// model of the operators of usual convolutional networks for the native
// runtime.
//
// Files come from anywhere, so the reader trusts no number in them. Every
// limit is checked before memory is taken, which stays within a small
// multiple of the bytes that are really there.
//
// The format is protocol buffers. This package decodes the wire format itself
// (with protowire) instead of through generated code, because
//
//   - limits hold while decoding; generated code takes the memory first;
//   - no message is registered globally, where two packages that describe
//     ONNX would collide;
//   - a program grows by 0.3 MB instead of 3.
//
// # Terms
//
// An initializer is a tensor stored in the model: weights. A value is the name
// of a tensor that flows between nodes. The opset is the version of the
// operators' meaning; the IR version is that of the file format.
//
// Source: the ONNX specification, https://github.com/onnx/onnx/blob/main/docs/IR.md
// and Operators.md, and the field numbers of onnx.proto3 (see fields.go).
package onnx

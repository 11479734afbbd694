// SPDX-License-Identifier: Apache-2.0

// Package wire is what edgenas and its agent on a device say to each other:
// JSON over the agent's standard input and output.
//
// A [Request] says what to measure. The answer is a stream of [Message], one a
// line: each round of measurements as soon as it is finished, and the session
// at the end. A [Report] says what the device is.
//
// Both sides are built from one source, but a device is not trusted: what
// comes from it is bounded, read strictly and compared with what was asked for
// ([Reader], [DecodeReport], [DecodeVerification]).
package wire

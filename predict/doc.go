// SPDX-License-Identifier: Apache-2.0

// Package predict tells how long a network takes from a profile, without the
// device. [Table] predicts, [Table.Guard] is the distance that a prediction
// keeps from a budget, and [Validate] says how good predictions are.
//
// A network takes a constant plus the sum of its operations. The constant is
// fitted to networks that were measured whole, and so is the guard band that a
// budget needs. The package is pure: it reads no clock and knows no machine.
package predict

// SPDX-License-Identifier: Apache-2.0

// Package predict tells how long a network takes from a profile, without the
// device. [Table] predicts, [Table.Interval] says how sure that is,
// [Table.Limit] is the prediction that a budget allows, and [Validate] says how
// good predictions are.
//
// A network takes a constant plus the times of its operations, each times a
// factor of its kind. Factors and constant are fitted to networks that were
// measured whole, which [Design] chooses; [Table.Calibration] tells what the
// fit found and which networks it left out. The package is pure: it reads no
// clock and knows no machine.
package predict

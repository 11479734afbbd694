// SPDX-License-Identifier: Apache-2.0

package autodiff

import "math"

// CosineLR is the learning rate before step (0 ≤ step ≤ steps) of a descent
// from first to last along half a cosine.
// Source: Loshchilov, Hutter, SGDR, 2017, eq. 5 without restarts.
func CosineLR(first, last float64, step, steps int) float64 {
	return last + (first-last)*(1+math.Cos(math.Pi*float64(step)/float64(max(1, steps))))/2
}

// SPDX-License-Identifier: Apache-2.0

package train

import (
	"fmt"
	"math"
)

// DivergedError reports that a quantity of a training is no longer finite. The
// training is deterministic: run again with the same recipe, it ends in the same
// step.
type DivergedError struct {
	Step     int     // the first step with it, from 1
	Quantity string  // such as "the training loss"
	Value    float64 // NaN or infinite
	Rate     float64 // the learning rate to lower: the recipe's LR
}

func (e *DivergedError) Error() string {
	return fmt.Sprintf("train: step %d: %s is %v: the training diverged; "+
		"train again with a lower learning rate, --lr below %g", e.Step, e.Quantity, e.Value, e.Rate)
}

// diverged returns a *DivergedError of the current step.
func (t *Trainer) diverged(quantity string, v float64) error {
	return &DivergedError{t.step + 1, quantity, v, t.config.LR}
}

func isFinite(v float64) bool { return !math.IsNaN(v) && !math.IsInf(v, 0) }

// SPDX-License-Identifier: Apache-2.0

package search

import (
	"fmt"
	"math"
)

// DivergedError reports that a quantity of a search is no longer finite. The
// search is deterministic: run again with the same configuration, it ends in
// the same step.
type DivergedError struct {
	Step     int     // the first step with it, from 1
	Quantity string  // such as "the training loss"
	Value    float64 // NaN or infinite
	Rate     float64 // the learning rate to lower
	Flag     string  // of the edgenas command, for this rate
}

func (e *DivergedError) Error() string {
	return fmt.Sprintf("search: step %d: %s is %v: the search diverged; "+
		"search again with a lower learning rate, %s below %g", e.Step, e.Quantity, e.Value, e.Flag, e.Rate)
}

// The flags that set the learning rates of the supernet's weights and of α.
const (
	searchLRFlag = "--search-lr"
	alphaLRFlag  = "--alpha-lr"
)

// diverged returns a *DivergedError of the current step, which advises a lower
// learning rate of the weights, unless v is finite.
func (s *Search) diverged(quantity string, v float64) error {
	if isFinite(v) {
		return nil
	}
	return &DivergedError{s.step + 1, quantity, v, s.config.LR, searchLRFlag}
}

// alphaDiverged returns a *DivergedError of the current step unless all of α is
// finite.
func (s *Search) alphaDiverged() error {
	for _, a := range s.alpha {
		for _, v := range a.W {
			if !isFinite(v) {
				return &DivergedError{s.step + 1, "α", v, s.config.AlphaLR, alphaLRFlag}
			}
		}
	}
	return nil
}

func isFinite(v float64) bool { return !math.IsNaN(v) && !math.IsInf(v, 0) }

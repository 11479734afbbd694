// SPDX-License-Identifier: Apache-2.0

package search

import (
	"fmt"
	"math"
)

// DivergedError says that a quantity of a search left the finite numbers. The
// search is deterministic: done again with the same configuration it ends in
// the same step.
type DivergedError struct {
	Step     int     // the first step with it, from 1
	Quantity string  // such as "the training loss"
	Value    float64 // NaN or infinite
	Rate     float64 // the learning rate to lower
	Flag     string  // that of the edgenas command which sets this rate
}

func (e *DivergedError) Error() string {
	return fmt.Sprintf("search: step %d: %s is %v: the search diverged; "+
		"search again with a lower learning rate, %s below %g", e.Step, e.Quantity, e.Value, e.Flag, e.Rate)
}

// searchLRFlag sets the learning rate of the supernet's weights.
const searchLRFlag = "--search-lr"

// diverged is a *DivergedError of the current step if v, which the weights'
// learning rate can make infinite, is not finite.
func (s *Search) diverged(quantity string, v float64) error {
	if isFinite(v) {
		return nil
	}
	return &DivergedError{s.step + 1, quantity, v, s.config.LR, searchLRFlag}
}

// alphaDiverged is a *DivergedError of the current step if an element of α is
// not finite.
func (s *Search) alphaDiverged() error {
	for _, a := range s.alpha {
		for _, v := range a.W {
			if !isFinite(v) {
				return &DivergedError{s.step + 1, "α", v, s.config.AlphaLR, "--alpha-lr"}
			}
		}
	}
	return nil
}

func isFinite(v float64) bool { return !math.IsNaN(v) && !math.IsInf(v, 0) }

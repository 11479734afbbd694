// SPDX-License-Identifier: Apache-2.0

package compare

import "github.com/edgenas/edgenas/arch"

// firstRate is how many multiply-accumulates a second are expected before anything
// is measured.
const firstRate = 3e10

// faster is how many times more arithmetic a network may do in the same time, where
// its channels fill vectors and another's do not.
const faster = 2.5

// largest looks for the last rung that keeps the budget, by the sizes that are
// measured already. It returns that rung, −1 for none, or else the one to measure
// next: as far up as the last one promises, halfway once one was over, and in the
// end those above that may be faster.
func largest(rungs []rung, known func(arch.Size) (seconds float64, ok bool), budgetS float64) (found, next int) {
	keeps, over := -1, len(rungs)
	rate := firstRate
	for i, r := range rungs {
		if s, ok := known(r.size); ok && s <= budgetS {
			keeps, over, rate = i, len(rungs), r.macs/s
		} else if ok {
			over = min(over, i)
		}
	}
	if over == keeps+1 {
		for i := over + 1; keeps >= 0 && i < len(rungs) && rungs[i].macs <= faster*rungs[keeps].macs; i++ {
			if _, ok := known(rungs[i].size); !ok {
				return -1, i
			}
		}
		return keeps, -1
	}
	if over < len(rungs) {
		return -1, (keeps + over) / 2
	}
	for next = keeps + 1; next+1 < over && rungs[next+1].macs <= rate*budgetS; {
		next++
	}
	return -1, next
}

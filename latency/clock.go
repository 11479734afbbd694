// SPDX-License-Identifier: Apache-2.0

package latency

import "time"

// ticks is how many ticks of the clock a sample lasts at least, so that the
// clock's own step is no more than 0.1 % of it.
const ticks = 1000

// clockStep is the shortest step of the clock that is seen in a short while,
// at most maxSample.
func clockStep(now func() time.Duration) time.Duration {
	tick := maxSample
	last := now()
	for range 10_000 {
		t := now()
		if d := t - last; d > 0 {
			tick = min(tick, d)
		}
		last = t
	}
	return tick
}

// readable is the shortest time that a clock of such steps can tell well, up
// to maxSample.
func readable(step time.Duration) time.Duration { return min(maxSample, ticks*step) }

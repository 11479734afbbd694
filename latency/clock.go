// SPDX-License-Identifier: Apache-2.0

package latency

import "time"

// ticks is how many ticks of the clock a sample lasts at least, so that the
// clock's own step is no more than 0.1 % of it.
const ticks = 1000

// readable is the shortest time that the clock can tell well, up to maxSample:
// ticks times the shortest step that is seen in a short while.
func readable(now func() time.Duration) time.Duration {
	tick := maxSample
	last := now()
	for range 10_000 {
		t := now()
		if d := t - last; d > 0 {
			tick = min(tick, d)
		}
		last = t
	}
	return min(maxSample, ticks*tick)
}

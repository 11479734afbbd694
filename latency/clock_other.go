// SPDX-License-Identifier: Apache-2.0

//go:build !windows

package latency

import "time"

// newClock starts a monotonic clock.
func newClock() func() time.Duration {
	start := time.Now()
	return func() time.Duration { return time.Since(start) }
}

// SPDX-License-Identifier: Apache-2.0

//go:build !linux

package latency

import "time"

// newWaitClock returns no clock: only Linux tells how long a thread has waited.
func newWaitClock() (waited func() time.Duration, release func()) { return nil, func() {} }

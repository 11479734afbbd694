// SPDX-License-Identifier: Apache-2.0

package devices

import (
	"context"
	"time"
)

// OpenSSH is Open with another time between signs of life.
func OpenSSH(ctx context.Context, address string, o Options, tick time.Duration) (Device, error) {
	a, err := Parse(address)
	if err != nil {
		return nil, err
	}
	return openSSH(ctx, a, o, tick)
}

// RetryAfter is Retry with another time before the second attempt.
var RetryAfter = retry

// SPDX-License-Identifier: Apache-2.0

package target

import (
	"testing"
	"time"

	"github.com/edgenas/edgenas/internal/event"
	"github.com/edgenas/edgenas/latency"
)

// TestProgress checks that a measurement is told in parts of its time, not of
// its steps, so that the share agrees with the remaining time.
func TestProgress(t *testing.T) {
	p := latency.Progress{Label: "conv", Done: 90, Total: 100, Elapsed: 10 * time.Second, Remaining: 30 * time.Second}
	want := event.Progress{Stage: event.Measure, Done: 250, Steps: 1000, Remaining: 30 * time.Second, Foreseen: true,
		Label: "conv"}
	if got := progress(event.Measure, p); got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
}

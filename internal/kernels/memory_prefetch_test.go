// SPDX-License-Identifier: Apache-2.0

package kernels

import (
	"slices"
	"testing"
)

// TestPrefetch runs over every length and start of a short slice: nothing
// changes, and nothing faults at the end of memory.
func TestPrefetch(t *testing.T) {
	x := random[float32](1, 100)
	want := slices.Clone(x)
	for first := range x {
		for n := range len(x) - first {
			prefetch(x[first:][:n])
		}
	}
	if !slices.Equal(x, want) {
		t.Error("elements changed")
	}
}

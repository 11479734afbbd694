// SPDX-License-Identifier: Apache-2.0

package main

import (
	"os"
	"testing"
	"time"
)

// The longest trainings have more nanoseconds times steps than an int64 holds.
func TestRemaining(t *testing.T) {
	for _, c := range []struct {
		spent       time.Duration
		done, total int64
		want        time.Duration
	}{
		{10 * time.Second, 1, 4, 30 * time.Second},
		{3 * time.Hour, 10_000, 937_500, 278*time.Hour + 15*time.Minute},
		{time.Hour, 5, 5, 0},
	} {
		if got := remaining(c.spent, c.done, c.total); got != c.want {
			t.Errorf("%d of %d steps after %v: %v left, want %v", c.done, c.total, c.spent, got, c.want)
		}
	}
}

// Bars are drawn on terminals, and /dev/null is none.
func TestNullIsNoTerminal(t *testing.T) {
	null, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer null.Close()
	if isTerminal(null) {
		t.Errorf("%s is a terminal", os.DevNull)
	}
}

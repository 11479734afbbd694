// SPDX-License-Identifier: Apache-2.0

// Package bench times what edgenas' speed is judged by: training steps of
// supernets and networks on synthetic images, single operations, and the
// machine's own limits. Results have the fields that the PyTorch programs in
// folder peers print.
package bench

import (
	"context"
	"fmt"
	"runtime"
	"time"
)

// Mode is what results of this program carry where PyTorch's carry theirs.
const Mode = "edgenas"

// SpecError says that what is to be timed does not exist.
type SpecError struct{ Err error }

func (e *SpecError) Error() string { return "bench: " + e.Err.Error() }
func (e *SpecError) Unwrap() error { return e.Err }

func specf(format string, args ...any) error { return &SpecError{fmt.Errorf(format, args...)} }

// Header is what stands before results in Go's benchmark format.
func Header() string {
	return fmt.Sprintf("goos: %s\ngoarch: %s\npkg: github.com/edgenas/edgenas/internal/bench\n", runtime.GOOS,
		runtime.GOARCH)
}

// atLeast is how often a measurement is repeated, however long it takes.
const atLeast = 5

// repeat times f again and again, after three times that do not count, until
// they have taken this long. It returns seconds.
func repeat(ctx context.Context, during time.Duration, f func()) (times []float64, err error) {
	for range 3 {
		f()
	}
	for begin := time.Now(); time.Since(begin) < during || len(times) < atLeast; {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		start := time.Now()
		f()
		times = append(times, time.Since(start).Seconds())
	}
	return times, nil
}

// SPDX-License-Identifier: Apache-2.0

//go:build !linux

package hostinfo

import "fmt"

// Affinity lists the processors that the calling thread may run on. Systems
// that cannot tell return ErrNoData.
func Affinity() ([]int, error) { return nil, fmt.Errorf("hostinfo: affinity: %w", ErrNoData) }

// SetAffinity keeps the calling thread on the given processors; lock the
// goroutine to its thread first. Systems that cannot return ErrNoData.
func SetAffinity([]int) error { return fmt.Errorf("hostinfo: affinity: %w", ErrNoData) }

// CurrentCPU is the processor that the calling thread runs on at this moment.
// Systems that cannot tell return ErrNoData.
func CurrentCPU() (int, error) {
	return 0, fmt.Errorf("hostinfo: current processor: %w", ErrNoData)
}

// SetProcessAffinity keeps all threads of this process on the given
// processors, and with them those that they start. It returns only when each
// has been seen to be kept. Systems that cannot return ErrNoData.
func SetProcessAffinity([]int) error { return fmt.Errorf("hostinfo: affinity: %w", ErrNoData) }

// ProcessAffinity lists the processors that any thread of this process may run
// on. Systems that cannot tell return ErrNoData.
func ProcessAffinity() ([]int, error) { return nil, fmt.Errorf("hostinfo: affinity: %w", ErrNoData) }

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

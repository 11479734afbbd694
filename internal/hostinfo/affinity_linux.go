// SPDX-License-Identifier: Apache-2.0

package hostinfo

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// Affinity lists the processors that the calling thread may run on. Systems
// that cannot tell return ErrNoData.
func Affinity() ([]int, error) {
	var set unix.CPUSet
	if err := unix.SchedGetaffinity(0, &set); err != nil {
		return nil, fmt.Errorf("hostinfo: affinity: %w", err)
	}
	var list []int
	for c := 0; len(list) < set.Count(); c++ {
		if set.IsSet(c) {
			list = append(list, c)
		}
	}
	return list, nil
}

// SetAffinity keeps the calling thread on the given processors; lock the
// goroutine to its thread first. Systems that cannot return ErrNoData.
func SetAffinity(list []int) error {
	var set unix.CPUSet
	for _, c := range list {
		set.Set(c)
	}
	if err := unix.SchedSetaffinity(0, &set); err != nil {
		return fmt.Errorf("hostinfo: affinity %v: %w", list, err)
	}
	return nil
}

// SPDX-License-Identifier: Apache-2.0

package hostinfo

import (
	"fmt"
	"slices"
)

// VerifyAffinity says whether the calling thread may run on nothing but the
// given processors, and runs on one of them now. The system may have left out
// some, such as those that are switched off or forbidden: see [Affinity].
// Systems that cannot tell return ErrNoData.
func VerifyAffinity(list []int) error {
	allowed, err := Affinity()
	if err != nil {
		return err
	}
	if len(allowed) == 0 || !within(allowed, list) {
		return fmt.Errorf("hostinfo: affinity: this thread may run on %s, want %s", FormatCPUs(allowed), FormatCPUs(list))
	}
	cpu, err := CurrentCPU()
	if err != nil {
		return err
	}
	if !slices.Contains(list, cpu) {
		return fmt.Errorf("hostinfo: affinity: this thread runs on %d, want %s", cpu, FormatCPUs(list))
	}
	return nil
}

// within says whether every one of list is in set.
func within(list, set []int) bool {
	return !slices.ContainsFunc(list, func(c int) bool { return !slices.Contains(set, c) })
}

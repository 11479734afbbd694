// SPDX-License-Identifier: Apache-2.0

package hostinfo

import (
	"fmt"
	"io/fs"
	"math"
	"slices"
)

// Policy is how the clock of processors that share one is governed. A zero
// field is unknown.
type Policy struct {
	CPUs     []int  `json:"cpus"`
	Governor string `json:"governor,omitempty"` // performance, schedutil, …
	FreqHz   int64  `json:"freq_hz,omitempty"`  // now
	MinHz    int64  `json:"min_hz,omitempty"`   // that the governor may choose
	MaxHz    int64  `json:"max_hz,omitempty"`
	LimitHz  int64  `json:"limit_hz,omitempty"` // that the hardware can do; above MaxHz, someone has lowered that
}

// Policies reads how the clocks are governed, in the order of the processors.
// None is unknown.
func Policies(root fs.FS) []Policy {
	list, _ := readCores(root)
	var policies []Policy
	var seen []int
	for _, c := range list {
		if slices.Contains(seen, c) {
			continue
		}
		p := Policy{CPUs: []int{c}}
		if related, err := readCPUList(root, fmt.Sprintf("%s/cpu%d/cpufreq/related_cpus", cpus, c)); err == nil {
			p.CPUs = related
		}
		p.Governor, _ = readName(root, fmt.Sprintf("%s/cpu%d/cpufreq/scaling_governor", cpus, c))
		p.FreqHz, _ = readHz(root, c, "scaling_cur_freq")
		p.MinHz, _ = readHz(root, c, "scaling_min_freq")
		p.MaxHz, _ = readHz(root, c, "scaling_max_freq")
		p.LimitHz, _ = readHz(root, c, "cpuinfo_max_freq")
		if p.Governor != "" || p.FreqHz+p.MaxHz+p.LimitHz > 0 {
			policies = append(policies, p)
			seen = append(seen, p.CPUs...)
		}
	}
	return policies
}

// readHz reads a cpufreq value. The files are in kHz, thus multiplied by 1000
// (Linux, Documentation/admin-guide/pm/cpufreq.rst).
func readHz(root fs.FS, cpu int, name string) (int64, error) {
	khz, err := readNumber(root, fmt.Sprintf("%s/cpu%d/cpufreq/%s", cpus, cpu, name))
	if err != nil || khz <= 0 || khz > math.MaxInt64/1000 {
		return 0, ErrNoData
	}
	return 1000 * khz, nil
}

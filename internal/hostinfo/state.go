// SPDX-License-Identifier: Apache-2.0

package hostinfo

import (
	"fmt"
	"io/fs"
)

// State is what changes from one minute to the next and changes run times with
// it. A zero field is unknown.
type State struct {
	CPU       int    `json:"cpu"`                   // the processor that governor and frequencies are of
	Governor  string `json:"governor,omitempty"`    // performance, schedutil, …
	FreqHz    int64  `json:"freq_hz,omitempty"`     // now
	MaxFreqHz int64  `json:"max_freq_hz,omitempty"` // that the governor may choose
	Zones     []Zone `json:"zones,omitempty"`       // temperatures; none is unknown
	// what slows the machine down now: under-voltage, frequency capped, …; nil is unknown
	Throttled []string `json:"throttled"`
	// the same of any time since boot (Raspberry Pi); nil is unknown
	ThrottledEver  []string `json:"throttled_ever"`
	ThrottleEvents int64    `json:"throttle_events,omitempty"` // times that the core was throttled since boot (x86)
}

// ReadState reads the state of one processor from the file system under root.
func ReadState(root fs.FS, cpu int) State {
	s := State{CPU: cpu}
	s.Governor, _ = readName(root, fmt.Sprintf("%s/cpu%d/cpufreq/scaling_governor", cpus, cpu))
	s.FreqHz, _ = readHz(root, cpu, "scaling_cur_freq")
	s.MaxFreqHz, _ = readHz(root, cpu, "scaling_max_freq")
	s.Zones, _ = Temperatures(root)
	s.Throttled, _ = Throttled(root)
	if word, err := readThrottleWord(root); err == nil {
		_, s.ThrottledEver = throttleNames(word)
	}
	s.ThrottleEvents = ThrottleEvents(root, cpu)
	return s
}

// ThrottleEvents is how often a processor was throttled since boot (x86); 0
// where that is not counted.
func ThrottleEvents(root fs.FS, cpu int) int64 {
	n, err := readNumber(root, fmt.Sprintf("%s/cpu%d/thermal_throttle/core_throttle_count", cpus, cpu))
	if err != nil {
		return 0
	}
	return max(0, n)
}

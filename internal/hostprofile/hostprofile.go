// SPDX-License-Identifier: Apache-2.0

// Package hostprofile describes a machine as profiles do.
package hostprofile

import (
	"cmp"

	"github.com/edgenas/edgenas/internal/hostinfo"
	"github.com/edgenas/edgenas/profiles"
)

// Device returns the device that a profile names for a machine in a state.
func Device(h hostinfo.Host, s hostinfo.State) profiles.Device {
	return profiles.Device{
		Model: h.Model, SoC: cmp.Or(h.SoC, h.CPU), CPU: h.CPU, Cores: h.Cores, MemoryBytes: h.MemoryBytes,
		L1DBytes: h.L1DBytes, L2Bytes: h.L2Bytes, L3Bytes: h.L3Bytes,
		OS: h.OS, Arch: h.Arch, Kernel: h.Kernel, Governor: s.Governor, Emulation: string(h.Emulation),
	}
}

// State returns a state as profiles have it.
func State(s hostinfo.State) *profiles.State {
	out := &profiles.State{FrequencyHz: s.FreqHz, MaxFrequencyHz: s.MaxFreqHz, Throttled: s.Throttled}
	if z, ok := s.Hottest(); ok {
		out.TemperatureCelsius = &z.Celsius
	}
	return out
}

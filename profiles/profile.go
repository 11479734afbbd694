// SPDX-License-Identifier: Apache-2.0

// Package profiles reads, writes and compares profile files: the times of
// operations measured on one device with one runtime, with everything that
// says what they are worth. FORMAT.md specifies the file.
//
// [Load] and [Profile.Save] read and write a profile. [Profile.Check] compares
// it with a device and a runtime, [Diff] with another profile, and
// [Profile.Add] merges two. [Journal] keeps what a measurement has done when it
// is interrupted. Keys are text here; package ops gives them meaning.
package profiles

import (
	"cmp"
	"encoding/json"
	"slices"
	"strings"
)

// Format names the version of the format that this package writes and reads.
const Format = "edgenas-profile/1"

// Profile is the content of a profile file. Extra, here and below, holds the
// fields that FORMAT.md does not name; they are written back as they came.
type Profile struct {
	Device    Device    `json:"device"`
	Runtime   Runtime   `json:"runtime"`
	Protocol  Protocol  `json:"protocol"`
	ConstantS *float64  `json:"constant_s"` // a network's time beyond its operations' sum; nil: fit it to Networks
	Entries   []Entry   `json:"entries"`    // in any order; keys are unique
	Networks  []Network `json:"networks"`   // in any order; names are unique
	Warnings  []string  `json:"warnings"`   // doubts about the whole file

	Extra map[string]json.RawMessage `json:"-"`
}

// Device describes the machine on which the times were measured. A zero field is unknown.
type Device struct {
	Model       string `json:"model"`
	SoC         string `json:"soc"` // or the processor's name where no chip is named
	CPU         string `json:"cpu"`
	Cores       int    `json:"cores"`
	MemoryBytes int64  `json:"memory_bytes"`
	L1DBytes    int64  `json:"l1d_bytes"`
	L2Bytes     int64  `json:"l2_bytes"`
	L3Bytes     int64  `json:"l3_bytes"`
	OS          string `json:"os"`
	Arch        string `json:"arch"`
	Kernel      string `json:"kernel"`
	Governor    string `json:"governor"`
	Emulation   string `json:"emulation"` // none, qemu, unknown
	Before      *State `json:"before"`    // at the start of the last session
	After       *State `json:"after"`     // at its end

	Extra map[string]json.RawMessage `json:"-"`
}

// State holds a device's clock and temperature at a moment. A nil or zero
// field is unknown.
type State struct {
	FrequencyHz        int64    `json:"frequency_hz,omitempty"`
	MaxFrequencyHz     int64    `json:"max_frequency_hz,omitempty"`
	TemperatureCelsius *float64 `json:"temperature_celsius,omitempty"`
	Throttled          []string `json:"throttled,omitempty"` // what slowed it down
}

// Runtime describes the program that ran the operations.
type Runtime struct {
	Name     string `json:"name"` // native, onnxruntime
	Version  string `json:"version"`
	Build    string `json:"build"`
	Threads  int    `json:"threads"`  // inference threads
	Affinity []int  `json:"affinity"` // processors that it was kept on; nil: any
	Cluster  string `json:"cluster"`  // cores that were asked for; empty: the fastest that could be used
	DType    string `json:"dtype"`    // f32
	Layout   string `json:"layout"`   // nhwc, nchw

	Extra map[string]json.RawMessage `json:"-"`
}

// Burst names the mode of a profile that names none.
const Burst = "burst"

// InMode returns the mode in which the profile was measured, named or not.
func (p Protocol) InMode() string { return cmp.Or(p.Mode, Burst) }

// Protocol says how the last session measured.
type Protocol struct {
	Date            string  `json:"date"` // its start, RFC 3339, UTC
	Seed            uint64  `json:"seed"`
	WarmUpS         float64 `json:"warm_up_s"`
	Rounds          int     `json:"rounds"`
	SamplesPerRound int     `json:"samples_per_round"`
	MinSampleS      float64 `json:"min_sample_s"`
	Copies          int     `json:"copies"`
	Cache           string  `json:"cache"`
	Sentinel        string  `json:"sentinel"`
	Mode            string  `json:"mode"`         // burst, sustained, paced=33ms (latency.Mode); empty: burst
	ClockStepS      float64 `json:"clock_step_s"` // shortest step of the clock; 0: not recorded

	MaxTemperatureCelsius float64 `json:"max_temperature_celsius"` // no round began above it; 0: no limit
	Cpuset                string  `json:"cpuset"`                  // the scheduler's group of the process; empty: unknown
	UclampMin             int     `json:"uclamp_min"`              // scheduler's least load, of 1024; 0: none or unknown
	UclampMax             int     `json:"uclamp_max"`              // its greatest load; 0: unknown

	Extra map[string]json.RawMessage `json:"-"`
}

// The values of Timing.Status.
const (
	OK     = "ok"
	Failed = "failed"
)

// Timing holds what was measured of one operation or network, in seconds. A
// failed measurement has a reason and no number.
type Timing struct {
	Status  string  `json:"status"` // OK or Failed
	Reason  string  `json:"reason"`
	N       int     `json:"n"` // samples in all rounds
	MedianS float64 `json:"median_s"`
	LoS     float64 `json:"lo_s"` // bounds of the median at 95 %
	HiS     float64 `json:"hi_s"`
	MinS    float64 `json:"min_s"` // shortest sample; 0: not recorded, as in the fields below
	P90S    float64 `json:"p90_s"`
	P95S    float64 `json:"p95_s"`
	P99S    float64 `json:"p99_s"`

	SamplesS      [][]float64 `json:"samples_s"` // of each round
	SamplesDigest string      `json:"samples_digest"`
	SentinelS     []float64   `json:"sentinel_s"` // the sentinel's time in each round
	Warnings      []string    `json:"warnings"`   // doubts that leave it usable

	// ThrottledRounds counts the rounds behind the numbers in which the device
	// was slowed down, by heat, power or others. Throttled rounds are left out
	// where enough others could be measured.
	ThrottledRounds int `json:"throttled_rounds"`

	FrequencyHz        []float64 `json:"frequency_hz"`        // of the core in each round; nil: no data
	TemperatureCelsius []float64 `json:"temperature_celsius"` // of the processor in each round; nil: no data
}

// Throttled begins the warning that a device was slowed down, by heat, power
// or others, while something was measured. Files from before ThrottledRounds
// have nothing but that warning.
const Throttled = "throttled"

// Throttled reports whether the device was slowed down in so many rounds that
// they could not be left out.
func (t Timing) Throttled() bool {
	warns := func(w string) bool { return strings.HasPrefix(w, Throttled) }
	return t.ThrottledRounds > 0 || slices.ContainsFunc(t.Warnings, warns)
}

// Entry holds the time of one fused operation.
type Entry struct {
	Key string `json:"key"`
	Timing
	Copies    int     `json:"copies"`     // in the chain that was measured; 0: not recorded
	EnergyJ   float64 `json:"energy_j"`   // of one operation; 0: not measured
	PeakBytes int64   `json:"peak_bytes"` // memory; 0: not measured

	Extra map[string]json.RawMessage `json:"-"`
}

// Network holds the time of a whole network, against which the sum of its
// operations is checked.
type Network struct {
	Arch   string         `json:"arch"`   // its name or canonical form
	Counts map[string]int `json:"counts"` // how often each key stands in it
	Timing

	Extra map[string]json.RawMessage `json:"-"`
}

// Emulated reports whether the times are not valid because instructions were
// translated while they were measured. It is false where that is unknown; the
// profile's warnings say so then.
func (p *Profile) Emulated() bool { return p.Device.Emulation == "qemu" }

// Lookup finds the entry of a key. It returns a *MissingError if there is
// none and a *FailedError if its measurement failed.
func (p *Profile) Lookup(key string) (Entry, error) {
	i := slices.IndexFunc(p.Entries, func(e Entry) bool { return e.Key == key })
	if i < 0 {
		return Entry{}, &MissingError{Keys: []string{key}, Device: p.Device.Name()}
	}
	if e := p.Entries[i]; e.Status == Failed {
		return Entry{}, &FailedError{Key: key, Reason: e.Reason}
	}
	return p.Entries[i], nil
}

// Missing lists the keys that have no entry, in their order. A key whose
// measurement failed has one.
func (p *Profile) Missing(keys []string) []string {
	have := map[string]bool{}
	for _, e := range p.Entries {
		have[e.Key] = true
	}
	var missing []string
	for _, k := range keys {
		if !have[k] {
			missing = append(missing, k)
		}
	}
	return missing
}

// Merge adds entries and networks; each replaces the one of the same key or
// name.
func (p *Profile) Merge(entries []Entry, networks []Network) {
	p.Entries = merge(p.Entries, entries, func(e Entry) string { return e.Key })
	p.Networks = merge(p.Networks, networks, func(n Network) string { return n.Arch })
}

// merge returns old with the elements of update, each in place of the element
// of the same name.
func merge[T any](old, update []T, name func(T) string) []T {
	at := map[string]int{}
	for i, x := range old {
		at[name(x)] = i
	}
	for _, x := range update {
		i, known := at[name(x)]
		if known {
			old[i] = x
			continue
		}
		at[name(x)] = len(old)
		old = append(old, x)
	}
	return old
}

// Name returns what people call the device: its model, or else its chip.
func (d Device) Name() string {
	switch {
	case d.Model != "":
		return d.Model
	case d.SoC != "":
		return d.SoC
	}
	return "unnamed device"
}

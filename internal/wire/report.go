// SPDX-License-Identifier: Apache-2.0

package wire

import (
	"fmt"
	"reflect"
	"slices"

	"github.com/edgenas/edgenas/internal/hostinfo"
	"github.com/edgenas/edgenas/latency"
	"github.com/edgenas/edgenas/profiles"
)

// MaxReport bounds the bytes of a report, and of a verification.
const MaxReport = 1 << 20

// Report says what a device is, in what state, and what it can measure with.
type Report struct {
	Format   string             `json:"format"`
	Version  string             `json:"version"` // of the agent
	Device   profiles.Device    `json:"device"`
	Runtimes []profiles.Runtime `json:"runtimes"` // with one thread
	Facts    hostinfo.Facts     `json:"facts"`
}

// DecodeReport reads a report of a device.
func DecodeReport(data []byte) (Report, error) {
	var r Report
	if err := checkFormat(data); err != nil {
		return r, refusef("report: %w: the agent there is of another version than this program", err)
	}
	if err := strict(data, &r); err != nil {
		return r, refusef("report: %.80q: %w", data, err)
	}
	if r.Format != Format {
		return r, refusef("report: no format: want %q", Format)
	}
	extra := len(r.Device.Extra)
	for _, rt := range r.Runtimes {
		extra += len(rt.Extra)
	}
	if extra > 0 || len(r.Runtimes) == 0 || len(r.Runtimes) > maxWarnings {
		return r, refusef("report: unknown members, or no runtime")
	}
	if r.Device.Cores < 0 || r.Device.MemoryBytes < 0 {
		return r, refusef("report: %d cores and %d bytes of memory", r.Device.Cores, r.Device.MemoryBytes)
	}
	if err := checkStrings(reflect.ValueOf(r)); err != nil {
		return r, fmt.Errorf("report: %w", err)
	}
	return r, nil
}

// Runtime is the device's runtime of that name with so many threads.
func (r Report) Runtime(name string, threads int) (profiles.Runtime, error) {
	i := slices.IndexFunc(r.Runtimes, func(rt profiles.Runtime) bool { return rt.Name == name })
	if i < 0 {
		return profiles.Runtime{}, refusef("report: the agent there has no runtime %q", name)
	}
	rt := r.Runtimes[i]
	rt.Threads = threads
	return rt, nil
}

// checkStrings checks every text in a value of plain data.
func checkStrings(v reflect.Value) error {
	switch v.Kind() {
	case reflect.String:
		return checkTexts(maxText, v.String())
	case reflect.Pointer, reflect.Interface:
		if !v.IsNil() {
			return checkStrings(v.Elem())
		}
	case reflect.Slice, reflect.Array:
		for i := range v.Len() {
			if err := checkStrings(v.Index(i)); err != nil {
				return err
			}
		}
	case reflect.Struct:
		for i := range v.NumField() {
			if err := checkStrings(v.Field(i)); err != nil {
				return err
			}
		}
	}
	return nil
}

// DecodeVerification reads what the agent has timed.
func DecodeVerification(data []byte) (latency.Verification, error) {
	var v latency.Verification
	if err := strict(data, &v); err != nil {
		return v, refusef("verification: %.80q: %w", data, err)
	}
	last := 0.0
	for _, s := range []float64{v.MinS, v.MedianS, v.P90S, v.P95S, v.P99S} {
		if s == 0 && last > 0 { // a quantile that is not known
			continue
		}
		if !(s > 0 && s <= maxTimeS && s >= last) {
			return v, refusef("verification: the times %g, %g, %g, %g and %g s", v.MinS, v.MedianS, v.P90S, v.P95S, v.P99S)
		}
		last = s
	}
	if v.N < 1 || v.N > maxSamples || !(v.LoS > 0 && v.LoS <= v.MedianS && v.HiS >= v.MedianS && v.HiS <= maxTimeS) {
		return v, refusef("verification: %d samples, median from %g to %g s", v.N, v.LoS, v.HiS)
	}
	if len(v.Device.Extra)+len(v.Runtime.Extra) > 0 {
		return v, refusef("verification: unknown members")
	}
	if err := checkStrings(reflect.ValueOf(v)); err != nil {
		return v, fmt.Errorf("verification: %w", err)
	}
	return v, nil
}

// SPDX-License-Identifier: Apache-2.0

package profiles

import (
	"fmt"
	"strconv"
)

// memoryTolerance is the share of the memory by which kernels may differ in
// their count on one board: what they give to graphics and keep for themselves.
const memoryTolerance = 0.05

// Check compares the profile with a device and a runtime. It returns a
// *MismatchError if model, chip, cores or memory of the device, or name,
// version, threads, cluster, dtype or layout of the runtime differ, and
// warnings if only kernel, governor, emulation or build do. A zero field of d
// or r is not compared.
func (p *Profile) Check(d Device, r Runtime) (warnings []string, err error) {
	num := func(n int64) string {
		if n == 0 {
			return ""
		}
		return strconv.FormatInt(n, 10)
	}
	memory := num(p.Device.MemoryBytes)
	if diff := float64(p.Device.MemoryBytes - d.MemoryBytes); max(diff, -diff) <= memoryTolerance*float64(d.MemoryBytes) {
		memory = num(d.MemoryBytes)
	}
	var refused []FieldDiff
	for _, f := range []struct {
		FieldDiff
		mild bool
	}{
		{FieldDiff{"device.model", p.Device.Model, d.Model}, false},
		{FieldDiff{"device.soc", p.Device.SoC, d.SoC}, false},
		{FieldDiff{"device.cores", num(int64(p.Device.Cores)), num(int64(d.Cores))}, false},
		{FieldDiff{"device.memory_bytes", memory, num(d.MemoryBytes)}, false},
		{FieldDiff{"device.kernel", p.Device.Kernel, d.Kernel}, true},
		{FieldDiff{"device.governor", p.Device.Governor, d.Governor}, true},
		{FieldDiff{"device.emulation", p.Device.Emulation, d.Emulation}, true},
		{FieldDiff{"runtime.name", p.Runtime.Name, r.Name}, false},
		{FieldDiff{"runtime.version", p.Runtime.Version, r.Version}, false},
		{FieldDiff{"runtime.build", p.Runtime.Build, r.Build}, true},
		{FieldDiff{"runtime.threads", num(int64(p.Runtime.Threads)), num(int64(r.Threads))}, false},
		{FieldDiff{"runtime.cluster", p.Runtime.Cluster, r.Cluster}, false},
		{FieldDiff{"runtime.dtype", p.Runtime.DType, r.DType}, false},
		{FieldDiff{"runtime.layout", p.Runtime.Layout, r.Layout}, false},
	} {
		switch {
		case f.Want == "" || f.Have == f.Want:
		case f.mild:
			warnings = append(warnings, fmt.Sprintf("measured under another %s: %v", f.Field, f.FieldDiff))
		default:
			refused = append(refused, f.FieldDiff)
		}
	}
	if refused != nil {
		return warnings, &MismatchError{Fields: refused}
	}
	return warnings, nil
}

// SameWay returns a *MismatchError if q was measured on another cluster or in
// another mode than p. Unlike Check, it compares an empty cluster like any
// other value: an unspecified one matches only an unspecified one.
func (p *Profile) SameWay(q *Profile) error {
	var refused []FieldDiff
	for _, f := range []FieldDiff{
		{"runtime.cluster", p.Runtime.Cluster, q.Runtime.Cluster},
		{"protocol.mode", p.Protocol.InMode(), q.Protocol.InMode()},
	} {
		if f.Have != f.Want {
			refused = append(refused, f)
		}
	}
	if refused == nil {
		return nil
	}
	return &MismatchError{Fields: refused}
}

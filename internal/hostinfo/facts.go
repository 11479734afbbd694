// SPDX-License-Identifier: Apache-2.0

package hostinfo

import (
	"io/fs"
	"os"
	"time"
)

// Facts is all that a machine tells at one moment: what edgenas devices info
// shows and [Checks] judges. It travels as JSON. A zero field is unknown.
type Facts struct {
	Host     Host     `json:"host"`
	State    State    `json:"state"` // of the fastest core that this process may use
	Policies []Policy `json:"policies,omitempty"`
	Online   []int    `json:"online,omitempty"` // processors that are switched on
	Process  Process  `json:"process"`
	Load     Load     `json:"load"`
	Battery  *Battery `json:"battery,omitempty"`
	Power    Power    `json:"power"`

	MemoryAvailableBytes *int64 `json:"memory_available_bytes,omitempty"` // without swapping
	FreeBytes            *int64 `json:"free_bytes,omitempty"`             // in the folder asked about
}

// ReadFacts reads a machine's facts from the file system under root and from
// the outputs of its [Programs], keyed by command line. It leaves out OS, Arch,
// free space, and what others do, which takes time to see.
func ReadFacts(root fs.FS, outputs map[string]string) Facts {
	f := Facts{Host: Read(root), Policies: Policies(root), Process: ReadProcess(root)}
	f.Host.describe(ParseProperties(outputs["getprop"]))
	f.Online, _ = readCPUList(root, cpus+"/online")
	f.State = ReadState(root, FastestCore(root, f.Process.CPUs))
	f.thermal(outputs)
	if average, err := readText(root, "proc/loadavg"); err == nil {
		if a, err := parseLoadAverage(average); err == nil {
			f.Load.Average1m, f.Load.Average5m, f.Load.Average15m = &a[0], &a[1], &a[2]
		}
	}
	if n, err := AvailableMemory(root); err == nil {
		f.MemoryAvailableBytes = &n
	}
	b, err := ParseBattery(outputs["dumpsys battery"])
	if err != nil {
		b, err = readBattery(root)
	}
	if err == nil {
		f.Battery = &b
	}
	f.Power = ParsePower(outputs["dumpsys power"])
	if profile, err := readText(root, "sys/firmware/acpi/platform_profile"); err == nil && f.Power.Saver == nil {
		saver := profile == "low-power" || profile == "quiet" // Linux, Documentation/ABI/testing/sysfs-platform_profile
		f.Power.Saver = &saver
	}
	return f
}

// thermal adds to the state what the machine's programs know of heat.
func (f *Facts) thermal(outputs map[string]string) {
	zones, throttled := ParseThermal(outputs["dumpsys thermalservice"])
	if len(f.State.Zones) == 0 {
		f.State.Zones = zones
	}
	if throttled != nil {
		f.State.Throttled = append(throttled, f.State.Throttled...)
	}
	now, ever, err := ParseThrottled(outputs["vcgencmd get_throttled"])
	if err == nil && f.State.ThrottledEver == nil { // sysfs has not said the same
		f.State.Throttled, f.State.ThrottledEver = append(now, f.State.Throttled...), ever
	}
}

// watch is how long WatchLoad looks.
const watch = 500 * time.Millisecond

// busiest is how many processes WatchLoad names.
const busiest = 5

// LocalFacts reads this machine's facts, all but those of [Facts.WatchLoad].
// Dir is where space is needed.
func LocalFacts(dir string, outputs map[string]string) Facts {
	f := ReadFacts(Root(), outputs)
	f.Host.complete()
	if n, err := FreeBytes(dir); err == nil {
		f.FreeBytes = &n
	}
	return f
}

// WatchLoad adds what other processes of this machine do, at which it looks for
// half a second.
func (f *Facts) WatchLoad() {
	root := Root()
	before := ReadUsage(root, time.Now())
	time.Sleep(watch)
	after := ReadUsage(root, time.Now())
	if all, list, ok := Busiest(before, after, os.Getpid(), busiest); ok {
		f.Load.Processors, f.Load.Busiest = &all, list
	}
}

// SPDX-License-Identifier: Apache-2.0

package hostinfo

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Verdict is what a finding comes to.
type Verdict string

// The values of Verdict.
const (
	OK     Verdict = "ok"
	Warn   Verdict = "warn"   // makes measurements wrong, or may
	NoData Verdict = "nodata" // the machine does not tell
)

// Finding is one thing that makes measurements wrong where it is not as it
// should be.
type Finding struct {
	Name    string  `json:"name"`
	Verdict Verdict `json:"verdict"`
	Found   string  `json:"found"`            // in a few words
	Advice  string  `json:"advice,omitempty"` // what to do about it; without root where that is possible
}

// What a machine should have before it measures.
const (
	coolCelsius     = 60        // HW-NAS-Bench-360 waits for it on a Raspberry Pi 5, which slows down from 80 on
	coolHand        = 37        // of a phone's battery or skin: react-native-executorch waits for it
	lowBattery      = 20        // percent: from there on phones save
	idleProcessors  = 0.25      // others' work that one core in four can take
	idleAverage     = 0.5       // load average, where processes are hidden
	enoughSpace     = 128 << 20 // bytes: the agent is below 8 MB, a profile below 64 MiB
	enoughAvailable = 128 << 20 // bytes of memory: with less Linux reclaims pages while it measures
)

// checks are all that doctor looks at, in the order of its table.
var checks = []struct {
	name  string
	check func(Facts) (Verdict, string, string)
}{
	{"emulation", checkEmulation},
	{"big cores", checkBigCores},
	{"governor", checkGovernor},
	{"clock limit", checkClockLimit},
	{"temperature", checkTemperature},
	{"throttling", checkThrottling},
	{"throttled before", checkThrottledBefore},
	{"battery", checkBattery},
	{"battery saver", checkSaver},
	{"screen", checkScreen},
	{"background load", checkLoad},
	{"memory", checkMemory},
	{"free space", checkSpace},
}

// Checks judges whether a machine is fit to be measured: one finding for each
// thing looked at, always the same ones in the same order.
func Checks(f Facts) []Finding {
	findings := make([]Finding, len(checks))
	for i, c := range checks {
		verdict, found, advice := c.check(f)
		findings[i] = Finding{c.name, verdict, found, advice}
	}
	return findings
}

func checkEmulation(f Facts) (Verdict, string, string) {
	switch f.Host.Emulation {
	case NotEmulated:
		return OK, "instructions run on the processor itself", ""
	case Qemu:
		return Warn, "instructions are translated by qemu: times mean nothing", "measure on the device itself"
	}
	return NoData, "this process cannot read its own memory map", ""
}

func checkBigCores(f Facts) (Verdict, string, string) {
	n := len(f.Host.Clusters)
	if n == 0 {
		return NoData, "the machine does not list its processors", ""
	}
	big := f.Host.Clusters[n-1]
	name := strings.TrimSpace(fmt.Sprintf("%s %s", FormatCPUs(big.CPUs), big.Core))
	usable := slices.DeleteFunc(slices.Clone(big.CPUs), func(c int) bool {
		return f.Process.CPUs != nil && !slices.Contains(f.Process.CPUs, c)
	})
	online := slices.DeleteFunc(slices.Clone(usable),
		func(c int) bool { return f.Online != nil && !slices.Contains(f.Online, c) })
	switch {
	case len(usable) == 0:
		found := fmt.Sprintf("the fastest cores (%s) are forbidden to this process, which may use %s", name,
			FormatCPUs(f.Process.CPUs))
		if f.Process.Cpuset != "" {
			found += " (cpuset " + f.Process.Cpuset + ")"
		}
		return Warn, found,
			"start it from a fresh shell, with the screen on; or measure another cluster and say so: --cluster little"
	case len(online) == 0:
		return Warn, fmt.Sprintf("the fastest cores (%s) are switched off", name),
			"leave battery saver, let the device cool down, and keep the screen on"
	case f.Process.Uclamp != nil && f.Process.Uclamp.Max < 1024:
		return Warn,
			fmt.Sprintf("the scheduler takes this process for at most %d of 1024: it may stay on little cores at a low clock",
				f.Process.Uclamp.Max),
			"choose the cores: --cluster big; a result without it holds for a background task only"
	case len(online) < len(big.CPUs):
		return OK, fmt.Sprintf("%s, of them usable %s", name, FormatCPUs(online)), ""
	}
	return OK, name, ""
}

func checkGovernor(f Facts) (Verdict, string, string) {
	governed := map[string][]int{}
	for _, p := range f.Policies {
		if p.Governor != "" {
			governed[p.Governor] = append(governed[p.Governor], p.CPUs...)
		}
	}
	var list []string
	for _, g := range slices.Sorted(maps.Keys(governed)) {
		list = append(list, fmt.Sprintf("%s on %s", g, FormatCPUs(governed[g])))
	}
	found := strings.Join(list, ", ")
	switch {
	case len(governed) == 0:
		return NoData, "no clock governor is visible", ""
	case len(governed) == 1 && governed["performance"] != nil:
		return OK, found, ""
	case f.Host.Android != "":
		return Warn, found,
			"adb shell cmd power set-fixed-performance-mode-enabled true (Android 11 and newer, where the maker supports " +
				"it; false afterwards)"
	}
	return Warn, found,
		"without root: nothing else running, so that the warm-up brings the clock up; with root: echo performance | " +
			"sudo tee /sys/devices/system/cpu/cpufreq/policy*/scaling_governor"
}

func checkClockLimit(f Facts) (Verdict, string, string) {
	var limited []string
	known := false
	for _, p := range f.Policies {
		if p.MaxHz == 0 || p.LimitHz == 0 {
			continue
		}
		known = true
		if p.MaxHz < p.LimitHz {
			limited = append(limited, fmt.Sprintf("%s: %d of %d MHz", FormatCPUs(p.CPUs), p.MaxHz/1e6, p.LimitHz/1e6))
		}
	}
	if !known {
		return NoData, "no limit of the clock is visible", ""
	}
	if len(limited) > 0 {
		return Warn, "lowered on " + strings.Join(limited, ", "),
			"let it cool down, leave battery saver or a low power mode, then look again"
	}
	return OK, "the hardware's own", ""
}

func checkTemperature(f Facts) (Verdict, string, string) {
	z, ok := f.State.Hottest()
	if !ok {
		return NoData, "no sensor answers", ""
	}
	found := fmt.Sprintf("%s %.1f °C", z.Name, z.Celsius)
	limit := coolCelsius
	if name := strings.ToLower(z.Name); strings.Contains(name, "battery") || strings.Contains(name, "skin") {
		limit = coolHand
	}
	if z.Celsius >= float64(limit) {
		return Warn, found,
			fmt.Sprintf("let it cool below %d °C: a fan, out of its case, off the charger; --max-temp waits for it", limit)
	}
	return OK, found, ""
}

func checkThrottling(f Facts) (Verdict, string, string) {
	if f.State.Throttled == nil {
		return NoData, "the machine does not say whether it slows itself down", ""
	}
	if len(f.State.Throttled) == 0 {
		return OK, "none now", ""
	}
	return Warn, strings.Join(f.State.Throttled, ", "), throttleAdvice(f.State.Throttled)
}

func checkThrottledBefore(f Facts) (Verdict, string, string) {
	switch {
	case len(f.State.ThrottledEver) > 0:
		return Warn, "since boot: " + strings.Join(f.State.ThrottledEver, ", "),
			throttleAdvice(f.State.ThrottledEver) + "; reboot to clear it, then see whether it comes back"
	case f.State.ThrottledEver != nil:
		return OK, "never since boot", ""
	case f.State.ThrottleEvents > 0:
		return OK, fmt.Sprintf("%d times since boot", f.State.ThrottleEvents), ""
	}
	return NoData, "the machine does not say", ""
}

// throttleAdvice is what to do about reasons of [State.Throttled].
func throttleAdvice(reasons []string) string {
	if slices.Contains(reasons, "under-voltage") {
		return "use the maker's power supply and a short cable, and unplug USB devices"
	}
	return "cool it: a heat sink and a fan, out of its case; for a phone off the charger and out of the sun"
}

func checkBattery(f Facts) (Verdict, string, string) {
	b := f.Battery
	if b == nil {
		return NoData, "no battery is visible", ""
	}
	found := strings.TrimSpace(fmt.Sprintf("%d %% %s", b.Percent, b.Status))
	switch {
	case b.Percent <= lowBattery:
		return Warn, found, fmt.Sprintf("charge it above %d %%, then wait until it is cool", lowBattery)
	case b.Status == "charging":
		return Warn, found, "charging heats it and moves the clock: charge it fully first"
	case f.Host.Android == "" && b.Plugged != nil && !*b.Plugged:
		return Warn, found + ", unplugged", "plug it in: laptops lower the clock on battery"
	}
	return OK, found, ""
}

func checkSaver(f Facts) (Verdict, string, string) {
	switch {
	case f.Power.Saver == nil:
		return NoData, "the machine does not say", ""
	case !*f.Power.Saver:
		return OK, "off", ""
	case f.Host.Android != "":
		return Warn, "on", "adb shell cmd power set-mode 0, or switch it off in the settings"
	}
	return Warn, "on", "choose the balanced or performance profile: powerprofilesctl set performance"
}

func checkScreen(f Facts) (Verdict, string, string) {
	switch f.Power.Screen {
	case "":
		return NoData, "the machine does not say", ""
	case "on":
		return OK, "on", ""
	}
	return Warn, f.Power.Screen, "adb shell input keyevent KEYCODE_WAKEUP; adb shell svc power stayon usb keeps it on"
}

func checkLoad(f Facts) (Verdict, string, string) {
	const advice = "end it, or wait until it is done"
	if p := f.Load.Processors; p != nil {
		found := fmt.Sprintf("other processes keep %.2f processors busy", *p)
		if *p < idleProcessors {
			return OK, found, ""
		}
		var who []string
		for _, b := range f.Load.Busiest[:min(3, len(f.Load.Busiest))] {
			who = append(who, fmt.Sprintf("%s (%d) %.2f", b.Name, b.PID, b.Processors))
		}
		return Warn, found + ": " + strings.Join(who, ", "), advice
	}
	// Android counts threads of its drivers that wait, so that the average says nothing there.
	if a := f.Load.Average1m; a != nil && f.Host.Android == "" {
		found := fmt.Sprintf("load average %.2f over a minute", *a)
		if *a >= idleAverage {
			return Warn, found, advice
		}
		return OK, found, ""
	}
	return NoData, "processes are hidden", ""
}

func checkMemory(f Facts) (Verdict, string, string) {
	n := f.MemoryAvailableBytes
	if n == nil {
		return NoData, "the machine does not say", ""
	}
	found := fmt.Sprintf("%d MiB available", *n>>20)
	if f.Host.MemoryBytes > 0 {
		found += fmt.Sprintf(" of %d", f.Host.MemoryBytes>>20)
	}
	if *n < enoughAvailable {
		return Warn, found, "close other programs; on a board boot without the desktop"
	}
	return OK, found, ""
}

func checkSpace(f Facts) (Verdict, string, string) {
	n := f.FreeBytes
	if n == nil {
		return NoData, "the machine does not say", ""
	}
	found := fmt.Sprintf("%d MiB", *n>>20)
	if *n < enoughSpace {
		return Warn, found, fmt.Sprintf("free %d MiB: the agent and its results need them", enoughSpace>>20)
	}
	return OK, found, ""
}

// SPDX-License-Identifier: Apache-2.0

package hostinfo

import (
	"fmt"
	"io/fs"
	"math"
	"strconv"
	"strings"
)

// State is what changes from one minute to the next and changes run times with
// it. A zero field is unknown.
type State struct {
	CPU            int      // the processor that governor and frequencies are of
	Governor       string   // performance, schedutil, …
	FreqHz         int64    // now
	MaxFreqHz      int64    // that the governor may choose
	Zones          []Zone   // temperatures; none is unknown
	Throttled      []string // what slows the machine down now: under-voltage, frequency capped, …
	ThrottleEvents int64    // times that the core was throttled since boot (x86)
}

// Zone is a temperature sensor and what it says.
type Zone struct {
	Name    string
	Celsius float64
}

// ReadState reads the state of one processor from the file system under root.
func ReadState(root fs.FS, cpu int) State {
	s := State{CPU: cpu}
	s.Governor, _ = readText(root, fmt.Sprintf("%s/cpu%d/cpufreq/scaling_governor", cpus, cpu))
	s.FreqHz, _ = readHz(root, cpu, "scaling_cur_freq")
	s.MaxFreqHz, _ = readHz(root, cpu, "scaling_max_freq")
	s.Zones, _ = Temperatures(root)
	s.Throttled, _ = Throttled(root)
	s.ThrottleEvents, _ = readNumber(root, fmt.Sprintf("%s/cpu%d/thermal_throttle/core_throttle_count", cpus, cpu))
	return s
}

// Hottest is the temperature to watch: the highest of the zones that name the
// processor, or of all where none does. It is false where no zone answered.
func (s State) Hottest() (Zone, bool) {
	var best Zone
	found, processor := false, false
	for _, z := range s.Zones {
		name := strings.ToLower(z.Name)
		p := strings.Contains(name, "cpu") || strings.Contains(name, "soc") || strings.Contains(name, "x86_pkg")
		if !found || p && !processor || p == processor && z.Celsius > best.Celsius {
			best, found, processor = z, true, p
		}
	}
	return best, found
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

// Temperatures reads all thermal zones, whose files are in thousandths of a
// degree (Linux, Documentation/driver-api/thermal/sysfs-api.rst). Zones that
// do not answer, or claim to be colder than −50 °C or hotter than 200 °C, are
// left out; ErrNoData if none is left.
func Temperatures(root fs.FS) ([]Zone, error) {
	var zones []Zone
	for i := range 256 {
		dir := fmt.Sprintf("sys/class/thermal/thermal_zone%d/", i)
		milli, err := readNumber(root, dir+"temp")
		if err != nil || milli < -50_000 || milli > 200_000 {
			continue
		}
		name, err := readText(root, dir+"type")
		if err != nil {
			name = fmt.Sprintf("zone %d", i)
		}
		zones = append(zones, Zone{Name: name, Celsius: float64(milli) / 1000})
	}
	if len(zones) == 0 {
		return nil, ErrNoData
	}
	return zones, nil
}

// throttleBits are the low bits of a Raspberry Pi's throttle word; bits 16 to
// 19 say the same of any time since boot (Raspberry Pi, vcgencmd get_throttled).
var throttleBits = []string{"under-voltage", "frequency capped", "throttled", "soft temperature limit"}

// Throttled lists what slows a Raspberry Pi down at this moment; none is an
// empty list. Other machines are ErrNoData.
func Throttled(root fs.FS) ([]string, error) {
	text, err := readText(root, "sys/devices/platform/soc/soc:firmware/get_throttled")
	if err != nil {
		return nil, err
	}
	word, err := strconv.ParseUint(strings.TrimPrefix(text, "0x"), 16, 32)
	if err != nil {
		return nil, ErrNoData
	}
	now := []string{}
	for i, name := range throttleBits {
		if word>>i&1 == 1 {
			now = append(now, name)
		}
	}
	return now, nil
}

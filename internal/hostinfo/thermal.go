// SPDX-License-Identifier: Apache-2.0

package hostinfo

import (
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"
)

// Zone is a temperature sensor and what it says.
type Zone struct {
	Name    string  `json:"name"`
	Celsius float64 `json:"celsius"`
}

// processor says whether a zone's name means the processor: cpu-thermal,
// soc0-thermal, x86_pkg_temp; BIG, MID and LITTLE on Tensor and Exynos; k10temp
// and coretemp of hwmon.
func (z Zone) processor() bool {
	name := strings.ToLower(z.Name)
	return strings.Contains(name, "cpu") || strings.Contains(name, "soc") || strings.Contains(name, "x86_pkg") ||
		slices.Contains([]string{"big", "mid", "little", "k10temp", "coretemp"}, name)
}

// Hottest is the temperature to watch: the highest of the zones that name the
// processor, or of all where none does. It is false where no zone answered.
func (s State) Hottest() (Zone, bool) {
	var best Zone
	found, processor := false, false
	for _, z := range s.Zones {
		p := z.processor()
		if !found || p && !processor || p == processor && z.Celsius > best.Celsius {
			best, found, processor = z, true, p
		}
	}
	return best, found
}

// sensor is a zone and the file that answers for it.
type sensor struct {
	Zone
	file string
}

// Temperatures reads all thermal zones or, where a machine has none, the first
// sensor of each hwmon chip. Both are in thousandths of a degree (Linux,
// Documentation/driver-api/thermal/sysfs-api.rst and hwmon/sysfs-interface.rst).
// Those that do not answer, or claim to be colder than −50 °C or hotter than
// 200 °C, are left out; ErrNoData if none is left.
func Temperatures(root fs.FS) ([]Zone, error) {
	var zones []Zone
	for _, s := range readSensors(root) {
		zones = append(zones, s.Zone)
	}
	if len(zones) == 0 {
		return nil, ErrNoData
	}
	return zones, nil
}

func readSensors(root fs.FS) []sensor {
	for _, kind := range []struct{ dir, prefix, value, name string }{
		{"sys/class/thermal", "thermal_zone", "temp", "type"},
		{"sys/class/hwmon", "hwmon", "temp1_input", "name"},
	} {
		var sensors []sensor
		for _, dir := range numbered(root, kind.dir, kind.prefix) {
			celsius, err := readCelsius(root, dir+"/"+kind.value)
			if err != nil {
				continue
			}
			name, err := readName(root, dir+"/"+kind.name)
			if err != nil {
				name = path.Base(dir)
			}
			sensors = append(sensors, sensor{Zone{name, celsius}, dir + "/" + kind.value})
		}
		if len(sensors) > 0 {
			return sensors
		}
	}
	return nil
}

// maxNumbered is above the sensors and cooling devices of any machine.
const maxNumbered = 256

// numbered lists the folders of dir that are called prefix and a number, by
// number.
func numbered(root fs.FS, dir, prefix string) []string {
	entries, _ := fs.ReadDir(root, dir)
	var numbers []int
	for _, e := range entries {
		if digits, ok := strings.CutPrefix(e.Name(), prefix); ok {
			if n, err := strconv.Atoi(digits); err == nil && n >= 0 && strconv.Itoa(n) == digits {
				numbers = append(numbers, n)
			}
		}
	}
	slices.Sort(numbers)
	var list []string
	for _, n := range numbers[:min(len(numbers), maxNumbered)] {
		list = append(list, fmt.Sprintf("%s/%s%d", dir, prefix, n))
	}
	return list
}

func readCelsius(root fs.FS, file string) (float64, error) {
	milli, err := readNumber(root, file)
	if err != nil || !plausible(float64(milli)/1000) {
		return 0, ErrNoData
	}
	return float64(milli) / 1000, nil
}

// plausible says whether a sensor can mean it.
func plausible(celsius float64) bool { return celsius >= -50 && celsius <= 200 }

// throttleBits are the low bits of a Raspberry Pi's throttle word; bits 16 to
// 19 say the same of any time since boot (Raspberry Pi, vcgencmd get_throttled).
var throttleBits = []string{"under-voltage", "frequency capped", "throttled", "soft temperature limit"}

// Throttled lists what slows the machine down at this moment: what a Raspberry
// Pi's firmware says, and the kernel's cooling devices that act on the
// processor. None is an empty list; a machine that has neither is ErrNoData.
func Throttled(root fs.FS) ([]string, error) {
	now, err := readCooling(root)
	if word, wordErr := readThrottleWord(root); wordErr == nil {
		bits, _ := throttleNames(word)
		now, err = append(bits, now...), nil
	}
	return now, err
}

// readThrottleWord reads a Raspberry Pi's throttle word. The folder is
// soc/soc:firmware up to the 4, soc@107c000000/soc@107c000000:firmware on the 5.
func readThrottleWord(root fs.FS) (uint64, error) {
	files, _ := fs.Glob(root, "sys/devices/platform/soc*/soc*:firmware/get_throttled")
	for _, file := range files {
		if text, err := readText(root, file); err == nil {
			return parseThrottleWord(text)
		}
	}
	return 0, ErrNoData
}

func parseThrottleWord(text string) (uint64, error) {
	text = strings.TrimPrefix(strings.TrimSpace(text), "throttled=")
	word, err := strconv.ParseUint(strings.TrimPrefix(text, "0x"), 16, 32)
	if err != nil {
		return 0, ErrNoData
	}
	return word, nil
}

func throttleNames(word uint64) (now, ever []string) {
	now, ever = []string{}, []string{}
	for i, name := range throttleBits {
		if word>>i&1 == 1 {
			now = append(now, name)
		}
		if word>>(16+i)&1 == 1 {
			ever = append(ever, name)
		}
	}
	return now, ever
}

// ParseThrottled reads what vcgencmd get_throttled prints, throttled=0x50005,
// or the same word from sysfs: what slows a Raspberry Pi down now, and what
// did at any time since boot. Anything else is ErrNoData.
func ParseThrottled(text string) (now, ever []string, err error) {
	word, err := parseThrottleWord(text)
	if err != nil {
		return nil, nil, err
	}
	now, ever = throttleNames(word)
	return now, ever, nil
}

// readCooling lists the cooling devices that slow the processor down now
// (Linux, Documentation/driver-api/thermal/sysfs-api.rst, cur_state above 0).
// Fans cool as well and slow nothing down.
func readCooling(root fs.FS) ([]string, error) {
	now, err := []string(nil), ErrNoData
	for _, dir := range numbered(root, "sys/class/thermal", "cooling_device") {
		kind, kindErr := readName(root, dir+"/type")
		lower := strings.ToLower(kind)
		if kindErr != nil || strings.Contains(lower, "fan") ||
			!strings.Contains(lower, "cpu") && lower != "processor" && lower != "intel_powerclamp" {
			continue
		}
		level, levelErr := readNumber(root, dir+"/cur_state")
		if levelErr != nil {
			continue
		}
		if err != nil {
			now, err = []string{}, nil
		}
		if name := "cooling by " + kind; level > 0 && !slices.Contains(now, name) {
			now = append(now, name)
		}
	}
	return now, err
}

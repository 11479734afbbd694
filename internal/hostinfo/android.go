// SPDX-License-Identifier: Apache-2.0

package hostinfo

import (
	"cmp"
	"strconv"
	"strings"
)

// Programs are the command lines of a device's own programs whose output says
// what no file does. Not every device has each; those that fail are left out.
var Programs = []string{"getprop", "dumpsys battery", "dumpsys power", "dumpsys thermalservice",
	"vcgencmd get_throttled"}

// MaxOutput is how much of a program's output is looked at, in bytes; dumpsys
// power prints a few tens of KiB.
const MaxOutput = 1 << 20

func bounded(text string) string { return text[:min(len(text), MaxOutput)] }

// ParseProperties reads what getprop prints, lines such as
// "[ro.product.model]: [Pixel 6]". Values are cleaned of what cannot be
// printed; those of several lines are left out.
func ParseProperties(text string) map[string]string {
	properties := map[string]string{}
	for line := range strings.Lines(bounded(text)) {
		line = strings.TrimSpace(line)
		key, value, ok := strings.Cut(line, "]: [")
		if ok && strings.HasPrefix(key, "[") && strings.HasSuffix(value, "]") {
			properties[clean(key[1:])] = clean(value[:len(value)-1])
		}
	}
	return properties
}

// describe takes over what a phone's properties say better than its files,
// which an adb shell can often not read.
func (h *Host) describe(p map[string]string) {
	if model := p["ro.product.model"]; model != "" {
		if maker := p["ro.product.manufacturer"]; maker != "" &&
			!strings.HasPrefix(strings.ToLower(model), strings.ToLower(maker)) {
			model = maker + " " + model
		}
		h.Model = model
	}
	soc := p["ro.soc.model"] // from Android 12 on
	if maker := p["ro.soc.manufacturer"]; soc != "" && maker != "" {
		soc = maker + " " + soc
	}
	h.SoC = cmp.Or(soc, h.SoC, p["ro.board.platform"], p["ro.hardware"])
	h.Android = p["ro.build.version.release"]
	if api, err := strconv.Atoi(p["ro.build.version.sdk"]); err == nil {
		h.AndroidAPI = max(0, api)
	}
	if p["ro.kernel.qemu"] == "1" || p["ro.boot.qemu"] == "1" { // Android's emulator is a qemu
		h.Emulation = Qemu
	}
}

// Power is what a phone does to save its battery. A zero field is unknown.
type Power struct {
	Saver  *bool  `json:"saver,omitempty"`
	Screen string `json:"screen,omitempty"` // on, off, dimmed to a clock (doze), screen saver (dream)
}

// screens are the values of mWakefulness (com.android.server.power,
// PowerManagerInternal.wakefulnessToString).
var screens = map[string]string{"Awake": "on", "Asleep": "off", "Dozing": "doze", "Dreaming": "dream"}

// ParsePower reads what dumpsys power prints: mWakefulness, and the battery
// saver's state machine (from Android 9 on) or mLowPowerModeEnabled.
func ParsePower(text string) Power {
	var p Power
	inSaver := false
	for line := range strings.Lines(bounded(text)) {
		line = strings.TrimSpace(line)
		if line == "Battery saver state machine:" {
			inSaver = true
			continue
		}
		key, value, _ := strings.Cut(line, "=")
		switch {
		case key == "mWakefulness" && p.Screen == "":
			p.Screen = screens[value]
		case p.Saver == nil && (key == "mLowPowerModeEnabled" || inSaver && key == "Enabled"):
			if on, err := strconv.ParseBool(value); err == nil {
				p.Saver = &on
			}
		}
	}
	return p
}

// thermalStatus are Android's names for how much it throttles
// (android.os.PowerManager, THERMAL_STATUS_…).
var thermalStatus = []string{"none", "light", "moderate", "severe", "critical", "emergency", "shutdown"}

// ParseThermal reads what dumpsys thermalservice prints: the sensors, those of
// the moment where there are any, else those of the last event; and what slows
// the phone down, nil if it does not tell.
func ParseThermal(text string) (zones []Zone, throttled []string) {
	var current, cached []Zone
	zonesOf := &cached
	for line := range strings.Lines(bounded(text)) {
		line = strings.TrimSpace(line)
		if status, ok := strings.CutPrefix(line, "Thermal Status: "); ok && throttled == nil {
			if n, err := strconv.Atoi(status); err == nil && n >= 0 && n < len(thermalStatus) {
				throttled = []string{}
				if n > 0 {
					throttled = append(throttled, "thermal status "+thermalStatus[n])
				}
			}
		}
		if strings.HasPrefix(line, "Current temperatures") {
			zonesOf = &current
		}
		if z, err := parseTemperature(line); err == nil && len(*zonesOf) < maxNumbered {
			*zonesOf = append(*zonesOf, z)
		}
	}
	if len(current) == 0 {
		current = cached
	}
	return current, throttled
}

// parseTemperature reads Temperature{mValue=57.9, mType=0, mName=BIG,
// mStatus=0}. Type 0 is the processor, whatever the name.
func parseTemperature(line string) (Zone, error) {
	body, ok1 := strings.CutPrefix(line, "Temperature{")
	body, ok2 := strings.CutSuffix(body, "}")
	if !ok1 || !ok2 {
		return Zone{}, ErrNoData
	}
	values := map[string]string{}
	for part := range strings.SplitSeq(body, ", ") {
		k, v, _ := strings.Cut(part, "=")
		values[k] = v
	}
	celsius, err := strconv.ParseFloat(values["mValue"], 64)
	z := Zone{Name: clean(values["mName"]), Celsius: celsius}
	if err != nil || !plausible(celsius) || z.Name == "" {
		return Zone{}, ErrNoData
	}
	if values["mType"] == "0" && !z.processor() {
		z.Name = "cpu " + z.Name
	}
	return z, nil
}

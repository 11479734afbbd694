// SPDX-License-Identifier: Apache-2.0

package hostinfo

import (
	"io/fs"
	"path"
	"strconv"
	"strings"
)

// Battery is what a machine that has one says of it.
type Battery struct {
	Percent int    `json:"percent"`          // of what it holds, 0 to 100
	Status  string `json:"status,omitempty"` // charging, discharging, not charging, full; "" is unknown
	Plugged *bool  `json:"plugged,omitempty"`
}

// batteryStatus are Android's numbers for it, from 1 on; 1 is unknown
// (android.os.BatteryManager, BATTERY_STATUS_…).
var batteryStatus = []string{"", "charging", "discharging", "not charging", "full"}

// ParseBattery reads what dumpsys battery prints. A device without a battery
// is ErrNoData.
func ParseBattery(text string) (Battery, error) {
	text = bounded(text)
	number := func(name string) (int, bool) {
		v, _ := field(text, name)
		n, err := strconv.Atoi(v)
		return n, err == nil
	}
	if present, ok := field(text, "present"); ok && present == "false" {
		return Battery{}, ErrNoData
	}
	level, ok := number("level")
	scale, scaled := number("scale")
	if !scaled {
		scale = 100
	}
	if !ok || level < 0 || scale <= 0 || scale > 1<<20 || level > scale {
		return Battery{}, ErrNoData
	}
	b := Battery{Percent: 100 * level / scale}
	if n, ok := number("status"); ok && n >= 1 && n <= len(batteryStatus) {
		b.Status = batteryStatus[n-1]
	}
	for _, source := range []string{"AC powered", "USB powered", "Wireless powered", "Dock powered"} {
		if v, ok := field(text, source); ok {
			plugged := v == "true" || b.Plugged != nil && *b.Plugged
			b.Plugged = &plugged
		}
	}
	return b, nil
}

// readBattery reads the first battery of the machine itself; those of a mouse
// have the scope Device (Linux, Documentation/ABI/testing/sysfs-class-power).
func readBattery(root fs.FS) (Battery, error) {
	entries, _ := fs.ReadDir(root, "sys/class/power_supply")
	b, err := Battery{}, ErrNoData
	var plugged *bool
	for i, e := range entries {
		if i == 64 {
			break
		}
		dir := path.Join("sys/class/power_supply", e.Name())
		kind, _ := readText(root, dir+"/type")
		scope, _ := readText(root, dir+"/scope")
		if scope == "Device" {
			continue
		}
		if kind != "Battery" {
			if n, err := readNumber(root, dir+"/online"); err == nil {
				on := n > 0 || plugged != nil && *plugged
				plugged = &on
			}
			continue
		}
		n, capacityErr := readNumber(root, dir+"/capacity")
		if err == nil || capacityErr != nil || n < 0 || n > 100 {
			continue
		}
		b, err = Battery{Percent: int(n)}, nil
		switch status, _ := readText(root, dir+"/status"); status {
		case "Charging", "Discharging", "Not charging", "Full":
			b.Status = strings.ToLower(status)
		}
	}
	if err == nil {
		b.Plugged = plugged
	}
	return b, err
}

// SPDX-License-Identifier: Apache-2.0

package hostinfo

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"testing"
	"testing/fstest"
)

func TestHottest(t *testing.T) {
	for _, tc := range []struct {
		name  string
		zones []Zone
		want  string
	}{
		{"none", nil, ""},
		{"the processor's, though another is hotter", []Zone{{"acpitz", 97}, {"cpu-thermal", 48}, {"wifi", 99}},
			"cpu-thermal"},
		{"the hottest core", []Zone{{"cpu-0", 50}, {"cpu-1", 60}, {"cpu-2", 55}}, "cpu-1"},
		{"a cluster by its size", []Zone{{"G3D", 80}, {"LITTLE", 50}, {"BIG", 60}}, "BIG"},
		{"the hottest of unnamed ones", []Zone{{"a", 30}, {"b", 40}}, "b"},
	} {
		z, ok := State{Zones: tc.zones}.Hottest()
		if z.Name != tc.want || ok != (tc.want != "") {
			t.Errorf("%s: %q, %v; want %q", tc.name, z.Name, ok, tc.want)
		}
	}
}

func TestTemperaturesOfHwmon(t *testing.T) {
	root := fstest.MapFS{
		"sys/class/hwmon/hwmon0/name":        {Data: []byte("nvme\n")},
		"sys/class/hwmon/hwmon2/name":        {Data: []byte("k10temp\n")},
		"sys/class/hwmon/hwmon2/temp1_input": {Data: []byte("51250\n")},
	}
	zones, err := Temperatures(root)
	if err != nil || !reflect.DeepEqual(zones, []Zone{{"k10temp", 51.25}}) {
		t.Errorf("%v, %v", zones, err)
	}
}

func TestParseThrottled(t *testing.T) {
	for _, tc := range []struct {
		text      string
		now, ever []string
	}{
		{"throttled=0x0\n", []string{}, []string{}},
		{"throttled=0x50005\n", []string{"under-voltage", "throttled"}, []string{"under-voltage", "throttled"}},
		{"80008", []string{"soft temperature limit"}, []string{"soft temperature limit"}},
		{"0x20000", []string{}, []string{"frequency capped"}},
		{"throttled=", nil, nil},
		{"error=1 error_msg=\"Command not registered\"", nil, nil},
		{"throttled=0x1ffffffff", nil, nil},
		{"", nil, nil},
	} {
		now, ever, err := ParseThrottled(tc.text)
		if !reflect.DeepEqual(now, tc.now) || !reflect.DeepEqual(ever, tc.ever) || (err == nil) != (tc.now != nil) {
			t.Errorf("%q: %v, %v, %v; want %v, %v", tc.text, now, ever, err, tc.now, tc.ever)
		}
	}
}

func TestThrottled(t *testing.T) {
	cooling := func(kinds ...string) fstest.MapFS {
		root := fstest.MapFS{}
		for i, kind := range kinds {
			dir := fmt.Sprintf("sys/class/thermal/cooling_device%d/", i)
			root[dir+"type"] = &fstest.MapFile{Data: []byte(kind + "\n")}
			root[dir+"cur_state"] = &fstest.MapFile{Data: []byte(fmt.Sprintf("%d\n", i))} // the first one rests
		}
		return root
	}
	pi5, _ := machine(t, "pi5")
	for _, tc := range []struct {
		name string
		root fstest.MapFS
		want []string // nil: no data
	}{
		{"nothing", fstest.MapFS{}, nil},
		{"a fan alone", cooling("pwm-fan", "cpu-fan", "Fan"), nil},
		{"one that rests", cooling("cpufreq-cpu0"), []string{}},
		{"some at work, not those of the graphics", cooling("cpufreq-cpu0", "cpufreq-cpu4", "thermal-devfreq-0", "Processor"),
			[]string{"cooling by cpufreq-cpu4", "cooling by Processor"}},
		{"a Raspberry Pi 5 at rest", pi5, []string{}},
	} {
		got, err := Throttled(tc.root)
		if !slices.Equal(got, tc.want) || errors.Is(err, ErrNoData) != (tc.want == nil) {
			t.Errorf("%s: %v, %v; want %v", tc.name, got, err, tc.want)
		}
	}
}

// SPDX-License-Identifier: Apache-2.0

package hostinfo

import (
	"errors"
	"reflect"
	"strings"
	"testing"
)

func TestDescribe(t *testing.T) {
	for _, tc := range []struct {
		name, properties string
		want             Host
	}{
		{"nothing", "", Host{Model: "board", SoC: "chip"}},
		{"a phone",
			"[ro.product.manufacturer]: [Google]\n[ro.product.model]: [Pixel 6]\n[ro.soc.manufacturer]: [Google]\n" +
				"[ro.soc.model]: [GS101]\n[ro.build.version.release]: [14]\n[ro.build.version.sdk]: [34]\n",
			Host{Model: "Google Pixel 6", SoC: "Google GS101", Android: "14", AndroidAPI: 34}},
		{"the maker in the model, no chip",
			"[ro.product.manufacturer]: [samsung]\n[ro.product.model]: [Samsung Galaxy]\n[ro.build.version.sdk]: [x]\n",
			Host{Model: "Samsung Galaxy", SoC: "chip"}},
		{"Android's emulator", "[ro.kernel.qemu]: [1]\n", Host{Model: "board", SoC: "chip", Emulation: Qemu}},
		{"control characters", "[ro.product.model]: [a\x1b[31m\x00b]\n", Host{Model: "a[31mb", SoC: "chip"}},
	} {
		h := Host{Model: "board", SoC: "chip"}
		h.describe(ParseProperties(tc.properties))
		if !reflect.DeepEqual(h, tc.want) {
			t.Errorf("%s\n got %+v\nwant %+v", tc.name, h, tc.want)
		}
	}
}

func TestParsePower(t *testing.T) {
	on, off := true, false
	for _, tc := range []struct {
		name, text string
		want       Power
	}{
		{"nothing", "", Power{}},
		{"Android 9 and newer",
			"  mWakefulness=Awake\n\nBattery saver policy:\n  Enabled=true\n\nBattery saver state machine:\n  " +
				"Enabled=false\n    full=false\n", Power{&off, "on"}},
		{"before", "  mWakefulness=Asleep\n  mLowPowerModeEnabled=true\n", Power{&on, "off"}},
		{"the first one holds", "mWakefulness=Dozing\nmWakefulness=Awake\n", Power{nil, "doze"}},
		{"unknown words", "mWakefulness=Napping\nBattery saver state machine:\nEnabled=maybe\n", Power{}},
	} {
		if got := ParsePower(tc.text); !reflect.DeepEqual(got, tc.want) {
			t.Errorf("%s: %+v, want %+v", tc.name, got, tc.want)
		}
	}
}

func TestParseThermal(t *testing.T) {
	for _, tc := range []struct {
		name, text string
		zones      []Zone
		throttled  []string
	}{
		{"nothing", "", nil, nil},
		{"the moment's, not those of the last event",
			"Thermal Status: 0\nCached temperatures:\n\tTemperature{mValue=84.2, mType=0, mName=CPU, mStatus=0}\nHAL " +
				"Ready: true\nCurrent temperatures from HAL:\n" +
				"\tTemperature{mValue=57.9, mType=0, mName=AP, mStatus=0}\n" +
				"\tTemperature{mValue=34.3, mType=3, mName=SKIN, mStatus=0}\n",
			[]Zone{{"cpu AP", 57.9}, {"SKIN", 34.3}}, []string{}},
		{"those of the last event alone",
			"Thermal Status: 3\nCached temperatures:\n Temperature{mValue=48.5, mType=3, mName=SKIN, mStatus=3}\n",
			[]Zone{{"SKIN", 48.5}}, []string{"thermal status severe"}},
		{"broken sensors",
			"Thermal Status: 99\nTemperature{mValue=NaN, mType=0, mName=CPU}\nTemperature{mValue=-274, mType=0, " +
				"mName=CPU}\nTemperature{mValue=40}\nTemperature{mValue=Inf, mName=x}\n", nil, nil},
	} {
		zones, throttled := ParseThermal(tc.text)
		if !reflect.DeepEqual(zones, tc.zones) || !reflect.DeepEqual(throttled, tc.throttled) {
			t.Errorf("%s: %v, %#v; want %v, %#v", tc.name, zones, throttled, tc.zones, tc.throttled)
		}
	}
}

func TestParseBattery(t *testing.T) {
	yes, no := true, false
	for _, tc := range []struct {
		name, text string
		want       *Battery
	}{
		{"nothing", "", nil},
		{"charging",
			"Current Battery Service state:\n  AC powered: true\n  USB powered: false\n  status: 2\n  present: true\n  " +
				"level: 90\n  scale: 100\n", &Battery{90, "charging", &yes}},
		{"another scale, on its own", "USB powered: false\nWireless powered: false\nstatus: 3\nlevel: 50\nscale: 200\n",
			&Battery{25, "discharging", &no}},
		{"few words", "level: 7", &Battery{Percent: 7}},
		{"a television", "present: false\nlevel: 100\n", nil},
		{"above its scale", "level: 101\nscale: 100\n", nil},
		{"no scale", "level: 1\nscale: 0\n", nil},
		{"no number", "level: full\n", nil},
	} {
		got, err := ParseBattery(tc.text)
		if tc.want == nil {
			if !errors.Is(err, ErrNoData) {
				t.Errorf("%s: %+v, %v; want no data", tc.name, got, err)
			}
		} else if err != nil || !reflect.DeepEqual(got, *tc.want) {
			t.Errorf("%s: %+v, %v; want %+v", tc.name, got, err, *tc.want)
		}
	}
}

// FuzzPrograms reads the same text as each program's output.
func FuzzPrograms(f *testing.F) {
	for _, name := range machines {
		_, outputs := machine(f, name)
		for _, output := range outputs {
			f.Add(output)
		}
	}
	f.Fuzz(func(t *testing.T, text string) {
		outputs := map[string]string{}
		for _, program := range Programs {
			outputs[program] = text
		}
		root, _ := machine(t, "empty")
		f := ReadFacts(root, outputs)
		checkFacts(t, f)
		if len(f.State.Zones) > maxNumbered || strings.ContainsFunc(f.Host.Model, func(r rune) bool { return r < ' ' }) {
			t.Errorf("unbounded or unprintable: %+v", f)
		}
	})
}

// SPDX-License-Identifier: Apache-2.0

package hostinfo

import (
	"errors"
	"io/fs"
	"os"
	"reflect"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
)

// machine is the file system of a fixture of testdata.
func machine(t testing.TB, name string) fstest.MapFS {
	t.Helper()
	b, err := os.ReadFile("testdata/" + name + ".txt")
	if err != nil {
		t.Fatal(err)
	}
	text := strings.ReplaceAll(string(b), `\0`, "\x00")
	heads := regexp.MustCompile(`(?m)^-- (.*) --\n`).FindAllStringSubmatchIndex(text, -1)
	root := fstest.MapFS{}
	for i, h := range heads {
		end := len(text)
		if i+1 < len(heads) {
			end = heads[i+1][0]
		}
		root[text[h[2]:h[3]]] = &fstest.MapFile{Data: []byte(text[h[1]:end])}
	}
	return root
}

func TestRead(t *testing.T) {
	for _, tc := range []struct {
		name  string
		host  Host
		state State
	}{
		{"pi4",
			Host{Kernel: "6.6.31+rpt-rpi-v8", Model: "Raspberry Pi 4 Model B Rev 1.4", SoC: "brcm,bcm2711", CPU: "Cortex-A72", Cores: 4,
				L1DBytes: 32 << 10, L2Bytes: 1 << 20, MemoryBytes: 3884360 << 10, Emulation: NotEmulated},
			State{CPU: 3, Governor: "ondemand", FreqHz: 600e6, MaxFreqHz: 1800e6, Zones: []Zone{{"cpu-thermal", 81.797}},
				Throttled: []string{"under-voltage", "throttled"}}},
		{"x86",
			Host{Kernel: "6.8.0-45-generic", Model: "LENOVO 20XWCTO1WW", CPU: "11th Gen Intel(R) Core(TM) i7-1165G7 @ 2.80GHz", Cores: 8,
				L1DBytes: 48 << 10, L2Bytes: 1280 << 10, L3Bytes: 12 << 20, MemoryBytes: 16092284 << 10, Emulation: NotEmulated},
			State{CPU: 7, Governor: "performance", FreqHz: 4201337e3, MaxFreqHz: 4700e6, Zones: []Zone{{"acpitz", 97}, {"x86_pkg_temp", 48}},
				ThrottleEvents: 17}},
		{"phone",
			Host{SoC: "Qualcomm Technologies, Inc SM8150", CPU: "Cortex-A55 + implementer 0x51 part 0x804", Cores: 4,
				MemoryBytes: 5684360 << 10, Emulation: EmulationUnknown},
			State{CPU: 4, Zones: []Zone{{"battery", 31.5}}}},
		{"armqemu",
			Host{Kernel: "6.1.0-18-amd64", CPU: "Cortex-A72", Cores: 1, Emulation: Qemu},
			State{}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			root := machine(t, tc.name)
			if h := Read(root); h != tc.host {
				t.Errorf("host\n got %+v\nwant %+v", h, tc.host)
			}
			if s := ReadState(root, FastestCore(root, nil)); !reflect.DeepEqual(s, tc.state) {
				t.Errorf("state\n got %+v\nwant %+v", s, tc.state)
			}
		})
	}
}

func TestHottest(t *testing.T) {
	for _, tc := range []struct {
		name  string
		zones []Zone
		want  string
	}{
		{"none", nil, ""},
		{"the processor's, though another is hotter", []Zone{{"acpitz", 97}, {"cpu-thermal", 48}, {"wifi", 99}}, "cpu-thermal"},
		{"the hottest core", []Zone{{"cpu-0", 50}, {"cpu-1", 60}, {"cpu-2", 55}}, "cpu-1"},
		{"the hottest of unnamed ones", []Zone{{"a", 30}, {"b", 40}}, "b"},
	} {
		z, ok := State{Zones: tc.zones}.Hottest()
		if z.Name != tc.want || ok != (tc.want != "") {
			t.Errorf("%s: %q, %v; want %q", tc.name, z.Name, ok, tc.want)
		}
	}
}

func TestEmulation(t *testing.T) {
	guest := "10000-20000 r-xp 0 fe:00 1   /home/u/edgenas-agent\n"
	emulator := "400000-500000 r-xp 0 fe:00 2   /usr/bin/qemu-arm-static\n"
	file := func(text string) *fstest.MapFile { return &fstest.MapFile{Data: []byte(text)} }
	link := func(to string) *fstest.MapFile {
		return &fstest.MapFile{Data: []byte(to), Mode: fs.ModeSymlink}
	}
	for _, tc := range []struct {
		name string
		root fstest.MapFS
		want Emulation
	}{
		{"nothing readable", fstest.MapFS{}, EmulationUnknown},
		{"empty smaps", fstest.MapFS{"proc/self/smaps": file("")}, EmulationUnknown},
		{"made-up maps alone", fstest.MapFS{"proc/self/maps": file(guest)}, EmulationUnknown},
		{"maps name it", fstest.MapFS{"proc/self/maps": file(emulator)}, Qemu},
		{"made-up smaps, but not those of the thread",
			fstest.MapFS{"proc/self/smaps": file(guest), "proc/thread-self/maps": file(guest + emulator)}, Qemu},
		{"links name it",
			fstest.MapFS{"proc/self/maps": file(guest), "proc/self/map_files/400000-500000": link("/usr/bin/qemu-aarch64")}, Qemu},
		{"links do not", fstest.MapFS{"proc/self/map_files/10000-20000": link("/home/u/edgenas-agent")}, NotEmulated},
		{"a folder called qemu", fstest.MapFS{"proc/self/smaps": file("1-2 r-xp 0 0:0 1 /home/qemu-user/agent\n")}, NotEmulated},
	} {
		if got := Read(tc.root).Emulation; got != tc.want {
			t.Errorf("%s: %s, want %s", tc.name, got, tc.want)
		}
	}
}

func TestSilentSensors(t *testing.T) {
	broken := fstest.MapFS{
		"sys/class/thermal/thermal_zone0/temp":                                 {Data: []byte("hot\n")},
		"sys/devices/platform/soc/soc:firmware/get_throttled":                  {Data: []byte("zz\n")},
		"sys/devices/system/cpu/present":                                       {Data: []byte("0-99999999\n")},
		"proc/meminfo":                                                         {Data: []byte("MemTotal: -1 kB\n")},
		"sys/devices/system/cpu/cpu0/cache/index0/level":                       {Data: []byte("1\n")},
		"sys/devices/system/cpu/cpu0/cache/index0/size":                        {Data: []byte("manyK\n")},
		"sys/devices/system/cpu/cpu0/cpufreq/scaling_cur_freq":                 {Data: []byte("<unknown>\n")},
		"sys/devices/system/cpu/cpu0/thermal_throttle/core_throttle_count/dir": {},
	}
	for name, root := range map[string]fs.FS{"broken": broken, "absent": fstest.MapFS{}} {
		if _, err := Temperatures(root); !errors.Is(err, ErrNoData) {
			t.Errorf("%s: temperatures: %v, want no data", name, err)
		}
		if _, err := Throttled(root); !errors.Is(err, ErrNoData) {
			t.Errorf("%s: throttled: %v, want no data", name, err)
		}
		if h := Read(root); h != (Host{Emulation: EmulationUnknown}) {
			t.Errorf("%s: made up %+v", name, h)
		}
		if s := ReadState(root, 0); !reflect.DeepEqual(s, State{}) {
			t.Errorf("%s: made up %+v", name, s)
		}
	}
}

func TestLocal(t *testing.T) {
	h := Local()
	if h.OS != runtime.GOOS || h.Arch != runtime.GOARCH || h.Cores < 1 || h.CPU == "" {
		t.Errorf("this machine is %+v", h)
	}
}

func TestAffinity(t *testing.T) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	before, err := Affinity()
	if errors.Is(err, ErrNoData) {
		if err := SetAffinity([]int{0}); !errors.Is(err, ErrNoData) {
			t.Errorf("cannot tell, yet sets: %v", err)
		}
		return
	}
	if err != nil || len(before) == 0 {
		t.Fatalf("affinity %v, %v", before, err)
	}
	last := before[len(before)-1:]
	if err := SetAffinity(last); err != nil {
		t.Fatal(err)
	}
	if now, err := Affinity(); err != nil || !slices.Equal(now, last) {
		t.Errorf("affinity %v, %v after setting %v", now, err, last)
	}
	if err := SetAffinity(before); err != nil {
		t.Fatal(err)
	}
	if err := SetAffinity(nil); err == nil {
		t.Error("no processor at all is accepted")
	}
}

// FuzzRead puts the same text into every file of a machine.
func FuzzRead(f *testing.F) {
	for _, name := range []string{"pi4", "x86", "armqemu"} {
		for _, file := range machine(f, name) {
			f.Add(file.Data)
		}
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		root := machine(t, "x86")
		for _, file := range root {
			file.Data = data
		}
		h, s := Read(root), ReadState(root, 0)
		if h.Cores < 0 || h.MemoryBytes < 0 || h.L1DBytes < 0 || s.FreqHz < 0 || s.MaxFreqHz < 0 {
			t.Errorf("negative facts: %+v %+v", h, s)
		}
	})
}

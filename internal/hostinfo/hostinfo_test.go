// SPDX-License-Identifier: Apache-2.0

package hostinfo

import (
	"errors"
	"flag"
	"io/fs"
	"os"
	"reflect"
	"regexp"
	"runtime"
	"strings"
	"testing"
	"testing/fstest"
)

var update = flag.Bool("update", false, "write the golden files")

// machines are the fixtures of testdata.
var machines = []string{"pi3", "pi4", "pi5", "zero2w", "pixel6", "phone", "jetson", "x86", "armqemu", "empty"}

var head = regexp.MustCompile(`(?m)^-- (.*) --\n`)

// machine is a fixture's file system and what its programs print.
func machine(t testing.TB, name string) (root fstest.MapFS, outputs map[string]string) {
	t.Helper()
	b, err := os.ReadFile("testdata/" + name + ".txt")
	if err != nil {
		t.Fatal(err)
	}
	text := strings.ReplaceAll(string(b), `\0`, "\x00")
	heads := head.FindAllStringSubmatchIndex(text, -1)
	root, outputs = fstest.MapFS{}, map[string]string{}
	for i, h := range heads {
		end := len(text)
		if i+1 < len(heads) {
			end = heads[i+1][0]
		}
		name, body := text[h[2]:h[3]], text[h[1]:end]
		if program, ok := strings.CutPrefix(name, "$ "); ok {
			outputs[program] = body
		} else if link, target, ok := strings.Cut(name, " -> "); ok {
			root[link] = &fstest.MapFile{Data: []byte(target), Mode: fs.ModeSymlink}
		} else {
			root[name] = &fstest.MapFile{Data: []byte(body)}
		}
	}
	return root, outputs
}

func TestRead(t *testing.T) {
	i7 := "11th Gen Intel(R) Core(TM) i7-1165G7 @ 2.80GHz"
	for _, tc := range []struct {
		name  string
		host  Host
		state State
	}{
		{"pi4",
			Host{Kernel: "6.6.31+rpt-rpi-v8", Model: "Raspberry Pi 4 Model B Rev 1.4", SoC: "brcm,bcm2711", CPU: "Cortex-A72",
				Cores:    4,
				Clusters: []Cluster{{[]int{0, 1, 2, 3}, "Cortex-A72", 0, 600e6, 1800e6}},
				L1DBytes: 32 << 10, L2Bytes: 1 << 20, MemoryBytes: 3884360 << 10, Emulation: NotEmulated},
			State{CPU: 3, Governor: "ondemand", FreqHz: 600e6, MaxFreqHz: 1800e6, Zones: []Zone{{"cpu-thermal", 81.797}},
				Throttled: []string{"under-voltage", "throttled"}, ThrottledEver: []string{"under-voltage", "throttled"}}},
		{"x86",
			Host{Kernel: "6.8.0-45-generic", Model: "LENOVO 20XWCTO1WW", CPU: i7, Cores: 8,
				Clusters: []Cluster{{[]int{0, 1, 2, 3, 4, 5, 6, 7}, i7, 0, 400e6, 4700e6}},
				L1DBytes: 48 << 10, L2Bytes: 1280 << 10, L3Bytes: 12 << 20, MemoryBytes: 16092284 << 10, Emulation: NotEmulated},
			State{CPU: 7, Governor: "performance", FreqHz: 4201337e3, MaxFreqHz: 4700e6,
				Zones:     []Zone{{"acpitz", 97}, {"x86_pkg_temp", 48}},
				Throttled: []string{}, ThrottleEvents: 17}},
		{"phone",
			Host{SoC: "Qualcomm Technologies, Inc SM8150", CPU: "Cortex-A55 + Kryo 4xx Gold", Cores: 4,
				Clusters: []Cluster{{[]int{0, 1}, "Cortex-A55", 261, 0, 0}, {[]int{5}, "Kryo 4xx Gold", 871, 0, 0},
					{[]int{4}, "Kryo 4xx Gold", 1024, 0, 0}},
				MemoryBytes: 5684360 << 10, Emulation: EmulationUnknown},
			State{CPU: 4, Zones: []Zone{{"battery", 31.5}}}},
		{"armqemu",
			Host{Kernel: "6.1.0-18-amd64", CPU: "Cortex-A72", Cores: 1,
				Clusters: []Cluster{{CPUs: []int{0}, Core: "Cortex-A72"}}, Emulation: Qemu},
			State{}},
		{"empty", Host{Emulation: EmulationUnknown}, State{}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			root, _ := machine(t, tc.name)
			if h := Read(root); !reflect.DeepEqual(h, tc.host) {
				t.Errorf("host\n got %+v\nwant %+v", h, tc.host)
			}
			if s := ReadState(root, FastestCore(root, nil)); !reflect.DeepEqual(s, tc.state) {
				t.Errorf("state\n got %+v\nwant %+v", s, tc.state)
			}
		})
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
			fstest.MapFS{"proc/self/maps": file(guest), "proc/self/map_files/400000-500000": link("/usr/bin/qemu-aarch64")},
			Qemu},
		{"links do not", fstest.MapFS{"proc/self/map_files/10000-20000": link("/home/u/edgenas-agent")}, NotEmulated},
		{"a folder called qemu", fstest.MapFS{"proc/self/smaps": file("1-2 r-xp 0 0:0 1 /home/qemu-user/agent\n")},
			NotEmulated},
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
		if h := Read(root); !reflect.DeepEqual(h, Host{Emulation: EmulationUnknown}) {
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

// The program is tested against other machines through a folder.
func TestRoot(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(dir+"/file", []byte("text\n"), 0o666); err != nil {
		t.Fatal(err)
	}
	t.Setenv(rootEnv, dir)
	if text, err := readText(Root(), "file"); err != nil || text != "text" {
		t.Errorf("%q, %v", text, err)
	}
	t.Setenv(rootEnv, "")
	if _, err := fs.Stat(Root(), strings.TrimPrefix(dir, "/")); err != nil && runtime.GOOS != "windows" {
		t.Error(err)
	}
}

func TestGroup(t *testing.T) {
	for _, tc := range []struct{ cpuset, cgroup, want string }{
		{"/top-app\n", "0::/uid_10\n", "/top-app"},
		{"/\n", "0::/user.slice\n", "/"},
		{"", "1:cpu:/x\n0::/user.slice\n", "/user.slice"},
		{"", "0::/\n", ""},
		{"", "", ""},
	} {
		root := fstest.MapFS{"proc/self/cpuset": {Data: []byte(tc.cpuset)}, "proc/self/cgroup": {Data: []byte(tc.cgroup)}}
		if got := ReadProcess(root).Group(); got != tc.want {
			t.Errorf("cpuset %q, cgroup %q: %q, want %q", tc.cpuset, tc.cgroup, got, tc.want)
		}
	}
}

// SPDX-License-Identifier: Apache-2.0

package hostinfo

import (
	"errors"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
)

func TestClusters(t *testing.T) {
	file := func(text string) *fstest.MapFile { return &fstest.MapFile{Data: []byte(text)} }
	cpuinfo := func(parts ...string) *fstest.MapFile {
		var b strings.Builder
		for i, p := range parts {
			b.WriteString("processor : " + string(rune('0'+i)) + "\nCPU implementer : 0x41\nCPU part : " + p + "\n\n")
		}
		return file(b.String())
	}
	maxFreq := func(cpu, khz string) (string, *fstest.MapFile) {
		return cpus + "/cpu" + cpu + "/cpufreq/cpuinfo_max_freq", file(khz)
	}
	odroid := fstest.MapFS{cpus + "/present": file("0-3"), "proc/cpuinfo": cpuinfo("0xd03", "0xd03", "0xd09", "0xd09")}
	for cpu, khz := range map[string]string{"0": "1896000", "1": "1896000", "2": "1800000", "3": "1800000"} {
		name, f := maxFreq(cpu, khz)
		odroid[name] = f
	}
	pixel, _ := machine(t, "pixel6")
	jetson, _ := machine(t, "jetson")
	for _, tc := range []struct {
		name string
		root fstest.MapFS
		want []Cluster
	}{
		{"nothing", fstest.MapFS{}, nil},
		{"three, with a big core that is off", pixel, []Cluster{
			{[]int{0, 1, 2, 3}, "Cortex-A55", 161, 300e6, 1803e6}, {[]int{4, 5}, "Cortex-A76", 498, 400e6, 2253e6},
			{[]int{6, 7}, "Cortex-X1", 1024, 500e6, 2802e6}}},
		{"two clocks of one kind", jetson, []Cluster{{[]int{0, 1, 2, 3, 4, 5}, "Cortex-A78AE", 0, 115.2e6, 1510.4e6}}},
		{"little cores with the higher clock", odroid, []Cluster{
			{[]int{0, 1}, "Cortex-A53", 0, 0, 1896e6}, {[]int{2, 3}, "Cortex-A73", 0, 0, 1800e6}}},
		{"cpuinfo alone", fstest.MapFS{"proc/cpuinfo": cpuinfo("0xd08", "0xd08")},
			[]Cluster{{CPUs: []int{0, 1}, Core: "Cortex-A72"}}},
		{"an old kernel that tells the design once",
			fstest.MapFS{"proc/cpuinfo": file("Processor : AArch64\nprocessor : 0\nprocessor : 1\nCPU implementer : 0x41\n" +
				"CPU part : 0xd03\n")},
			[]Cluster{{CPUs: []int{0, 1}, Core: "Cortex-A53"}}},
		{"the register alone", fstest.MapFS{cpus + "/present": file("0"), cpus +
			"/cpu0/regs/identification/midr_el1": file("0x00000000410fd083\n")},
			[]Cluster{{CPUs: []int{0}, Core: "Cortex-A72"}}},
	} {
		if got := Clusters(tc.root); !reflect.DeepEqual(got, tc.want) {
			t.Errorf("%s\n got %+v\nwant %+v", tc.name, got, tc.want)
		}
	}
	for _, tc := range []struct {
		name    string
		root    fstest.MapFS
		allowed []int
		want    int
	}{
		{"nothing", fstest.MapFS{}, nil, 0},
		{"the highest of equals", jetson, nil, 5},
		{"of those allowed", pixel, []int{0, 1, 4}, 4},
		{"not one that is off", pixel, nil, 6},
		{"little ones have the higher clock", odroid, nil, 3},
	} {
		if got := FastestCore(tc.root, tc.allowed); got != tc.want {
			t.Errorf("fastest core, %s: %d, want %d", tc.name, got, tc.want)
		}
	}
}

func TestSelectCPUs(t *testing.T) {
	phone := []Cluster{{CPUs: []int{0, 1, 2, 3}}, {CPUs: []int{4, 5}}, {CPUs: []int{6, 7}}}
	for _, tc := range []struct {
		spec     string
		clusters []Cluster
		want     []int
		err      string
	}{
		{"big", phone, []int{6, 7}, ""},
		{"little", phone, []int{0, 1, 2, 3}, ""},
		{"0xf0", phone, []int{4, 5, 6, 7}, ""},
		{"0xC1", phone, []int{0, 6, 7}, ""},
		{"0x0001", phone, []int{0}, ""},
		{"big", phone[:1], []int{0, 1, 2, 3}, ""},
		{"little", phone[:1], []int{0, 1, 2, 3}, ""},
		{"0x100", phone, nil, "no processor 8, only 0-7"},
		{"0x0", phone, nil, "no processor"},
		{"0x", phone, nil, "want big, little or a mask"},
		{"f0", phone, nil, "want big, little or a mask"},
		{"0xg", phone, nil, "want big, little or a mask"},
		{"0x-1", phone, nil, "want big, little or a mask"},
		{"huge\x1b[31m", phone, nil, `"huge\x1b[31m"`},
		{"0x" + strings.Repeat("f", 10000), phone, nil, "want big, little or a mask"},
		{"big", nil, nil, ErrNoData.Error()},
	} {
		got, err := SelectCPUs(tc.spec, tc.clusters)
		if !slices.Equal(got, tc.want) || (err == nil) != (tc.err == "") || err != nil &&
			!strings.Contains(err.Error(), tc.err) {
			t.Errorf("%.20q: %v, %v; want %v, %q", tc.spec, got, err, tc.want, tc.err)
		}
	}
	if _, err := SelectCPUs("big", nil); !errors.Is(err, ErrNoData) {
		t.Errorf("no clusters: %v, want no data", err)
	}
}

func TestFormatCPUs(t *testing.T) {
	for want, list := range map[string][]int{"": nil, "0": {0}, "0-3,6": {6, 0, 1, 2, 3}, "1,3,5-6": {1, 3, 5, 6, 6}} {
		if got := FormatCPUs(list); got != want {
			t.Errorf("%v: %q, want %q", list, got, want)
		}
	}
	r := rand.New(rand.NewPCG(1, 0))
	for range 200 {
		list := r.Perm(64)[:1+r.IntN(20)]
		text := FormatCPUs(list)
		slices.Sort(list)
		if got, err := parseCPUList(text); err != nil || !slices.Equal(got, list) {
			t.Fatalf("%v → %q → %v, %v", list, text, got, err)
		}
	}
}

func FuzzSelectCPUs(f *testing.F) {
	for _, spec := range []string{"big", "little", "0xf0", "0x", "0-3"} {
		f.Add(spec)
	}
	clusters := []Cluster{{CPUs: []int{0, 1, 2, 3}}, {CPUs: []int{4, 5, 6, 7}}}
	f.Fuzz(func(t *testing.T, spec string) {
		list, err := SelectCPUs(spec, clusters)
		if err != nil && len(err.Error()) > 512 {
			t.Errorf("a message of %d bytes", len(err.Error()))
		}
		if (err == nil) != (len(list) > 0) || !slices.IsSorted(list) || len(list) > 8 || len(list) > 0 &&
			list[len(list)-1] > 7 {
			t.Errorf("%q: %v, %v", spec, list, err)
		}
	})
}

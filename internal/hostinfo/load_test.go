// SPDX-License-Identifier: Apache-2.0

package hostinfo

import (
	"fmt"
	"math"
	"reflect"
	"testing"
	"testing/fstest"
	"time"
)

func TestParseLoadAverage(t *testing.T) {
	if a, err := parseLoadAverage("0.20 1.18 12.12 1/80 11206\n"); err != nil || a != [3]float64{0.2, 1.18, 12.12} {
		t.Errorf("%v, %v", a, err)
	}
	for _, text := range []string{"", "0.2 0.1", "a b c", "NaN 0 0", "-1 0 0", "+Inf 0 0"} {
		if a, err := parseLoadAverage(text); err == nil {
			t.Errorf("%q is read as %v", text, a)
		}
	}
}

func TestBusiest(t *testing.T) {
	// stat is a line of a process that has used ticks since it started.
	stat := func(pid int, name string, user, system, start int) (string, *fstest.MapFile) {
		line := fmt.Sprintf("%d (%s) R 1 1 1 0 -1 4194304 100 0 0 0 %d %d 0 0 20 0 1 0 %d 9170944 1 0\n", pid, name, user,
			system, start)
		return fmt.Sprintf("proc/%d/stat", pid), &fstest.MapFile{Data: []byte(line)}
	}
	tree := func(processes ...func() (string, *fstest.MapFile)) fstest.MapFS {
		root := fstest.MapFS{"proc/loadavg": {}, "proc/77/stat": {Data: []byte("77 (broken")}, "proc/78/comm": {}}
		for _, p := range processes {
			name, file := p()
			root[name] = file
		}
		return root
	}
	p := func(pid int, name string, user, system, start int) func() (string, *fstest.MapFile) {
		return func() (string, *fstest.MapFile) { return stat(pid, name, user, system, start) }
	}
	at := time.Unix(0, 0)
	before := ReadUsage(tree(p(1, "init", 10, 10, 0), p(2, "idle", 500, 0, 5), p(3, "us", 0, 0, 9), p(4, "gone", 1, 1, 9),
		p(5, "old", 900, 0, 9)), at)
	after := ReadUsage(tree(p(1, "init", 15, 15, 0), p(2, "idle", 500, 0, 5), p(3, "us", 99, 0, 9),
		p(5, "new) S (x", 60, 15, 700), p(6, "late", 20, 0, 800)), at.Add(500*time.Millisecond))
	all, busiest, ok := Busiest(before, after, 3, 2)
	want := []Busy{{5, "new) S (x", 1.5}, {6, "late", 0.4}} // 75 ticks of 10 ms in 0.5 s
	if !ok || math.Abs(all-2.1) > 1e-12 || !reflect.DeepEqual(busiest, want) {
		t.Errorf("%v, %v, %v; want 2.1, %v", all, busiest, ok, want)
	}
	if _, _, ok := Busiest(after, before, 3, 2); ok {
		t.Error("time runs backwards, yet others were busy")
	}
	hidden := ReadUsage(tree(p(3, "us", 1, 1, 9)), at)
	if _, _, ok := Busiest(Usage{}, hidden, 3, 2); ok {
		t.Error("others are hidden, yet were busy")
	}
}

func TestReadProcess(t *testing.T) {
	root, _ := machine(t, "pixel6")
	want := Process{CPUs: []int{0, 1, 2, 3, 4, 5, 6, 7}, Cpuset: "/",
		Cgroups: []string{"2:cpu:/system", "0::/uid_2000/pid_21390"}, Uclamp: &Uclamp{0, 466}}
	if got := ReadProcess(root); !reflect.DeepEqual(got, want) {
		t.Errorf("%+v, want %+v", got, want)
	}
	if u := parseUclamp("uclamp.max : 3\neffective uclamp.max : 4096\neffective uclamp.min : 0\n"); u != nil {
		t.Errorf("a clamp above 1024 is read as %+v", *u)
	}
}

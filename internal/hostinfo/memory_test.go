// SPDX-License-Identifier: Apache-2.0

package hostinfo

import (
	"errors"
	"testing"
	"testing/fstest"
)

func TestAvailableMemory(t *testing.T) {
	file := func(s string) *fstest.MapFile { return &fstest.MapFile{Data: []byte(s)} }
	meminfo := file("MemTotal: 4000 kB\nMemFree: 100 kB\nMemAvailable:    3000 kB\n")
	for name, tt := range map[string]struct {
		files fstest.MapFS
		n     int64
		ok    bool
	}{
		"not Linux": {fstest.MapFS{}, 0, false},
		"no limit":  {fstest.MapFS{"proc/meminfo": meminfo, "proc/self/cgroup": file("0::/\n")}, 3000 << 10, true},
		"max": {fstest.MapFS{"proc/meminfo": meminfo, "proc/self/cgroup": file("0::/\n"),
			"sys/fs/cgroup/memory.max": file("max\n"), "sys/fs/cgroup/memory.current": file("5\n")}, 3000 << 10, true},
		"group": {fstest.MapFS{"proc/meminfo": meminfo, "proc/self/cgroup": file("0::/a/b\n"),
			"sys/fs/cgroup/a/memory.max": file("1000000\n"), "sys/fs/cgroup/a/memory.current": file("300000\n"),
			"sys/fs/cgroup/a/memory.stat": file("file 9\ninactive_file 100000\n")}, 800000, true},
		"over": {fstest.MapFS{"proc/self/cgroup": file("0::/\n"), "sys/fs/cgroup/memory.max": file("10"),
			"sys/fs/cgroup/memory.current": file("30")}, 0, true},
		"version 1": {fstest.MapFS{"proc/meminfo": meminfo, "proc/self/cgroup": file("4:cpu:/x\n3:memory:/\n"),
			"sys/fs/cgroup/memory/memory.limit_in_bytes": file("2000000\n"),
			"sys/fs/cgroup/memory/memory.usage_in_bytes": file("500000\n")}, 1500000, true},
		"1, unlimited": {fstest.MapFS{"proc/meminfo": meminfo, "proc/self/cgroup": file("3:memory:/\n"),
			"sys/fs/cgroup/memory/memory.limit_in_bytes": file("9223372036854771712\n"),
			"sys/fs/cgroup/memory/memory.usage_in_bytes": file("500000\n")}, 3000 << 10, true},
		"nonsense": {fstest.MapFS{"proc/meminfo": file("MemAvailable: x kB\nMemAvailable:\n"),
			"proc/self/cgroup": file("0\n::\n0::/../..\n"), "sys/fs/cgroup/memory.max": file("-3")}, 0, false},
	} {
		if n, err := AvailableMemory(tt.files); n != tt.n || (err == nil) != tt.ok || err != nil &&
			!errors.Is(err, ErrNoData) {
			t.Errorf("%s: %d, %v: want %d, %t", name, n, err, tt.n, tt.ok)
		}
	}
}

// Whatever these files say, what is available is not negative and no more
// than a machine has.
func FuzzAvailableMemory(f *testing.F) {
	f.Add("MemAvailable: 3000 kB\n", "0::/a\n", "max\n", "1\n")
	f.Add("", "3:memory:/\n", "10", "30")
	f.Fuzz(func(t *testing.T, meminfo, groups, limit, used string) {
		root := fstest.MapFS{}
		for name, data := range map[string]string{"proc/meminfo": meminfo, "proc/self/cgroup": groups,
			"sys/fs/cgroup/memory.max": limit, "sys/fs/cgroup/memory.current": used,
			"sys/fs/cgroup/memory.stat": "inactive_file " + used} {
			root[name] = &fstest.MapFile{Data: []byte(data)}
		}
		if n, err := AvailableMemory(root); n < 0 || n > unlimited<<10 || err != nil && n != 0 {
			t.Errorf("%d, %v", n, err)
		}
	})
}

// SPDX-License-Identifier: Apache-2.0

package hostinfo

import (
	"io/fs"
	"path"
	"strconv"
	"strings"
)

// AvailableMemory returns the bytes that this process can allocate without
// swapping: what the kernel says is available, or what is left of the limit of
// a control group that the process is in, if that is less. Systems that cannot
// tell return ErrNoData: all but Linux.
func AvailableMemory(root fs.FS) (int64, error) {
	n, err := readMemory(root, "MemAvailable")
	groups, _ := readText(root, "proc/self/cgroup")
	for line := range strings.Lines(groups) {
		if free, ok := groupMemory(root, strings.TrimSpace(line)); ok && (err != nil || free < n) {
			n, err = free, nil
		}
	}
	return n, err
}

// readMemory reads a line of /proc/meminfo, which is in KiB though it says kB
// (Linux, Documentation/filesystems/proc.rst).
func readMemory(root fs.FS, name string) (int64, error) {
	meminfo, err := readText(root, "proc/meminfo")
	if err != nil {
		return 0, err
	}
	text, _ := field(meminfo, name)
	kib, ok := memoryNumber(strings.TrimSuffix(text, " kB"))
	if !ok || kib == 0 {
		return 0, ErrNoData
	}
	return kib << 10, nil
}

// groupMemory returns what is left of the memory limit of a control group, given
// as a line of /proc/self/cgroup, and of all groups around it, whose limits hold
// too. It is false where there is no limit.
func groupMemory(root fs.FS, line string) (least int64, limited bool) {
	parts := strings.SplitN(line, ":", 3)
	if len(parts) != 3 {
		return 0, false
	}
	dir, limit, used, cached := "sys/fs/cgroup", "memory.max", "memory.current", "inactive_file"
	if parts[1] == "memory" { // version 1
		dir, limit, used, cached = "sys/fs/cgroup/memory", "memory.limit_in_bytes", "memory.usage_in_bytes",
			"total_inactive_file"
	} else if parts[1] != "" {
		return 0, false
	}
	for group := path.Clean("/" + parts[2]); ; group = path.Dir(group) {
		number := func(name string) (int64, bool) {
			text, _ := readText(root, path.Join(dir, group, name))
			return memoryNumber(text)
		}
		most, ok := number(limit)
		now, known := number(used)
		if ok && known {
			stat, _ := readText(root, path.Join(dir, group, "memory.stat"))
			if free := max(0, most-now+memoryStat(stat, cached)); !limited || free < least {
				least, limited = free, true
			}
		}
		if group == "/" {
			return least, limited
		}
	}
}

// memoryStat returns the number that follows a name in a group's memory.stat; 0
// if it is not there.
func memoryStat(stat, name string) int64 {
	for line := range strings.Lines(stat) {
		if words := strings.Fields(line); len(words) == 2 && words[0] == name {
			n, _ := memoryNumber(words[1])
			return n
		}
	}
	return 0
}

// unlimited is more than any machine has, in KiB too: version 1 of control
// groups writes such numbers where there is no limit.
const unlimited = 1 << 50

// memoryNumber parses a number of bytes or KiB that a machine can have.
func memoryNumber(text string) (int64, bool) {
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || n < 0 || n >= unlimited {
		return 0, false
	}
	return n, true
}

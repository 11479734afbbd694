// SPDX-License-Identifier: Apache-2.0

package memory

import (
	"bytes"
	"io"
	"io/fs"
	"os"
	"path"
	"strconv"
	"strings"
)

// Available is what can be allocated without swapping, in bytes: what the
// kernel says is available, or what is left of the limit of a control group
// that the process is in. ok is false where nothing tells: anywhere but on Linux.
func Available() (n int64, ok bool) { return available(os.DirFS("/")) }

func available(root fs.FS) (n int64, ok bool) {
	add := func(m int64) {
		if !ok || m < n {
			n, ok = max(0, m), true
		}
	}
	if kib, found := field(read(root, "proc/meminfo"), "MemAvailable:"); found {
		add(kib << 10)
	}
	for line := range strings.Lines(string(read(root, "proc/self/cgroup"))) {
		parts := strings.SplitN(strings.TrimSpace(line), ":", 3)
		if len(parts) != 3 {
			continue
		}
		dir, limit, used, cached := "sys/fs/cgroup", "memory.max", "memory.current", "inactive_file"
		if parts[1] == "memory" { // version 1
			dir, limit, used, cached = "sys/fs/cgroup/memory", "memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"
		} else if parts[1] != "" {
			continue
		}
		for group := path.Clean("/" + parts[2]); ; group = path.Dir(group) { // limits of all groups around it hold too
			at := path.Join(dir, group)
			most, limited := number(read(root, path.Join(at, limit)))
			now, known := number(read(root, path.Join(at, used)))
			if limited && known {
				free, _ := field(read(root, path.Join(at, "memory.stat")), cached)
				add(most - now + free)
			}
			if group == "/" {
				break
			}
		}
	}
	return n, ok
}

// mostRead bounds what is read of a file: these are short.
const mostRead = 64 << 10

// read gives the beginning of a file, nothing if it is not there.
func read(root fs.FS, name string) []byte {
	f, err := root.Open(name)
	if err != nil {
		return nil
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, mostRead))
	if err != nil {
		return nil
	}
	return data
}

// field is the number behind a name at the beginning of a line.
func field(text []byte, name string) (int64, bool) {
	for line := range bytes.Lines(text) {
		if words := bytes.Fields(line); len(words) > 1 && string(words[0]) == name {
			return number(words[1])
		}
	}
	return 0, false
}

// unlimited is more than any machine has: version 1 of control groups writes
// such numbers where there is no limit.
const unlimited = 1 << 50

func number(text []byte) (int64, bool) {
	n, err := strconv.ParseInt(string(bytes.TrimSpace(text)), 10, 64)
	return n, err == nil && n >= 0 && n < unlimited
}

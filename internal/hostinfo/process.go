// SPDX-License-Identifier: Apache-2.0

package hostinfo

import (
	"io/fs"
	"strconv"
	"strings"
)

// Process is what the system allows this process. An adb shell is not an app:
// they differ here. A zero field is unknown.
type Process struct {
	CPUs    []int    `json:"cpus,omitempty"`    // that the main thread may run on
	Cpuset  string   `json:"cpuset,omitempty"`  // /top-app, /background; / where there is only one
	Cgroups []string `json:"cgroups,omitempty"` // hierarchy:controllers:path where the path is not /
	Uclamp  *Uclamp  `json:"uclamp,omitempty"`
}

// Uclamp bounds how busy the scheduler takes the main thread to be, from 0 to
// 1024: with a low maximum it stays on little cores at a low clock (Linux,
// Documentation/scheduler/sched-util-clamp.rst).
type Uclamp struct {
	Min int `json:"min"`
	Max int `json:"max"`
}

// Group is the scheduler's group of the process: its cpuset, or where the
// kernel does not tell that, its group in the unified hierarchy. Empty is no data.
func (p Process) Group() string {
	if p.Cpuset != "" {
		return p.Cpuset
	}
	for _, line := range p.Cgroups {
		if path, ok := strings.CutPrefix(line, "0::"); ok {
			return path
		}
	}
	return ""
}

// maxCgroups is above the number of controllers that Linux has.
const maxCgroups = 32

// ReadProcess reads what the system allows this process.
func ReadProcess(root fs.FS) Process {
	var p Process
	if status, err := readText(root, "proc/self/status"); err == nil {
		list, _ := field(status, "Cpus_allowed_list")
		p.CPUs, _ = parseCPUList(list)
	}
	p.Cpuset, _ = readName(root, "proc/self/cpuset")
	if cgroup, err := readText(root, "proc/self/cgroup"); err == nil {
		p.Cgroups = parseCgroups(cgroup)
	}
	if sched, err := readText(root, "proc/self/sched"); err == nil {
		p.Uclamp = parseUclamp(sched)
	}
	return p
}

// parseCgroups reads /proc/self/cgroup, lines such as "3:cpuset:/top-app".
func parseCgroups(text string) []string {
	var list []string
	for line := range strings.Lines(text) {
		line = clean(line)
		if parts := strings.SplitN(line, ":", 3); len(parts) == 3 && parts[2] != "/" && parts[2] != "" &&
			len(list) < maxCgroups {
			list = append(list, line)
		}
	}
	return list
}

// parseUclamp reads the effective clamps of /proc/self/sched. Kernels built
// without CONFIG_UCLAMP_TASK have none.
func parseUclamp(sched string) *Uclamp {
	bound := func(name string) (int, bool) {
		text, _ := field(sched, name)
		n, err := strconv.Atoi(text)
		return n, err == nil && n >= 0 && n <= 1024
	}
	least, ok1 := bound("effective uclamp.min")
	most, ok2 := bound("effective uclamp.max")
	if !ok1 || !ok2 {
		return nil
	}
	return &Uclamp{least, most}
}

// SPDX-License-Identifier: Apache-2.0

package hostinfo

import (
	"fmt"
	"io/fs"
	"slices"
	"strconv"
	"strings"
)

// armCores names ARM's own cores by the part number of their identification
// register (ARM, Technical Reference Manuals, MIDR_EL1).
var armCores = map[string]string{
	"0xc07": "Cortex-A7", "0xc09": "Cortex-A9", "0xc0f": "Cortex-A15", "0xd03": "Cortex-A53", "0xd04": "Cortex-A35",
	"0xd05": "Cortex-A55", "0xd07": "Cortex-A57", "0xd08": "Cortex-A72", "0xd09": "Cortex-A73", "0xd0a": "Cortex-A75",
	"0xd0b": "Cortex-A76", "0xd0c": "Neoverse-N1", "0xd0d": "Cortex-A77", "0xd41": "Cortex-A78", "0xd44": "Cortex-X1",
	"0xd46": "Cortex-A510", "0xd47": "Cortex-A710", "0xd48": "Cortex-X2", "0xd49": "Neoverse-N2", "0xd4d": "Cortex-A715",
	"0xd4e": "Cortex-X3", "0xd80": "Cortex-A520", "0xd81": "Cortex-A720", "0xd82": "Cortex-X4",
}

// parseCPUInfo reads /proc/cpuinfo: the names of the cores, each once and in
// their order, and how many there are.
func parseCPUInfo(cpuinfo string) (names string, cores int) {
	var seen []string
	implementer, model := "", ""
	add := func(name string) {
		if name != "" && !slices.Contains(seen, name) {
			seen = append(seen, name)
		}
	}
	for line := range strings.Lines(cpuinfo) {
		k, v, _ := strings.Cut(line, ":")
		v = strings.TrimSpace(v)
		switch strings.TrimSpace(k) {
		case "processor":
			cores++
		case "model name":
			model = v
		case "CPU implementer":
			implementer = v
		case "CPU part":
			name := armCores[v]
			if implementer != "0x41" || name == "" {
				name = fmt.Sprintf("implementer %s part %s", implementer, v)
			}
			add(name)
		}
	}
	if len(seen) == 0 { // x86 has no part numbers; 32-bit ARM has both
		add(model)
	}
	return strings.Join(seen, " + "), cores
}

const cpus = "sys/devices/system/cpu"

// readCores lists the logical processors that the machine has, switched off
// ones included.
func readCores(root fs.FS) ([]int, error) {
	list, err := readText(root, cpus+"/present")
	if err != nil {
		return nil, err
	}
	return parseCPUList(list)
}

// maxCPUs is above what Linux can be built for.
const maxCPUs = 8192

// parseCPUList reads "0-3,6".
func parseCPUList(list string) ([]int, error) {
	var out []int
	for part := range strings.SplitSeq(list, ",") {
		first, last, isRange := strings.Cut(part, "-")
		if !isRange {
			last = first
		}
		from, err1 := strconv.Atoi(first)
		to, err2 := strconv.Atoi(last)
		if err1 != nil || err2 != nil || from < 0 || to >= maxCPUs {
			return nil, ErrNoData
		}
		for c := from; c <= to; c++ {
			out = append(out, c)
		}
	}
	return out, nil
}

// FastestCore chooses the processor to measure on: of the highest capacity,
// then the highest clock, then the highest number, since the lowest serves
// most interrupts. Allowed nil means any that the machine has; a machine that
// does not tell gives 0.
func FastestCore(root fs.FS, allowed []int) int {
	if len(allowed) == 0 {
		allowed, _ = readCores(root)
	}
	best, bestCapacity, bestHz := 0, int64(-1), int64(-1)
	for _, c := range allowed {
		capacity, _ := readNumber(root, fmt.Sprintf("%s/cpu%d/cpu_capacity", cpus, c))
		hz, _ := readHz(root, c, "cpuinfo_max_freq")
		if capacity > bestCapacity || capacity == bestCapacity && hz >= bestHz {
			best, bestCapacity, bestHz = c, capacity, hz
		}
	}
	return best
}

// readCache is the size of a core's data or unified cache of a level, in bytes.
func readCache(root fs.FS, core, level int) (int64, error) {
	for i := range 8 {
		dir := fmt.Sprintf("%s/cpu%d/cache/index%d/", cpus, core, i)
		if l, err := readNumber(root, dir+"level"); err != nil || l != int64(level) {
			continue
		}
		if kind, _ := readText(root, dir+"type"); kind == "Instruction" {
			continue
		}
		if size, err := readText(root, dir+"size"); err == nil {
			return parseSize(size)
		}
	}
	return 0, ErrNoData
}

// parseSize reads "32K" or "8M".
func parseSize(s string) (int64, error) {
	shift := 0
	switch {
	case strings.HasSuffix(s, "K"):
		shift = 10
	case strings.HasSuffix(s, "M"):
		shift = 20
	}
	n, err := strconv.ParseInt(strings.TrimRight(s, "KM"), 10, 32)
	if err != nil || n < 0 {
		return 0, ErrNoData
	}
	return n << shift, nil
}

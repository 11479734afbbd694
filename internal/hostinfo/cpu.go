// SPDX-License-Identifier: Apache-2.0

package hostinfo

import (
	"cmp"
	"fmt"
	"io/fs"
	"slices"
	"strconv"
	"strings"
)

// part is what a core's identification register says: who designed it, and
// which design it is (ARM, Architecture Reference Manual, MIDR_EL1).
type part struct{ implementer, number uint64 }

// coreNames names the cores of boards and phones (ARM, Technical Reference
// Manuals; Linux, arch/arm64/include/asm/cputype.h).
var coreNames = map[part]string{
	{0x41, 0xb76}: "ARM1176", {0x41, 0xc05}: "Cortex-A5", {0x41, 0xc07}: "Cortex-A7", {0x41, 0xc08}: "Cortex-A8",
	{0x41, 0xc09}: "Cortex-A9", {0x41, 0xc0d}: "Cortex-A12", {0x41, 0xc0e}: "Cortex-A17", {0x41, 0xc0f}: "Cortex-A15",
	{0x41, 0xd01}: "Cortex-A32", {0x41, 0xd02}: "Cortex-A34", {0x41, 0xd03}: "Cortex-A53", {0x41, 0xd04}: "Cortex-A35",
	{0x41, 0xd05}: "Cortex-A55", {0x41, 0xd06}: "Cortex-A65", {0x41, 0xd07}: "Cortex-A57", {0x41, 0xd08}: "Cortex-A72",
	{0x41, 0xd09}: "Cortex-A73", {0x41, 0xd0a}: "Cortex-A75", {0x41, 0xd0b}: "Cortex-A76", {0x41, 0xd0c}: "Neoverse-N1",
	{0x41, 0xd0d}: "Cortex-A77", {0x41, 0xd0e}: "Cortex-A76AE", {0x41, 0xd40}: "Neoverse-V1", {0x41, 0xd41}: "Cortex-A78",
	{0x41, 0xd42}: "Cortex-A78AE", {0x41, 0xd43}: "Cortex-A65AE", {0x41, 0xd44}: "Cortex-X1", {0x41, 0xd46}: "Cortex-A510",
	{0x41, 0xd47}: "Cortex-A710", {0x41, 0xd48}: "Cortex-X2", {0x41, 0xd49}: "Neoverse-N2", {0x41, 0xd4a}: "Neoverse-E1",
	{0x41, 0xd4b}: "Cortex-A78C", {0x41, 0xd4c}: "Cortex-X1C", {0x41, 0xd4d}: "Cortex-A715", {0x41, 0xd4e}: "Cortex-X3",
	{0x41, 0xd4f}: "Neoverse-V2", {0x41, 0xd80}: "Cortex-A520", {0x41, 0xd81}: "Cortex-A720", {0x41, 0xd82}: "Cortex-X4",
	{0x41, 0xd84}: "Neoverse-V3", {0x41, 0xd85}: "Cortex-X925", {0x41, 0xd87}: "Cortex-A725", {0x41, 0xd8f}: "Cortex-A320",
	{0x48, 0xd01}: "TaiShan v110", {0x48, 0xd40}: "Cortex-A76", // Kirin 980
	{0x4e, 0x000}: "Denver", {0x4e, 0x003}: "Denver 2", {0x4e, 0x004}: "Carmel",
	{0x51, 0x001}: "Oryon", {0x51, 0x06f}: "Krait", {0x51, 0x201}: "Kryo Silver", {0x51, 0x205}: "Kryo Gold",
	{0x51, 0x211}: "Kryo Silver",
	{0x51, 0x800}: "Kryo 2xx Gold", {0x51, 0x801}: "Kryo 2xx Silver", {0x51, 0x802}: "Kryo 3xx Gold",
	{0x51, 0x803}: "Kryo 3xx Silver", {0x51, 0x804}: "Kryo 4xx Gold", {0x51, 0x805}: "Kryo 4xx Silver",
	{0x53, 0x001}: "Exynos-M1", {0x53, 0x002}: "Exynos-M3", {0x53, 0x003}: "Exynos-M4", {0x53, 0x004}: "Exynos-M5",
}

// littleCores are the designs that issue in order. They are slower than the
// others at any clock: on an Odroid-N2 the Cortex-A53 run at 1.9 GHz, the
// Cortex-A73 at 1.8.
var littleCores = []string{
	"Cortex-A5", "Cortex-A7", "Cortex-A8", "Cortex-A32", "Cortex-A34", "Cortex-A35", "Cortex-A53", "Cortex-A55",
	"Cortex-A320",
	"Cortex-A510", "Cortex-A520", "Kryo 2xx Silver", "Kryo 3xx Silver", "Kryo 4xx Silver",
}

func (p part) String() string {
	if name := coreNames[p]; name != "" {
		return name
	}
	return fmt.Sprintf("implementer 0x%02x part 0x%03x", p.implementer, p.number)
}

// parseMIDR reads an identification register: "0x00000000410fd083" is a
// Cortex-A72.
func parseMIDR(text string) (part, error) {
	v, err := strconv.ParseUint(text, 0, 64)
	if err != nil || v>>24&0xff == 0 {
		return part{}, ErrNoData
	}
	return part{v >> 24 & 0xff, v >> 4 & 0xfff}, nil
}

// core is a processor that /proc/cpuinfo lists, and the name of its design, ""
// if it is not told.
type core struct {
	cpu  int
	name string
}

// parseCPUInfo reads /proc/cpuinfo, which lists the processors that are
// switched on. Old 64-bit kernels tell the design once for all of them.
func parseCPUInfo(cpuinfo string) []core {
	var cores []core
	var parts []string // designs that were told, each once
	var implementer uint64
	name := func(s string) {
		if len(cores) > 0 && s != "" {
			cores[len(cores)-1].name = s
		}
	}
	for line := range strings.Lines(cpuinfo) {
		k, v, _ := strings.Cut(line, ":")
		v = strings.TrimSpace(v)
		switch strings.TrimSpace(k) {
		case "processor":
			if cpu, err := strconv.Atoi(v); err == nil && cpu >= 0 && cpu < maxCPUs && len(cores) < maxCPUs {
				cores = append(cores, core{cpu: cpu})
			}
		case "model name": // x86; on 32-bit ARM the part number follows and says more
			name(clean(v))
		case "CPU implementer":
			implementer, _ = strconv.ParseUint(v, 0, 8)
		case "CPU part":
			if number, err := strconv.ParseUint(v, 0, 12); err == nil {
				s := part{implementer, number}.String()
				name(s)
				if !slices.Contains(parts, s) {
					parts = append(parts, s)
				}
			}
		}
	}
	if len(parts) == 1 {
		for i := range cores {
			cores[i].name = parts[0]
		}
	}
	return cores
}

// coreList is the names of cores, each once and in their order.
func coreList(cores []core) string {
	var names []string
	for _, c := range cores {
		if c.name != "" && !slices.Contains(names, c.name) {
			names = append(names, c.name)
		}
	}
	return strings.Join(names, " + ")
}

const cpus = "sys/devices/system/cpu"

// readCores lists the logical processors that the machine has, switched off
// ones included.
func readCores(root fs.FS) ([]int, error) { return readCPUList(root, cpus+"/present") }

func readCPUList(root fs.FS, path string) ([]int, error) {
	list, err := readText(root, path)
	if err != nil {
		return nil, err
	}
	return parseCPUList(list)
}

// maxCPUs is above what Linux can be built for.
const maxCPUs = 8192

// parseCPUList reads "0-3,6", or "0 1 2 3 6" as cpufreq writes it.
func parseCPUList(list string) ([]int, error) {
	var out []int
	for part := range strings.FieldsFuncSeq(list, func(r rune) bool { return r == ',' || r == ' ' || r == '\n' }) {
		first, last, isRange := strings.Cut(part, "-")
		if !isRange {
			last = first
		}
		from, err1 := strconv.Atoi(first)
		to, err2 := strconv.Atoi(last)
		if err1 != nil || err2 != nil || from < 0 || to >= maxCPUs || len(out)+to-from >= maxCPUs {
			return nil, ErrNoData
		}
		for c := from; c <= to; c++ {
			out = append(out, c)
		}
	}
	if len(out) == 0 {
		return nil, ErrNoData
	}
	return out, nil
}

// FormatCPUs writes processors as Linux does: 0-3,6.
func FormatCPUs(list []int) string {
	var b strings.Builder
	list = slices.Compact(slices.Sorted(slices.Values(list)))
	for i := 0; i < len(list); {
		j := i
		for j+1 < len(list) && list[j+1] == list[j]+1 {
			j++
		}
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString(strconv.Itoa(list[i]))
		if j > i {
			fmt.Fprintf(&b, "-%d", list[j])
		}
		i = j + 1
	}
	return b.String()
}

// FastestCore chooses the processor to measure on: of the highest capacity,
// then of a design that is no little one, then of the highest clock, then the
// highest number, since the lowest serves most interrupts. Those that are
// switched off do not count. Allowed nil means any that the machine has; a
// machine that does not tell gives 0.
func FastestCore(root fs.FS, allowed []int) int {
	if len(allowed) == 0 {
		allowed, _ = readCores(root)
	}
	online, err := readCPUList(root, cpus+"/online")
	var best *processor
	for _, p := range readProcessors(root, allowed) {
		if err == nil && !slices.Contains(online, p.cpu) {
			continue
		}
		if best == nil || cmp.Or(compareSpeed(p, *best), cmp.Compare(p.cpu, best.cpu)) > 0 {
			best = &p
		}
	}
	if best == nil {
		return 0
	}
	return best.cpu
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

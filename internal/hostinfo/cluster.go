// SPDX-License-Identifier: Apache-2.0

package hostinfo

import (
	"cmp"
	"fmt"
	"io/fs"
	"slices"
	"strings"
)

// Cluster is a group of processors of one kind: the same design, capacity and
// range of clocks.
type Cluster struct {
	CPUs     []int  `json:"cpus"`               // ascending, switched off ones included
	Core     string `json:"core,omitempty"`     // design: Cortex-A55
	Capacity int64  `json:"capacity,omitempty"` // relative speed, the machine's fastest is 1024 (Linux, cpu_capacity)
	MinHz    int64  `json:"min_hz,omitempty"`   // that the hardware can do
	MaxHz    int64  `json:"max_hz,omitempty"`
}

// processor is what tells one processor's kind.
type processor struct {
	cpu          int
	core         string
	capacity     int64
	minHz, maxHz int64
}

// compareSpeed orders by capacity, where known, then in-order designs before
// others, then by clock.
func compareSpeed(a, b processor) int {
	out := func(p processor) int {
		if slices.Contains(littleCores, p.core) {
			return 0
		}
		return 1
	}
	return cmp.Or(cmp.Compare(a.capacity, b.capacity), cmp.Compare(out(a), out(b)), cmp.Compare(a.maxHz, b.maxHz))
}

// readProcessors reads the facts of some processors. What one that is switched
// off does not tell is taken from those that share its clock.
func readProcessors(root fs.FS, list []int) []processor {
	cpuinfo, _ := readText(root, "proc/cpuinfo")
	names := map[int]string{}
	for _, c := range parseCPUInfo(cpuinfo) {
		names[c.cpu] = c.name
	}
	out := make([]processor, len(list))
	for i, c := range list {
		p := processor{cpu: c, core: names[c]}
		if midr, err := readText(root, fmt.Sprintf("%s/cpu%d/regs/identification/midr_el1", cpus, c)); err == nil &&
			p.core == "" {
			if id, err := parseMIDR(midr); err == nil {
				p.core = id.String()
			}
		}
		if n, err := readNumber(root, fmt.Sprintf("%s/cpu%d/cpu_capacity", cpus, c)); err == nil {
			p.capacity = max(0, n)
		}
		p.minHz, _ = readHz(root, c, "cpuinfo_min_freq")
		p.maxHz, _ = readHz(root, c, "cpuinfo_max_freq")
		out[i] = p
	}
	for _, p := range out {
		if p.maxHz == 0 {
			continue
		}
		related, _ := readCPUList(root, fmt.Sprintf("%s/cpu%d/cpufreq/related_cpus", cpus, p.cpu))
		for i, q := range out {
			if q.maxHz == 0 && slices.Contains(related, q.cpu) {
				out[i].core, out[i].minHz, out[i].maxHz = cmp.Or(q.core, p.core), p.minHz, p.maxHz
				out[i].capacity = cmp.Or(q.capacity, p.capacity)
			}
		}
	}
	return out
}

// Clusters groups the machine's processors by kind, the slowest cluster first.
// A machine that does not list its processors has none.
func Clusters(root fs.FS) []Cluster {
	list, err := readCores(root)
	if err != nil {
		cpuinfo, _ := readText(root, "proc/cpuinfo")
		for _, c := range parseCPUInfo(cpuinfo) {
			list = append(list, c.cpu)
		}
		slices.Sort(list)
		list = slices.Compact(list)
	}
	processors := readProcessors(root, list)
	slices.SortStableFunc(processors, compareSpeed)
	kind := func(p processor) processor { p.cpu = 0; return p }
	var clusters []Cluster
	at := map[processor]int{}
	for _, p := range processors {
		i, ok := at[kind(p)]
		if !ok {
			i, at[kind(p)] = len(clusters), len(clusters)
			clusters = append(clusters, Cluster{Core: p.core, Capacity: p.capacity, MinHz: p.minHz, MaxHz: p.maxHz})
		}
		clusters[i].CPUs = append(clusters[i].CPUs, p.cpu)
	}
	return clusters
}

// SelectCPUs says which processors a user means: big is the fastest cluster,
// little the slowest, and 0xf0 a mask whose lowest bit is processor 0. Clusters
// are those of [Clusters]; on a machine of one cluster big and little are the
// same. A machine that does not list its processors is ErrNoData.
func SelectCPUs(spec string, clusters []Cluster) ([]int, error) {
	if len(clusters) == 0 {
		return nil, fmt.Errorf("hostinfo: cluster %.40q: the machine's processors: %w", spec, ErrNoData)
	}
	switch spec {
	case "big":
		return slices.Clone(clusters[len(clusters)-1].CPUs), nil
	case "little":
		return slices.Clone(clusters[0].CPUs), nil
	}
	list, err := parseMask(spec)
	if err != nil {
		return nil, err
	}
	for _, c := range list {
		if !slices.ContainsFunc(clusters, func(k Cluster) bool { return slices.Contains(k.CPUs, c) }) {
			var has []int
			for _, k := range clusters {
				has = append(has, k.CPUs...)
			}
			return nil, fmt.Errorf("hostinfo: cluster %.40q: there is no processor %d, only %s", spec, c, FormatCPUs(has))
		}
	}
	return list, nil
}

// parseMask reads 0xf0 as processors 4 to 7.
func parseMask(spec string) ([]int, error) {
	digits, ok := strings.CutPrefix(spec, "0x")
	if !ok || digits == "" || len(digits) > maxCPUs/4 {
		return nil, fmt.Errorf("hostinfo: cluster %.40q: want big, little or a mask of processors such as 0xf0", spec)
	}
	var list []int
	for i := range len(digits) {
		d := strings.IndexByte("0123456789abcdef", digits[len(digits)-1-i]|0x20) // |0x20: lower case, and digits stay
		if d < 0 {
			return nil, fmt.Errorf("hostinfo: cluster %.40q: want big, little or a mask of processors such as 0xf0", spec)
		}
		for bit := range 4 {
			if d>>bit&1 == 1 {
				list = append(list, 4*i+bit)
			}
		}
	}
	if len(list) == 0 {
		return nil, fmt.Errorf("hostinfo: cluster %.40q: the mask has no processor", spec)
	}
	return list, nil
}

// SPDX-License-Identifier: Apache-2.0

package hostinfo

import (
	"io/fs"
	"path"
	"strings"
)

// Emulation says whether instructions are translated, in which case times mean
// nothing.
type Emulation string

// The values of Emulation. It is detected, not declared.
const (
	NotEmulated      Emulation = "none"
	Qemu             Emulation = "qemu"
	EmulationUnknown Emulation = "unknown" // nothing that would tell can be read
)

// readEmulation looks for qemu's own program among the files that this process
// has mapped. qemu-user shows its guest a made-up /proc/self/maps, newer
// versions a made-up smaps too, and a /proc/cpuinfo can be bound over the real
// one; but qemu does not know the same files under /proc/thread-self, nor the
// links in map_files. So any source can prove emulation, and every source but
// maps can prove its absence.
func readEmulation(root fs.FS) Emulation {
	result := EmulationUnknown
	for _, source := range []string{"proc/self/maps", "proc/self/smaps", "proc/thread-self/maps"} {
		text, err := readText(root, source)
		if err != nil {
			continue
		}
		for line := range strings.Lines(text) {
			if i := strings.IndexByte(line, '/'); i >= 0 && isQemu(strings.TrimSpace(line[i:])) {
				return Qemu
			}
		}
		if source != "proc/self/maps" {
			result = NotEmulated
		}
	}
	links, _ := fs.ReadDir(root, "proc/self/map_files")
	for _, link := range links {
		file, err := fs.ReadLink(root, "proc/self/map_files/"+link.Name())
		if err != nil {
			continue
		}
		if isQemu(file) {
			return Qemu
		}
		result = NotEmulated
	}
	return result
}

// isQemu says whether a mapped file is one of qemu's programs: qemu-arm,
// qemu-aarch64-static, …
func isQemu(file string) bool { return strings.HasPrefix(path.Base(file), "qemu-") }

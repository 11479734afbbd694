// SPDX-License-Identifier: Apache-2.0

// Package hostinfo says what machine this is and in what state: board, clusters
// of cores, caches, memory, clock, temperature, throttling, battery, load,
// emulation; which of it makes measurements wrong, and what to do about it.
//
// Linux and Android answer through files; what reads takes the root of the
// file system, so that a fixture can stand in for it. Elsewhere the processor
// itself is asked for what it knows. Hardware varies, so a sensor that is
// absent, forbidden or broken is [ErrNoData] and leaves a zero field; it is
// never a failure. A machine is not trusted: what is read of a file or of a
// program's output is bounded, and names are short and printable.
//
// The package runs no programs and needs no privileges. What only a program
// of the machine knows, such as a phone's battery, is parsed from its output,
// which the caller hands over (see [Programs]).
package hostinfo

import (
	"cmp"
	"errors"
	"io"
	"io/fs"
	"os"
	"runtime"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/klauspost/cpuid/v2"
)

// ErrNoData says that this machine does not tell.
var ErrNoData = errors.New("no data")

// Host is what stays the same from one run to the next. A zero field is unknown.
type Host struct {
	OS         string `json:"os,omitempty"` // as Go names them: linux, arm64
	Arch       string `json:"arch,omitempty"`
	Kernel     string `json:"kernel,omitempty"`      // release
	Android    string `json:"android,omitempty"`     // version: 14
	AndroidAPI int    `json:"android_api,omitempty"` // its number: 34
	Model      string `json:"model,omitempty"`       // board or machine: Raspberry Pi 4 Model B Rev 1.4
	SoC        string `json:"soc,omitempty"`         // system on a chip: brcm,bcm2711
	CPU        string `json:"cpu,omitempty"`         // names of the cores, each once: Cortex-A55 + Cortex-A76
	Cores      int    `json:"cores,omitempty"`       // logical processors that the machine has

	Clusters []Cluster `json:"clusters,omitempty"` // the processors by kind, the slowest first

	L1DBytes    int64 `json:"l1d_bytes,omitempty"` // data or unified caches of the fastest core
	L2Bytes     int64 `json:"l2_bytes,omitempty"`
	L3Bytes     int64 `json:"l3_bytes,omitempty"`
	MemoryBytes int64 `json:"memory_bytes,omitempty"` // as the kernel counts it, below what is soldered on

	Emulation Emulation `json:"emulation"`
}

// Local reads this machine.
func Local() Host {
	h := Read(Root())
	h.complete()
	return h
}

// complete adds what this program and this processor themselves know.
func (h *Host) complete() {
	h.OS, h.Arch = runtime.GOOS, runtime.GOARCH
	if h.CPU == "" {
		h.CPU = cpuid.CPU.BrandName
	}
	if h.Cores == 0 {
		h.Cores = runtime.NumCPU()
	}
	for _, c := range []struct {
		bytes *int64
		n     int
	}{{&h.L1DBytes, cpuid.CPU.Cache.L1D}, {&h.L2Bytes, cpuid.CPU.Cache.L2}, {&h.L3Bytes, cpuid.CPU.Cache.L3}} {
		if *c.bytes == 0 {
			*c.bytes = max(0, int64(c.n))
		}
	}
	if runtime.GOOS != "linux" && runtime.GOOS != "android" {
		h.Emulation = NotEmulated // qemu-user exists for Linux programs only
	}
}

// rootEnv names a folder that stands in for / where the program itself is
// tested against a machine that is not there.
const rootEnv = "EDGENAS_ROOT"

// Root is the file system that this machine answers through.
func Root() fs.FS { return os.DirFS(cmp.Or(os.Getenv(rootEnv), "/")) }

// Read reads a Linux machine's facts from the file system under root. OS and
// Arch, which no file tells, stay empty.
func Read(root fs.FS) Host {
	core := FastestCore(root, nil)
	h := Host{Emulation: readEmulation(root)}
	h.Kernel, _ = readName(root, "proc/sys/kernel/osrelease")
	h.Model, _ = readModel(root)
	h.SoC, _ = readSoC(root)
	if cpuinfo, err := readText(root, "proc/cpuinfo"); err == nil {
		cores := parseCPUInfo(cpuinfo)
		h.CPU, h.Cores = coreList(cores), len(cores)
	}
	if present, err := readCores(root); err == nil { // cpuinfo lists only those that are switched on
		h.Cores = len(present)
	}
	h.Clusters = Clusters(root)
	h.L1DBytes, _ = readCache(root, core, 1)
	h.L2Bytes, _ = readCache(root, core, 2)
	h.L3Bytes, _ = readCache(root, core, 3)
	h.MemoryBytes, _ = readMemory(root, "MemTotal")
	return h
}

// maxFile bounds what is read of any file; the longest, smaps, has a few
// hundred bytes for each mapping.
const maxFile = 16 << 20

// readText is a file's text without surrounding space and the NUL that ends
// device-tree strings. Any failure, and an empty file, is ErrNoData.
func readText(root fs.FS, path string) (string, error) {
	f, err := root.Open(path)
	if err != nil {
		return "", ErrNoData
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxFile))
	text := strings.Trim(string(b), " \t\n\x00")
	if err != nil || text == "" {
		return "", ErrNoData
	}
	return text, nil
}

// readName is a file that holds one short text.
func readName(root fs.FS, path string) (string, error) {
	text, err := readText(root, path)
	if err != nil {
		return "", err
	}
	if text = clean(text); text == "" {
		return "", ErrNoData
	}
	return text, nil
}

// clean makes a name safe to print: its printable characters on one line, at
// most 128 bytes.
func clean(name string) string {
	name = strings.Map(func(r rune) rune {
		if r == utf8.RuneError || !unicode.IsPrint(r) {
			return -1
		}
		return r
	}, name[:min(len(name), 128)])
	return strings.TrimSpace(name)
}

// readNumber is a file that holds one decimal number.
func readNumber(root fs.FS, path string) (int64, error) {
	text, err := readText(root, path)
	if err != nil {
		return 0, err
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return 0, ErrNoData
	}
	return n, nil
}

// field is the value of the first line "name : value".
func field(text, name string) (string, bool) {
	for line := range strings.Lines(text) {
		k, v, ok := strings.Cut(line, ":")
		if ok && strings.TrimSpace(k) == name {
			return strings.TrimSpace(v), true
		}
	}
	return "", false
}

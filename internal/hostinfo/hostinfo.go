// SPDX-License-Identifier: Apache-2.0

// Package hostinfo says what machine this is and in what state: board, cores,
// caches, memory, clock, temperature, throttling, emulation.
//
// Linux and Android answer through files; [Read] and [ReadState] take the root
// of the file system, so that a fixture can stand in for it. Elsewhere the
// processor itself is asked for what it knows. Hardware varies, so a sensor
// that is absent, forbidden or broken is [ErrNoData] and leaves a zero field;
// it is never a failure.
//
// The package runs no programs, needs no privileges and knows no vendor's
// tools.
package hostinfo

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"runtime"
	"strconv"
	"strings"

	"github.com/klauspost/cpuid/v2"
)

// ErrNoData says that this machine does not tell.
var ErrNoData = errors.New("no data")

// Host is what stays the same from one run to the next. A zero field is unknown.
type Host struct {
	OS, Arch string // as Go names them: linux, arm64
	Kernel   string // release
	Model    string // board or machine: Raspberry Pi 4 Model B Rev 1.4
	SoC      string // system on a chip: brcm,bcm2711
	CPU      string // names of the cores, each once: Cortex-A55 + Cortex-A76
	Cores    int    // logical processors that the machine has

	L1DBytes, L2Bytes, L3Bytes int64 // data or unified caches of the fastest core
	MemoryBytes                int64 // as the kernel counts it, below what is soldered on

	Emulation Emulation
}

// Local reads this machine.
func Local() Host {
	h := Read(Root())
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
	return h
}

// Root is the file system that this machine answers through.
func Root() fs.FS { return os.DirFS("/") }

// Read reads a Linux machine's facts from the file system under root. OS and
// Arch, which no file tells, stay empty.
func Read(root fs.FS) Host {
	core := FastestCore(root, nil)
	h := Host{Emulation: readEmulation(root)}
	h.Kernel, _ = readText(root, "proc/sys/kernel/osrelease")
	h.Model, _ = readModel(root)
	h.SoC, _ = readSoC(root)
	if cpuinfo, err := readText(root, "proc/cpuinfo"); err == nil {
		h.CPU, h.Cores = parseCPUInfo(cpuinfo)
	}
	if present, err := readCores(root); err == nil { // cpuinfo lists only those that are switched on
		h.Cores = len(present)
	}
	h.L1DBytes, _ = readCache(root, core, 1)
	h.L2Bytes, _ = readCache(root, core, 2)
	h.L3Bytes, _ = readCache(root, core, 3)
	if meminfo, err := readText(root, "proc/meminfo"); err == nil {
		h.MemoryBytes, _ = parseMemory(meminfo)
	}
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

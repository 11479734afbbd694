// SPDX-License-Identifier: Apache-2.0

package agent

import (
	"bytes"
	"context"
	"debug/elf"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
)

// MaxBytes is the size that an agent may have.
const MaxBytes = 8_000_000

// Platform is what a device runs, in Go's words.
type Platform struct{ OS, Arch string }

func (p Platform) String() string { return p.OS + "/" + p.Arch }

// file is the agent's name in a folder of several.
func (p Platform) file() string {
	name := "edgenas-agent-" + p.OS + "-" + p.Arch
	if p.OS == "windows" {
		name += ".exe"
	}
	return name
}

// machines are the processors that an agent is for, beside that of this machine.
var machines = map[Platform]elf.Machine{
	{"linux", "arm64"}: elf.EM_AARCH64,
	{"linux", "arm"}:   elf.EM_ARM, // v7: boards with a 32-bit system
	{"linux", "amd64"}: elf.EM_X86_64,
}

// PlatformOf is the platform of a device by its system and processor in Go's
// words, and what uname -m says there.
func PlatformOf(system, arch, machine string) (Platform, error) {
	p := Platform{system, arch}
	if strings.HasPrefix(machine, "armv6") || strings.HasPrefix(machine, "armv5") {
		return p, fmt.Errorf("agent: the device's processor is %s: want ARMv7 or newer", machine)
	}
	if _, ok := machines[p]; !ok && p != (Platform{runtime.GOOS, runtime.GOARCH}) {
		return p, fmt.Errorf("agent: the device is %s: want linux on arm64, arm or amd64", p)
	}
	return p, nil
}

// A place is where an agent can come from.
type place struct {
	name string
	find func(context.Context, Platform) ([]byte, error)
}

// places are looked at in this order. fs.ErrNotExist is none there.
var places = []place{
	{"beside this program", beside},
	{"embedded", embedded},
	{"built from source", build},
}

// Find is the agent for a platform, checked, and where it was found.
func Find(ctx context.Context, p Platform) (program []byte, where string, err error) {
	var failures []error
	for _, place := range places {
		program, err := place.find(ctx, p)
		if ctx.Err() != nil {
			return nil, "", ctx.Err()
		}
		if err == nil {
			err = check(program, p)
			if err == nil {
				return program, place.name, nil
			}
		}
		failures = append(failures, fmt.Errorf("%s: %w", place.name, err))
	}
	return nil, "", fmt.Errorf("agent: none for %s: %w", p, errors.Join(failures...))
}

// beside looks for it in the folder of this program. That of this machine may
// have its plain name.
func beside(_ context.Context, p Platform) ([]byte, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	if real, err := filepath.EvalSymlinks(self); err == nil {
		self = real
	}
	return inFolder(filepath.Dir(self), p)
}

func inFolder(dir string, p Platform) ([]byte, error) {
	names := []string{p.file()}
	if p == (Platform{runtime.GOOS, runtime.GOARCH}) {
		names = append(names, strings.Replace(p.file(), "-"+p.OS+"-"+p.Arch, "", 1))
	}
	for _, name := range names {
		data, err := os.ReadFile(filepath.Join(dir, name))
		if !errors.Is(err, fs.ErrNotExist) {
			return data, err
		}
	}
	return nil, fs.ErrNotExist
}

// check refuses a program that the device could not run.
func check(program []byte, p Platform) error {
	if len(program) > MaxBytes {
		return fmt.Errorf("%d bytes: want at most %d", len(program), MaxBytes)
	}
	want, known := machines[p]
	if !known {
		return nil
	}
	f, err := elf.NewFile(bytes.NewReader(program))
	if err != nil {
		return fmt.Errorf("not a program for %s: %w", p, err)
	}
	if f.Machine != want {
		return fmt.Errorf("a program for %v: want %v", f.Machine, want)
	}
	if slices.ContainsFunc(f.Progs, func(s *elf.Prog) bool { return s.Type == elf.PT_INTERP }) {
		return errors.New("not a static program")
	}
	return nil
}

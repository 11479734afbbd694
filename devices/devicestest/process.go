// SPDX-License-Identifier: Apache-2.0

//go:build unix

package devicestest

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// Faults are what can be wrong with a device beside its cable. They may be
// changed while it runs.
type Faults struct {
	// Corrupt flips a bit in each of the next so many files put there.
	Corrupt atomic.Int32
	// Full is a disk without room for a file of more than 16 KiB.
	Full atomic.Bool

	fake string // folder of a df that says so
}

const fullAt = 16 << 10

// prepare is to be called once before anything else.
func (f *Faults) prepare(t testing.TB) {
	t.Helper()
	f.fake = t.TempDir()
	df := "#!/bin/sh\necho Filesystem 1024-blocks Used Available Capacity Mounted on\necho tmpfs 100 84 16 84% /\n"
	if err := os.WriteFile(filepath.Join(f.fake, "df"), []byte(df), 0o755); err != nil {
		t.Fatal(err)
	}
}

// corrupt damages the first bytes of a file, if it is to be.
func (f *Faults) corrupt(data []byte) {
	if len(data) > 0 && f.Corrupt.Load() > 0 {
		f.Corrupt.Add(-1)
		data[0] ^= 0x10
	}
}

// store writes a file as a device does. No process starts meanwhile: one that
// inherits the open file would make a program busy.
func (f *Faults) store(path string, data []byte, mode os.FileMode) error {
	syscall.ForkLock.RLock()
	defer syscall.ForkLock.RUnlock()
	f.corrupt(data)
	if f.Full.Load() && len(data) > fullAt {
		os.WriteFile(path, data[:fullAt], mode)
		return syscall.ENOSPC
	}
	return os.WriteFile(path, data, mode)
}

// shell runs a line as the daemon of a device does: in a session of its own,
// with pipes that break when the connection does. hangup, when it closes,
// sends SIGHUP too.
type shell struct {
	faults         *Faults
	line           string
	env            []string                       // beside this process's
	enter          func(args ...string) *exec.Cmd // as phone has it
	stdin          io.Reader
	stdout, stderr io.Writer
	hangup         <-chan struct{}
}

func (s shell) run() (syscall.WaitStatus, error) {
	env := append(os.Environ(), s.env...)
	if s.faults.Full.Load() {
		s.line = fmt.Sprintf("ulimit -f %d\n", fullAt/512) + s.line
		env = append(env, "PATH="+s.faults.fake+":"+os.Getenv("PATH"))
	}
	cmd := exec.Command("/bin/sh", "-c", s.line)
	cmd.Env = env
	if s.enter != nil {
		cmd = s.enter("/bin/sh", "-c", s.line)
	}
	cmd.Dir = "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	cmd.Stdout, cmd.Stderr = s.stdout, s.stderr
	cmd.WaitDelay = 5 * time.Second
	in, err := cmd.StdinPipe()
	if err != nil {
		return 0, err
	}
	if err := cmd.Start(); err != nil {
		return 0, err
	}
	ended := make(chan struct{})
	defer close(ended)
	go func() {
		io.Copy(in, s.stdin)
		in.Close()
	}()
	go func() {
		select {
		case <-s.hangup:
			cmd.Process.Signal(syscall.SIGHUP)
		case <-ended:
		}
	}()
	cmd.Wait()
	return cmd.ProcessState.Sys().(syscall.WaitStatus), nil
}

// corruptor is a file on its way to a device.
type corruptor struct {
	faults *Faults
	r      io.Reader
	begun  bool
}

func (c *corruptor) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	if n > 0 && !c.begun {
		c.begun = true
		c.faults.corrupt(p[:n])
	}
	return n, err
}

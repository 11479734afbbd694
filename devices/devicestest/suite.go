// SPDX-License-Identifier: Apache-2.0

//go:build unix

package devicestest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/edgenas/edgenas/devices"
)

// Target is a device to be tested. It is this machine, by whatever way: the
// suite looks at its files and processes.
type Target struct {
	Address string
	Options devices.Options
	// Open opens it; nil: devices.Open.
	Open func(ctx context.Context, address string, o devices.Options) (devices.Device, error)
	// Retries says that the device is one of devices.Retry: it opens itself
	// again when it was lost, and repeats transfers that were corrupted.
	Retries bool
	// Cut breaks the connections that there are; new ones can be made soon.
	// Nil: the device is not remote.
	Cut func()
	// Restore does what a user would do then; nil: there is nothing to do.
	Restore func()
	// Faults are of the device; nil: it has none that can be chosen.
	Faults *Faults
}

// limit is far more than any step should take, on a machine that is busy.
const limit = 20 * time.Second

// suite is every test, in order. Those that are not alone come first and share
// one device.
var suite = []struct {
	name  string
	alone bool // opens devices itself
	test  func(*testing.T, Target, devices.Device)
}{
	{"info", false, testInfo},
	{"push and pull", false, testPush},
	{"names", false, testNames},
	{"exit status", false, testExit},
	{"output", false, testOutput},
	{"arguments", false, testArguments},
	{"input", false, testInput},
	{"streams", false, testStreams},
	{"cancel", false, testCancel},
	{"too much output", false, testTooMuch},
	{"unwanted output", false, testUnwanted},
	{"pull limit", false, testPullLimit},
	{"remove", false, testRemove},
	{"at once", false, testParallel},
	{"corrupted", false, testCorrupted},
	{"disk full", false, testFull},
	{"close", true, testClose},
	{"keep", true, testKeep},
	{"busy", true, testBusy},
	{"cut", true, testCut},
	{"cut at random", true, testRandomCuts},
	{"declared lost", true, testDeclaredLost},
}

// Run runs the suite, or only the tests of it that are named.
func Run(t *testing.T, target Target, only ...string) {
	var shared devices.Device
	done := func() {
		if shared == nil {
			return
		}
		if err := shared.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
		gone(t, shared.Info().Dir)
		shared = nil
	}
	for _, s := range suite {
		if len(only) > 0 && !slices.Contains(only, s.name) {
			continue
		}
		if s.alone {
			done()
		} else if shared == nil {
			shared = target.open(t)
		}
		t.Run(s.name, func(t *testing.T) { s.test(t, target, shared) })
	}
	done()
}

// open opens the device for the time of a test.
func (target Target) open(t *testing.T) devices.Device {
	t.Helper()
	d, err := target.try(t)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close() })
	return d
}

// try opens the device, or fails to.
func (target Target) try(t *testing.T) (devices.Device, error) {
	open := target.Open
	if open == nil {
		open = devices.Open
	}
	return open(timed(t), target.Address, target.Options)
}

// timed is a context for one step.
func timed(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	t.Cleanup(cancel)
	return ctx
}

// program pushes a shell script.
func program(t *testing.T, d devices.Device, script string) string {
	t.Helper()
	name, err := d.Push(timed(t), "program", []byte("#!/bin/sh\n"+script+"\n"))
	if err != nil {
		t.Fatal(err)
	}
	return name
}

// run runs a program that should end well.
func run(t *testing.T, d devices.Device, c devices.Command) (stdout, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	c.Stdout, c.Stderr = &out, &errs
	if err := d.Run(timed(t), c); err != nil {
		t.Fatal(err)
	}
	return out.String(), errs.String()
}

// gone waits for a folder to be removed.
func gone(t *testing.T, dir string) {
	t.Helper()
	eventually(t, dir+" is still there", func() bool {
		left, err := filepath.Glob(filepath.Join(filepath.Dir(dir), "edgenas-device*"))
		_, stat := os.Lstat(dir)
		return err == nil && left == nil && errors.Is(stat, fs.ErrNotExist)
	})
}

// dead waits for a process to end.
func dead(t *testing.T, pid int) {
	t.Helper()
	eventually(t, fmt.Sprintf("process %d still runs", pid), func() bool { return !running(pid) })
}

// running says whether there is such a process that is no zombie.
func running(pid int) bool {
	if syscall.Kill(pid, 0) != nil {
		return false
	}
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	return err != nil || !bytes.Contains(stat, []byte(") Z "))
}

func eventually(t *testing.T, otherwise string, ok func() bool) {
	t.Helper()
	for started := time.Now(); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Since(started) > limit {
			t.Fatal(otherwise)
		}
	}
}

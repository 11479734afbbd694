// SPDX-License-Identifier: Apache-2.0

//go:build unix

package devicestest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/edgenas/edgenas/devices"
)

func testCut(t *testing.T, target Target, _ devices.Device) {
	if target.Cut == nil {
		return
	}
	d := target.open(t)
	name := program(t, d, `echo again`)
	pids, ended := lasting(t, context.Background(), d)
	target.Cut()
	if err := soon(t, ended); !errors.Is(err, devices.ErrLost) {
		t.Errorf("what ran ended with %v", err)
	}
	if !target.Retries {
		checkLost(t, d, name)
		d = target.reopen(t)
	}
	for _, pid := range pids {
		dead(t, pid)
	}
	if out, _ := run(t, d, devices.Command{Name: name}); out != "again\n" { // without a push
		t.Errorf("%q", out)
	}
	if err := d.Close(); err != nil {
		t.Error(err)
	}
	gone(t, d.Info().Dir)
}

// checkLost checks what every method returns after the device was lost.
func checkLost(t *testing.T, d devices.Device, name string) {
	t.Helper()
	ctx := timed(t)
	_, pushed := d.Push(ctx, "x", nil)
	_, pulled := d.Pull(ctx, "x", 1)
	for _, err := range []error{pushed, pulled, d.Run(ctx, devices.Command{Name: name}), d.Remove(ctx, name)} {
		if !errors.Is(err, devices.ErrLost) {
			t.Errorf("after the cut: %v", err)
		}
	}
	if err := d.Close(); !errors.Is(err, devices.ErrLost) {
		t.Errorf("close: %v", err)
	}
}

// reopen opens a device as soon as it is there again.
func (target Target) reopen(t *testing.T) devices.Device {
	t.Helper()
	var d devices.Device
	eventually(t, "it does not come back", func() (ok bool) {
		var err error
		if d, err = target.try(t); err != nil && !errors.Is(err, devices.ErrUnreachable) {
			t.Fatal(err)
		}
		if err != nil && target.Restore != nil {
			target.Restore()
		}
		return err == nil
	})
	t.Cleanup(func() { d.Close() })
	return d
}

// again returns the device to go on with after d was lost.
func (target Target) again(t *testing.T, d devices.Device) devices.Device {
	t.Helper()
	if target.Retries {
		return d
	}
	d.Close()
	return target.reopen(t)
}

// testRandomCuts lets a program make entries, which it appends to its own file
// and says, while the connection is cut at five moments, and 20 where every fault
// is asked for. In the end each entry is there once, here and on the device.
func testRandomCuts(t *testing.T, target Target, _ devices.Device) {
	if target.Cut == nil {
		return
	}
	entries, cuts := 30, 5
	if os.Getenv("EDGENAS_CI") == "all" {
		cuts = 20
	}
	script := []byte("#!/bin/sh\n" + `for e; do echo "$e" >>entries; echo "$e"; sleep 0.01; done` + "\n" +
		strings.Repeat("# padding\n", 2000))
	rng := rand.New(rand.NewPCG(20, 6))
	d := target.open(t)
	have := map[string]int{}
	for cut := 0; len(have) < entries || cut < cuts; cut++ {
		done := make(chan struct{})
		if cut < cuts {
			time.AfterFunc(time.Duration(rng.IntN(100))*time.Millisecond, func() {
				target.Cut()
				close(done)
			})
		} else {
			close(done)
		}
		err := collect(timed(t), d, script, entries, have)
		<-done
		if errors.Is(err, devices.ErrLost) {
			d = target.again(t, d)
		} else if err != nil {
			t.Fatal(err)
		}
	}
	data, err := d.Pull(timed(t), "entries", 1<<16)
	for errors.Is(err, devices.ErrLost) { // by a last cut
		d = target.again(t, d)
		data, err = d.Pull(timed(t), "entries", 1<<16)
	}
	if err != nil {
		t.Fatal(err)
	}
	there := map[string]int{}
	for _, e := range strings.Fields(string(data)) {
		there[e]++
	}
	for i := range entries {
		if e := strconv.Itoa(i); have[e] != 1 || there[e] != 1 {
			t.Errorf("entry %s: %d times here, %d times on the device", e, have[e], there[e])
		}
	}
}

// collect does what a caller does after a loss: it merges what the device has,
// and asks for what is missing.
func collect(ctx context.Context, d devices.Device, script []byte, entries int, have map[string]int) error {
	data, err := d.Pull(ctx, "entries", 1<<16)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	for _, e := range strings.Fields(string(data)) {
		have[e] = 1
	}
	var missing []string
	for i := range entries {
		if e := strconv.Itoa(i); have[e] == 0 {
			missing = append(missing, e)
		}
	}
	name, err := d.Push(ctx, "program", script)
	if err != nil {
		return err
	}
	var got bytes.Buffer
	err = d.Run(ctx, devices.Command{Name: name, Args: missing, Stdout: &got})
	lines := strings.Split(got.String(), "\n")
	for _, e := range lines[:len(lines)-1] { // whole ones
		have[e]++
	}
	return err
}

// testDeclaredLost checks that a device that its user gives up keeps its files.
func testDeclaredLost(t *testing.T, target Target, _ devices.Device) {
	if target.Cut == nil {
		return
	}
	d := target.open(t)
	name := program(t, d, `echo still here`)
	ctx, cancel := context.WithCancelCause(context.Background())
	pids, ended := lasting(t, ctx, d)
	cancel(fmt.Errorf("%w: it is silent", devices.ErrLost))
	if err := soon(t, ended); !errors.Is(err, devices.ErrLost) {
		t.Errorf("what ran ended with %v", err)
	}
	if !target.Retries {
		if err := d.Close(); !errors.Is(err, devices.ErrLost) {
			t.Errorf("close: %v", err)
		}
		d = target.open(t) // at once: its lock is no obstacle
	}
	for _, pid := range pids {
		dead(t, pid)
	}
	if out, _ := run(t, d, devices.Command{Name: name}); out != "still here\n" {
		t.Errorf("%q", out)
	}
}

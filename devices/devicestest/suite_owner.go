// SPDX-License-Identifier: Apache-2.0

//go:build unix

package devicestest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/edgenas/edgenas/devices"
)

func testClose(t *testing.T, target Target, _ devices.Device) {
	d := target.open(t)
	pids, ended := lasting(t, context.Background(), d)
	if err := d.Close(); err != nil {
		t.Error(err)
	}
	if err := soon(t, ended); !errors.Is(err, devices.ErrClosed) {
		t.Errorf("what ran ended with %v", err)
	}
	for _, pid := range pids {
		dead(t, pid)
	}
	gone(t, d.Info().Dir)
	if err := d.Close(); err != nil {
		t.Errorf("close again: %v", err)
	}
	ctx := timed(t)
	_, pushed := d.Push(ctx, "x", nil)
	_, pulled := d.Pull(ctx, "x", 1)
	for _, err := range []error{pushed, pulled, d.Run(ctx, devices.Command{Name: "x"}), d.Remove(ctx, "x")} {
		if !errors.Is(err, devices.ErrClosed) {
			t.Errorf("after close: %v", err)
		}
	}
}

func testKeep(t *testing.T, target Target, _ devices.Device) {
	kept := target
	kept.Options.Keep = true
	d := kept.open(t)
	name := program(t, d, "echo kept")
	path := filepath.Join(d.Info().Dir, name)
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(path); err != nil {
		t.Error(err)
	}
	if target.Cut == nil {
		os.RemoveAll(d.Info().Dir) // a folder of its own each time
		return
	}
	d = target.open(t)
	if out, _ := run(t, d, devices.Command{Name: name}); out != "kept\n" {
		t.Errorf("%q", out)
	}
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	gone(t, d.Info().Dir)
}

func testBusy(t *testing.T, target Target, _ devices.Device) {
	d := target.open(t)
	if !d.Info().Capabilities.Locked {
		return
	}
	var busy *devices.BusyError
	_, err := target.try(t)
	if !errors.As(err, &busy) || !errors.Is(err, devices.ErrUnreachable) ||
		!strings.Contains(busy.Owner, fmt.Sprintf("process %d", os.Getpid())) {
		t.Fatalf("opened twice: %v", err)
	}
	run(t, d, devices.Command{Name: program(t, d, ":")}) // the owner is not disturbed
	// A host that is gone without a word leaves its lock: it holds while the
	// process on the device lives.
	lock := filepath.Join(d.Info().Dir, ".lock")
	text, err := os.ReadFile(lock)
	if err != nil {
		t.Fatal(err)
	}
	d.Close()
	for _, tt := range []struct {
		name, lock string
		busy       bool
	}{
		{"process gone", replaceLine(string(text), 0, "999999999"), false},
		{"no number", replaceLine(string(text), 0, "-1"), false},
		{"another boot", replaceLine(replaceLine(string(text), 0, "1"), 1, "an older boot"), false},
		{"empty", "", false},
		{"another host", replaceLine(replaceLine(string(text), 0, strconv.Itoa(os.Getpid())), 2, "eve on another"), true},
	} {
		if err := os.MkdirAll(filepath.Dir(lock), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(lock, []byte(tt.lock), 0o600); err != nil {
			t.Fatal(err)
		}
		d, err := target.try(t)
		if tt.busy != errors.As(err, &busy) || tt.busy && busy.Owner != "eve on another" {
			t.Errorf("%s: %v", tt.name, err)
		}
		if err == nil {
			d.Close()
		}
	}
	os.RemoveAll(filepath.Dir(lock))
}

// replaceLine changes one line of a text.
func replaceLine(text string, n int, line string) string {
	lines := strings.Split(text, "\n")
	lines[n] = line
	return strings.Join(lines, "\n")
}

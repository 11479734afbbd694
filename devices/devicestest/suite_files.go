// SPDX-License-Identifier: Apache-2.0

//go:build unix

package devicestest

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/edgenas/edgenas/devices"
)

func testInfo(t *testing.T, target Target, d devices.Device) {
	i := d.Info()
	if a, err := devices.Parse(i.Address); err != nil || a.Kind == "" {
		t.Errorf("address %q: %v", i.Address, err)
	}
	if i.OS == "" || i.Arch == "" || i.Machine == "" || i.Capabilities.Transfer == "" ||
		i.Capabilities.Remote != (target.Cut != nil) {
		t.Errorf("%+v", i)
	}
	info, err := os.Stat(i.Dir)
	if err != nil {
		t.Fatal(err)
	}
	if !info.IsDir() || info.Mode().Perm() != 0o700 {
		t.Errorf("%s has mode %v", i.Dir, info.Mode())
	}
}

func testPush(t *testing.T, _ Target, d devices.Device) {
	all := make([]byte, 300<<10)
	for i := range all {
		all[i] = byte(i * i >> 3)
	}
	var names []string
	for _, data := range [][]byte{nil, []byte("x"), []byte("y\n"), all, all[1:]} {
		name, err := d.Push(timed(t), "data.bin", data)
		if err != nil {
			t.Fatalf("%d bytes: %v", len(data), err)
		}
		if !strings.HasPrefix(name, "data.bin-") || len(name) != len("data.bin-")+32 {
			t.Errorf("name %q", name)
		}
		if slices.Contains(names, name) {
			t.Errorf("two contents are called %q", name)
		}
		names = append(names, name)
		for range 2 { // as it was pushed, and pushed again
			got, err := d.Pull(timed(t), name, int64(len(data)))
			if err != nil || !bytes.Equal(got, data) {
				t.Errorf("%d bytes came back as %d: %v", len(data), len(got), err)
			}
			if again, err := d.Push(timed(t), "data.bin", data); err != nil || again != name {
				t.Errorf("pushed again: %q, %v", again, err)
			}
		}
	}
	// A file that has changed there is pushed anew.
	path := filepath.Join(d.Info().Dir, names[1])
	if err := os.WriteFile(path, []byte("another"), 0o700); err != nil {
		t.Fatal(err)
	}
	if _, err := d.Push(timed(t), "data.bin", []byte("x")); err != nil {
		t.Fatal(err)
	}
	if got, err := os.ReadFile(path); err != nil || string(got) != "x" {
		t.Errorf("%q, %v", got, err)
	}
}

func testNames(t *testing.T, _ Target, d devices.Device) {
	long := strings.Repeat("a", 101)
	for _, name := range []string{"", ".", "..", ".lock", "-rf", "a/b", "/etc/passwd", "../x", "a b", "a\nb", "a;b",
		"$HOME", "a\x00b", "ä", long} {
		ctx := timed(t)
		if _, err := d.Push(ctx, name, []byte("x")); err == nil {
			t.Errorf("push %q", name)
		}
		if _, err := d.Pull(ctx, name, 10); err == nil || errors.Is(err, fs.ErrNotExist) {
			t.Errorf("pull %q: %v", name, err)
		}
		if err := d.Run(ctx, devices.Command{Name: name}); err == nil {
			t.Errorf("run %q", name)
		}
		if err := d.Remove(ctx, name); err == nil {
			t.Errorf("remove %q", name)
		}
	}
	if err := d.Run(timed(t), devices.Command{Name: "x", Args: []string{"a\x00b"}}); err == nil {
		t.Error("NUL in an argument")
	}
}

func testPullLimit(t *testing.T, _ Target, d devices.Device) {
	name, err := d.Push(timed(t), "big", make([]byte, 100<<10))
	if err != nil {
		t.Fatal(err)
	}
	if data, err := d.Pull(timed(t), name, 100<<10-1); !errors.Is(err, devices.ErrTooMuch) || data != nil {
		t.Errorf("%d bytes, %v", len(data), err)
	}
	if data, err := d.Pull(timed(t), name, 100<<10); err != nil || len(data) != 100<<10 {
		t.Errorf("%d bytes, %v", len(data), err)
	}
	if _, err := d.Pull(timed(t), "absent", 10); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("absent: %v", err)
	}
	if err := os.Mkdir(filepath.Join(d.Info().Dir, "folder"), 0o700); err != nil {
		t.Fatal(err)
	}
	if _, err := d.Pull(timed(t), "folder", 10); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a folder: %v", err)
	}
}

func testRemove(t *testing.T, _ Target, d devices.Device) {
	name, err := d.Push(timed(t), "brief", []byte("x"))
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := d.Remove(timed(t), name, "absent"); err != nil {
			t.Error(err)
		}
	}
	if _, err := d.Pull(timed(t), name, 10); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("removed: %v", err)
	}
}

func testCorrupted(t *testing.T, target Target, d devices.Device) {
	if target.Faults == nil {
		return
	}
	data := []byte("#!/bin/sh\necho whole\n")
	target.Faults.Corrupt.Store(1)
	if !target.Retries { // those that do push it again below
		if name, err := d.Push(timed(t), "corrupt", data); !errors.Is(err, devices.ErrCorrupt) {
			t.Errorf("%q, %v", name, err)
		}
		if left := leftovers(t, d, "corrupt-", ".push-"); left != nil {
			t.Errorf("left are %q", left)
		}
	}
	name, err := d.Push(timed(t), "corrupt", data)
	if err != nil {
		t.Fatal(err)
	}
	if out, _ := run(t, d, devices.Command{Name: name}); out != "whole\n" {
		t.Errorf("%q", out)
	}
}

func testFull(t *testing.T, target Target, d devices.Device) {
	if target.Faults == nil {
		return
	}
	target.Faults.Full.Store(true)
	defer target.Faults.Full.Store(false)
	_, err := d.Push(timed(t), "large", make([]byte, 1<<20))
	if !errors.Is(err, devices.ErrNoSpace) || !strings.Contains(err.Error(), "1024 KiB are needed") ||
		!strings.Contains(err.Error(), "16 are free") {
		t.Errorf("%v", err)
	}
	if left := leftovers(t, d, "large-", ".push-"); left != nil {
		t.Errorf("left are %q", left)
	}
	if _, err := d.Push(timed(t), "small", make([]byte, 1<<10)); err != nil {
		t.Errorf("a small one: %v", err)
	}
}

// leftovers are the files there that begin so.
func leftovers(t *testing.T, d devices.Device, prefixes ...string) (left []string) {
	t.Helper()
	files, err := os.ReadDir(d.Info().Dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		for _, p := range prefixes {
			if strings.HasPrefix(f.Name(), p) {
				left = append(left, f.Name())
			}
		}
	}
	return left
}

// SPDX-License-Identifier: Apache-2.0

//go:build unix

package devices_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/edgenas/edgenas/devices"
	"github.com/edgenas/edgenas/devices/devicestest"
)

// cabled is a board behind a cable, by ssh, and what opens it.
func cabled(t *testing.T) (*devicestest.SSH, *devicestest.Cable, func(context.Context) (devices.Device, error)) {
	t.Helper()
	h := newHome(t)
	s := board(t, h, devicestest.SSHOptions{Keys: []ssh.PublicKey{h.key.PublicKey()}})
	cable := devicestest.NewCable(t, s.Addr)
	h.know(t, cable.Addr, s.HostKey)
	return s, cable, func(ctx context.Context) (devices.Device, error) {
		return devices.Open(ctx, "ssh://pi@"+cable.Addr, devices.Options{})
	}
}

// TestRetry cuts transfers at random bytes.
func TestRetry(t *testing.T) {
	s, cable, open := cabled(t)
	attempts := 0
	d, err := devices.RetryAfter(t.Context(), time.Minute, time.Millisecond, open, func(string, ...any) { attempts++ })
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	rng := rand.New(rand.NewPCG(6, 1))
	data := make([]byte, 256<<10)
	for i := range data {
		data[i] = byte(rng.Uint32())
	}
	for i := range 10 {
		data[0] = byte(i)
		cable.CutAfter(rng.Int64N(300 << 10))
		name, err := d.Push(t.Context(), "data", data)
		if err != nil {
			t.Fatal(err)
		}
		cable.CutAfter(rng.Int64N(200 << 10))
		if got, err := d.Pull(t.Context(), name, int64(len(data))); err != nil || !bytes.Equal(got, data) {
			t.Fatalf("%d bytes, %v", len(got), err)
		}
		if err := d.Remove(t.Context(), name); err != nil {
			t.Fatal(err)
		}
	}
	if attempts == 0 {
		t.Error("nothing was cut")
	}

	s.Faults.Corrupt.Store(2)
	name, err := d.Push(t.Context(), "program", []byte("#!/bin/sh\necho run >>runs\nwhile :; do sleep 1; done\n"))
	if err != nil {
		t.Fatal(err)
	}
	if n := s.Faults.Corrupt.Load(); n != 0 {
		t.Errorf("%d transfers are still to be corrupted", n)
	}
	// A program that was cut off is not started again by itself.
	time.AfterFunc(100*time.Millisecond, cable.Cut)
	if err := d.Run(t.Context(), devices.Command{Name: name}); !errors.Is(err, devices.ErrLost) {
		t.Errorf("%v", err)
	}
	if runs, err := d.Pull(t.Context(), "runs", 100); err != nil || string(runs) != "run\n" {
		t.Errorf("%q, %v", runs, err)
	}
	// Nor is what fails for other reasons.
	if _, err := d.Pull(t.Context(), "absent", 1); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("%v", err)
	}
	cable.Cut()
	if err := d.Close(); err != nil {
		t.Errorf("close: %v", err)
	}
	if _, err := os.Stat(d.Info().Dir); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("%s is still there", d.Info().Dir)
	}
	if err := d.Remove(t.Context(), "x"); !errors.Is(err, devices.ErrClosed) {
		t.Errorf("%v", err)
	}
}

// TestRetryEnds is about what trying again does not help.
func TestRetryEnds(t *testing.T) {
	local, err := devices.Open(t.Context(), "local", devices.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer local.Close()
	lost := lossy{local}
	for _, tt := range []struct {
		name     string
		err      error
		patience time.Duration
		opened   func(n int) bool
	}{
		{"busy", &devices.BusyError{Owner: "eve"}, time.Minute, func(n int) bool { return n == 2 }},
		{"another key", &devices.HostKeyError{}, time.Minute, func(n int) bool { return n == 2 }},
		{"usage", &devices.AddressError{}, time.Minute, func(n int) bool { return n == 2 }},
		{"unreachable", fmt.Errorf("x: %w", devices.ErrUnreachable), 20 * time.Millisecond,
			func(n int) bool { return n > 2 }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			opened := 0
			open := func(context.Context) (devices.Device, error) {
				if opened++; opened == 1 {
					return lost, nil
				}
				return nil, tt.err
			}
			d, err := devices.RetryAfter(t.Context(), tt.patience, time.Millisecond, open, nil)
			if err != nil {
				t.Fatal(err)
			}
			if err := d.Run(t.Context(), devices.Command{}); !errors.Is(err, devices.ErrLost) || opened != 1 {
				t.Errorf("run: %v, opened %d times", err, opened)
			}
			if _, err := d.Push(t.Context(), "x", nil); !errors.Is(err, tt.err) || !tt.opened(opened) {
				t.Errorf("push: %v, opened %d times", err, opened)
			}
		})
	}
}

// lossy is a device that is always lost.
type lossy struct{ devices.Device }

func (lossy) Run(context.Context, devices.Command) error { return devices.ErrLost }
func (lossy) Close() error                               { return nil }

func TestTimeout(t *testing.T) {
	_, cable, open := cabled(t)
	d, err := open(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	name, err := d.Push(t.Context(), "program", []byte("#!/bin/sh\nfor i in 1 2 3 4; do sleep 0.3; echo $i >&$1; done\n"))
	if err != nil {
		t.Fatal(err)
	}
	silent, err := d.Push(t.Context(), "silent", []byte("#!/bin/sh\necho $$ >pid; echo on; sleep 1000\n"))
	if err != nil {
		t.Fatal(err)
	}
	for _, stream := range []string{"1", "2"} { // it takes longer than that, but not without a word
		if err := devices.Timeout(d, time.Second).Run(t.Context(),
			devices.Command{Name: name, Args: []string{stream}}); err != nil {
			t.Errorf("stream %s: %v", stream, err)
		}
	}
	brief := devices.Timeout(d, 200*time.Millisecond)
	if err := brief.Run(t.Context(), devices.Command{Name: silent}); !errors.Is(err, devices.ErrLost) ||
		!strings.Contains(err.Error(), "nothing was heard of it for 200ms") {
		t.Errorf("a silent program: %v", err)
	}
	brief.Close()
	if d, err = open(t.Context()); err != nil {
		t.Fatal(err)
	}
	if id, err := d.Pull(t.Context(), "pid", 100); err != nil || running(strings.TrimSpace(string(id))) {
		t.Errorf("process %q still runs, %v", id, err)
	}
	brief = devices.Timeout(d, 200*time.Millisecond)
	cable.Freeze()
	if _, err := brief.Pull(t.Context(), name, 100); !errors.Is(err, devices.ErrLost) ||
		!strings.Contains(err.Error(), "no answer within 200ms") {
		t.Errorf("%v", err)
	}
	if err := brief.Close(); !errors.Is(err, devices.ErrLost) {
		t.Errorf("close: %v", err)
	}
	cable.Thaw()
	if d, err = open(t.Context()); err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	if _, err := d.Pull(t.Context(), name, 100); err != nil { // it is still there
		t.Error(err)
	}
}

// running says whether there is such a process.
func running(pid string) bool {
	_, err := os.Stat(filepath.Join("/proc", pid))
	return err == nil
}

// SPDX-License-Identifier: Apache-2.0

package main

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/edgenas/edgenas/internal/fault"
)

// limited runs a command in a process whose files may have so many blocks of
// 512 bytes (some shells: 1024), which fails in the middle of a write as a full
// disk does.
func limited(t *testing.T, blocks int, args ...string) outcome {
	t.Helper()
	cmd := command(t, args...)
	cmd.Args = append([]string{"sh", "-c", "ulimit -f " + strconv.Itoa(blocks) + `; exec "$@"`, "sh"}, cmd.Args...)
	cmd.Path = "/bin/sh"
	return ended(t, cmd)
}

// A full disk is said in one line, and the run goes on when there is room again.
func TestFullDisk(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "run")
	o := limited(t, 100, searchArgs(t, dir)...)
	refused(t, o, fault.Unexpected, filepath.Join(dir, "checkpoint", "search.safetensors"), syscall.EFBIG.Error())
	if want := "go on with: edgenas search --resume " + dir; !strings.Contains(o.stderr, want) {
		t.Errorf("stderr %s: want %q", o.stderr, want)
	}
	refused(t, limited(t, 2, "search", "--resume", dir), fault.Unexpected, dir, syscall.EFBIG.Error())
	edgenas(t, "search", "--resume", dir).want(t, fault.Done)
	same(t, dir)
}

func TestFullDevice(t *testing.T) {
	refused(t, edgenas(t, at(t, "export --arch @run/architecture.json --weights @run/weights.safetensors "+
		"--data idx:@tiny -o /dev/full")...),
		fault.Unexpected, "/dev/full: no space left on device")
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer full.Close()
	for _, args := range []string{"version", "version --json"} {
		cmd := command(t, strings.Fields(args)...)
		cmd.Stdout = full
		if err := cmd.Run(); cmd.ProcessState.ExitCode() != fault.Unexpected {
			t.Errorf("%s with a full stdout: %v: want exit %d", args, err, fault.Unexpected)
		}
	}
}

// Nobody, not even root, may make files in this folder.
func TestReadOnlyFolder(t *testing.T) {
	refused(t, edgenas(t, searchArgs(t, "/proc/edgenas")...), fault.Unexpected, "--out /proc/edgenas")
	refused(t, edgenas(t, at(t, "export --arch @run/architecture.json --weights @run/weights.safetensors "+
		"--data idx:@tiny -o /proc/model.onnx")...),
		fault.Unexpected, "/proc/model.onnx")
}

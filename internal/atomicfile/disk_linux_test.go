// SPDX-License-Identifier: Apache-2.0

package atomicfile

import (
	"errors"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// limited names the file that a child of the test writes under a file size
// limit, which fails in the middle of the write as a full disk does.
const limited = "ATOMICFILE_TEST_LIMITED"

func TestMain(m *testing.M) {
	path := os.Getenv(limited)
	if path == "" {
		os.Exit(m.Run())
	}
	signal.Ignore(syscall.SIGXFSZ)
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &syscall.Rlimit{Cur: 100, Max: 100}); err != nil {
		panic(err)
	}
	os.Stdout.WriteString(Write(path, make([]byte, 1000)).Error())
	os.Exit(0)
}

func TestWriteHalf(t *testing.T) {
	folder := t.TempDir()
	path := filepath.Join(folder, "file")
	if err := os.WriteFile(path, []byte("old"), 0o666); err != nil {
		t.Fatal(err)
	}
	child := exec.Command(os.Args[0])
	child.Env = append(os.Environ(), limited+"="+path)
	out, err := child.Output()
	if err != nil {
		t.Fatal(err)
	}
	if got := string(out); !strings.Contains(got, path+": "+syscall.EFBIG.Error()) {
		t.Errorf("error %q: want the path and the cause", got)
	}
	holds(t, path, "old")
	only(t, folder, "file")
}

func TestWriteDevice(t *testing.T) {
	if err := Write("/dev/null", []byte("text")); err != nil {
		t.Error(err)
	}
	if info, err := os.Lstat("/dev/null"); err != nil || info.Mode()&os.ModeCharDevice == 0 {
		t.Errorf("/dev/null became %v, %v", info, err)
	}
	if err := Write("/dev/full", []byte("text")); !errors.Is(err, syscall.ENOSPC) || !strings.Contains(err.Error(), "/dev/full") {
		t.Errorf("full device: %v", err)
	}
}

func TestWriteReadOnly(t *testing.T) {
	// Nobody, not even root, may make files here.
	path := "/proc/self/file"
	if err := Write(path, nil); err == nil || !strings.Contains(err.Error(), path) {
		t.Errorf("read-only folder: %v", err)
	}
}

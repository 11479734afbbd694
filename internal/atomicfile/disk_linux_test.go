// SPDX-License-Identifier: Apache-2.0

package atomicfile

import (
	"errors"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// TestWriteHalf writes under a limit on file sizes, which fails in the middle
// of the write as a full disk does.
func TestWriteHalf(t *testing.T) {
	folder := t.TempDir()
	path := filepath.Join(folder, "file")
	if err := os.WriteFile(path, []byte("old"), 0o666); err != nil {
		t.Fatal(err)
	}
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_FSIZE, &limit); err != nil {
		t.Fatal(err)
	}
	signal.Ignore(syscall.SIGXFSZ)
	defer signal.Reset(syscall.SIGXFSZ)
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &syscall.Rlimit{Cur: 100, Max: limit.Max}); err != nil {
		t.Fatal(err)
	}
	err := Write(path, make([]byte, 1000))
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &limit); err != nil {
		t.Fatal(err)
	}
	if !errors.Is(err, syscall.EFBIG) || !strings.Contains(err.Error(), path+":") {
		t.Errorf("error %v: want the path and %v", err, syscall.EFBIG)
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
	if err := Write("/dev/full", []byte("text")); !errors.Is(err, syscall.ENOSPC) ||
		!strings.Contains(err.Error(), "/dev/full") {
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

// SPDX-License-Identifier: Apache-2.0

//go:build linux || darwin

package runfile

import (
	"errors"
	"testing"
)

func TestLock(t *testing.T) {
	dir := Dir(t.TempDir())
	unlock, err := dir.Lock()
	if err != nil {
		t.Fatal(err)
	}
	var busy *BusyError
	if _, err := dir.Lock(); !errors.As(err, &busy) {
		t.Errorf("a second one: %v", err)
	}
	unlock()
	unlock, err = dir.Lock()
	if err != nil {
		t.Fatal(err)
	}
	unlock()
	if _, err := Dir(dir.Path("missing")).Lock(); err == nil || errors.As(err, &busy) {
		t.Errorf("no folder: %v", err)
	}
}

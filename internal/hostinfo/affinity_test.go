// SPDX-License-Identifier: Apache-2.0

package hostinfo

import (
	"errors"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
)

// pinnable is the processors that this test may run on; false where the system
// has no affinity, after checking that it says so everywhere.
func pinnable(t *testing.T) ([]int, bool) {
	t.Helper()
	before, err := Affinity()
	if !errors.Is(err, ErrNoData) {
		if err != nil || len(before) == 0 {
			t.Fatalf("affinity %v, %v", before, err)
		}
		return before, true
	}
	_, processErr := ProcessAffinity()
	_, cpuErr := CurrentCPU()
	for _, err := range []error{SetAffinity([]int{0}), SetProcessAffinity([]int{0}), processErr, cpuErr} {
		if !errors.Is(err, ErrNoData) {
			t.Errorf("the system cannot tell, yet: %v", err)
		}
	}
	return nil, false
}

func TestAffinity(t *testing.T) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	before, ok := pinnable(t)
	if !ok {
		return
	}
	last := before[len(before)-1:]
	if err := SetAffinity(last); err != nil {
		t.Fatal(err)
	}
	if now, err := Affinity(); err != nil || !slices.Equal(now, last) {
		t.Errorf("affinity %v, %v after setting %v", now, err, last)
	}
	if cpu, err := CurrentCPU(); err != nil || cpu != last[0] {
		t.Errorf("runs on %d, %v; want %d", cpu, err, last[0])
	}
	if err := SetAffinity(before); err != nil {
		t.Fatal(err)
	}
	if err := SetAffinity(nil); err == nil {
		t.Error("no processor at all is accepted")
	}
}

func TestProcessAffinity(t *testing.T) {
	before, ok := pinnable(t)
	if !ok {
		return
	}
	last := before[len(before)-1:]
	var wg sync.WaitGroup
	wg.Go(func() { // threads that start while all are being kept
		for range 50 {
			var end sync.WaitGroup
			end.Go(func() { runtime.LockOSThread() }) // the thread ends with it
			end.Wait()
		}
	})
	if err := SetProcessAffinity(last); err != nil && !strings.Contains(err.Error(), "keeps starting threads") {
		t.Fatal(err)
	}
	wg.Wait()
	if err := SetProcessAffinity(last); err != nil {
		t.Fatal(err)
	}
	if now, err := ProcessAffinity(); err != nil || !slices.Equal(now, last) {
		t.Errorf("affinity of the process %v, %v; want %v", now, err, last)
	}
	for range 4 {
		wg.Go(func() {
			runtime.LockOSThread()
			if now, err := Affinity(); err != nil || !slices.Equal(now, last) {
				t.Errorf("affinity of a thread %v, %v; want %v", now, err, last)
			}
		})
	}
	wg.Wait()
	if err := SetProcessAffinity(before); err != nil {
		t.Fatal(err)
	}
	if now, err := ProcessAffinity(); err != nil || !slices.Equal(now, before) {
		t.Errorf("affinity of the process %v, %v after giving back %v", now, err, before)
	}
}

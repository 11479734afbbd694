// SPDX-License-Identifier: Apache-2.0

package latency

import (
	"bytes"
	"os"
	"strconv"
	"time"
)

// newWaitClock opens the clock of the time that the calling thread, to which
// the goroutine is locked, has been ready to run while others had its core. It
// is nil where the kernel does not tell. Release closes it.
func newWaitClock() (waited func() time.Duration, release func()) {
	f, err := os.Open("/proc/thread-self/schedstat") // time on the core, time in its queue, times that it had it
	if err != nil {
		return nil, func() {}
	}
	var last time.Duration
	line := make([]byte, 128)
	read := func() bool {
		n, _ := f.ReadAt(line, 0)
		fields := bytes.Fields(line[:n])
		if len(fields) != 3 {
			return false
		}
		ns, err := strconv.ParseInt(string(fields[1]), 10, 64)
		if err == nil {
			last = time.Duration(ns)
		}
		return err == nil
	}
	if !read() {
		f.Close()
		return nil, func() {}
	}
	return func() time.Duration { read(); return last }, func() { f.Close() }
}

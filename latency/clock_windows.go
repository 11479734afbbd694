// SPDX-License-Identifier: Apache-2.0

package latency

import (
	"time"
	"unsafe"

	"golang.org/x/sys/windows"
)

// newClock starts a monotonic clock: the performance counter, since the clock
// of package time steps by half a millisecond or more on Windows.
func newClock() func() time.Duration {
	kernel32 := windows.NewLazySystemDLL("kernel32.dll")
	counter, frequency := kernel32.NewProc("QueryPerformanceCounter"), kernel32.NewProc("QueryPerformanceFrequency")
	read := func(p *windows.LazyProc) (n int64) {
		p.Call(uintptr(unsafe.Pointer(&n))) // never fails since Windows XP
		return n
	}
	start, perSecond := read(counter), float64(read(frequency))
	return func() time.Duration {
		return time.Duration(float64(read(counter)-start) / perSecond * float64(time.Second))
	}
}

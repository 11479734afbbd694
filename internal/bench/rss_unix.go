// SPDX-License-Identifier: Apache-2.0

//go:build unix

package bench

import (
	"runtime"
	"syscall"
)

// maxRSS is the greatest part of the process that was in memory at once, in
// bytes; 0: unknown.
func maxRSS() int64 {
	var u syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &u) != nil {
		return 0
	}
	if runtime.GOOS == "darwin" || runtime.GOOS == "ios" {
		return int64(u.Maxrss)
	}
	return int64(u.Maxrss) << 10
}

// SPDX-License-Identifier: Apache-2.0

//go:build unix

package devicestest

import "syscall"

// signalName is a signal as ssh calls it.
func signalName(s syscall.WaitStatus) string {
	switch s.Signal() {
	case syscall.SIGHUP:
		return "HUP"
	case syscall.SIGKILL:
		return "KILL"
	case syscall.SIGPIPE:
		return "PIPE"
	case syscall.SIGSEGV:
		return "SEGV"
	case syscall.SIGTERM:
		return "TERM"
	}
	return "USR1"
}

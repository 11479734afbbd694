// SPDX-License-Identifier: Apache-2.0

package kernels

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// hugePage is the size of the pages asked for: that of amd64, and of arm64 with
// pages of 4 KiB.
const hugePage = 2 << 20

// LargePages asks for large pages for memory, of which a step visits far fewer:
// on a virtual machine, where looking one up is dear, a step is up to a tenth
// faster. A kernel that has none to give goes on as before.
func LargePages[T Float](memory []T) {
	bytes := unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(memory))), len(memory)*int(unsafe.Sizeof(*new(T))))
	skip := int(-uintptr(unsafe.Pointer(unsafe.SliceData(bytes))) % hugePage)
	if whole := (len(bytes) - skip) / hugePage * hugePage; whole > 0 {
		_ = unix.Madvise(bytes[skip:][:whole], unix.MADV_HUGEPAGE)
		_ = unix.Madvise(bytes[skip:][:whole], unix.MADV_COLLAPSE) // where memory was used before it has small pages
	}
}

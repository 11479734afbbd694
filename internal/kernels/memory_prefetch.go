// SPDX-License-Identifier: Apache-2.0

//go:build (amd64 || arm64) && !noasm

package kernels

import "unsafe"

// prefetchLines asks for so many cache lines from p on.
//
//go:noescape
func prefetchLines(p unsafe.Pointer, lines int)

// prefetch asks for x, which is soon read or written, while there is still
// other work. It changes nothing.
func prefetch[T Float](x []T) {
	if len(x) > 0 {
		prefetchLines(unsafe.Pointer(&x[0]), (len(x)*int(unsafe.Sizeof(x[0]))+63)/64)
	}
}

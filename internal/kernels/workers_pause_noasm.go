// SPDX-License-Identifier: Apache-2.0

//go:build noasm || !(amd64 || arm64)

package kernels

import "runtime"

// pause lets another goroutine run.
func pause() { runtime.Gosched() }

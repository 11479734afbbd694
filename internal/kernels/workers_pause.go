// SPDX-License-Identifier: Apache-2.0

//go:build (amd64 || arm64) && !noasm

package kernels

// pause lets the core's other thread work for some tens of cycles.
//
//go:noescape
func pause()

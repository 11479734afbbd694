// SPDX-License-Identifier: Apache-2.0

//go:build !linux

package kernels

// LargePages does nothing where large pages cannot be asked for.
func LargePages[T Float]([]T) {}

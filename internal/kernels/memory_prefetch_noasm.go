// SPDX-License-Identifier: Apache-2.0

//go:build noasm || !(amd64 || arm64)

package kernels

// prefetch does nothing.
func prefetch[T Float]([]T) {}

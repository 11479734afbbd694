// SPDX-License-Identifier: Apache-2.0

//go:build noasm || !(amd64 || arm64)

package kernels

// native lists no assembly.
func native() []implementation { return nil }

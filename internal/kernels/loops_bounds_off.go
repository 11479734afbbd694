// SPDX-License-Identifier: Apache-2.0

//go:build !kernelbounds

package kernels

// boundsChecked is true with the build tag kernelbounds.
const boundsChecked = false

// SPDX-License-Identifier: Apache-2.0

//go:build kernelbounds

package kernels

// boundsChecked adds checks that cost too much to be in every call.
const boundsChecked = true

// SPDX-License-Identifier: Apache-2.0

package kernels

import "fmt"

// need panics unless s has at least n elements.
func need[T any](kernel, name string, s []T, n int) {
	if len(s) < n {
		panic(fmt.Sprintf("kernels: %s: %s has %d elements, needs %d", kernel, name, len(s), n))
	}
}

// optional is need for a slice that may be nil.
func optional[T any](kernel, name string, s []T, n int) {
	if s != nil {
		need(kernel, name, s, n)
	}
}

// checkRows panics unless a matrix has rows and channels.
func checkRows(kernel string, m, c int) {
	if min(m, c) < 1 {
		panic(fmt.Sprintf("kernels: %s: bad shape M=%d C=%d", kernel, m, c))
	}
}

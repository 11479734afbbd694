// SPDX-License-Identifier: Apache-2.0

package kernels

// The functions of this file return what a kernel will need next, for [prefetch].

// following returns the image of x that a worker will most likely take after
// this one of n, or nothing at the end: workers of odd numbers go backwards (see
// [Workers]).
func following[T Float](x []T, image, n, worker int) []T {
	next := image + 1 - 2*(worker%2)
	if next < 0 || next >= n {
		return nil
	}
	return x[next*(len(x)/n):][:len(x)/n]
}

// ahead returns n elements of x from element at on, or as many as there are.
func ahead[T Float](x []T, at, n int) []T { return x[min(at, len(x)):min(at+n, len(x))] }

// share returns the part of x that corresponds to rows [first, first+rows) when
// x is divided evenly among of rows.
func share[T Float](x []T, first, rows, of int) []T {
	return x[len(x)*min(first, of)/of : len(x)*min(first+rows, of)/of]
}

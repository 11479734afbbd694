// SPDX-License-Identifier: Apache-2.0

package kernels

// This file says what is needed next, for [prefetch].

// following is the image that a worker will most likely take after this one
// of n: odd ones go backwards (see [Pool]). It is empty at the end.
func following[T Float](x []T, image, n, worker int) []T {
	next := image + 1 - 2*(worker%2)
	if next < 0 || next >= n {
		return nil
	}
	return x[next*(len(x)/n):][:len(x)/n]
}

// ahead is n elements of x from element at on, or as many as there are.
func ahead[T Float](x []T, at, n int) []T { return x[min(at, len(x)):min(at+n, len(x))] }

// share is what falls to rows first… of so many, where x is spread over all of them.
func share[T Float](x []T, first, rows, of int) []T {
	return x[len(x)*min(first, of)/of : len(x)*min(first+rows, of)/of]
}

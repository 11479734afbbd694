// SPDX-License-Identifier: Apache-2.0

package kernels

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
)

// This file has what all tests of kernels share: random data, the check of a
// gradient, and the check of what every kernel promises.

// random gives n numbers in −1…1 from a stream of its own.
func random[T Float](stream uint64, n int) []T {
	rng := rand.New(rand.NewPCG(1, stream))
	s := make([]T, n)
	for i := range s {
		s[i] = T(2*rng.Float64() - 1)
	}
	return s
}

// scratch is working memory filled with NaN, so that reading it first shows.
func scratch[T Float](n int) []T {
	s := make([]T, n)
	for i := range s {
		s[i] = T(math.NaN())
	}
	return s
}

func clone[T any](s []T) []T { return append([]T(nil), s...) }

func convert[To, From Float](s []From) []To {
	if s == nil {
		return nil
	}
	d := make([]To, len(s))
	for i, v := range s {
		d[i] = To(v)
	}
	return d
}

// tolerance for sums of T: relative to the largest element.
func tolerance[T Float]() float64 {
	if _, ok := any(T(0)).(float32); ok {
		return 3e-6
	}
	return 1e-13
}

// near fails if got is further from want than tol times want's largest element.
func near[T Float](t *testing.T, name string, got []T, want []float64, tol float64) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%s has %d elements, want %d", name, len(got), len(want))
	}
	scale := 1e-3
	for _, v := range want {
		if !math.IsInf(v, 0) {
			scale = max(scale, math.Abs(v))
		}
	}
	for i, v := range got {
		if !(math.Abs(float64(v)-want[i]) <= tol*scale) && float64(v) != want[i] {
			t.Fatalf("%s[%d] = %v, want %v (±%.2g of %.3g)", name, i, v, want[i], tol, scale)
		}
	}
}

// implementations are the names and tables that this CPU has, the fastest first.
func implementations() (ims []implementation) {
	for _, im := range variants() {
		if im.usable {
			ims = append([]implementation{im}, ims...)
		}
	}
	return ims
}

// each runs a test with every float32 implementation that this CPU has, and with
// one that has no loops of its own for what others have.
func each(t *testing.T, f func(t *testing.T)) {
	best := micro32
	defer func() { micro32 = best }()
	least := portable[float32]()
	least.name = "least"
	least.point, least.pointGrad, least.lay = nil, nil, nil
	least.filtering = filtering[float32]{}
	least.depthPlane, least.peak3, least.peakGrad, least.share, least.spread = nil, nil, nil, nil, nil
	for _, im := range append(implementations(), implementation{least, true}) {
		micro32 = im.micro
		t.Run(im.name, f)
	}
}

// promises checks what holds for every kernel: made anew by build for each run
// (results are the slices it changes), it gives the same bits with 1, 2
// and 3 threads and when it is run again, and a second run does not allocate.
func promises[K Kernel, T Float](t *testing.T, build func(threads int) (k K, results [][]T)) {
	t.Helper()
	var first [][]T
	for _, threads := range []int{1, 2, 3} {
		p := NewWorkers(threads)
		k, results := build(threads)
		k.Run(p)
		for i, r := range results {
			if first == nil {
				break
			}
			for j := range r {
				if bits(r[j]) != bits(first[i][j]) {
					t.Fatalf("%d threads: result %d[%d] = %v, with one thread %v", threads, i, j, r[j], first[i][j])
				}
			}
		}
		if first == nil {
			for _, r := range results {
				first = append(first, clone(r))
			}
		}
		if n := testing.AllocsPerRun(5, func() { k.Run(p) }); n != 0 {
			t.Errorf("%d threads: Run allocates %v times", threads, n)
		}
		p.Close()
	}
}

func bits[T Float](v T) uint64 {
	if math.IsNaN(float64(v)) {
		return math.Float64bits(math.NaN())
	}
	return math.Float64bits(float64(v))
}

// gradient compares got, the gradient of Σ y·dy in x, with central
// differences; forward computes y from the current x. Of a long x it takes
// 40 elements.
func gradient(t *testing.T, name string, x, got, dy []float64, forward func() []float64) {
	t.Helper()
	const h = 1e-6
	loss := func() (sum float64) {
		for i, v := range forward() {
			sum += v * dy[i]
		}
		return sum
	}
	rng := rand.New(rand.NewPCG(2, 0))
	for _, i := range rng.Perm(len(x))[:min(len(x), 40)] {
		v := x[i]
		x[i] = v + h
		up := loss()
		x[i] = v - h
		want := (up - loss()) / (2 * h)
		x[i] = v
		if !(math.Abs(got[i]-want) <= 1e-6*max(1, math.Abs(want))) {
			t.Fatalf("%s[%d] = %v, central difference %v", name, i, got[i], want)
		}
	}
}

// run runs a kernel on one thread.
func run(k Kernel) {
	p := NewWorkers(1)
	defer p.Close()
	k.Run(p)
}

func plus(a, b []float64) []float64 {
	s := clone(a)
	for i, v := range b {
		s[i] += v
	}
	return s
}

func relu64(x []float64) []float64 {
	y := clone(x)
	for i, v := range y {
		y[i] = max(0, v)
	}
	return y
}

func shapeName(s any) string { return fmt.Sprintf("%+v", s) }

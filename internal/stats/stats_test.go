// SPDX-License-Identifier: Apache-2.0

package stats

import (
	"math"
	"math/rand/v2"
	"testing"
)

func TestMedianAndQuantile(t *testing.T) {
	for _, tc := range []struct {
		name             string
		x                []float64
		median, p90, p99 float64
	}{
		{"one", []float64{3}, 3, 3, 3},
		{"even", []float64{4, 1, 3, 2}, 2.5, 4, 4},
		{"odd, unsorted", []float64{5, 1, 4, 2, 3}, 3, 5, 5},
		{"hundred", upTo(100), 50.5, 90, 99},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if m := Median(tc.x); m != tc.median {
				t.Errorf("median %v, want %v", m, tc.median)
			}
			if q := Quantile(tc.x, 0.9); q != tc.p90 {
				t.Errorf("p90 %v, want %v", q, tc.p90)
			}
			if q := Quantile(tc.x, 0.99); q != tc.p99 {
				t.Errorf("p99 %v, want %v", q, tc.p99)
			}
		})
	}
}

// The ranks and coverages are those of the usual table of the binomial sign
// test (Conover, Practical Nonparametric Statistics, table A3).
func TestMedianBounds(t *testing.T) {
	for _, tc := range []struct {
		n            int
		lo, hi       float64
		coverage     float64
		confidence95 bool
	}{
		{1, 1, 1, 0, false},
		{5, 1, 5, 0.9375, false},
		{6, 1, 6, 0.96875, true},
		{9, 2, 8, 0.9609375, true},
		{15, 4, 12, 0.96484375, true},
		{100, 40, 61, 0.9648, true},
	} {
		lo, hi, coverage := MedianBounds(upTo(tc.n), 0.95)
		if lo != tc.lo || hi != tc.hi || math.Abs(coverage-tc.coverage) > 1e-4 || (coverage >= 0.95) != tc.confidence95 {
			t.Errorf("n=%d: %v…%v covers %v, want %v…%v covers %v", tc.n, lo, hi, coverage, tc.lo, tc.hi, tc.coverage)
		}
	}
}

// A bound that holds for any distribution is tried on a skewed one.
func TestCoverage(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 0))
	const trials, n, trueMedian = 4000, 15, 1 // exp(normal) has the median 1
	inside, under := 0, 0
	for range trials {
		x := make([]float64, n)
		for i := range x {
			x[i] = math.Exp(rng.NormFloat64())
		}
		if lo, hi, _ := MedianBounds(x, 0.95); lo <= trueMedian && trueMedian <= hi {
			inside++
		}
		if math.Exp(rng.NormFloat64()) <= ConformalUpper(x, 0.8) {
			under++
		}
	}
	if share := float64(inside) / trials; math.Abs(share-0.9648) > 0.012 {
		t.Errorf("the median lies within its bounds in %.3f of the trials, want 0.965", share)
	}
	if share := float64(under) / trials; share < 0.785 || share > 0.84 {
		t.Errorf("the next draw stays under the bound in %.3f of the trials, want 0.80 to 0.82", share)
	}
}

func TestUpper(t *testing.T) {
	if b := ConformalUpper(upTo(18), 0.95); !math.IsInf(b, 1) {
		t.Errorf("18 samples give the bound %v at 95 %%, want none", b)
	}
	if b := ConformalUpper(upTo(19), 0.95); b != 19 {
		t.Errorf("19 samples: %v, want 19", b)
	}
	if b := ConformalUpper(upTo(99), 0.55); b != 55 { // 100·0.55 > 55 in floating point
		t.Errorf("99 samples at 55 %%: %v, want 55", b)
	}
	if b := ConformalUpper(upTo(99), 0.9); b != 90 {
		t.Errorf("99 samples: %v, want 90", b)
	}
	if z := Z(0.975); math.Abs(z-1.959964) > 1e-6 {
		t.Errorf("z %v", z)
	}
}

func TestSpearman(t *testing.T) {
	for _, tc := range []struct {
		name string
		a, b []float64
		want float64
	}{
		{"monotone", []float64{1, 2, 3, 4}, []float64{1, 8, 27, 64}, 1},
		{"reversed", []float64{1, 2, 3}, []float64{3, 2, 1}, -1},
		// ranks 1, 2.5, 2.5, 4 and 1, 3, 2, 4: 4.5/√(4.5·5)
		{"ties", []float64{1, 2, 2, 3}, []float64{10, 30, 20, 40}, 4.5 / math.Sqrt(4.5*5)},
		{"constant", []float64{1, 1, 1}, []float64{1, 2, 3}, math.NaN()},
	} {
		got := Spearman(tc.a, tc.b)
		if math.Abs(got-tc.want) > 1e-12 || math.IsNaN(got) != math.IsNaN(tc.want) {
			t.Errorf("%s: %v, want %v", tc.name, got, tc.want)
		}
	}
}

func TestErrors(t *testing.T) {
	e := RelativeErrors([]float64{11, 9, 10, 13}, []float64{10, 10, 10, 10})
	for _, tc := range []struct {
		name      string
		got, want float64
	}{
		{"bias", Bias(e), 0.075}, {"mape", MAPE(e), 0.125}, {"within 5 %", Within(e, 0.05), 0.25},
		{"within 11 %", Within(e, 0.11), 0.75},
	} {
		if math.Abs(tc.got-tc.want) > 1e-12 {
			t.Errorf("%s: %v, want %v", tc.name, tc.got, tc.want)
		}
	}
}

func TestSamplesAreLeftAlone(t *testing.T) {
	x := []float64{3, 1, 2}
	Median(x)
	MedianBounds(x, 0.95)
	Spearman(x, x)
	if x[0] != 3 || x[1] != 1 || x[2] != 2 {
		t.Errorf("the samples were reordered: %v", x)
	}
}

func upTo(n int) []float64 {
	x := make([]float64, n)
	for i := range x {
		x[i] = float64(i + 1)
	}
	return x
}

func TestStudentT(t *testing.T) {
	if q := StudentT(0.95, 2); math.Abs(q-2.91999) > 1e-4 {
		t.Errorf("%v", q)
	}
}

func TestRobustDeviation(t *testing.T) {
	for _, tc := range []struct {
		name string
		x    []float64
		want float64
	}{
		{"none", nil, 0}, {"one", []float64{3}, 0}, {"equal", []float64{3, 3, 3}, 0},
		{"five", []float64{1, 2, 3, 4, 5}, 1.4826},
		{"two of them wild", []float64{1, 2, 3, 4000, -5000}, 1.4826},
	} {
		if got := RobustDeviation(tc.x); math.Abs(got-tc.want) > 1e-12 {
			t.Errorf("%s: %g: want %g", tc.name, got, tc.want)
		}
	}
}

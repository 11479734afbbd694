// SPDX-License-Identifier: Apache-2.0

// Package stats has the few statistics that measured times need. Nothing in it
// assumes a normal distribution unless its name says so: run times have heavy
// upper tails.
//
// Functions take their samples in any order and leave them as they are. They
// panic on no samples or on a probability outside 0…1, which are caller bugs.
package stats

import (
	"cmp"
	"fmt"
	"math"
	"slices"

	"gonum.org/v1/gonum/stat"
	"gonum.org/v1/gonum/stat/distuv"
)

// Quantile returns the p-quantile of x, 0 ≤ p ≤ 1: the smallest sample that at
// least a share p of the samples does not exceed.
func Quantile(x []float64, p float64) float64 {
	return stat.Quantile(p, stat.Empirical, sorted(x), nil)
}

// Median returns the middle sample of x, or the mean of the two in the middle.
func Median(x []float64) float64 {
	s := sorted(x)
	n := len(s)
	return s[(n-1)/2] + (s[n/2]-s[(n-1)/2])/2
}

// MedianBounds bounds the median of the distribution that x was drawn from by
// two samples, the k-th smallest and the k-th largest, with k as large as the
// confidence allows. The coverage is exact for independent draws of any
// continuous distribution: 1 − 2·P(B < k), B binomial (n, ½). It is below the
// confidence where there are too few samples (fewer than 6 at 95 %); the bounds
// are then the extremes.
func MedianBounds(x []float64, confidence float64) (lo, hi, coverage float64) {
	s := sorted(x)
	n := len(s)
	below := distuv.Binomial{N: float64(n), P: 0.5}
	cover := func(k int) float64 { return max(0, 1-2*below.CDF(float64(k-1))) }
	k := 1
	for k < (n+1)/2 && cover(k+1) >= confidence {
		k++
	}
	return s[k-1], s[n-k], cover(k)
}

// ConformalUpper returns a bound that the next draw stays under with at least
// this confidence, whatever the distribution, if it is exchangeable with x: the
// ⌈(n+1)·confidence⌉-th smallest sample. It returns +Inf where there are too few
// samples (fewer than 19 at 95 %).
// Source: Lei et al., Distribution-free predictive inference, 2018, §2.
func ConformalUpper(x []float64, confidence float64) float64 {
	s := sorted(x)
	// Rounding may leave the product just above the integer that it stands for,
	// which would take the next sample: 100·0.55 is 55.00000000000001.
	const rounding = 1e-9
	k := int(math.Ceil(float64(len(s)+1)*confidence - rounding))
	if k > len(s) {
		return math.Inf(1)
	}
	return s[max(k, 1)-1]
}

// Z returns the confidence-quantile of the standard normal distribution.
func Z(confidence float64) float64 { return distuv.UnitNormal.Quantile(confidence) }

// Spearman returns the rank correlation of a and b, with mean ranks for ties;
// NaN where all of a or all of b are equal. It panics if their lengths differ.
func Spearman(a, b []float64) float64 {
	return stat.Correlation(Ranks(a), Ranks(b), nil)
}

// Ranks returns the rank of each sample, from 1; equal samples share the mean of
// their ranks.
func Ranks(x []float64) []float64 {
	order := make([]int, len(x))
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(i, j int) int { return cmp.Compare(x[i], x[j]) })
	r := make([]float64, len(x))
	for from := 0; from < len(x); {
		to := from + 1
		for to < len(x) && x[order[to]] == x[order[from]] {
			to++
		}
		for _, i := range order[from:to] {
			r[i] = float64(from+1+to) / 2
		}
		from = to
	}
	return r
}

// Bias returns the mean of relative errors (see [RelativeErrors]).
func Bias(errors []float64) float64 { return stat.Mean(errors, nil) }

// MAPE returns the mean of the absolute values of relative errors, as a share:
// 0.05 is 5 %.
func MAPE(errors []float64) float64 {
	sum := 0.0
	for _, e := range errors {
		sum += math.Abs(e)
	}
	return sum / float64(len(errors))
}

// Within returns the share of errors in −p…p.
func Within(errors []float64, p float64) float64 {
	n := 0
	for _, e := range errors {
		if math.Abs(e) <= p {
			n++
		}
	}
	return float64(n) / float64(len(errors))
}

// RelativeErrors returns predicted / measured − 1 for each pair. It panics if the
// lengths differ.
func RelativeErrors(predicted, measured []float64) []float64 {
	if len(predicted) != len(measured) {
		panic(fmt.Sprintf("stats: %d predictions of %d measurements", len(predicted), len(measured)))
	}
	e := make([]float64, len(measured))
	for i := range e {
		e[i] = predicted[i]/measured[i] - 1
	}
	return e
}

// sorted returns a sorted copy of x.
func sorted(x []float64) []float64 {
	if len(x) == 0 {
		panic("stats: no samples")
	}
	return slices.Sorted(slices.Values(x))
}

// StudentT is the confidence-quantile of Student's t with this many degrees of
// freedom.
func StudentT(confidence, degrees float64) float64 {
	return distuv.StudentsT{Sigma: 1, Nu: degrees}.Quantile(confidence)
}

// ToDeviation is the standard deviation of a normal distribution by its median
// absolute deviation.
const ToDeviation = 1.4826

// RobustDeviation returns the standard deviation that x would have if it were
// normal, by its median absolute deviation: less than half of the values may be
// anything. It is 0 for fewer than two.
func RobustDeviation(x []float64) float64 {
	if len(x) < 2 {
		return 0
	}
	middle, away := Median(x), make([]float64, len(x))
	for i := range x {
		away[i] = math.Abs(x[i] - middle)
	}
	return ToDeviation * Median(away)
}

// MeanStdDev returns the mean of x and its sample standard deviation, which is 0 for
// fewer than two values.
func MeanStdDev(x []float64) (mean, deviation float64) {
	if len(x) < 2 {
		return stat.Mean(x, nil), 0
	}
	return stat.MeanStdDev(x, nil)
}

// SPDX-License-Identifier: Apache-2.0

// Package ridge fits linear regressions that know beforehand about how large
// their coefficients are, and that no single observation can spoil.
package ridge

import (
	"fmt"
	"math"

	"gonum.org/v1/gonum/mat"

	"github.com/edgenas/edgenas/internal/stats"
)

// Regression is a linear regression whose coefficients have a normal prior around
// 0, made robust: Huber's weights bound what a single observation does.
// Source: Huber, Robust Estimation of a Location Parameter, 1964; the prior as
// in Rasmussen and Williams, Gaussian Processes for Machine Learning, §2.1.
type Regression struct {
	Coefficients []float64
	Noise        float64 // standard deviation of an observation around the line

	x         [][]float64
	deviation []float64
	factor    mat.Cholesky // of the observations' covariance
}

const (
	huber    = 1.345 // residual, in standard deviations, from which a weight falls: 95 % efficient with normal noise
	rounds   = 50
	standsAt = 1e-4 // relative change of the noise at which the weights stand
)

// Fit regresses y on the rows of x. A coefficient has the prior standard
// deviation of its column, and is 0 where that is 0. An observation has its own
// standard deviation beside the noise that all have, which is no smaller than
// the floor. Fit panics if lengths differ, or if the floor is not above 0.
func Fit(x [][]float64, y, own, deviation []float64, floor float64) Regression {
	n := len(y)
	if len(x) != n || len(own) != n || n == 0 || !(floor > 0) {
		panic(fmt.Sprintf("ridge: fit of %d rows, %d observations, %d deviations, floor %g", len(x), n, len(own), floor))
	}
	r := Regression{x: x, deviation: deviation}
	prior := mat.NewSymDense(n, nil) // covariance of the observations by that of the coefficients
	for i := range n {
		if len(x[i]) != len(deviation) {
			panic(fmt.Sprintf("ridge: fit of %d columns with %d prior deviations", len(x[i]), len(deviation)))
		}
		for j := range i + 1 {
			prior.SetSym(i, j, r.covariance(x[i], x[j]))
		}
	}
	weights, residuals := make([]float64, n), make([]float64, n)
	for i := range weights {
		weights[i] = 1
	}
	covariance := mat.NewSymDense(n, nil)
	var solved, fitted mat.VecDense
	r.Noise = max(floor, stats.RobustDeviation(y))
	for range rounds {
		covariance.CopySym(prior)
		for i := range n {
			covariance.SetSym(i, i, prior.At(i, i)+(r.Noise*r.Noise+own[i]*own[i])/weights[i])
		}
		if !r.factor.Factorize(covariance) {
			panic("ridge: observations that are not finite")
		}
		// An error would say that the system is ill-conditioned: the floor of the noise bounds that.
		_ = r.factor.SolveVecTo(&solved, mat.NewVecDense(n, y))
		fitted.MulVec(prior, &solved)
		for i := range n {
			residuals[i] = math.Abs(y[i] - fitted.AtVec(i))
		}
		before := r.Noise
		r.Noise = max(floor, stats.ToDeviation*stats.Median(residuals))
		for i := range n {
			weights[i] = min(1, huber*math.Hypot(r.Noise, own[i])/max(residuals[i], floor))
		}
		if math.Abs(r.Noise-before) <= standsAt*before {
			break
		}
	}
	r.Coefficients = make([]float64, len(deviation))
	for k, d := range deviation {
		for i := range n {
			r.Coefficients[k] += d * d * x[i][k] * solved.AtVec(i)
		}
	}
	return r
}

// covariance is that of the sums a·β and b·β by the prior of β.
func (r *Regression) covariance(a, b []float64) float64 {
	sum := 0.0
	for k, d := range r.deviation {
		sum += a[k] * d * d * b[k]
	}
	return sum
}

// Deviation is the standard deviation of the sum row·β, as far as the
// observations leave it open.
func (r *Regression) Deviation(row []float64) float64 {
	n := len(r.x)
	with, solved := mat.NewVecDense(n, nil), mat.NewVecDense(n, nil)
	for i := range n {
		with.SetVec(i, r.covariance(r.x[i], row))
	}
	_ = r.factor.SolveVecTo(solved, with)
	return math.Sqrt(max(0, r.covariance(row, row)-mat.Dot(with, solved)))
}

// SPDX-License-Identifier: Apache-2.0

package ridge

import "gonum.org/v1/gonum/mat"

// LeastSquares is a regression of many observations that knows nothing beforehand:
// it returns the coefficients of the columns of x whose sums are the
// nearest to y; false: the columns depend on one another, or there are fewer rows
// than columns.
func LeastSquares(x [][]float64, y []float64) ([]float64, bool) {
	if len(x) == 0 || len(x) < len(x[0]) {
		return nil, false
	}
	rows := mat.NewDense(len(x), len(x[0]), nil)
	for i, row := range x {
		rows.SetRow(i, row)
	}
	var found mat.VecDense
	if err := found.SolveVec(rows, mat.NewVecDense(len(y), y)); err != nil {
		return nil, false
	}
	return found.RawVector().Data, true
}

// SPDX-License-Identifier: Apache-2.0

package kernels

import (
	"math"
	"slices"
	"testing"
)

// matrices multiplies x (m,k) and y (k,n).
func matrices(x, y []float64, m, k, n int) []float64 {
	z := make([]float64, m*n)
	for i := range m {
		for l := range k {
			for j := range n {
				z[i*n+j] += x[i*k+l] * y[l*n+j]
			}
		}
	}
	return z
}

func transposed(x []float64, rows, cols int) []float64 {
	y := make([]float64, len(x))
	for i := range rows {
		for j := range cols {
			y[j*rows+i] = x[i*cols+j]
		}
	}
	return y
}

// newtonSchulz is the five steps as they are written in the source.
func newtonSchulz(x []float64, rows, cols int) []float64 {
	x = slices.Clone(x)
	norm := math.Sqrt(SumSquares(x))
	for i := range x {
		x[i] /= norm
	}
	for range schulzSteps {
		gram := matrices(transposed(x, rows, cols), x, cols, rows, cols)
		once := matrices(x, gram, rows, cols, cols)
		twice := matrices(once, gram, rows, cols, cols)
		for i := range x {
			x[i] = schulzA*x[i] + schulzB*once[i] + schulzC*twice[i]
		}
	}
	return x
}

var orthogonalShapes = []struct {
	name       string
	rows, cols int
}{
	{"tall", 144, 16}, {"square", 32, 32}, {"wide", 9, 16}, {"a row", 1, 5}, {"a column", 7, 1}, {"one", 1, 1},
	{"images of colours", 27, 24}, {"odd", 45, 37}, {"expanding", 24, 72},
}

// TestOrthogonal follows the steps of the source in float64.
func TestOrthogonal(t *testing.T) {
	for _, c := range orthogonalShapes {
		t.Run(c.name, func(t *testing.T) {
			each(t, func(t *testing.T) {
				x := random[float32](1, c.rows*c.cols)
				want := newtonSchulz(convert[float64](x), c.rows, c.cols)
				k := &Orthogonal[float32]{Rows: c.rows, Cols: c.cols, X: x, Y: make([]float32, len(x))}
				k.Scratch = scratch[float32](k.ScratchLen(1))
				run(k)
				near(t, "Y", convert[float64](k.Y), want, 2e-3)
			})
		})
	}
	promises(t, func(threads int) (*Orthogonal[float32], [][]float32) {
		k := &Orthogonal[float32]{Rows: 96, Cols: 24, X: random[float32](1, 96*24), Y: make([]float32, 96*24)}
		k.Scratch = scratch[float32](k.ScratchLen(threads))
		return k, [][]float32{k.Y}
	})
}

// The rows or columns of Y, whichever are fewer, are nearly orthonormal: a vector
// keeps its length within 40 %.
func TestOrthogonalKeepsLengths(t *testing.T) {
	for _, c := range orthogonalShapes {
		t.Run(c.name, func(t *testing.T) {
			k := &Orthogonal[float64]{Rows: c.rows, Cols: c.cols, X: random[float64](2, c.rows*c.cols),
				Y: make([]float64, c.rows*c.cols)}
			k.Scratch = scratch[float64](k.ScratchLen(1))
			run(k)
			y, rows, cols := k.Y, c.rows, c.cols
			if rows < cols {
				y, rows, cols = transposed(y, rows, cols), cols, rows
			}
			gram := matrices(transposed(y, rows, cols), y, cols, rows, cols)
			mean := 0.0
			for i := range cols {
				mean += gram[i*cols+i] / float64(cols)
			}
			if mean < 0.6*0.6 || mean > 1.4*1.4 {
				t.Errorf("mean of squared singular values: %g", mean)
			}
		})
	}
}

func TestOrthogonalOfZero(t *testing.T) {
	k := &Orthogonal[float32]{Rows: 9, Cols: 4, X: make([]float32, 36), Y: random[float32](3, 36)}
	k.Scratch = scratch[float32](k.ScratchLen(1))
	run(k)
	if slices.Max(k.Y) != 0 || slices.Min(k.Y) != 0 {
		t.Errorf("%v: want zeros", k.Y)
	}
}

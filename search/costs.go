// SPDX-License-Identifier: Apache-2.0

package search

import (
	"fmt"

	"github.com/edgenas/edgenas/arch"
	"github.com/edgenas/edgenas/ops"
)

// Costs tells what a derived network costs.
type Costs interface {
	// Latency is the predicted latency of the network of choice c, in seconds.
	// It is an error if a part of it was not measured or failed.
	Latency(c arch.Choice) (float64, error)
}

// Matrix is the additive form of the costs that the expected latency is made
// of: a constant, and for each α the seconds that an operation (column) adds
// on an edge (row), summed over all cells that share the α.
type Matrix struct {
	FixedS  float64
	PerOpS  [][][]float64 // α, row, column; 0 for none
	noneCol []int         // α → column of none, or -1
}

// NewMatrix reads the matrix off the costs by one-edit differences: the
// reference is the choice with one convolution, the cheapest that has work, on
// every edge; an entry is what changes when one edge takes another operation,
// with skip_connect as the operation that adds nothing.
func NewMatrix(space arch.Space, costs Costs) (*Matrix, error) {
	alphas := space.Alphas()
	m := &Matrix{PerOpS: make([][][]float64, len(alphas)), noneCol: make([]int, len(alphas))}
	reference := make(arch.Choice, len(alphas))
	skip := make([]int, len(alphas))
	for i, a := range alphas {
		reference[i] = make([]int, len(a.Rows))
		m.noneCol[i], skip[i] = -1, -1
		ref := -1
		for col, op := range a.Ops {
			switch op {
			case ops.None:
				m.noneCol[i] = col
			case "skip_connect":
				skip[i] = col
			default:
				if ref < 0 {
					ref = col
				}
			}
		}
		if skip[i] < 0 || ref < 0 {
			return nil, fmt.Errorf("search: α %s: want skip_connect and another operation among %q", a.Name, a.Ops)
		}
		for row := range a.Rows {
			reference[i][row] = ref
		}
	}
	base, err := costs.Latency(reference)
	if err != nil {
		return nil, err
	}
	m.FixedS = base
	for i, a := range alphas {
		m.PerOpS[i] = make([][]float64, len(a.Rows))
		for row := range a.Rows {
			t := make([]float64, len(a.Ops))
			edit := reference.Clone()
			for col := range a.Ops {
				if col == m.noneCol[i] {
					continue
				}
				edit[i][row] = col
				if t[col], err = costs.Latency(edit); err != nil {
					return nil, err
				}
			}
			zero := t[skip[i]]
			for col := range t {
				if col != m.noneCol[i] {
					t[col] = max(0, t[col]-zero)
				}
			}
			m.FixedS -= t[reference[i][row]]
			m.PerOpS[i][row] = t
		}
	}
	return m, nil
}

// SPDX-License-Identifier: Apache-2.0

package search

import "github.com/edgenas/edgenas/arch"

// Expected computes the expected latency of the network derived from mixture
// weights p, a sum over the cost matrix:
//
//	E = fixed + Σ_e P(e)·Σ_{o≠none} P(o|e)·t_{e,o}
//
// P(e), the probability that the derived cell has edge e, follows how the space
// derives cells: by which edges are on a path from input to output
// (expected_live.go), or by which two each node keeps (expected_kept.go).
type Expected struct {
	fixedS float64
	cells  []cellExpectation
}

// cellExpectation is the part of the expectation that one α decides.
type cellExpectation interface {
	// value is the sum over the α's edges under its mixture weights p. It adds
	// scale times its gradient by p to grad, unless grad is nil.
	value(p, grad []float64, scale float64) float64
}

// NewExpected prepares the expectation for a space with this cost matrix.
func NewExpected(space arch.Space, m *Matrix) *Expected {
	e := &Expected{fixedS: m.FixedS}
	for i, cell := range space.Cells() {
		if cell.Keep == 0 {
			e.cells = append(e.cells, newLiveCell(cell.Edges, m.PerOpS[i], m.noneCol[i]))
		} else {
			e.cells = append(e.cells, &keptCell{nodes: cell.Incoming(), t: m.PerOpS[i], none: m.noneCol[i]})
		}
	}
	return e
}

// Value is the expected latency in seconds under the mixture weights p (α,
// row·columns+column). It adds scale times its gradient by p to grad, unless
// grad is nil.
func (e *Expected) Value(p, grad [][]float64, scale float64) float64 {
	total := e.fixedS
	for i, c := range e.cells {
		var g []float64
		if grad != nil {
			g = grad[i]
		}
		total += c.value(p[i], g, scale)
	}
	return total
}

// SPDX-License-Identifier: Apache-2.0

package search

import (
	"fmt"

	"github.com/edgenas/edgenas/arch"
)

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

// NewExpected prepares the expectation for a space with this cost matrix. It
// returns an error for cells with more edges than it can sum over.
func NewExpected(space arch.Space, m *Matrix) (*Expected, error) {
	e := &Expected{fixedS: m.FixedS}
	for i, cell := range space.Cells() {
		c, err := newCellExpectation(cell, m.PerOpS[i], m.noneCol[i])
		if err != nil {
			return nil, fmt.Errorf("search: α %s: %w", space.Alphas()[i].Name, err)
		}
		e.cells = append(e.cells, c)
	}
	return e, nil
}

func newCellExpectation(cell arch.Cell, t [][]float64, none int) (cellExpectation, error) {
	if cell.Keep == 0 {
		return newLiveCell(cell.Edges, t, none)
	}
	nodes := cell.Incoming()
	for _, rows := range nodes {
		if len(rows) > maxKeptEdges {
			return nil, fmt.Errorf("a node has %d edges: want at most %d", len(rows), maxKeptEdges)
		}
	}
	return &keptCell{nodes: nodes, t: t, none: none}, nil
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

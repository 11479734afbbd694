// SPDX-License-Identifier: Apache-2.0

package search

import "github.com/edgenas/edgenas/arch"

// Expected computes the expected latency of the network derived from mixture
// weights: each edge takes one operation by its own weights, and only edges
// on a path from the cell's input to its output count. With q_e the weight of
// none on edge e and R_e the probability that e would be alive if present,
//
//	E = fixed + Σ_e R_e·Σ_{o≠none} p_{e,o}·t_{e,o}
//
// R_e does not depend on q_e and is linear in every other q, so its derivative
// is a difference of two expectations. All sums run over the 2^edges patterns
// of present edges, tabulated once.
type Expected struct {
	matrix *Matrix
	cells  []cellPatterns
}

// cellPatterns tabulates liveness: bit e of live[s] is set if edge e would be
// alive in the pattern s, were it present there.
type cellPatterns struct {
	rows int
	live []uint32
	prob []float64 // scratch
}

// NewExpected prepares the expectation for a space with this cost matrix.
func NewExpected(space arch.Space, m *Matrix) *Expected {
	e := &Expected{matrix: m}
	for i, cell := range space.Cells() {
		edges := cell.Edges
		c := cellPatterns{rows: len(edges)}
		if m.noneCol[i] >= 0 {
			out := 0
			for _, edge := range edges {
				out = max(out, edge.To)
			}
			c.live = make([]uint32, 1<<len(edges))
			c.prob = make([]float64, 1<<len(edges))
			present, live := make([]bool, len(edges)), make([]bool, len(edges))
			for s := range c.live {
				for row := range edges {
					for other := range present {
						present[other] = s>>other&1 == 1 || other == row
					}
					arch.LiveInto(live, edges, out, present)
					if live[row] {
						c.live[s] |= 1 << row
					}
				}
			}
		}
		e.cells = append(e.cells, c)
	}
	return e
}

// Value is the expected latency in seconds under the mixture weights p (α,
// row·columns+column). It adds scale times its gradient by p to grad, unless
// grad is nil.
func (e *Expected) Value(p, grad [][]float64, scale float64) float64 {
	total := e.matrix.FixedS
	for i := range e.cells {
		var g []float64
		if grad != nil {
			g = grad[i]
		}
		total += e.cell(i, p[i], g, scale)
	}
	return total
}

func (e *Expected) cell(i int, p, grad []float64, scale float64) float64 {
	c, t, none := &e.cells[i], e.matrix.PerOpS[i], e.matrix.noneCol[i]
	cols := len(t[0])
	var sum [32]float64 // Σ_{o≠none} p·t of each edge
	for row := range c.rows {
		for col, s := range t[row] {
			if col != none {
				sum[row] += p[row*cols+col] * s
			}
		}
	}
	if none < 0 {
		total := 0.0
		for row := range c.rows {
			total += sum[row]
			for col, s := range t[row] {
				if grad != nil {
					grad[row*cols+col] += scale * s
				}
			}
		}
		return total
	}
	total := 0.0
	for row := range c.rows {
		alive := c.alive(row, -1, false, p, cols, none)
		total += alive * sum[row]
		if grad == nil {
			continue
		}
		for col, s := range t[row] {
			if col != none {
				grad[row*cols+col] += scale * alive * s
			}
		}
		for other := range c.rows {
			if other != row {
				with := c.alive(row, other, true, p, cols, none)
				without := c.alive(row, other, false, p, cols, none)
				grad[other*cols+none] += scale * sum[row] * (without - with)
			}
		}
	}
	return total
}

// alive is the probability that edge row would be alive if present; forced
// ≥ 0 fixes that edge as present or absent.
func (c *cellPatterns) alive(row, forced int, present bool, p []float64, cols, none int) float64 {
	var q [32]float64
	for e := range c.rows {
		q[e] = p[e*cols+none]
	}
	q[row] = 1 // absent from the patterns: its own presence is given
	if forced >= 0 {
		q[forced] = 1
		if present {
			q[forced] = 0
		}
	}
	// prob of patterns, built edge by edge
	c.prob[0] = 1
	for e := range c.rows {
		for s := 1 << e; s < 2<<e; s++ {
			c.prob[s] = c.prob[s-1<<e] * (1 - q[e])
		}
		for s := range 1 << e {
			c.prob[s] *= q[e]
		}
	}
	total := 0.0
	for s, live := range c.live {
		if live>>row&1 == 1 {
			total += c.prob[s]
		}
	}
	return total
}

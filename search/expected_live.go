// SPDX-License-Identifier: Apache-2.0

package search

import (
	"fmt"

	"github.com/edgenas/edgenas/arch"
)

// liveCell is a cell whose edges each take one operation by their own weights,
// and of which only the edges on a path from the input to the output count.
// With q_e the weight of none on edge e and R_e the probability that e would
// be alive if present,
//
//	E = Σ_e R_e·Σ_{o≠none} p_{e,o}·t_{e,o}
//
// R_e does not depend on q_e and is linear in every other q, so its derivative
// is a difference of two expectations. All sums run over the 2^edges patterns
// of present edges, tabulated once. Without none every edge is alive: R_e is 1.
type liveCell struct {
	t    [][]float64 // row, column
	none int         // column, or -1
	live []uint32    // bit e of live[s] is set if edge e would be alive in the pattern s, were it present there
	prob []float64   // scratch
	sum  []float64   // scratch: Σ_{o≠none} p·t of each edge
}

// maxLiveEdges bounds the edges of one cell: there are 2^edges patterns.
const maxLiveEdges = 16

func newLiveCell(edges []arch.Edge, t [][]float64, none int) (*liveCell, error) {
	c := &liveCell{t: t, none: none, sum: make([]float64, len(t))}
	if none < 0 {
		return c, nil
	}
	if len(edges) > maxLiveEdges {
		return nil, fmt.Errorf("a cell has %d edges that may be none: want at most %d", len(edges), maxLiveEdges)
	}
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
	return c, nil
}

func (c *liveCell) value(p, grad []float64, scale float64) float64 {
	cols, sum := len(c.t[0]), c.sum
	for row, t := range c.t {
		sum[row] = 0
		for col, s := range t {
			if col != c.none {
				sum[row] += p[row*cols+col] * s
			}
		}
	}
	total := 0.0
	for row, t := range c.t {
		alive := c.alive(row, -1, false, p)
		total += alive * sum[row]
		if grad == nil {
			continue
		}
		for col, s := range t {
			if col != c.none {
				grad[row*cols+col] += scale * alive * s
			}
		}
		if c.none < 0 {
			continue
		}
		for other := range c.t {
			if other != row {
				with := c.alive(row, other, true, p)
				without := c.alive(row, other, false, p)
				grad[other*cols+c.none] += scale * sum[row] * (without - with)
			}
		}
	}
	return total
}

// alive is the probability that edge row would be alive if present; forced
// ≥ 0 fixes that edge as present or absent.
func (c *liveCell) alive(row, forced int, present bool, p []float64) float64 {
	if c.none < 0 {
		return 1 // every edge is there
	}
	var q [maxLiveEdges]float64
	for e, t := range c.t {
		q[e] = p[e*len(t)+c.none]
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
	for e := range c.t {
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

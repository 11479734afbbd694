// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"math/rand/v2"

	"github.com/edgenas/edgenas/internal/autodiff"
	"github.com/edgenas/edgenas/ops"
)

// visit is the path of a step, by row and number of columns: over the steps,
// every operation comes equally often, as under a uniform α.
func (b benched) visit(step int) func(row, cols int) int {
	return func(row, cols int) int {
		return b.firstColumn + (step*b.columnsAStep+row)%(cols-b.firstColumn)
	}
}

// draw is a path drawn uniformly of all operations, as GDAS draws it under a
// uniform α.
func draw(rng *rand.Rand) func(row, cols int) int {
	return func(_, cols int) int { return rng.IntN(cols) }
}

// open opens one gate of each row.
func open(m *autodiff.Model[float32], column func(row, cols int) int) {
	for a := range m.Alphas() {
		x := m.Alpha(a)
		for row := range x.Rows {
			chosen := column(row, x.Cols)
			for col := range x.Cols {
				x.Open[row*x.Cols+col] = col == chosen
			}
		}
	}
}

// reached is the part of g that a step computes: what the output depends on
// through open gates.
func reached(g *ops.Graph, m *autodiff.Model[float32]) *ops.Graph {
	live := make([]bool, len(g.Nodes))
	live[g.Out] = true
	for i := len(g.Nodes) - 1; i >= 0; i-- {
		n := g.Nodes[i]
		for j, v := range n.In {
			if n.Kind == ops.Mix {
				x := m.Alpha(n.Alpha)
				if !x.Open[n.Gates[j].Row*x.Cols+n.Gates[j].Col] {
					continue
				}
			}
			live[v] = live[v] || live[i]
		}
	}
	h := &ops.Graph{Nodes: make([]ops.Node, len(g.Nodes)), Out: g.Out}
	for i, n := range g.Nodes {
		if !live[i] {
			n = ops.Node{Kind: ops.Zero, Name: n.Name, Shape: n.Shape}
		}
		h.Nodes[i] = n
	}
	return h
}

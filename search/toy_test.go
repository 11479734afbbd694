// SPDX-License-Identifier: Apache-2.0

package search

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/edgenas/edgenas/arch"
	"github.com/edgenas/edgenas/ops"
)

// toy is a space with edge selection that is small enough to try everything:
// two cells of two inputs and two inner nodes that keep two edges each. It
// builds no networks.
type toy struct{ arch.Space }

var (
	toyEdges = []arch.Edge{{From: 0, To: 2}, {From: 1, To: 2}, {From: 0, To: 3}, {From: 1, To: 3}, {From: 2, To: 3}}
	toyOps   = []string{ops.None, "max_pool_3x3", "skip_connect", "sep_conv_3x3"}
)

func (toy) Name() string { return "toy" }

func (toy) Alphas() []arch.Alpha {
	a := arch.Alpha{Ops: toyOps}
	for _, e := range toyEdges {
		a.Rows = append(a.Rows, fmt.Sprint(e))
	}
	b := a
	a.Name, b.Name = "normal", "reduce"
	return []arch.Alpha{a, b}
}

func (toy) Cells() []arch.Cell {
	c := arch.Cell{Edges: toyEdges, Inputs: 2, Keep: 2}
	return []arch.Cell{c, c}
}

func (t toy) Groups() []arch.Group {
	var groups []arch.Group
	for alpha := range 2 {
		for _, rows := range t.Cells()[alpha].Incoming() {
			g := arch.Group{Alpha: alpha, Rows: rows}
			for a := range rows {
				for b := range a {
					for x := 1; x < len(toyOps); x++ {
						for y := 1; y < len(toyOps); y++ {
							option := make([]int, len(rows))
							option[a], option[b] = x, y
							g.Options = append(g.Options, option)
						}
					}
				}
			}
			groups = append(groups, g)
		}
	}
	return groups
}

func (toy) Canonical(c arch.Choice) arch.Choice { return c.Clone() }
func (toy) Notation(c arch.Choice) string       { return fmt.Sprint(c) }

// Derive is DARTS': the two edges with the greatest weight beside none.
func (t toy) Derive(p [][]float64) arch.Choice {
	var c arch.Choice
	for i, cell := range t.Cells() {
		columns := make([]int, len(cell.Edges))
		weight := func(row int) float64 { return slices.Max(p[i][row*4+1 : row*4+4]) }
		for _, rows := range cell.Incoming() {
			slices.SortStableFunc(rows, func(a, b int) int {
				if weight(a) > weight(b) {
					return -1
				}
				return 1
			})
			for _, row := range rows[:2] {
				columns[row] = slices.Index(p[i][row*4:row*4+4], weight(row))
			}
		}
		c = append(c, columns)
	}
	return c
}

// edgeCosts price each edge that is not none by a table, plus a constant.
type edgeCosts struct {
	cells []arch.Cell
	fixed float64
	t     [][][]float64 // α, row, column
}

func (c edgeCosts) Latency(choice arch.Choice) (float64, error) {
	total := c.fixed
	for i, cell := range c.cells {
		for _, rows := range cell.Incoming() {
			kept := 0
			for _, row := range rows {
				col := choice[i][row]
				total += c.t[i][row][col]
				if col > 0 {
					kept++
				}
			}
			if cell.Keep > 0 && kept != cell.Keep {
				return 0, fmt.Errorf("%v: a node keeps %d edges", choice, kept)
			}
		}
	}
	return total, nil
}

// newEdgeCosts draws times; the further an operation stands in the list, the
// more it may take.
func newEdgeCosts(space arch.Space, rng *rand.Rand) edgeCosts {
	c := edgeCosts{cells: space.Cells(), fixed: 1e-3}
	for _, a := range space.Alphas() {
		var rows [][]float64
		for range a.Rows {
			t := make([]float64, len(a.Ops))
			size := 0.0
			for col, op := range a.Ops {
				if op != ops.None {
					size++
					t[col] = 1e-4 * size * size * rng.Float64()
				}
			}
			rows = append(rows, t)
		}
		c.t = append(c.t, rows)
	}
	return c
}

// mixtures draws mixture weights for every α of a space.
func mixtures(space arch.Space, rng *rand.Rand) (p [][]float64) {
	for _, a := range space.Alphas() {
		p = append(p, randomMixture(len(a.Rows), len(a.Ops), rng))
	}
	return p
}

func newDARTS(t testing.TB) arch.Space {
	t.Helper()
	s, err := arch.NewSpace("darts", arch.Size{Cells: 3, Channels: 2, Image: 8, Colours: 1, Classes: 3})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func newMBConv(t testing.TB, cells int) arch.Space {
	t.Helper()
	s, err := arch.NewSpace("mbconv", arch.Size{Cells: cells, Channels: 1, Image: 8, Colours: 1, Classes: 3})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

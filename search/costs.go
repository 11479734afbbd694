// SPDX-License-Identifier: Apache-2.0

package search

import (
	"fmt"
	"math"
	"slices"

	"github.com/edgenas/edgenas/arch"
	"github.com/edgenas/edgenas/ops"
)

// Costs predicts what a derived network costs.
type Costs interface {
	// Latency returns the predicted latency of the network of choice c, in
	// seconds. It returns [arch.ErrDead] for a choice that is no network, and
	// another error if a part of it was not measured or failed.
	Latency(c arch.Choice) (float64, error)
}

// Matrix is the additive form of the costs that the expected latency is made
// of: a constant, and for each α the seconds that an operation (column) adds
// on an edge (row), summed over all cells that share the α. Where nodes keep
// two edges, only the sum of both entries has a meaning: any time may be on
// one edge as well as on the other, or in the constant.
type Matrix struct {
	FixedS  float64
	PerOpS  [][][]float64 // α, row, column; 0 for none
	noneCol []int         // α → column of none, or -1
}

// NewMatrix reads the matrix off the costs by one-edit differences from a
// reference, the choice with one convolution or pool, the first among the
// operations, on every edge, or on the first two edges of each node that keeps
// two.
func NewMatrix(space arch.Space, costs Costs) (*Matrix, error) {
	cells := space.Cells()
	m := &Matrix{PerOpS: make([][][]float64, len(cells)), noneCol: make([]int, len(cells))}
	r := reader{costs: costs, choice: make(arch.Choice, len(cells))}
	working := make([]int, len(cells)) // the reference operation of each α
	for i, a := range space.Alphas() {
		m.noneCol[i], working[i] = -1, -1
		for col, op := range a.Ops {
			switch {
			case op == ops.None:
				m.noneCol[i] = col
			case op != ops.SkipConnect && working[i] < 0:
				working[i] = col
			}
		}
		if working[i] < 0 {
			return nil, fmt.Errorf("search: α %s: want an operation that works among %q", a.Name, a.Ops)
		}
		r.choice[i] = make([]int, len(a.Rows))
		for row := range r.choice[i] {
			r.choice[i][row] = working[i]
		}
		if cells[i].Keep == 0 {
			continue
		}
		if cells[i].Keep != 2 || m.noneCol[i] < 0 {
			return nil, fmt.Errorf("search: α %s: nodes keep %d edges, operations are %q: want 2 and none among them",
				a.Name, cells[i].Keep, a.Ops)
		}
		for _, rows := range cells[i].Incoming() {
			if len(rows) < 2 {
				return nil, fmt.Errorf("search: α %s: a node has %d edge and keeps 2", a.Name, len(rows))
			}
			for _, row := range rows[2:] {
				r.choice[i][row] = m.noneCol[i]
			}
		}
	}
	var err error
	if r.base, err = costs.Latency(r.choice); err != nil {
		return nil, err
	}
	m.FixedS = r.base
	for i, a := range space.Alphas() {
		m.PerOpS[i] = make([][]float64, len(a.Rows))
		for row := range a.Rows {
			m.PerOpS[i][row] = make([]float64, len(a.Ops))
		}
		if cells[i].Keep == 0 {
			err = m.readEdges(i, working[i], a, r)
		} else {
			err = m.readPairs(i, working[i], cells[i], r)
		}
		if err != nil {
			return nil, err
		}
	}
	return m, nil
}

// reader reads what edits of a reference cost.
type reader struct {
	costs  Costs
	choice arch.Choice // the reference
	base   float64     // its latency
}

// with returns the latency of the reference with these columns in some rows of α i.
func (r reader) with(i int, columns map[int]int) (float64, error) {
	edit := r.choice.Clone()
	for row, col := range columns {
		edit[i][row] = col
	}
	return r.costs.Latency(edit)
}

// readEdges reads the entries of an α whose edges are decided one by one.
// skip_connect adds nothing, or where it is not among the operations, the one
// of the reference. An edge that is always there may add less than nothing,
// since the constant makes up for it.
func (m *Matrix) readEdges(i, working int, a arch.Alpha, r reader) error {
	zero, least := slices.Index(a.Ops, ops.SkipConnect), 0.0
	if m.noneCol[i] < 0 {
		least = math.Inf(-1)
	}
	switch {
	case zero < 0 && m.noneCol[i] >= 0:
		return fmt.Errorf("search: α %s: want skip_connect among %q", a.Name, a.Ops)
	case zero < 0:
		zero = working
	}
	for row, t := range m.PerOpS[i] {
		base, err := r.with(i, map[int]int{row: zero})
		if err != nil {
			return err
		}
		for col := range t {
			if col == m.noneCol[i] {
				continue
			}
			s, err := r.with(i, map[int]int{row: col})
			if err != nil {
				return err
			}
			t[col] = max(least, s-base)
		}
		m.FixedS -= t[working]
	}
	return nil
}

// readPairs reads the entries of an α whose nodes keep two edges, a and b in
// the reference. The entry of any other edge is what changes when it takes b's
// place, less what a adds; the entries of a are read likewise, in b's company.
// What tells a and b apart, the reference operation on both, shows beside a
// third edge.
func (m *Matrix) readPairs(i, working int, cell arch.Cell, r reader) error {
	for _, rows := range cell.Incoming() {
		pair := func(e, col, beside int) (float64, error) {
			columns := map[int]int{}
			for _, row := range rows {
				columns[row] = m.noneCol[i]
			}
			columns[e], columns[beside] = col, working
			s, err := r.with(i, columns)
			return s - r.base, err
		}
		a, b := rows[0], rows[1]
		ta := 0.0 // entry of the reference operation on a; that on b is −ta, as together they are the reference
		if len(rows) > 2 {
			besideA, err := pair(rows[2], working, a)
			if err != nil {
				return err
			}
			besideB, err := pair(rows[2], working, b)
			if err != nil {
				return err
			}
			ta = (besideA - besideB) / 2
		}
		for _, e := range rows {
			beside, t := a, ta
			if e == a {
				beside, t = b, -ta
			}
			for col := range m.PerOpS[i][e] {
				if col == m.noneCol[i] {
					continue
				}
				s, err := pair(e, col, beside)
				if err != nil {
					return err
				}
				m.PerOpS[i][e][col] = s - t
			}
		}
	}
	return nil
}

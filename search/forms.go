// SPDX-License-Identifier: Apache-2.0

package search

import (
	"fmt"
	"iter"
	"slices"
	"strconv"
	"strings"

	"github.com/edgenas/edgenas/arch"
	"github.com/edgenas/edgenas/ops"
)

// forms writes choices in a form that is the same for all choices whose
// networks compute the same: skip_connect is the identity, edges that do not
// reach the output are none, sums commute, and an operation with nothing to
// learn gives the same wherever it is applied to the same. A convolution that
// two paths share differs from two convolutions. Cells whose nodes keep a
// number of edges are taken as they are written.
type forms []*cellForm // of each α

// newForms prepares the forms of a space.
func newForms(space arch.Space) forms {
	var f forms
	for i, a := range space.Alphas() {
		f = append(f, newCellForm(space.Cells()[i], a.Ops))
	}
	return f
}

// of returns the form of a choice.
func (f forms) of(c arch.Choice) string {
	var parts []string
	for i, cell := range f {
		parts = append(parts, cell.of(c[i]))
	}
	return strings.Join(parts, "\n")
}

// work returns how many operations a choice does, and how many edges pass
// something on: both count edges that do not reach the output, too.
func (f forms) work(c arch.Choice) (operations, edges int) {
	for i, cell := range f {
		for _, col := range c[i] {
			if col != cell.none {
				edges++
				if col != cell.skip {
					operations++
				}
			}
		}
	}
	return operations, edges
}

// cellForm writes the edges of one α.
type cellForm struct {
	keep       bool    // nodes keep a number of edges
	nodes      []int   // in order
	incoming   [][]int // rows of the edges into each node; none: the node is an input
	outputs    []int   // nodes from which no edge leads on
	edges      []arch.Edge
	none, skip int    // columns, or −1
	learns     []bool // columns
}

func newCellForm(cell arch.Cell, names []string) *cellForm {
	f := &cellForm{keep: cell.Keep > 0, edges: cell.Edges,
		none: slices.Index(names, ops.None), skip: slices.Index(names, ops.SkipConnect)}
	if f.keep {
		return f
	}
	for _, name := range names {
		f.learns = append(f.learns, learns(ops.ByName(name)))
	}
	for _, e := range cell.Edges {
		f.nodes = append(f.nodes, e.From, e.To)
	}
	slices.Sort(f.nodes)
	f.nodes = slices.Compact(f.nodes)
	for _, node := range f.nodes {
		var rows []int
		output := true
		for row, e := range cell.Edges {
			if e.To == node {
				rows = append(rows, row)
			}
			output = output && e.From != node
		}
		f.incoming = append(f.incoming, rows)
		if output {
			f.outputs = append(f.outputs, node)
		}
	}
	return f
}

// learns reports whether an operation has parameters.
func learns(op ops.Op) bool {
	const least = 8 // an image with room for every operation
	b, x := ops.NewBuilder(ops.Shape{N: 1, C: 1, H: least, W: least})
	g, err := b.Finish(op.Build(b, x, ops.Config{Channels: 1, Stride: 1}))
	return err == nil && g.Count().Params > 0
}

// of writes each output as the sum of its terms. Convolutions that would be
// written alike are numbered, in the way that makes the text the least.
func (f *cellForm) of(columns []int) string {
	if f.keep {
		return fmt.Sprint(columns)
	}
	numbers := make([]int, len(columns))
	text, terms := f.write(columns, numbers)
	var several [][]int // rows whose terms are written alike
	for row, term := range terms {
		if term == "" || !f.learns[columns[row]] || slices.Index(terms, term) < row {
			continue
		}
		rows := []int{row}
		for other := row + 1; other < len(terms); other++ {
			if terms[other] == term {
				rows = append(rows, other)
			}
		}
		if len(rows) > 1 {
			several = append(several, rows)
		}
	}
	if len(several) == 0 {
		return text
	}
	return f.least(columns, numbers, several)
}

// least returns the least text over all ways to number the rows of each of
// several lists.
func (f *cellForm) least(columns, numbers []int, several [][]int) string {
	if len(several) == 0 {
		text, _ := f.write(columns, numbers)
		return text
	}
	rows, least := several[0], ""
	for order := range permutations(len(rows)) {
		for i, row := range rows {
			numbers[row] = order[i]
		}
		if text := f.least(columns, numbers, several[1:]); least == "" || text < least {
			least = text
		}
	}
	return least
}

// write returns the text of the cell, and that of the term of each row that is
// an operation on something.
func (f *cellForm) write(columns, numbers []int) (text string, terms []string) {
	sums := make([][]string, f.nodes[len(f.nodes)-1]+1) // terms of each node
	terms = make([]string, len(columns))
	for i, node := range f.nodes {
		if len(f.incoming[i]) == 0 {
			sums[node] = []string{strconv.Itoa(node)}
		}
		for _, row := range f.incoming[i] {
			col, source := columns[row], sums[f.edges[row].From]
			switch {
			case col == f.none || len(source) == 0:
			case col == f.skip:
				sums[node] = append(sums[node], source...)
			default:
				terms[row] = strconv.Itoa(col) + "." + strconv.Itoa(numbers[row]) + "(" + strings.Join(source, "+") + ")"
				sums[node] = append(sums[node], terms[row])
			}
		}
		slices.Sort(sums[node])
	}
	var outputs []string
	for _, node := range f.outputs {
		outputs = append(outputs, strings.Join(sums[node], "+"))
	}
	return strings.Join(outputs, " "), terms
}

// permutations yields the orders of 0…n−1, each valid until the next.
func permutations(n int) iter.Seq[[]int] {
	return func(yield func([]int) bool) {
		order := make([]int, n)
		for i := range order {
			order[i] = i
		}
		var place func(i int) bool
		place = func(i int) bool {
			if i == n {
				return yield(order)
			}
			for j := i; j < n; j++ {
				order[i], order[j] = order[j], order[i]
				more := place(i + 1)
				order[i], order[j] = order[j], order[i]
				if !more {
					return false
				}
			}
			return true
		}
		place(0)
	}
}

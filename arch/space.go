// SPDX-License-Identifier: Apache-2.0

package arch

import (
	"fmt"
	"iter"
	"slices"

	"github.com/edgenas/edgenas/ops"
)

// Size holds the parameters that every space has.
type Size struct {
	Cells    int `json:"cells"`    // nb201: cells a stage; darts: cells in all; mbconv: blocks a stage
	Channels int `json:"channels"` // of the first stage
	Image    int `json:"image"`    // rows and columns of a square image
	Colours  int `json:"colours"`  // channels of an image: 1 to 16; the data sets have 1 or 3
	Classes  int `json:"classes"`
}

// maxChannels is the most channels of a first stage.
const maxChannels = 1024

// check bounds a size, so that no file can ask for a network beyond reason.
func (s Size) check(minCells, minImage int) error {
	for _, p := range []struct {
		name         string
		n, low, high int
	}{
		{"cells", s.Cells, minCells, 100}, {"channels", s.Channels, 1, maxChannels}, {"image", s.Image, minImage, 1024},
		{"colours", s.Colours, 1, 16}, {"classes", s.Classes, 2, 100_000},
	} {
		if p.n < p.low || p.n > p.high {
			return fmt.Errorf("arch: size: %s %d: want %d to %d", p.name, p.n, p.low, p.high)
		}
	}
	return nil
}

// input returns the shape of a batch of images.
func (s Size) input(batch int) ops.Shape {
	return ops.Shape{N: batch, C: s.Colours, H: s.Image, W: s.Image}
}

// Alpha describes one matrix of mixture weights: a row for each decision, a
// column for each operation.
type Alpha struct {
	Name string
	Rows []string // decisions, for example "2<-1": the edge from node 1 to node 2
	Ops  []string // operations, the columns
}

// Choice holds, for each α, the column chosen in each row.
type Choice [][]int

// Clone returns a deep copy.
func (c Choice) Clone() Choice {
	d := make(Choice, len(c))
	for i := range c {
		d[i] = slices.Clone(c[i])
	}
	return d
}

// Equal reports whether two choices are the same.
func (c Choice) Equal(d Choice) bool {
	return slices.EqualFunc(c, d, func(a, b []int) bool { return slices.Equal(a, b) })
}

// Group is a part of a choice that is decided as a whole.
type Group struct {
	Alpha   int     // index of the α
	Rows    []int   // of that α
	Options [][]int // the columns that the rows may take together
}

// Set makes option o of the group part of c.
func (g Group) Set(c Choice, o int) {
	for i, row := range g.Rows {
		c[g.Alpha][row] = g.Options[o][i]
	}
}

// Cell is the graph of which each row of an α decides an edge.
type Cell struct {
	Edges  []Edge // of each row
	Inputs int    // nodes 0 to Inputs−1 are the cell's inputs
	// Keep is the number of incoming edges that each inner node keeps; the
	// others are none, and all inner nodes are outputs. 0: each edge is
	// decided by itself, the last node is the output, and an edge counts only
	// if it is on a path to it.
	Keep int
}

// Incoming lists the rows of the edges into each node, node by node.
func (c Cell) Incoming() [][]int {
	var nodes [][]int
	at := map[int]int{} // node → index
	for row, e := range c.Edges {
		n, known := at[e.To]
		if !known {
			n, at[e.To] = len(nodes), len(nodes)
			nodes = append(nodes, nil)
		}
		nodes[n] = append(nodes[n], row)
	}
	return nodes
}

// First returns the choice of each group's first option.
func First(s Space) Choice {
	c := make(Choice, len(s.Alphas()))
	for i, a := range s.Alphas() {
		c[i] = make([]int, len(a.Rows))
	}
	for _, g := range s.Groups() {
		g.Set(c, 0)
	}
	return c
}

// All yields every choice of a space once, in a fixed order: the last group
// changes fastest.
func All(s Space) iter.Seq[Choice] {
	return func(yield func(Choice) bool) {
		groups, c := s.Groups(), First(s)
		at := make([]int, len(groups))
		for {
			if !yield(c.Clone()) {
				return
			}
			i := len(groups) - 1
			for ; i >= 0 && at[i] == len(groups[i].Options)-1; i-- {
				at[i] = 0
				groups[i].Set(c, 0)
			}
			if i < 0 {
				return
			}
			at[i]++
			groups[i].Set(c, at[i])
		}
	}
}

// Space is a search space of one size. Network and Training return an error for
// a choice that does not have one column for each row of the space's α.
// Canonical and Notation take only a choice that does, such as First, All,
// Parse, Derive and Read return, and may panic for any other.
type Space interface {
	// Name returns the space's name in the literature.
	Name() string
	// Size returns what the space was made with.
	Size() Size
	// Alphas describes the search's variables.
	Alphas() []Alpha
	// Supernet returns the network of all choices at once, for training: each
	// decision is a term of a Mix, batch norms inside cells are not affine.
	Supernet(batch int) (*ops.Graph, error)
	// Network returns the network of one choice in training form, without dead
	// edges. It returns ErrDead if the cell's input does not reach its output,
	// and ErrEdges if a node keeps too few or too many edges.
	Network(c Choice, batch int) (*ops.Graph, error)
	// Canonical returns c with its dead edges removed: choices that build the
	// same network compare equal.
	Canonical(c Choice) Choice
	// Training returns Network with what only training from scratch needs
	// beside it, such as an auxiliary head (see [ops.Graph]). The parameters of
	// Network have the same names in both.
	Training(c Choice, batch int) (*ops.Graph, error)
	// Groups lists the parts that a choice is made of: one option of each.
	// The costs of options of different groups add up, except where runtimes
	// merge operations across groups.
	Groups() []Group
	// Cells returns, for each α, the cell whose edges its rows decide.
	Cells() []Cell
	// Derive returns the literature's discretisation of the mixture weights p
	// (α, row·columns+column), whatever it costs. Network may return ErrDead for it.
	Derive(p [][]float64) Choice
	// Notation writes a choice as the literature does; Parse reads it.
	Notation(c Choice) string
	Parse(text string) (Choice, error)
}

// Spaces lists the search spaces. Append only.
var Spaces = []struct {
	Name    string
	Default Size // of the main job: embedded images
	New     func(Size) (Space, error)
	sizes   sizes
}{
	{"nb201", Size{Cells: 5, Channels: 24, Image: 28, Colours: 1, Classes: 10}, newNB201, nb201Sizes},
	{"darts", Size{Cells: 8, Channels: 16, Image: 28, Colours: 1, Classes: 10}, newDARTS, dartsSizes},
	{"mbconv", Size{Cells: 3, Channels: 12, Image: 28, Colours: 1, Classes: 10}, newMBConv, mbconvSizes},
}

// NewSpace makes the space with this name.
func NewSpace(name string, s Size) (Space, error) {
	var known []string
	for _, sp := range Spaces {
		if sp.Name == name {
			return sp.New(s)
		}
		known = append(known, sp.Name)
	}
	return nil, fmt.Errorf("arch: space %q: unknown; known are %q", name, known)
}

// checkChoice returns an error unless c has one column for each row of the α.
func checkChoice(alphas []Alpha, c Choice) error {
	if len(c) != len(alphas) {
		return fmt.Errorf("arch: choice for %d α: want %d", len(c), len(alphas))
	}
	for i, a := range alphas {
		if len(c[i]) != len(a.Rows) {
			return fmt.Errorf("arch: choice for α %s has %d rows: want %d", a.Name, len(c[i]), len(a.Rows))
		}
		for row, col := range c[i] {
			if col < 0 || col >= len(a.Ops) {
				return fmt.Errorf("arch: choice for α %s, row %s: column %d of %d", a.Name, a.Rows[row], col, len(a.Ops))
			}
		}
	}
	return nil
}

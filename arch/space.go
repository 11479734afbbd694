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
	Cells    int `json:"cells"`    // cells a stage
	Channels int `json:"channels"` // of the first stage
	Image    int `json:"image"`    // rows and columns of a square image
	Colours  int `json:"colours"`  // channels of an image: 1 or 3
	Classes  int `json:"classes"`
}

// check bounds a size, so that no file can ask for a network beyond reason.
func (s Size) check(minImage int) error {
	for _, p := range []struct {
		name         string
		n, low, high int
	}{
		{"cells", s.Cells, 1, 100}, {"channels", s.Channels, 1, 1024}, {"image", s.Image, minImage, 1024},
		{"colours", s.Colours, 1, 16}, {"classes", s.Classes, 2, 100_000},
	} {
		if p.n < p.low || p.n > p.high {
			return fmt.Errorf("arch: size: %s %d: want %d to %d", p.name, p.n, p.low, p.high)
		}
	}
	return nil
}

// input is the shape of a batch of images.
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

// Clone is a deep copy.
func (c Choice) Clone() Choice {
	d := make(Choice, len(c))
	for i := range c {
		d[i] = slices.Clone(c[i])
	}
	return d
}

// Equal says whether two choices are the same.
func (c Choice) Equal(d Choice) bool {
	return slices.EqualFunc(c, d, func(a, b []int) bool { return slices.Equal(a, b) })
}

// Space is a search space of one size. Methods that take a choice return an
// error for one that does not fit the space's α.
type Space interface {
	// Name is the space's name in the literature.
	Name() string
	// Size is what the space was made with.
	Size() Size
	// Alphas describes the search's variables.
	Alphas() []Alpha
	// Supernet is the network of all choices at once, for training: each
	// decision is a term of a Mix, batch norms inside cells are not affine.
	Supernet(batch int) (*ops.Graph, error)
	// Network is the network of one choice in training form, without dead
	// edges. A choice whose input does not reach its output is ErrDead.
	Network(c Choice, batch int) (*ops.Graph, error)
	// Canonical is c with its dead edges removed: choices that build the same
	// network compare equal.
	Canonical(c Choice) Choice
	// All yields every choice once, in a fixed order.
	All() iter.Seq[Choice]
	// Edges lists, for each α, the edge of the cell that each row stands for.
	// They tell which decisions are alive where others are none.
	Edges() [][]Edge
	// Notation writes a choice as the literature does, and Parse reads it.
	Notation(c Choice) string
	Parse(text string) (Choice, error)
}

// Spaces lists the search spaces. Append only.
var Spaces = []struct {
	Name    string
	Default Size // of the main job: embedded images
	New     func(Size) (Space, error)
}{
	{"nb201", Size{Cells: 5, Channels: 24, Image: 28, Colours: 1, Classes: 10}, newNB201},
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

// SPDX-License-Identifier: Apache-2.0

package compare

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/edgenas/edgenas/arch"
)

// cell is what anybody could take without a search.
type cell struct {
	name     string
	notation string // empty: the reference network of the space
}

// cells lists the cells of the spaces of which simple ones are known.
var cells = map[string][]cell{
	"nb201": {
		{"empty", "|none~0|+|none~0|none~1|+|skip_connect~0|none~1|none~2|"},
		{"residual", ""},
		{"most parameters", "|nor_conv_3x3~0|+|nor_conv_3x3~0|nor_conv_3x3~1|" +
			"+|nor_conv_3x3~0|nor_conv_3x3~1|nor_conv_3x3~2|"},
	},
}

// cellsOf lists the simple cells of a space.
func cellsOf(space string) ([]cell, error) {
	c, ok := cells[space]
	if !ok {
		var known []string
		for name := range cells {
			known = append(known, name)
		}
		slices.Sort(known)
		return nil, fmt.Errorf("compare: space %q: no simple cells are known of it, only of %s", space,
			strings.Join(known, ", "))
	}
	return c, nil
}

// at is the cell's network of a size.
func (c cell) at(space string, size arch.Size) (a arch.Architecture, err error) {
	if a.Space, err = arch.NewSpace(space, size); err != nil {
		return a, err
	}
	a.Choice = arch.Reference(a.Space)
	if c.notation != "" {
		a.Choice, err = a.Space.Parse(c.notation)
	}
	return a, err
}

// architecture is a cell's network by its name.
func architecture(space, name string, size arch.Size) (none arch.Architecture, err error) {
	all, err := cellsOf(space)
	if err != nil {
		return none, err
	}
	for _, c := range all {
		if c.name == name {
			return c.at(space, size)
		}
	}
	return none, fmt.Errorf("compare: cell %q: there is no such cell of %s", name, space)
}

// rung is a size of a cell's ladder.
type rung struct {
	size arch.Size
	macs float64 // of the cell's network
}

// ladder lists sizes of the space in the order of what the cell's networks cost,
// one of those that cost the same.
func (c cell) ladder(space string, base arch.Size) ([]rung, error) {
	sizes, err := arch.Ladder(space, base)
	if err != nil {
		return nil, err
	}
	var rungs []rung
	for _, size := range sizes {
		a, err := c.at(space, size)
		if err != nil {
			return nil, err
		}
		g, err := a.Network(1)
		if err != nil {
			return nil, err
		}
		rungs = append(rungs, rung{size, float64(g.Count().MACs)})
	}
	slices.SortStableFunc(rungs, func(a, b rung) int { return cmp.Compare(a.macs, b.macs) })
	return slices.CompactFunc(rungs, func(a, b rung) bool { return a.macs == b.macs }), nil
}

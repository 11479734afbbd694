// SPDX-License-Identifier: Apache-2.0

package arch

import "errors"

// ErrDead says that no path leads from a cell's input to its output. Such a
// choice is not a network, costs nothing, and is never feasible.
var ErrDead = errors.New("arch: the cell's input does not reach its output")

// Edge is an edge of a cell, from an earlier node to a later one. Node 0 is
// the cell's input.
type Edge struct{ From, To int }

// Live marks the edges on a path from node 0 to node out, given which edges
// are present. An absent or unreachable edge is dead; if all are, the cell is.
func Live(edges []Edge, out int, present []bool) []bool {
	live := make([]bool, len(edges))
	LiveInto(live, edges, out, present)
	return live
}

// LiveInto does what Live does without allocation, for at most 64 nodes.
func LiveInto(live []bool, edges []Edge, out int, present []bool) {
	reached, needed := uint64(1), uint64(1)<<out
	for range edges { // edges may stand in any order: repeat until nothing is new
		for i, e := range edges {
			if !present[i] {
				continue
			}
			reached |= reached >> e.From & 1 << e.To
			needed |= needed >> e.To & 1 << e.From
		}
	}
	for i, e := range edges {
		live[i] = present[i] && reached>>e.From&1 == 1 && needed>>e.To&1 == 1
	}
}

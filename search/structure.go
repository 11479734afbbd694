// SPDX-License-Identifier: Apache-2.0

package search

import (
	"math"

	"github.com/edgenas/edgenas/internal/stats"
	"github.com/edgenas/edgenas/ops"
)

// Structure is what a network is before it is trained.
type Structure struct {
	Params   int64 `json:"params"`   // learned values
	MACs     int64 `json:"macs"`     // multiply-accumulates for the graph's batch
	Depth    int   `json:"depth"`    // most convolutions on a path from the images to the output
	Shortcut int   `json:"shortcut"` // fewest
}

// StructureOf returns the structure of a network in training form.
func StructureOf(g *ops.Graph) Structure {
	count := g.Count()
	deepest, shortest := make([]int, len(g.Nodes)), make([]int, len(g.Nodes))
	for i, n := range g.Nodes {
		for j, v := range n.In {
			deepest[i] = max(deepest[i], deepest[v])
			if j == 0 || shortest[v] < shortest[i] {
				shortest[i] = shortest[v]
			}
		}
		if n.Kind == ops.Conv {
			deepest[i]++
			shortest[i]++
		}
	}
	return Structure{count.Params, count.MACs, deepest[g.Out], shortest[g.Out]}
}

// Capacity is the logarithm of parameters times depth. Of networks of a size that
// come to the same loss in a short training, the one with the greater capacity is
// better after a long one ([Further]; docs/SEARCH.md compares it with trainings).
func (s Structure) Capacity() float64 {
	return math.Log(float64(max(1, s.Params)) * float64(max(1, s.Depth)))
}

// Prior scores networks by structure alone, each beside all the others: the sum
// of its ranks by parameters, by depth, and by how few convolutions its shortest
// path has. Ranks run from 0 to 1, and networks that are equal share theirs. The
// last one counts half, since a shortcut makes short trainings better and long
// ones hardly (docs/SEARCH.md), so that a score is 0…2.5. It says which networks
// to look at first: under a limit of the latency, accuracy tends to grow with each
// of the three.
func Prior(networks []Structure) []float64 {
	scores := make([]float64, len(networks))
	last := float64(max(1, len(networks)-1))
	for _, by := range []struct {
		weight float64
		value  func(Structure) float64
	}{
		{1, func(s Structure) float64 { return float64(s.Params) }},
		{1, func(s Structure) float64 { return float64(s.Depth) }},
		{0.5, func(s Structure) float64 { return -float64(s.Shortcut) }},
	} {
		values := make([]float64, len(networks))
		for i, n := range networks {
			values[i] = by.value(n)
		}
		for i, rank := range stats.Ranks(values) {
			scores[i] += float64(by.weight * (rank - 1) / last) // no fused multiply-add
		}
	}
	return scores
}

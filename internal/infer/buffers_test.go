// SPDX-License-Identifier: Apache-2.0

package infer

import (
	"testing"

	"github.com/edgenas/edgenas/internal/arena"
	"github.com/edgenas/edgenas/ops"
	"github.com/edgenas/edgenas/ops/opstest"
)

// lowerBound is the most that is alive at one step: no arena can be smaller.
func lowerBound(lives []arena.Span) int {
	most := 0
	for _, at := range lives {
		alive := 0
		for _, l := range lives {
			if l.First <= at.First && at.First <= l.Last {
				alive += (l.Len + arena.Align - 1) / arena.Align * arena.Align
			}
		}
		most = max(most, alive)
	}
	return most
}

// Networks have few buffers at once, so that the plan is as small as can be.
func TestPlaceNetworks(t *testing.T) {
	for _, notation := range []string{mixed, genotype,
		"|nor_conv_3x3~0|+|nor_conv_3x3~0|nor_conv_3x3~1|+|nor_conv_3x3~0|nor_conv_3x3~1|nor_conv_3x3~2|"} {
		g, _ := network(t, notation, 1)
		b := planBuffers(ops.Fuse(g))
		_, total := arena.Place(b.lives, nil)
		if least := lowerBound(b.lives); total != least {
			t.Errorf("%s: arena of %d where %d are alive at once", notation, total, least)
		}
		if peak := int(g.Count().PeakBytes / 4); total > peak {
			t.Errorf("%s: arena of %d: want at most %d, which the trained form needs", notation, total, peak)
		}
	}
}

// TestBuffers checks on every network of the compliance suite that nothing
// writes over what is still to be read.
func TestBuffers(t *testing.T) {
	shared := 0
	shape := ops.Shape{N: 1, C: 4, H: 2, W: 2}
	late := &ops.Graph{Nodes: []ops.Node{ // the second input stands after a node
		{Kind: ops.Input, Name: "a", Shape: shape},
		{Kind: ops.ReLU, Name: "relu", In: []ops.Value{0}, Shape: shape},
		{Kind: ops.Input, Name: "b", Shape: shape},
		{Kind: ops.Add, Name: "end", In: []ops.Value{1, 2}, Shape: shape},
	}, Out: 3}
	cases := append(opstest.Cases(), opstest.Case{Name: "late input", Graph: late})
	for _, c := range cases {
		for _, g := range []*ops.Graph{c.Graph, ops.Fuse(c.Graph)} {
			b := planBuffers(g)
			holds := map[int]ops.Value{} // buffer → node whose output it holds
			for i, n := range g.Nodes {
				if n.Kind == ops.Input {
					holds[b.of[i]] = ops.Value(i)
				}
			}
			for i, n := range g.Nodes {
				for _, v := range n.In {
					if holds[b.of[v]] != v {
						t.Errorf("%s: %s reads node %d, whose buffer holds node %d", c.Name, n.Name, v, holds[b.of[v]])
					}
				}
				l := b.lives[b.of[i]]
				if l.Len != n.Shape.Len() || i < l.First || i > l.Last {
					t.Errorf("%s: node %d has buffer %+v", c.Name, i, l)
				}
				if n.Kind == ops.Input && (l.First != 0 || l.Last != len(g.Nodes)) {
					t.Errorf("%s: input %d has buffer %+v, which is not for good", c.Name, i, l)
				}
				if old, ok := holds[b.of[i]]; ok && g.Nodes[old].Kind == ops.Input && int(old) != i {
					t.Errorf("%s: %s writes over the input", c.Name, n.Name)
				} else if ok && int(old) != i {
					shared++
				}
				holds[b.of[i]] = ops.Value(i)
			}
			if v := holds[b.of[g.Out]]; v != g.Out {
				t.Errorf("%s: the output's buffer holds node %d in the end", c.Name, v)
			}
		}
	}
	if shared == 0 {
		t.Error("no node writes in place")
	}
}

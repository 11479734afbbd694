// SPDX-License-Identifier: Apache-2.0

package infer

import (
	"math/rand/v2"
	"testing"

	"github.com/edgenas/edgenas/ops"
	"github.com/edgenas/edgenas/ops/opstest"
)

// lowerBound is the most that is alive at one step: no arena can be smaller.
func lowerBound(lives []life) int {
	most := 0
	for _, at := range lives {
		alive := 0
		for _, l := range lives {
			if l.first <= at.first && at.first <= l.last {
				alive += (l.len + align - 1) / align * align
			}
		}
		most = max(most, alive)
	}
	return most
}

func checkPlacement(t *testing.T, lives []life, offsets []int, total int) {
	t.Helper()
	for i, a := range lives {
		if offsets[i] < 0 || offsets[i]%align != 0 || offsets[i]+a.len > total {
			t.Errorf("%+v lies at %d in an arena of %d", a, offsets[i], total)
		}
		for j, b := range lives[:i] {
			if a.first <= b.last && b.first <= a.last && offsets[i] < offsets[j]+b.len && offsets[j] < offsets[i]+a.len {
				t.Errorf("%+v at %d and %+v at %d overlap", a, offsets[i], b, offsets[j])
			}
		}
	}
}

func TestPlace(t *testing.T) {
	for _, tt := range []struct {
		name  string
		lives []life
		want  int
	}{
		{"nothing", nil, 0},
		{"one", []life{{100, 0, 3}}, 112},
		{"one after the other", []life{{16, 0, 0}, {16, 1, 1}, {16, 2, 9}}, 16},
		{"together", []life{{16, 0, 2}, {32, 1, 1}, {16, 2, 3}}, 48},
		{"chain", []life{{64, 0, 1}, {64, 1, 2}, {64, 2, 3}, {64, 3, 4}}, 128},
		{"a gap between two", []life{{64, 0, 1}, {48, 0, 9}, {32, 1, 9}, {64, 2, 9}}, 144},
		{"the smaller gap is filled first",
			[]life{{64, 0, 0}, {64, 0, 1}, {48, 0, 0}, {48, 0, 1}, {48, 1, 1}, {32, 1, 1}, {32, 1, 1}}, 224},
		{"no elements", []life{{0, 0, 9}, {16, 0, 9}}, 16},
	} {
		t.Run(tt.name, func(t *testing.T) {
			offsets, total := place(tt.lives)
			checkPlacement(t, tt.lives, offsets, total)
			if total != tt.want {
				t.Errorf("arena of %d: want %d", total, tt.want)
			}
		})
	}
	rng := rand.New(rand.NewPCG(1, 0))
	for range 300 {
		lives := make([]life, rng.IntN(30))
		for i := range lives {
			first := rng.IntN(20)
			lives[i] = life{rng.IntN(500), first, first + rng.IntN(6)}
		}
		offsets, total := place(lives)
		checkPlacement(t, lives, offsets, total)
		if least := lowerBound(lives); total < least || total > 2*least {
			t.Errorf("arena of %d where %d are alive at once", total, least)
		}
	}
}

// Networks have few buffers at once, so that the plan is as small as can be.
func TestPlaceNetworks(t *testing.T) {
	for _, notation := range []string{mixed, genotype,
		"|nor_conv_3x3~0|+|nor_conv_3x3~0|nor_conv_3x3~1|+|nor_conv_3x3~0|nor_conv_3x3~1|nor_conv_3x3~2|"} {
		g, _ := network(t, notation, 1)
		b := planBuffers(ops.Fuse(g))
		offsets, total := place(b.lives)
		checkPlacement(t, b.lives, offsets, total)
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
				if l.len != n.Shape.Len() || i < l.first || i > l.last {
					t.Errorf("%s: node %d has buffer %+v", c.Name, i, l)
				}
				if n.Kind == ops.Input && (l.first != 0 || l.last != len(g.Nodes)) {
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

// SPDX-License-Identifier: Apache-2.0

package report

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/edgenas/edgenas/arch"
)

func TestDrawCells(t *testing.T) {
	space, err := arch.NewSpace("nb201", arch.Spaces[0].Default)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name, notation string
		edges          int
		note           string
		nodes, desc    string
	}{
		{"all edges", "|nor_conv_3x3~0|+|nor_conv_3x3~0|nor_conv_3x3~1|+|nor_conv_3x3~0|nor_conv_3x3~1|nor_conv_3x3~2|", 6,
			"", "[in 1 2 out]",
			"nor_conv_3x3 from in to 1. nor_conv_3x3 from in to 2. nor_conv_3x3 from 1 to 2. " +
				"nor_conv_3x3 from in to out. nor_conv_3x3 from 1 to out. nor_conv_3x3 from 2 to out. "},
		{"one edge", "|none~0|+|none~0|none~1|+|skip_connect~0|none~1|none~2|", 1,
			"Not drawn: edges that are dead or carry nothing (5).", "[in out]", "skip_connect from in to out. "},
		// 1 → 2 is dead: nothing reaches node 1. So is what leaves it.
		{"dead edges", "|none~0|+|avg_pool_3x3~0|nor_conv_3x3~1|+|none~0|nor_conv_1x1~1|skip_connect~2|", 2,
			"Not drawn: edges that are dead or carry nothing (4).", "[in 2 out]",
			"avg_pool_3x3 from in to 2. skip_connect from 2 to out. "},
	} {
		choice, err := space.Parse(c.notation)
		if err != nil {
			t.Fatal(err)
		}
		cells := drawCells(&arch.Architecture{Space: space, Choice: choice})
		if len(cells) != 1 {
			t.Fatalf("%s: %d cells, want 1", c.name, len(cells))
		}
		var names []string
		for _, n := range cells[0].Nodes {
			names = append(names, n.Label)
		}
		if got := cells[0]; len(got.Edges) != c.edges || got.Note != c.note || fmt.Sprint(names) != c.nodes ||
			got.Desc != c.desc {
			t.Errorf("%s: %d edges, note %q, nodes %v, %q; want %d, %q, %s, %q",
				c.name, len(got.Edges), got.Note, names, got.Desc, c.edges, c.note, c.nodes, c.desc)
		}
	}
}

// DARTS' two cells: the two edges that each node keeps, from two inputs.
func TestDrawCellsOfEdgeSelection(t *testing.T) {
	a := dartsArchitecture(t)
	cells := drawCells(&a)
	if len(cells) != 2 || cells[0].Title != "normal" || cells[1].Title != "reduce" {
		t.Fatalf("cells %v: want normal and reduce", cells)
	}
	for i, want := range []string{
		"sep_conv_3x3 from k−2 to 2. sep_conv_3x3 from k−1 to 2. sep_conv_3x3 from k−2 to 3. " +
			"sep_conv_3x3 from k−1 to 3. skip_connect from k−2 to 4. sep_conv_3x3 from k−1 to 4. " +
			"skip_connect from k−2 to 5. dil_conv_3x3 from 2 to 5. ",
		"max_pool_3x3 from k−2 to 2. max_pool_3x3 from k−1 to 2. max_pool_3x3 from k−1 to 3. " +
			"skip_connect from 2 to 3. max_pool_3x3 from k−2 to 4. " +
			"skip_connect from 2 to 4. max_pool_3x3 from k−1 to 5. skip_connect from 2 to 5. ",
	} {
		c := cells[i]
		if c.Desc != want || len(c.Edges) != 8 || len(c.Nodes) != 6 {
			t.Errorf("%s: %d edges, %d nodes, %q: want 8, 6, %q", c.Title, len(c.Edges), len(c.Nodes), c.Desc, want)
		}
		want := "k−2 and k−1: outputs of the cells before. Each node adds up its edges; " +
			"the output is the channels of nodes 2 to 5."
		if c.Note != want {
			t.Errorf("%s: note %q: want %q", c.Title, c.Note, want)
		}
	}
}

// TestLabelsAreApart draws random cells, of the sizes of the literature's, and
// asks that no two names overlap and all are in the picture.
func TestLabelsAreApart(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for range 300 {
		out := 1 + rng.IntN(7)
		var edges []edgeOp
		for to := 1; to <= out; to++ {
			for from := range to {
				if rng.IntN(2) == 0 {
					edges = append(edges, edgeOp{Edge: arch.Edge{From: from, To: to}, op: "sep_conv_3x3"})
				}
			}
		}
		rng.Shuffle(len(edges), func(i, j int) { edges[i], edges[j] = edges[j], edges[i] })
		c := drawCell(make([]string, out+1), edges)
		for i, a := range c.Edges {
			if a.X-a.W/2 < 0 || a.X+a.W/2 > c.W || a.Y-a.H/2 < 0 || a.Y+a.H/2 > c.H {
				t.Fatalf("%v: the name of edge %d is outside the picture", edges, i)
			}
			if slices.ContainsFunc(c.Edges[:i], func(b edge) bool {
				return math.Abs(a.X-b.X) < a.W && math.Abs(a.Y-b.Y) < a.H
			}) {
				t.Fatalf("%v: the name of edge %d covers another", edges, i)
			}
		}
	}
}

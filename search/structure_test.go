// SPDX-License-Identifier: Apache-2.0

package search

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/edgenas/edgenas/arch"
)

func structureOf(t *testing.T, space arch.Space, notation string) Structure {
	t.Helper()
	c, err := space.Parse(notation)
	if err != nil {
		t.Fatal(err)
	}
	return structureOfChoice(t, space, c)
}

func structureOfChoice(t *testing.T, space arch.Space, c arch.Choice) Structure {
	t.Helper()
	g, err := space.Network(c, 1)
	if err != nil {
		t.Fatal(err)
	}
	return StructureOf(g)
}

// A network of nb201 has what its three cells have, beside the skeleton: the
// cells' convolutions in units of C², most and fewest of them on a path.
func TestStructureOfNB201(t *testing.T) {
	space := newNB201(t) // one cell a stage of 4, 8 and 16 channels
	empty := structureOf(t, space, "|none~0|+|none~0|none~1|+|skip_connect~0|none~1|none~2|")
	if empty.Depth != 5 || empty.Shortcut != 3 {
		t.Errorf("the skeleton: %+v: want the stem and two convolutions for each halving on the longest path,"+
			" one on the shortest", empty)
	}
	for _, tc := range []struct {
		name, notation                string
		units, convs, depth, shortcut int64
	}{
		{"one convolution", "|none~0|+|none~0|none~1|+|nor_conv_3x3~0|none~1|none~2|", 9, 1, 1, 1},
		{"residual", "|nor_conv_3x3~0|+|none~0|none~1|+|skip_connect~0|nor_conv_3x3~1|none~2|", 18, 2, 2, 0},
		{"all", "|nor_conv_3x3~0|+|nor_conv_3x3~0|nor_conv_3x3~1|" +
			"+|nor_conv_3x3~0|nor_conv_3x3~1|nor_conv_3x3~2|", 54, 6, 3, 1},
		{"all but a skip", "|nor_conv_3x3~0|+|nor_conv_3x3~0|nor_conv_3x3~1|" +
			"+|skip_connect~0|nor_conv_3x3~1|nor_conv_3x3~2|", 45, 5, 3, 0},
		{"pools pass on", "|avg_pool_3x3~0|+|none~0|skip_connect~1|+|nor_conv_1x1~0|nor_conv_3x3~1|avg_pool_3x3~2|",
			10, 2, 1, 0},
		{"one path", "|nor_conv_1x1~0|+|none~0|nor_conv_3x3~1|+|none~0|none~1|nor_conv_1x1~2|", 11, 3, 3, 3},
		{"two paths", "|skip_connect~0|+|nor_conv_1x1~0|avg_pool_3x3~1|+|none~0|nor_conv_3x3~1|skip_connect~2|", 10, 2, 1, 0},
		{"without parameters", "|none~0|+|avg_pool_3x3~0|none~1|+|none~0|none~1|avg_pool_3x3~2|", 0, 0, 0, 0},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got := structureOf(t, space, tc.notation)
			want := Structure{
				Params:   empty.Params + tc.units*(4*4+8*8+16*16) + tc.convs*2*(4+8+16), // a batch norm with each
				MACs:     empty.MACs + tc.units*(4*4*8*8+8*8*4*4+16*16*2*2),
				Depth:    empty.Depth + 3*int(tc.depth),
				Shortcut: empty.Shortcut + 3*int(tc.shortcut),
			}
			if got != want {
				t.Errorf("%+v: want %+v", got, want)
			}
		})
	}
}

// Of a chain of blocks, skip_connect takes three convolutions off the longest
// path; the shortest leaves out the blocks with a shortcut anyway.
func TestStructureOfMBConv(t *testing.T) {
	space := newMBConv(t, 3)
	all := structureOf(t, space, mbconvChain(space, "mbconv_3x3_e3 mbconv_3x3_e3"))
	less := structureOf(t, space, mbconvChain(space, "skip_connect mbconv_3x3_e3"))
	if all.Depth-less.Depth != 3 || all.Shortcut != less.Shortcut || all.Params <= less.Params || all.MACs <= less.MACs {
		t.Errorf("%+v with a block more, %+v without", all, less)
	}
}

func TestCapacity(t *testing.T) {
	for _, tc := range []struct {
		name string
		s    Structure
		want float64
	}{
		{"parameters and depth", Structure{Params: 1000, Depth: 10, MACs: 7, Shortcut: 3}, math.Log(10_000)},
		{"nothing is learned", Structure{}, 0},
	} {
		if got := tc.s.Capacity(); math.Abs(got-tc.want) > 1e-12 {
			t.Errorf("%s: %g: want %g", tc.name, got, tc.want)
		}
	}
}

func TestPrior(t *testing.T) {
	for _, tc := range []struct {
		name     string
		networks []Structure
		want     []float64
	}{
		{"no network", nil, []float64{}},
		{"one", []Structure{{Params: 3}}, []float64{0}},
		{"equal", []Structure{{Params: 3, Depth: 1}, {Params: 3, Depth: 1}, {Params: 3, Depth: 1}},
			[]float64{1.25, 1.25, 1.25}},
		{"all agree", []Structure{{Params: 1, Depth: 1, Shortcut: 9}, {Params: 2, Depth: 3, Shortcut: 8},
			{Params: 7, Depth: 4, Shortcut: 1}}, []float64{0, 1.25, 2.5}},
		{"they differ", []Structure{{Params: 2, Depth: 1, Shortcut: 1}, {Params: 1, Depth: 2, Shortcut: 2}},
			[]float64{1.5, 1}},
		{"ties share the middle", []Structure{{Params: 1}, {Params: 5}, {Params: 5}, {Params: 6}, {Params: 5}},
			[]float64{0.75, 1.25, 1.25, 1.75, 1.25}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if got := Prior(tc.networks); !slices.Equal(got, tc.want) {
				t.Errorf("%v: want %v", got, tc.want)
			}
		})
	}
}

// Without a limit, the first network of nb201 has a skip to the output beside
// 3×3 convolutions on all other edges.
func TestPriorOfNB201(t *testing.T) {
	t.Parallel()
	space := newNB201(t)
	w := newWindow(t, space, newAdditive(space, rand.New(rand.NewPCG(1, 0))), math.Inf(1))
	var structures []Structure
	for _, n := range w.Networks {
		structures = append(structures, structureOfChoice(t, space, n.Choice))
	}
	scores := Prior(structures)
	first := w.Networks[slices.Index(scores, slices.Max(scores))]
	want := "|nor_conv_3x3~0|+|nor_conv_3x3~0|nor_conv_3x3~1|+|skip_connect~0|nor_conv_3x3~1|nor_conv_3x3~2|"
	if got := space.Notation(first.Choice); got != want {
		t.Errorf("%s comes first: want %s", got, want)
	}
}

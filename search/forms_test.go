// SPDX-License-Identifier: Apache-2.0

package search

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/edgenas/edgenas/arch"
)

func TestForms(t *testing.T) {
	nb201, mbconv, darts := newNB201(t), newMBConv(t, 3), newDARTS(t)
	chain := func(rest string) string { return mbconvChain(mbconv, rest) }
	for _, tc := range []struct {
		name  string
		space arch.Space
		a, b  string
		same  bool
	}{
		{"a skip before and after", nb201,
			"|nor_conv_3x3~0|+|none~0|skip_connect~1|+|none~0|none~1|skip_connect~2|",
			"|none~0|+|none~0|none~1|+|nor_conv_3x3~0|none~1|none~2|", true},
		{"parallel paths change places", nb201,
			"|nor_conv_3x3~0|+|nor_conv_1x1~0|none~1|+|none~0|nor_conv_1x1~1|avg_pool_3x3~2|",
			"|nor_conv_1x1~0|+|nor_conv_3x3~0|none~1|+|none~0|avg_pool_3x3~1|nor_conv_1x1~2|", true},
		{"a dead edge", nb201,
			"|nor_conv_3x3~0|+|none~0|none~1|+|nor_conv_1x1~0|none~1|none~2|",
			"|none~0|+|none~0|none~1|+|nor_conv_1x1~0|none~1|none~2|", true},
		{"pools of the same", nb201,
			"|avg_pool_3x3~0|+|avg_pool_3x3~0|none~1|+|none~0|nor_conv_3x3~1|nor_conv_1x1~2|",
			"|avg_pool_3x3~0|+|none~0|skip_connect~1|+|none~0|nor_conv_3x3~1|nor_conv_1x1~2|", true},
		{"a shared convolution and two", nb201,
			"|nor_conv_3x3~0|+|nor_conv_3x3~0|none~1|+|none~0|skip_connect~1|nor_conv_1x1~2|",
			"|nor_conv_3x3~0|+|none~0|skip_connect~1|+|none~0|skip_connect~1|nor_conv_1x1~2|", false},
		{"twice the same sum", nb201,
			"|skip_connect~0|+|none~0|none~1|+|skip_connect~0|skip_connect~1|none~2|",
			"|skip_connect~0|+|none~0|none~1|+|skip_connect~0|none~1|none~2|", false},
		{"another operation", nb201,
			"|none~0|+|none~0|none~1|+|nor_conv_3x3~0|none~1|none~2|",
			"|none~0|+|none~0|none~1|+|nor_conv_1x1~0|none~1|none~2|", false},
		{"a block left out earlier in its stage", mbconv,
			chain("skip_connect mbconv_5x5_e3"), chain("mbconv_5x5_e3 skip_connect"), true},
		{"blocks in another order", mbconv,
			chain("mbconv_3x3_e3 mbconv_5x5_e3"), chain("mbconv_5x5_e3 mbconv_3x3_e3"), false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			f := newForms(tc.space)
			var form [2]string
			for i, text := range []string{tc.a, tc.b} {
				c, err := tc.space.Parse(text)
				if err != nil {
					t.Fatal(err)
				}
				form[i] = f.of(c)
			}
			if same := form[0] == form[1]; same != tc.same {
				t.Errorf("%s and %s: same is %v", form[0], form[1], same)
			}
		})
	}
	a, b := arch.First(darts), arch.First(darts)
	darts.Groups()[7].Set(b, 3)
	if f := newForms(darts); f.of(a) == f.of(b) || f.of(a) != f.of(a.Clone()) {
		t.Error("darts: forms of different choices are the same, or the other way round")
	}
}

// mbconvChain writes a network whose first stage has these blocks after its
// first one, all others being 3×3 with an expansion of 3.
func mbconvChain(space arch.Space, rest string) string {
	c := arch.First(space)
	alphas := space.Alphas()
	for row, name := range strings.Fields(rest) {
		c[1][row] = slices.Index(alphas[1].Ops, name)
	}
	return space.Notation(c)
}

// The 15,625 cells of NAS-Bench-201 are 5,259 different networks. Its own
// unique strings are 6,466: they count zeros as terms of a sum, and take two
// convolutions for one that is shared. Without zeros they are 5,390, one of them
// for all dead cells.
func TestDifferentCellsOfNB201(t *testing.T) {
	space := newNB201(t)
	f := newForms(space)
	live, published, withoutZeros := map[string]int{}, map[string]bool{}, map[string]bool{}
	for c := range arch.All(space) {
		if form := f.of(c); form != "" {
			live[form]++
		}
		published[uniqueString(c[0], true)] = true
		withoutZeros[uniqueString(c[0], false)] = true
	}
	if len(live) != 5259 || len(published) != 6466 || len(withoutZeros) != 5390 {
		t.Errorf("%d different networks, %d published strings, %d without zeros: want 5259, 6466 and 5390",
			len(live), len(published), len(withoutZeros))
	}
	// The class of one 3×3 or of one 1×1 convolution alone is as large as that of skip_connect alone.
	alone := func(op string) int {
		c, err := space.Parse("|none~0|+|none~0|none~1|+|" + op + "~0|none~1|none~2|")
		if err != nil {
			t.Fatal(err)
		}
		return live[f.of(c)]
	}
	if a, b := alone("nor_conv_3x3"), alone("nor_conv_1x1"); a != b || a < 341 {
		t.Errorf("%d choices are one 3×3 convolution, %d one 1×1: want as many, at least 341", a, b)
	}
}

// uniqueString is the rule of NAS-Bench-201's code for the cells that it counts
// as one, with or without zeros among the terms of a sum.
func uniqueString(columns []int, zeros bool) string {
	nodes := []string{"0"}
	row := 0
	for to := 1; to <= 3; to++ {
		var terms []string
		for from := range to {
			switch col := columns[row]; {
			case col == 0 || nodes[from] == "#":
				if zeros {
					terms = append(terms, "#")
				}
			case col == 1:
				terms = append(terms, nodes[from])
			default:
				terms = append(terms, fmt.Sprintf("(%s)@%d", nodes[from], col))
			}
			row++
		}
		if len(terms) == 0 {
			terms = []string{"#"}
		}
		slices.Sort(terms)
		nodes = append(nodes, strings.Join(terms, "+"))
	}
	return nodes[3]
}

// SPDX-License-Identifier: Apache-2.0

package arch

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/edgenas/edgenas/ops"
)

func newMBConvSpace(t testing.TB, s Size) Space {
	t.Helper()
	space, err := NewSpace("mbconv", s)
	if err != nil {
		t.Fatal(err)
	}
	return space
}

// proxyless is the size of the networks that ProxylessNAS published for phones.
var proxyless = Size{Cells: 4, Channels: 16, Image: 224, Colours: 3, Classes: 1000}

// proxylessMobile is the one that it names after them.
const proxylessMobile = "mbconv_5x5_e3 | mbconv_3x3_e3 | skip_connect | skip_connect | " +
	"mbconv_7x7_e3 | mbconv_3x3_e3 | mbconv_5x5_e3 | mbconv_5x5_e3 | " +
	"mbconv_7x7_e6 | mbconv_5x5_e3 | mbconv_5x5_e3 | mbconv_5x5_e3 | " +
	"mbconv_5x5_e6 | mbconv_5x5_e3 | mbconv_5x5_e3 | mbconv_5x5_e3 | " +
	"mbconv_7x7_e6 | mbconv_7x7_e6 | mbconv_7x7_e3 | mbconv_7x7_e3 | mbconv_7x7_e6"

// TestMBConvPublishedCounts: that network has 4.08 million parameters in
// PyTorch, and the paper's 320 million multiply-accumulates.
func TestMBConvPublishedCounts(t *testing.T) {
	s := newMBConvSpace(t, proxyless)
	g, err := s.Network(parse(t, s, proxylessMobile), 1)
	if err != nil {
		t.Fatal(err)
	}
	if got := g.Count(); got.Params != 4_080_512 || got.MACs != 320_427_584 {
		t.Errorf("%d parameters, %d MACs: want 4,080,512 and 320,427,584", got.Params, got.MACs)
	}
}

// TestMBConvCounts counts a small network by hand: 28×28 with 4 channels and
// two blocks a stage is halved by the third and the fifth stage, to 14 and 7.
func TestMBConvCounts(t *testing.T) {
	s := newMBConvSpace(t, Size{Cells: 2, Channels: 4, Image: 28, Colours: 1, Classes: 10})
	c := parse(t, s, "mbconv_3x3_e3|skip_connect|mbconv_5x5_e6|skip_connect|mbconv_7x7_e3|mbconv_3x3_e6|"+
		"mbconv_3x3_e3|skip_connect|mbconv_5x5_e3|skip_connect|mbconv_7x7_e6")
	g, err := s.Network(c, 1)
	if err != nil {
		t.Fatal(err)
	}
	const large, middle, least = 28 * 28, 14 * 14, 7 * 7
	macs := large*9*8 + // stem
		large*(9*8+8*4) + // stage 0: does not expand
		large*(4*12+9*12+12*8) + // stage 1: 4 → 8
		large*(8*48+25*48+48*10) + // stage 2: 8 → 10
		large*10*30 + middle*(49*30+30*20) + // stage 3: 10 → 20, halves
		middle*(20*120+9*120+120*20) +
		middle*(20*60+9*60+60*24) + // stage 4: 20 → 24
		middle*24*72 + least*(25*72+72*48) + // stage 5: 24 → 48, halves
		least*(48*288+49*288+288*80) + // stage 6: 48 → 80
		least*80*320 + 320*10 // head
	weights := 9*8 + 9*8 + 8*4 + (4*12 + 9*12 + 12*8) + (8*48 + 25*48 + 48*10) + (10*30 + 49*30 + 30*20) +
		(20*120 + 9*120 + 120*20) +
		(20*60 + 9*60 + 60*24) + (24*72 + 25*72 + 72*48) + (48*288 + 49*288 + 288*80) + 80*320 + 320*10
	channels := 8 + (8 + 4) + (12 + 12 + 8) + (48 + 48 + 10) + (30 + 30 + 20) + (120 + 120 + 20) + (60 + 60 + 24) +
		(72 + 72 + 48) + (288 + 288 + 80) + 320
	if got := g.Count(); got.MACs != int64(macs) || got.Params != int64(weights+2*channels+10) {
		t.Errorf("%d MACs, %d parameters: want %d and %d", got.MACs, got.Params, macs, weights+2*channels+10)
	}
}

func TestMBConvNetwork(t *testing.T) {
	s := newMBConvSpace(t, Size{Cells: 2, Channels: 4, Image: 28, Colours: 1, Classes: 10})
	c := parse(t, s, "mbconv_3x3_e3|skip_connect|mbconv_5x5_e6|mbconv_5x5_e3|mbconv_7x7_e3|mbconv_3x3_e6|"+
		"mbconv_3x3_e3|skip_connect|mbconv_5x5_e3|mbconv_7x7_e6|mbconv_7x7_e6")
	g, err := s.Network(c, 2)
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	for i, n := range g.Nodes {
		fmt.Fprintf(&b, "%d %s %s %v %v\n", i, n.Kind, n.Name, n.In, n.Shape)
	}
	b.WriteString("\nfused\n")
	f := ops.Fuse(g)
	for _, n := range f.Nodes[1:] {
		k, _ := f.Key(n)
		fmt.Fprintf(&b, "%s %v %v\n", n.Name, n.In, k)
	}
	golden(t, "mbconv_network.golden", b.String())
}

// Columns of α and files depend on these orders.
func TestMBConvAlpha(t *testing.T) {
	const blocks = "mbconv_3x3_e3 mbconv_3x3_e6 mbconv_5x5_e3 mbconv_5x5_e6 mbconv_7x7_e3 mbconv_7x7_e6"
	for _, tt := range []struct {
		cells int
		want  []string // name, operations, rows
	}{
		{1, []string{"first", blocks, "stage1.block0 stage2.block0 stage3.block0 stage4.block0 stage5.block0 stage6.block0"}},
		{2, []string{"first", blocks, "stage1.block0 stage2.block0 stage3.block0 stage4.block0 stage5.block0 stage6.block0",
			"rest", blocks + " skip_connect", "stage1.block1 stage2.block1 stage3.block1 stage4.block1 stage5.block1"}},
	} {
		var got []string
		for _, a := range newMBConvSpace(t, Size{Cells: tt.cells, Channels: 2, Image: 8, Colours: 1, Classes: 2}).Alphas() {
			got = append(got, a.Name, strings.Join(a.Ops, " "), strings.Join(a.Rows, " "))
		}
		if !slices.Equal(got, tt.want) {
			t.Errorf("%d blocks a stage: α %q: want %q", tt.cells, got, tt.want)
		}
	}
}

// The image is halved until it has at most 7 pixels, five times at most, by
// the last of the first convolution and the stages 1, 2, 3 and 5.
func TestMBConvHalvings(t *testing.T) {
	for _, tt := range []struct {
		image int
		want  string // extents behind the first convolution and each stage
	}{
		{8, "8 8 8 8 8 4 4"},
		{14, "14 14 14 14 14 7 7"},
		{15, "15 15 15 8 8 4 4"},
		{28, "28 28 28 14 14 7 7"},
		{29, "29 29 15 8 8 4 4"},
		{32, "32 32 16 8 8 4 4"},
		{64, "64 32 16 8 8 4 4"},
		{96, "96 48 24 12 12 6 6"},
		{113, "57 29 15 8 8 4 4"},
		{128, "64 32 16 8 8 4 4"},
		{224, "112 56 28 14 14 7 7"},
		{448, "224 112 56 28 28 14 14"},
	} {
		s := newMBConvSpace(t, Size{Cells: 2, Channels: 2, Image: tt.image, Colours: 1, Classes: 2})
		g, err := s.Network(First(s), 1)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, n := range g.Nodes {
			if n.Name == "stem.relu" ||
				strings.HasSuffix(n.Name, "project.bn") && strings.Contains(n.Name, ".block0.") &&
					!strings.HasPrefix(n.Name, "stage0") {
				got = append(got, fmt.Sprint(n.Shape.H))
			}
		}
		if text := strings.Join(got, " "); text != tt.want {
			t.Errorf("image %d: %s: want %s", tt.image, text, tt.want)
		}
	}
}

// TestMBConvSupernet checks that each block is one mixture of every operation
// of its α, with the residual of those that add one, and skip_connect where and
// only where the block keeps the shape.
func TestMBConvSupernet(t *testing.T) {
	s := newMBConvSpace(t, Size{Cells: 3, Channels: 4, Image: 28, Colours: 3, Classes: 10})
	g, err := s.Supernet(3)
	if err != nil {
		t.Fatal(err)
	}
	weighted := map[[3]int]int{} // α, row, column → times
	before := "stage0.block0.project.bn"
	for _, n := range g.Nodes {
		if searched := strings.Contains(n.Name, "mbconv"); n.Kind == ops.BatchNorm && searched == n.Affine {
			t.Errorf("%s: affine %v", n.Name, n.Affine)
		}
		if n.Kind != ops.Mix {
			continue
		}
		block := strings.TrimSuffix(n.Name, "mix")
		first := strings.HasSuffix(block, "block0.")
		names := s.Alphas()[n.Alpha].Ops
		if (n.Alpha == 0) != first || len(n.In) != len(names) || slices.Contains(names, "skip_connect") == first {
			t.Errorf("%s: α %d of %d terms", n.Name, n.Alpha, len(n.In))
		}
		if got := s.Alphas()[n.Alpha].Rows[n.Gates[0].Row]; got+"." != block {
			t.Errorf("%s: weighted by %s", n.Name, got)
		}
		for i, gate := range n.Gates {
			weighted[[3]int{n.Alpha, gate.Row, gate.Col}]++
			in, op := g.Nodes[n.In[i]], names[gate.Col]
			want := block + op + ".add"
			switch {
			case op == "skip_connect":
				want = before
			case first:
				want = block + op + ".project.bn"
			}
			if in.Name != want {
				t.Errorf("%s: α%v weights %s: want %s", n.Name, gate, in.Name, want)
			}
		}
		before = n.Name
	}
	if len(weighted) != 6*6+10*7 {
		t.Errorf("%d elements of α weight something: want all of 6×6 and 10×7", len(weighted))
	}
	for at, n := range weighted {
		if n != 1 {
			t.Errorf("α %v weights %d terms: want 1", at, n)
		}
	}
	if got, want := g.Shape(g.Out), (ops.Shape{N: 3, C: 10, H: 1, W: 1}); got != want {
		t.Errorf("output %v: want %v", got, want)
	}
}

// Every network's parameters are in the supernet, and all networks differ.
func TestMBConvNetworks(t *testing.T) {
	s := newMBConvSpace(t, Size{Cells: 3, Channels: 3, Image: 16, Colours: 3, Classes: 10})
	super, err := s.Supernet(1)
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]string{}
	for _, n := range super.Nodes {
		for _, p := range super.Params(n) {
			all[p.Name] = fmt.Sprint(p.Dims)
		}
	}
	rng := rand.New(rand.NewPCG(1, 0))
	for range 20 {
		c := random(s, rng)
		if !s.Canonical(c).Equal(c) {
			t.Errorf("%s is not canonical", s.Notation(c))
		}
		g, err := s.Network(c, 1)
		if err != nil {
			t.Fatal(err)
		}
		for _, n := range g.Nodes {
			for _, p := range g.Params(n) {
				searched := n.Kind == ops.BatchNorm && p.Learn && strings.Contains(n.Name, "mbconv") // not affine in a supernet
				if dims := fmt.Sprint(p.Dims); !searched && all[p.Name] != dims {
					t.Errorf("%s of %s is there as %q", p.Name, dims, all[p.Name])
				}
			}
		}
		training, err := s.Training(c, 1)
		if err != nil || !reflect.DeepEqual(training, g) {
			t.Errorf("%s: trained as another network, %v", s.Notation(c), err)
		}
	}
	for _, c := range []Choice{nil, First(s)[:1], {First(s)[0], First(s)[1][1:]},
		{First(s)[1][:6], slices.Repeat([]int{7}, 10)}} {
		if g, err := s.Network(c, 1); err == nil {
			t.Errorf("choice %v became a network of %d nodes", c, len(g.Nodes))
		}
	}
}

// What blocks are made of does not depend on other blocks: the operations of
// two edits are those of each by itself.
func TestMBConvGroupsAddUp(t *testing.T) {
	s := newMBConvSpace(t, Size{Cells: 2, Channels: 3, Image: 12, Colours: 1, Classes: 4})
	keys := func(c Choice) map[ops.Key]int {
		g, err := s.Network(c, 1)
		if err != nil {
			t.Fatal(err)
		}
		return ops.Keys(ops.Fuse(g))
	}
	groups, start := s.Groups(), First(s)
	base := keys(start)
	rng := rand.New(rand.NewPCG(2, 0))
	for range 50 {
		c, want := start.Clone(), map[ops.Key]int{}
		add := func(m map[ops.Key]int, times int) {
			for k, n := range m {
				if want[k] += times * n; want[k] == 0 {
					delete(want, k)
				}
			}
		}
		add(base, 1)
		for _, g := range groups {
			o, edit := rng.IntN(len(g.Options)), start.Clone()
			g.Set(c, o)
			g.Set(edit, o)
			add(keys(edit), 1)
			add(base, -1)
		}
		if got := keys(c); !reflect.DeepEqual(got, want) {
			t.Fatalf("%s: operations %v: want %v", s.Notation(c), got, want)
		}
	}
}

func TestMBConvGroups(t *testing.T) {
	s := newMBConvSpace(t, Size{Cells: 3, Channels: 2, Image: 8, Colours: 1, Classes: 2})
	var sizes []int
	rows := map[[2]int]bool{}
	for i, g := range s.Groups() {
		sizes = append(sizes, len(g.Options))
		rows[[2]int{g.Alpha, g.Rows[0]}] = true
		if e := s.Cells()[g.Alpha].Edges[g.Rows[0]]; e != (Edge{i, i + 1}) || len(g.Rows) != 1 {
			t.Errorf("group %d decides rows %v, the edge %v", i, g.Rows, e)
		}
	}
	if want := []int{6, 7, 7, 6, 7, 7, 6, 7, 7, 6, 7, 7, 6, 7, 7, 6}; !slices.Equal(sizes, want) || len(rows) != 16 {
		t.Errorf("options %v of %d rows: want %v", sizes, len(rows), want)
	}
	one, n := newMBConvSpace(t, Size{Cells: 1, Channels: 2, Image: 8, Colours: 1, Classes: 2}), 0
	for range All(one) {
		n++
	}
	if n != 6*6*6*6*6*6 {
		t.Errorf("%d choices with a block a stage: want 6⁶", n)
	}
}

func TestMBConvDerive(t *testing.T) {
	s := newMBConvSpace(t, Size{Cells: 3, Channels: 2, Image: 8, Colours: 1, Classes: 2})
	rng := rand.New(rand.NewPCG(1, 0))
	for range 50 { // the choice that stands out
		want := random(s, rng)
		var p [][]float64
		for i, a := range s.Alphas() {
			weights := make([]float64, len(a.Rows)*len(a.Ops))
			for j := range weights {
				weights[j] = rng.Float64()
			}
			for row, col := range want[i] {
				weights[row*len(a.Ops)+col] += 1
			}
			p = append(p, weights)
		}
		if got := s.Derive(p); !got.Equal(want) {
			t.Fatalf("derived %s\nwant %s", s.Notation(got), s.Notation(want))
		}
	}
}

func TestMBConvParse(t *testing.T) {
	s := newMBConvSpace(t, Size{Cells: 2, Channels: 2, Image: 8, Colours: 1, Classes: 2})
	rng := rand.New(rand.NewPCG(1, 0))
	for range 50 {
		c := random(s, rng)
		if got := parse(t, s, s.Notation(c)); !got.Equal(c) {
			t.Fatalf("%s was read as %v: want %v", s.Notation(c), got, c)
		}
	}
	good := s.Notation(random(s, rng))
	if got := parse(t, s, "\n"+strings.ReplaceAll(good, " | ", "|\n\t")+" "); s.Notation(got) != good {
		t.Errorf("with other white space: %s: want %s", s.Notation(got), good)
	}
	skip := "skip_connect | skip_connect" + strings.Repeat(" | mbconv_3x3_e3", 9)
	for _, tt := range []struct{ name, text, want string }{
		{"empty", "", "1 blocks: want 11"},
		{"a block too few", good[strings.Index(good, "|")+1:], "10 blocks: want 11"},
		{"a block too many", good + " | skip_connect", "12 blocks: want 11"},
		{"another space", "|nor_conv_3x3~0|+|nor_conv_3x3~0|avg_pool_3x3~1|", "blocks: want 11"},
		{"unknown operation", strings.Repeat("mbconv_9x9_e3|", 10) + "mbconv_3x3_e3",
			`stage1.block0: operation "mbconv_9x9_e3": want one of`},
		{"no name", strings.Repeat("|", 10), `operation "": want one of`},
		{"capitals", strings.ToUpper(good), "want one of"},
		{"a first block left out", skip, `stage1.block0: operation "skip_connect"`},
		{"long", strings.Repeat(good+"|", 10_000), "blocks: want 11"},
		{"long name", strings.Repeat("x", 100_000) + strings.Repeat("|", 10), "want one of"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c, err := s.Parse(tt.text)
			if err == nil || c != nil {
				t.Fatalf("read %v, error %v", c, err)
			}
			if text := err.Error(); !strings.HasPrefix(text, "arch: mbconv") ||
				!strings.Contains(text, tt.want) || len(text) > 500 {
				t.Errorf("error %q: want …%s…", text, tt.want)
			}
		})
	}
}

func FuzzMBConvParse(f *testing.F) {
	s := newMBConvSpace(f, Size{Cells: 2, Channels: 2, Image: 8, Colours: 1, Classes: 2})
	f.Add(s.Notation(First(s)))
	f.Add("mbconv_3x3_e3 | skip_connect | ")
	f.Add(strings.Repeat("|", 10))
	f.Fuzz(func(t *testing.T, text string) {
		c, err := s.Parse(text)
		if err != nil {
			return
		}
		if _, err := s.Network(c, 1); err != nil {
			t.Errorf("%q: %v", text, err)
		}
		if again, err := s.Parse(s.Notation(c)); err != nil || !again.Equal(c) {
			t.Errorf("%q was read as %v, written and read again as %v, %v", text, c, again, err)
		}
	})
}

func TestMBConvArchitectureJSON(t *testing.T) {
	s := newMBConvSpace(t, proxyless)
	a := Architecture{s, parse(t, s, proxylessMobile)}
	data, err := json.MarshalIndent(a, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "mbconv_architecture.golden", string(data)+"\n")
	b, err := Read(strings.NewReader(string(data)), "a.json")
	if err != nil {
		t.Fatal(err)
	}
	if b.Space != a.Space || !b.Choice.Equal(a.Choice) {
		t.Errorf("read %v: want %v", b, a)
	}
	small := newMBConvSpace(t, Size{Cells: 1, Channels: 2, Image: 8, Colours: 1, Classes: 2})
	if data, err = json.Marshal(Architecture{small, First(small)}); err != nil {
		t.Fatal(err)
	}
	if b, err = Read(strings.NewReader(string(data)), "b.json"); err != nil || !b.Choice.Equal(First(small)) {
		t.Errorf("with one block a stage: read %v, %v", b, err)
	}
}

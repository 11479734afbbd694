// SPDX-License-Identifier: Apache-2.0

package arch

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/edgenas/edgenas/ops"
)

// small is a size at which darts networks are quick to build.
var small = Size{Cells: 3, Channels: 2, Image: 8, Colours: 3, Classes: 4}

func newDARTSSpace(t testing.TB, s Size) Space {
	t.Helper()
	space, err := NewSpace("darts", s)
	if err != nil {
		t.Fatal(err)
	}
	return space
}

func parse(t testing.TB, s Space, text string) Choice {
	t.Helper()
	c, err := s.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// Columns of α and files depend on these orders.
func TestDARTSAlpha(t *testing.T) {
	alphas := newDARTSSpace(t, small).Alphas()
	if len(alphas) != 2 || alphas[0].Name != "normal" || alphas[1].Name != "reduce" {
		t.Fatalf("α %v: want normal and reduce", alphas)
	}
	for _, a := range alphas {
		if got, want := strings.Join(a.Rows, " "),
			"2<-0 2<-1 3<-0 3<-1 3<-2 4<-0 4<-1 4<-2 4<-3 5<-0 5<-1 5<-2 5<-3 5<-4"; got != want {
			t.Errorf("%s: rows %s: want %s", a.Name, got, want)
		}
		if got, want := strings.Join(a.Ops, " "),
			"none max_pool_3x3 avg_pool_3x3 skip_connect sep_conv_3x3 sep_conv_5x5 dil_conv_3x3 dil_conv_5x5"; got != want {
			t.Errorf("%s: columns %s: want %s", a.Name, got, want)
		}
	}
}

// TestDARTSPublishedCounts: parameters on CIFAR-10 with 36 channels and 20
// cells, as the published networks have them in PyTorch (DARTS gives 3.3
// million); and of the supernet that they were found with.
func TestDARTSPublishedCounts(t *testing.T) {
	s := newDARTSSpace(t, Size{Cells: 20, Channels: 36, Image: 32, Colours: 3, Classes: 10})
	for _, tt := range []struct {
		name, genotype    string
		params, auxiliary int64
	}{{"DARTS_V1", dartsV1, 3_169_414, 476_426}, {"DARTS_V2", dartsV2, 3_349_342, 476_426}} {
		c := parse(t, s, tt.genotype)
		g, err := s.Network(c, 1)
		if err != nil {
			t.Fatal(err)
		}
		training, err := s.Training(c, 1)
		if err != nil {
			t.Fatal(err)
		}
		if got := g.Count().Params; got != tt.params {
			t.Errorf("%s: %d parameters: want %d", tt.name, got, tt.params)
		}
		if got := training.Count().Params - tt.params; got != tt.auxiliary {
			t.Errorf("%s: %d parameters in the auxiliary head: want %d", tt.name, got, tt.auxiliary)
		}
	}
	g, err := newDARTSSpace(t, Size{Cells: 8, Channels: 16, Image: 32, Colours: 3, Classes: 10}).Supernet(1)
	if err != nil {
		t.Fatal(err)
	}
	if got := g.Count().Params; got != 1_930_618 {
		t.Errorf("supernet: %d parameters: want 1,930,618", got)
	}
}

func TestDARTSNetwork(t *testing.T) {
	s := newDARTSSpace(t, Size{Cells: 3, Channels: 4, Image: 28, Colours: 1, Classes: 10})
	g, err := s.Training(parse(t, s, everyOperation), 2)
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	for i, n := range g.Nodes {
		fmt.Fprintf(&b, "%d %s %s %v %v\n", i, n.Kind, n.Name, n.In, n.Shape)
	}
	fmt.Fprintf(&b, "out %d, aux %d\n", g.Out, g.Aux)
	golden(t, "darts_network.golden", b.String())
}

// Reduction cells stand at a third and two thirds: each halves the image and
// doubles the channels, whatever the number of cells.
func TestDARTSReductions(t *testing.T) {
	for cells := 3; cells <= 20; cells++ {
		s := newDARTSSpace(t, Size{Cells: cells, Channels: 2, Image: 16, Colours: 1, Classes: 2})
		g, err := s.Network(parse(t, s, dartsV2), 1)
		if err != nil {
			t.Fatal(err)
		}
		i := 0
		want := ops.Shape{N: 1, C: 8, H: 16, W: 16}
		for _, n := range g.Nodes {
			if n.Kind != ops.Concat || !strings.HasSuffix(n.Name, ".out") {
				continue
			}
			if i == cells/3 || i == 2*cells/3 {
				want = ops.Shape{N: 1, C: 2 * want.C, H: want.H / 2, W: want.W / 2}
			}
			if n.Shape != want || n.Name != fmt.Sprintf("cell%d.out", i) {
				t.Errorf("%d cells: cell %d: %s of %v: want %v", cells, i, n.Name, n.Shape, want)
			}
			i++
		}
		if i != cells || want.H != 4 {
			t.Errorf("%d cells: %d outputs, the last of %v", cells, i, want)
		}
	}
}

func TestDARTSNetworkErrors(t *testing.T) {
	s := newDARTSSpace(t, small)
	edit := func(f func(c Choice) Choice) Choice { return f(parse(t, s, dartsV2)) }
	for _, tt := range []struct {
		name  string
		c     Choice
		edges string // in an ErrEdges; "" for a choice that does not fit the α
	}{
		{"nothing", nil, ""},
		{"one α", edit(func(c Choice) Choice { return c[:1] }), ""},
		{"a row too few", edit(func(c Choice) Choice { c[1] = c[1][:13]; return c }), ""},
		{"column beyond", edit(func(c Choice) Choice { c[0][3] = 8; return c }), ""},
		{"one edge", edit(func(c Choice) Choice { c[0][1] = 0; return c }), "normal cell, node 2 keeps 1: want 2"},
		{"three edges", edit(func(c Choice) Choice { c[1][9], c[1][10], c[1][11] = 3, 3, 3; return c }),
			"reduce cell, node 5 keeps 3: want 2"},
		{"all none", Choice{make([]int, 14), make([]int, 14)}, "normal cell, node 2 keeps 0: want 2"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for _, build := range []func(Choice, int) (*ops.Graph, error){s.Network, s.Training} {
				if g, err := build(tt.c, 1); err == nil || errors.Is(err, ErrEdges) != (tt.edges != "") ||
					!strings.Contains(err.Error(), tt.edges) {
					t.Errorf("graph %v, error %v: want %q", g, err, tt.edges)
				}
			}
		})
	}
}

// TestDARTSSupernet checks that each inner node of each cell is one mixture of
// every operation on every edge into it, weighted by the element of α that
// stands for it, and that no batch norm inside cells is affine.
func TestDARTSSupernet(t *testing.T) {
	s := newDARTSSpace(t, Size{Cells: 4, Channels: 4, Image: 16, Colours: 3, Classes: 10})
	g, err := s.Supernet(3)
	if err != nil {
		t.Fatal(err)
	}
	mixes := 0
	for _, n := range g.Nodes {
		if n.Kind == ops.BatchNorm && strings.HasPrefix(n.Name, "cell") == n.Affine {
			t.Errorf("%s: affine %v", n.Name, n.Affine)
		}
		if n.Kind != ops.Mix {
			continue
		}
		i, to := mixes/4, 2+mixes%4
		mixes++
		if want := fmt.Sprintf("cell%d.node%d", i, to); n.Name != want {
			t.Errorf("%s: want %s", n.Name, want)
		}
		reduction := i == 1 || i == 2
		if (n.Alpha == 1) != reduction {
			t.Errorf("%s: α %d", n.Name, n.Alpha)
		}
		var want []ops.Gate
		for row, e := range dartsEdges {
			for col := 1; e.To == to && col < 8; col++ {
				want = append(want, ops.Gate{Row: row, Col: col})
			}
		}
		if !slices.Equal(n.Gates, want) {
			t.Errorf("%s: gates %v: want %v", n.Name, n.Gates, want)
		}
		for j, gate := range n.Gates {
			e, op, in := dartsEdges[gate.Row], dartsOps[gate.Col], g.Nodes[n.In[j]]
			stride := 1
			if reduction && e.From < 2 {
				stride = 2
			}
			from := fmt.Sprintf("cell%d.edge%d-%d.%s.", i, e.From, to, op)
			if op == "skip_connect" && stride == 1 { // has no node
				from = fmt.Sprintf("cell%d.", i) + []string{"pre0.bn", "pre1.bn", "node2", "node3", "node4"}[e.From]
			}
			if !strings.HasPrefix(in.Name, from) {
				t.Errorf("%s: α%v weights %s: want %s…", n.Name, gate, in.Name, from)
			}
			if in.Kind != ops.BatchNorm && in.Kind != ops.Mix {
				t.Errorf("%s: α%v weights %s, a %v: want a batch norm behind every operation", n.Name, gate, in.Name, in.Kind)
			}
		}
	}
	if mixes != 4*4 {
		t.Errorf("%d mixtures: want 4 in each of 4 cells", mixes)
	}
	if got, want := g.Shape(g.Out), (ops.Shape{N: 3, C: 10, H: 1, W: 1}); got != want || g.Aux != 0 {
		t.Errorf("output %v, aux %d: want %v and none", got, g.Aux, want)
	}
}

// params are the parameters of g with their dimensions, without the scales and
// shifts of cells if plain: a supernet has none.
func params(g *ops.Graph, plain bool) map[string]string {
	m := map[string]string{}
	for _, n := range g.Nodes {
		for _, p := range g.Params(n) {
			if !plain || n.Kind != ops.BatchNorm || !p.Learn || !strings.HasPrefix(n.Name, "cell") {
				m[p.Name] = fmt.Sprint(p.Dims)
			}
		}
	}
	return m
}

// contains fails unless every element of part is in m.
func contains(t *testing.T, m, part map[string]string) {
	t.Helper()
	for name, dims := range part {
		if m[name] != dims {
			t.Errorf("%s of %s is there as %q", name, dims, m[name])
		}
	}
}

// Every network's parameters are in the supernet and in the training network
// under the same names.
func TestDARTSParameterNames(t *testing.T) {
	s := newDARTSSpace(t, Size{Cells: 4, Channels: 4, Image: 24, Colours: 3, Classes: 10})
	super, err := s.Supernet(1)
	if err != nil {
		t.Fatal(err)
	}
	rng := rand.New(rand.NewPCG(1, 0))
	for range 20 {
		c := random(s, rng)
		g, err := s.Network(c, 1)
		if err != nil {
			t.Fatal(err)
		}
		contains(t, params(super, false), params(g, true))
		training, err := s.Training(c, 1)
		if err != nil {
			t.Fatal(err)
		}
		contains(t, params(training, false), params(g, false))
		if fused := ops.Fuse(training); !reflect.DeepEqual(fused, ops.Fuse(g)) {
			t.Errorf("%s: the training network without its auxiliary head is another one", s.Notation(c))
		}
	}
}

// The auxiliary head pools the last reduction cell's map to 2×2.
func TestDARTSAuxiliaryHead(t *testing.T) {
	for _, tt := range []struct{ image, kernel, stride int }{
		{8, 0, 0}, {20, 0, 0}, // 2×2, 5×5: no head
		{24, 5, 1}, {28, 5, 2}, {32, 5, 3}, // the literature's
		{36, 5, 4}, {40, 5, 5}, {44, 6, 5}, {64, 8, 8}, {224, 28, 28},
	} {
		s := newDARTSSpace(t, Size{Cells: 3, Channels: 2, Image: tt.image, Colours: 1, Classes: 7})
		g, err := s.Training(parse(t, s, dartsV2), 2)
		if err != nil {
			t.Fatal(err)
		}
		if (g.Aux != 0) != (tt.kernel > 0) {
			t.Errorf("image %d: aux %d", tt.image, g.Aux)
		}
		if g.Aux == 0 {
			continue
		}
		if got, want := g.Shape(g.Aux), (ops.Shape{N: 2, C: 7, H: 1, W: 1}); got != want {
			t.Errorf("image %d: %v: want %v", tt.image, got, want)
		}
		for _, n := range g.Nodes {
			if n.Name == "auxiliary.pool" {
				if w := (ops.Window{Kernel: tt.kernel, Stride: tt.stride, Dilation: 1}); n.Window != w || n.Shape.H != 2 ||
					g.Shape(n.In[0]).H != tt.image/4 {
					t.Errorf("image %d: from %v to %v with %+v: want %+v", tt.image, g.Shape(n.In[0]), n.Shape, n.Window, w)
				}
			}
		}
	}
}

func TestDARTSGroups(t *testing.T) {
	s := newDARTSSpace(t, small)
	groups := s.Groups()
	var sizes []int
	for _, g := range groups {
		sizes = append(sizes, len(g.Options))
		seen := map[string]bool{}
		c := parse(t, s, dartsV2)
		for o := range g.Options {
			g.Set(c, o)
			seen[fmt.Sprint(g.Options[o])] = true
			if o%7 == 0 {
				if _, err := s.Network(c, 1); err != nil {
					t.Error(err)
				}
			}
		}
		if len(seen) != len(g.Options) {
			t.Errorf("α %d, rows %v: %d options, %d of them different", g.Alpha, g.Rows, len(g.Options), len(seen))
		}
	}
	// 7² operations on each pair of 2, 3, 4 and 5 edges.
	if want := []int{49, 147, 294, 490, 49, 147, 294, 490}; !slices.Equal(sizes, want) {
		t.Errorf("options %v: want %v", sizes, want)
	}
	rows := map[[2]int]int{}
	for _, g := range groups {
		for _, row := range g.Rows {
			rows[[2]int{g.Alpha, row}]++
		}
	}
	if len(rows) != 28 || slices.Max(slices.Collect(maps.Values(rows))) != 1 {
		t.Errorf("groups decide %v: want each of 2×14 rows once", rows)
	}
	n := 0
	for c := range All(s) { // the first few of about 10¹⁸
		if _, err := s.Network(c, 1); err != nil {
			t.Fatal(err)
		}
		if n++; n == 5 {
			break
		}
	}
}

func TestDARTSDerive(t *testing.T) {
	s := newDARTSSpace(t, small)
	rng := rand.New(rand.NewPCG(1, 0))
	drawn := func() [][]float64 {
		p := [][]float64{make([]float64, 14*8), make([]float64, 14*8)}
		for i := range p {
			for j := range p[i] {
				p[i][j] = rng.Float64() / 100
			}
		}
		return p
	}
	for range 50 { // the choice that stands out is derived, however great none's weight is
		want, p := random(s, rng), drawn()
		for alpha, columns := range want {
			for row, col := range columns {
				p[alpha][row*8] = rng.Float64()
				if col > 0 {
					p[alpha][row*8+col] = 0.1 + rng.Float64()
				}
			}
		}
		if got := s.Derive(p); !got.Equal(want) {
			t.Fatalf("derived %s\nwant %s", s.Notation(got), s.Notation(want))
		}
	}
	even := [][]float64{slices.Repeat([]float64{0.125}, 14*8), slices.Repeat([]float64{0.125}, 14*8)}
	for alpha, columns := range s.Derive(even) { // of equal ones, the first edges and operations
		if want := []int{1, 1, 1, 1, 0, 1, 1, 0, 0, 1, 1, 0, 0, 0}; !slices.Equal(columns, want) {
			t.Errorf("α %d: %v: want %v", alpha, columns, want)
		}
	}
}

func TestDARTSArchitectureJSON(t *testing.T) {
	s := newDARTSSpace(t, small)
	a := Architecture{s, parse(t, s, dartsV2)}
	data, err := json.MarshalIndent(a, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "darts_architecture.golden", string(data)+"\n")
	b, err := Read(strings.NewReader(string(data)), "a.json")
	if err != nil {
		t.Fatal(err)
	}
	if b.Space != a.Space || !b.Choice.Equal(a.Choice) {
		t.Errorf("read %v: want %v", b, a)
	}
	cut := strings.Replace(string(data), `"dil_conv_3x3"`, `"none"`, 1)
	cut = strings.Replace(cut, ", ('dil_conv_3x3', 2)", "", 1)
	if _, err := Read(strings.NewReader(cut), "a.json"); !errors.Is(err, ErrEdges) ||
		!strings.Contains(err.Error(), "a.json") {
		t.Errorf("an edge too few: error %v: want ErrEdges", err)
	}
}

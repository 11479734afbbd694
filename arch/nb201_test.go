// SPDX-License-Identifier: Apache-2.0

package arch

import (
	"errors"
	"flag"
	"fmt"
	"iter"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/edgenas/edgenas/ops"
)

var update = flag.Bool("update", false, "write testdata anew")

// golden compares got with a file of testdata.
func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		at := filepath.Join(t.ArtifactDir(), name)
		if err := os.WriteFile(at, []byte(got), 0o666); err != nil {
			t.Error(err)
		}
		t.Errorf("%s differs from %s; -update accepts it", at, path)
	}
}

// paper is the size that NAS-Bench-201 trained on CIFAR-10.
var paper = Size{Cells: 5, Channels: 16, Image: 32, Colours: 3, Classes: 10}

func newSpace(t *testing.T, s Size) Space {
	t.Helper()
	space, err := NewSpace("nb201", s)
	if err != nil {
		t.Fatal(err)
	}
	return space
}

// cell is the notation with these operations on the edges 1<-0, 2<-0, 2<-1,
// 3<-0, 3<-1, 3<-2, given as digits: the columns.
func cell(digits string) Choice {
	c := Choice{nil}
	for _, d := range digits {
		c[0] = append(c[0], int(d-'0'))
	}
	return c
}

func TestNotation(t *testing.T) {
	s := newSpace(t, paper)
	for _, tt := range []struct{ digits, want string }{
		{"000000", "|none~0|+|none~0|none~1|+|none~0|none~1|none~2|"},
		{"334123", "|nor_conv_3x3~0|+|nor_conv_3x3~0|avg_pool_3x3~1|+|skip_connect~0|nor_conv_1x1~1|nor_conv_3x3~2|"},
	} {
		if got := s.Notation(cell(tt.digits)); got != tt.want {
			t.Errorf("%s: %s: want %s", tt.digits, got, tt.want)
		}
	}
	for c := range sample(s) {
		got, err := s.Parse(s.Notation(c))
		if err != nil {
			t.Fatal(err)
		}
		if !got.Equal(c) {
			t.Fatalf("%s was read as %v: want %v", s.Notation(c), got, c)
		}
	}
}

const good = "|nor_conv_3x3~0|+|nor_conv_3x3~0|avg_pool_3x3~1|+|skip_connect~0|nor_conv_3x3~1|skip_connect~2|"

func TestParseErrors(t *testing.T) {
	s := newSpace(t, paper)
	if _, err := s.Parse(good); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct{ name, text string }{
		{"empty", ""},
		{"bars only", "||+|||+||||"},
		{"a group too few", "|nor_conv_3x3~0|+|nor_conv_3x3~0|avg_pool_3x3~1|"},
		{"a group too many", good + "+|none~0|none~1|none~2|none~3|"},
		{"an edge too many", strings.Replace(good, "~2|", "~2|none~3|", 1)},
		{"groups in another shape", strings.Replace(good, "|+|", "|", 1)},
		{"unknown operation", strings.Replace(good, "skip_connect~0", "sep_conv_3x3~0", 1)},
		{"operation in capitals", strings.ToUpper(good)},
		{"another node", strings.Replace(good, "~2", "~1", 1)},
		{"no node", strings.Replace(good, "~2", "", 1)},
		{"space", good + " "},
		{"line end", good + "\n"},
		{"long", strings.Repeat(good, 1000)},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c, err := s.Parse(tt.text)
			if err == nil {
				t.Fatalf("read %v", c)
			}
			if len(err.Error()) > 1000 {
				t.Errorf("error of %d bytes", len(err.Error()))
			}
		})
	}
}

func FuzzParse(f *testing.F) {
	s, err := NewSpace("nb201", paper)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Add("|none~0|+|none~0|none~1|+|none~0|none~1|none~2|")
	f.Add("|none~0|+|none~0|none~1|+|none~0|none~1|none~2|+")
	f.Add("|~0|+|~0|~1|+|~0|~1|~2|")
	f.Fuzz(func(t *testing.T, text string) {
		c, err := s.Parse(text)
		if err != nil {
			return
		}
		if got := s.Notation(c); got != text {
			t.Errorf("%q was read as %q", text, got)
		}
		if _, err := s.Network(c, 1); err != nil && !errors.Is(err, ErrDead) {
			t.Errorf("%q: %v", text, err)
		}
	})
}

// TestAll walks the whole space: NAS-Bench-201 has 5⁶ = 15,625 cells. 341 of
// them have no path from input to output: by inclusion and exclusion over the
// paths 3, 0-4, 1-5 and 0-2-5 of the edges 0…5.
func TestAll(t *testing.T) {
	s := newSpace(t, Size{Cells: 1, Channels: 1, Image: 8, Colours: 1, Classes: 2})
	seen, dead := map[string]bool{}, 0
	for c := range All(s) {
		text := s.Notation(c)
		if seen[text] {
			t.Fatalf("%s came twice", text)
		}
		seen[text] = true
		canonical := s.Canonical(c)
		if !s.Canonical(canonical).Equal(canonical) {
			t.Fatalf("%s: canonical %v has the canonical form %v", text, canonical, s.Canonical(canonical))
		}
		if canonical.Equal(cell("000000")) {
			dead++
		}
	}
	if len(seen) != 15625 || dead != 341 {
		t.Errorf("%d cells, %d dead: want 15625 and 341", len(seen), dead)
	}
}

// sample yields all cells, or every 17th in short mode.
func sample(s Space) iter.Seq[Choice] {
	return func(yield func(Choice) bool) {
		i := 0
		for c := range All(s) {
			if (!testing.Short() || i%17 == 0) && !yield(c) {
				return
			}
			i++
		}
	}
}

// TestCanonical checks that a cell and its canonical form are one network, and
// that different canonical forms are different networks.
func TestCanonical(t *testing.T) {
	s := newSpace(t, Size{Cells: 1, Channels: 1, Image: 8, Colours: 1, Classes: 2})
	networks := map[string]*ops.Graph{} // by canonical notation
	for c := range sample(s) {
		canonical := s.Canonical(c)
		g, err := s.Network(c, 1)
		if isDead := canonical.Equal(cell("000000")); errors.Is(err, ErrDead) != isDead {
			t.Fatalf("%s, canonical %v: error %v", s.Notation(c), canonical, err)
		} else if isDead {
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		key := s.Notation(canonical)
		if networks[key] == nil {
			if networks[key], err = s.Network(canonical, 1); err != nil {
				t.Fatal(err)
			}
		}
		if !reflect.DeepEqual(g, networks[key]) {
			t.Fatalf("%s and its canonical form %s differ as networks", s.Notation(c), key)
		}
	}
	graphs := map[string]string{}
	for key, g := range networks {
		text := fmt.Sprint(g)
		if other, ok := graphs[text]; ok {
			t.Errorf("%s and %s are one network", key, other)
		}
		graphs[text] = key
	}
}

// TestPublishedCounts compares with the figures that NAS-Bench-201 gives for
// CIFAR-10. It counts the 10 additions of the linear layer's bias as well,
// hence 220.11969 and 7.78305 million FLOPs.
func TestPublishedCounts(t *testing.T) {
	s := newSpace(t, paper)
	for _, tt := range []struct {
		digits       string
		macs, params int64
	}{
		{"333333", 220_119_690 - 10, 1_531_546}, // the largest
		{"111111", 7_783_050 - 10, 73_306},      // the smallest: no parameters in its cells
	} {
		g, err := s.Network(cell(tt.digits), 1)
		if err != nil {
			t.Fatal(err)
		}
		if got := g.Count(); got.MACs != tt.macs || got.Params != tt.params {
			t.Errorf("%s: %d MACs, %d parameters: want %d, %d", tt.digits, got.MACs, got.Params, tt.macs, tt.params)
		}
		batch, err := s.Network(cell(tt.digits), 3)
		if err != nil {
			t.Fatal(err)
		}
		if got := batch.Count(); got.MACs != 3*tt.macs || got.Params != tt.params {
			t.Errorf("%s: three images: %+v", tt.digits, got)
		}
	}
}

func TestNetwork(t *testing.T) {
	s := newSpace(t, Size{Cells: 1, Channels: 16, Image: 28, Colours: 1, Classes: 10})
	g, err := s.Network(cell("334123"), 2)
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	for i, n := range g.Nodes {
		fmt.Fprintf(&b, "%d %s %s %v %v\n", i, n.Kind, n.Name, n.In, n.Shape)
	}
	golden(t, "network.golden", b.String())
	if got, want := g.Shape(g.Out), (ops.Shape{N: 2, C: 10, H: 1, W: 1}); got != want {
		t.Errorf("output %v: want %v", got, want)
	}
}

func TestNetworkErrors(t *testing.T) {
	s := newSpace(t, paper)
	for _, tt := range []struct {
		name string
		c    Choice
	}{
		{"nothing", nil},
		{"two α", Choice{cell("333333")[0], cell("333333")[0]}},
		{"a row too few", cell("33333")},
		{"a row too many", cell("3333333")},
		{"column beyond", cell("333335")},
		{"negative column", Choice{{3, 3, 3, 3, 3, -1}}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if g, err := s.Network(tt.c, 1); err == nil || errors.Is(err, ErrDead) {
				t.Errorf("graph %v, error %v", g, err)
			}
		})
	}
}

// TestKeys lists what a profile of this space holds: the fused primitives of
// all its networks. They do not depend on the number of cells beyond two.
func TestKeys(t *testing.T) {
	s := newSpace(t, Size{Cells: 2, Channels: 16, Image: 28, Colours: 1, Classes: 10})
	keys := map[string]bool{}
	for c := range sample(s) {
		if !s.Canonical(c).Equal(c) {
			continue
		}
		g, err := s.Network(c, 1)
		if errors.Is(err, ErrDead) {
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		for k := range ops.Keys(ops.Fuse(g)) {
			keys[k.String()] = true
		}
	}
	golden(t, "keys.golden", strings.Join(slices.Sorted(maps.Keys(keys)), "\n")+"\n")
}

// TestSupernet checks that the supernet holds every operation once on each
// edge of each cell, weighted by the element of α that stands for it.
func TestSupernet(t *testing.T) {
	s := newSpace(t, Size{Cells: 2, Channels: 4, Image: 8, Colours: 3, Classes: 10})
	g, err := s.Supernet(3)
	if err != nil {
		t.Fatal(err)
	}
	alpha := s.Alphas()[0]
	mixes := 0
	for _, n := range g.Nodes {
		if n.Kind == ops.BatchNorm && strings.HasPrefix(n.Name, "stage") == n.Affine {
			t.Errorf("%s: affine %v", n.Name, n.Affine)
		}
		if n.Kind != ops.Mix {
			continue
		}
		prefix, name := cut(n.Name)
		to := int(name[len("node")] - '0')
		if to != mixes%3+1 {
			t.Errorf("%s is mixture %d", n.Name, mixes)
		}
		mixes++
		seen := map[ops.Gate]bool{}
		for i, gate := range n.Gates {
			if seen[gate] {
				t.Errorf("%s: α%v twice", n.Name, gate)
			}
			seen[gate] = true
			e, op := nb201Edges[gate.Row], alpha.Ops[gate.Col]
			if e.To != to {
				t.Errorf("%s: α%v is of edge %v", n.Name, gate, e)
			}
			in := g.Nodes[n.In[i]]
			own := strings.HasPrefix(in.Name, fmt.Sprintf("%sedge%d-%d.%s.", prefix, e.From, e.To, op))
			if own == (op == "skip_connect") { // a skip connection has no node
				t.Errorf("%s: α%v (%s of %s) weights %s", n.Name, gate, op, alpha.Rows[gate.Row], in.Name)
			}
			if op == "skip_connect" && e.From > 0 && in.Name != fmt.Sprintf("%snode%d", prefix, e.From) {
				t.Errorf("%s: the skip connection from node %d weights %s", n.Name, e.From, in.Name)
			}
		}
		if want := 4 * to; len(n.Gates) != want { // 4 operations other than none on each edge into the node
			t.Errorf("%s: %d terms: want %d", n.Name, len(n.Gates), want)
		}
	}
	if mixes != 3*3*2 {
		t.Errorf("%d mixtures: want 3 in each of 6 cells", mixes)
	}
	if got, want := g.Shape(g.Out), (ops.Shape{N: 3, C: 10, H: 1, W: 1}); got != want {
		t.Errorf("output %v: want %v", got, want)
	}
}

// cut splits a node's name after its last dot.
func cut(name string) (scope, last string) {
	i := strings.LastIndexByte(name, '.') + 1
	return name[:i], name[i:]
}

// Every network's nodes outside mixtures are in the supernet under the same
// names, so that a network can take the supernet's weights.
func TestNetworkWithinSupernet(t *testing.T) {
	s := newSpace(t, Size{Cells: 1, Channels: 4, Image: 8, Colours: 3, Classes: 10})
	super, err := s.Supernet(1)
	if err != nil {
		t.Fatal(err)
	}
	params := map[string][]int{}
	for _, n := range super.Nodes {
		for _, p := range super.Params(n) {
			params[p.Name] = p.Dims
		}
	}
	for _, digits := range []string{"334123", "222222", "333333"} {
		g, err := s.Network(cell(digits), 1)
		if err != nil {
			t.Fatal(err)
		}
		for _, n := range g.Nodes {
			for _, p := range g.Params(n) {
				if n.Kind == ops.BatchNorm && p.Learn && strings.HasPrefix(n.Name, "stage") {
					continue // a supernet's cells have no affine batch norms
				}
				if !slices.Equal(params[p.Name], p.Dims) {
					t.Errorf("%s: %s has dimensions %v in the network, %v in the supernet", digits, p.Name, p.Dims, params[p.Name])
				}
			}
		}
	}
}

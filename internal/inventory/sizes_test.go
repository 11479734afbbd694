// SPDX-License-Identifier: Apache-2.0

package inventory

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/edgenas/edgenas/arch"
	"github.com/edgenas/edgenas/ops"
)

// sized are the inventories of a space in some widths, of few cells.
func sized(t *testing.T, space string, widths ...int) Sizes {
	t.Helper()
	cells := map[string]int{"nb201": 1, "darts": 3, "mbconv": 1}
	var sizes []arch.Size
	for _, channels := range widths {
		sizes = append(sizes, arch.Size{Cells: cells[space], Channels: channels, Image: 8, Colours: 1, Classes: 3})
	}
	all, err := new(Cache).Sizes(space, sizes, 2)
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// One size is as if it were alone.
func TestSizesOfOne(t *testing.T) {
	one := sized(t, "nb201", 4)
	if !slices.Equal(one.Keys(), one[0].Keys()) {
		t.Error("other keys")
	}
	got, err1 := one.Sample(50, rand.New(rand.NewPCG(1, 2)))
	want, err2 := one[0].Sample(50, rand.New(rand.NewPCG(1, 2)))
	if err1 != nil || err2 != nil || len(got) != 50 {
		t.Fatal(len(got), err1, err2)
	}
	for i := range got {
		if got[i].Arch != want[i].Arch {
			t.Errorf("network %d is %s: want %s", i, got[i].Arch, want[i].Arch)
		}
	}
}

func TestSizes(t *testing.T) {
	for _, space := range []string{"nb201", "darts", "mbconv"} {
		all := sized(t, space, 4, 6, 8)
		keys, own := all.Keys(), map[ops.Key]bool{}
		for _, n := range all {
			for _, k := range n.Keys() {
				own[k] = true
			}
		}
		if len(keys) != len(own) || !slices.IsSortedFunc(keys, func(a, b ops.Key) int {
			return strings.Compare(a.String(), b.String())
		}) {
			t.Errorf("%s: %d keys: want %d, sorted", space, len(keys), len(own))
		}
		drawn, err := all.Sample(100, rand.New(rand.NewPCG(1, 2)))
		if err != nil {
			t.Fatal(err)
		}
		of, names := map[int]int{}, map[string]bool{}
		for _, d := range drawn {
			of[d.Space.Size().Channels]++
			names[d.Arch] = true
			c, err := d.Space.Parse(d.Arch)
			if err != nil {
				t.Fatal(err)
			}
			g, err := d.Space.Network(c, 1)
			if err != nil {
				t.Fatal(err)
			}
			checkFind(t, all, d)
			if g.Count().MACs != ops.Fuse(g).Count().MACs || d.Graph.Count().MACs != ops.Fuse(g).Count().MACs {
				t.Errorf("%s: the graph of %s is not that of its size", space, d.Arch)
			}
		}
		if of[4] != 33 || of[6] != 33 || of[8] != 34 || len(names) != 100 {
			t.Errorf("%s: %v networks of each width, %d notations", space, of, len(names))
		}
	}
}

// checkFind looks a network up by its notation and its operations, which name it
// in one size, and by those of another network.
func checkFind(t *testing.T, all Sizes, d Network) {
	t.Helper()
	counts := map[string]int{}
	for k, n := range ops.Keys(d.Graph) {
		counts[k.String()] = n
	}
	found, ok := all.Find(d.Arch, counts)
	if !ok || found.Space != d.Space || found.Arch != d.Arch || found.Graph.Count() != d.Graph.Count() {
		t.Errorf("%s of %+v: found %v, %+v", d.Arch, d.Space.Size(), ok, found)
	}
	for k := range counts {
		counts[k]++
	}
	if _, ok := all.Find(d.Arch, counts); ok {
		t.Errorf("%s was found by the operations of another network", d.Arch)
	}
	if _, ok := all.Find("of another space", counts); ok {
		t.Error("what is no network was found")
	}
}

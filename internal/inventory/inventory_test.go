// SPDX-License-Identifier: Apache-2.0

package inventory

import (
	"errors"
	"maps"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"

	"github.com/edgenas/edgenas/arch"
	"github.com/edgenas/edgenas/ops"
)

// tinySpaces has one of each space, and some sizes that put the reduction cells
// of darts beside one another, at the start and apart.
var tinySpaces = sync.OnceValues(func() (all []*Inventory, err error) {
	for _, sp := range []struct {
		name  string
		cells int
	}{{"nb201", 1}, {"darts", 3}, {"darts", 4}, {"darts", 8}, {"mbconv", 1}, {"mbconv", 3}} {
		space, err := arch.NewSpace(sp.name, arch.Size{Cells: sp.cells, Channels: 4, Image: 16, Colours: 1, Classes: 3})
		if err != nil {
			return nil, err
		}
		n, err := New(space, 2)
		if err != nil {
			return nil, err
		}
		all = append(all, n)
	}
	return all, nil
})

// Few of a space's networks tell what all are made of.
func TestKeysAreThoseOfAllNetworks(t *testing.T) {
	all, err := tinySpaces()
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range all {
		space, known := n.space, map[ops.Key]bool{}
		for _, k := range n.keys {
			known[k] = true
		}
		if len(known) != len(n.keys) {
			t.Errorf("%s: %d keys, %d of them different", space.Name(), len(n.keys), len(known))
		}
		skip := slices.Index(space.Alphas()[0].Ops, "skip_connect")
		rng := rand.New(rand.NewPCG(1, 0))
		for trial := range 300 {
			c := n.start.Clone()
			for _, g := range space.Groups() {
				o := rng.IntN(len(g.Options))
				if trial%2 == 1 { // what merges: much that passes its input on, from the latest nodes
					for range 20 {
						o = max(o, rng.IntN(len(g.Options)))
					}
				}
				g.Set(c, o)
			}
			if trial%2 == 1 && space.Name() == "darts" {
				c[0][0], c[0][1] = skip, skip
			}
			got, err := n.Counts(c)
			if errors.Is(err, arch.ErrDead) {
				continue
			}
			if err != nil {
				t.Fatal(err)
			}
			g, err := space.Network(c, 1)
			if err != nil {
				t.Fatal(err)
			}
			if want := ops.Keys(ops.Fuse(g)); !maps.Equal(got, want) {
				t.Fatalf("%s of %d cells, %s: operations %v: want %v", space.Name(), space.Size().Cells, space.Notation(c),
					got, want)
			}
			for k := range got {
				if !known[k] {
					t.Fatalf("%s of %d cells, %s: %s is not among the operations of all networks", space.Name(),
						space.Size().Cells, space.Notation(c), k)
				}
			}
		}
	}
}

func TestSample(t *testing.T) {
	all, err := tinySpaces()
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range all {
		space := n.space
		const count = 600 // more than any group has options, and than their least common multiple in mbconv
		drawn, err := n.Sample(count, rand.New(rand.NewPCG(1, 0)))
		if err != nil {
			t.Fatal(err)
		}
		again, err := n.Sample(20, rand.New(rand.NewPCG(1, 0)))
		if err != nil {
			t.Fatal(err)
		}
		seen := map[string]bool{}
		for i, d := range drawn {
			if seen[d.Arch] {
				t.Errorf("%s: %s comes twice", space.Name(), d.Arch)
			}
			seen[d.Arch] = true
			if i < len(again) && again[i].Arch != d.Arch {
				t.Errorf("%s: network %d is %s, and %s another time", space.Name(), i, d.Arch, again[i].Arch)
			}
		}
		if len(drawn) != count {
			t.Errorf("%s: %d networks: want %d", space.Name(), len(drawn), count)
		}
	}
}

// Where a space has fewer networks than are asked for, all of them are drawn.
func TestSampleAll(t *testing.T) {
	all, err := tinySpaces()
	if err != nil {
		t.Fatal(err)
	}
	n := all[4] // mbconv of one cell
	few := *n
	few.groups = n.groups[:2]
	want := len(few.groups[0].Options) * len(few.groups[1].Options)
	drawn, err := few.Sample(10_000, rand.New(rand.NewPCG(1, 0)))
	if err != nil || len(drawn) != want {
		t.Errorf("%d networks, %v: want %d", len(drawn), err, want)
	}
}

// The smallest tenth is small, and drawn by the seed.
func TestSampleSmallest(t *testing.T) {
	all, err := tinySpaces()
	if err != nil {
		t.Fatal(err)
	}
	macs := func(counts map[ops.Key]int) (float64, error) {
		sum := 0.0
		for k, c := range counts {
			g, err := k.Chain(1)
			if err != nil {
				return 0, err
			}
			sum += float64(c) * float64(g.Count().MACs)
		}
		return sum, nil
	}
	for _, n := range []*Inventory{all[0], all[1], all[4]} {
		costs := func(networks []Network) (all []float64) {
			for _, d := range networks {
				c, err := macs(ops.Keys(d.Graph))
				if err != nil {
					t.Fatal(err)
				}
				all = append(all, c)
			}
			slices.Sort(all)
			return all
		}
		small, err1 := n.SampleSmallest(20, macs, rand.New(rand.NewPCG(1, 0)))
		again, err2 := n.SampleSmallest(20, macs, rand.New(rand.NewPCG(1, 0)))
		usual, err3 := n.Sample(200, rand.New(rand.NewPCG(2, 0)))
		if err := errors.Join(err1, err2, err3); err != nil {
			t.Fatal(err)
		}
		if largest, fifth := slices.Max(costs(small)), costs(usual)[40]; len(small) != 20 || largest > fifth {
			t.Errorf("%s: %d networks of up to %.3g MACs: a fifth of all have at most %.3g", n.space.Name(), len(small), largest,
				fifth)
		}
		for i := range small {
			if small[i].Arch != again[i].Arch {
				t.Errorf("%s: network %d is %s, and %s another time", n.space.Name(), i, small[i].Arch, again[i].Arch)
			}
		}
	}
}

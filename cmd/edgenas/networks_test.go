// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"maps"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/edgenas/edgenas/arch"
	"github.com/edgenas/edgenas/internal/safetensors"
	"github.com/edgenas/edgenas/ops"
)

// tinySpaces has one of each space, and some sizes that put the reduction cells
// of darts beside one another, at the start and apart.
var tinySpaces = sync.OnceValues(func() (all []*networks, err error) {
	for _, sp := range []struct {
		name  string
		cells int
	}{{"nb201", 1}, {"darts", 3}, {"darts", 4}, {"darts", 8}, {"mbconv", 1}, {"mbconv", 3}} {
		space, err := arch.NewSpace(sp.name, arch.Size{Cells: sp.cells, Channels: 4, Image: 16, Colours: 1, Classes: 3})
		if err != nil {
			return nil, err
		}
		n, err := newNetworks(space)
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
			got, err := n.counts(c)
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
				t.Fatalf("%s of %d cells, %s: operations %v: want %v", space.Name(), space.Size().Cells, space.Notation(c), got, want)
			}
			for k := range got {
				if !known[k] {
					t.Fatalf("%s of %d cells, %s: %s is not among the operations of all networks", space.Name(), space.Size().Cells, space.Notation(c), k)
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
	for _, n := range all[:2] {
		space := n.space
		const count = 600 // more than any group of darts has options
		drawn, err := n.sample(count, rand.New(rand.NewPCG(1, 0)))
		if err != nil {
			t.Fatal(err)
		}
		again, err := n.sample(20, rand.New(rand.NewPCG(1, 0)))
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

// A space with edge selection goes the whole way, and takes its own defaults.
func TestSearchWithEdgeSelection(t *testing.T) {
	images := "idx:" + fixture(t, "tiny") // and the fixtures
	size := tinySize
	size.Cells, size.Channels = 8, 2 // eight cells are the default
	dir := t.TempDir()
	board := save(t, tinyProfile(t, "darts", size), filepath.Join(dir, "board.json"))
	out := filepath.Join(dir, "out")
	edgenas(t, "search", "--space", "darts", "--channels", "2", "--search-channels", "1", "--latency-budget", "200us", "--profile", board, "--data", images,
		"--search-epochs", "2", "--epochs", "1", "--out", out).want(t, exitDone)
	var r request
	if err := runDir(out).readJSON(requestFile, &r); err != nil {
		t.Fatal(err)
	}
	if r.Size != size || r.SearchCells != 8 || r.SearchChannels != 1 {
		t.Errorf("size %+v, supernet of %d cells and %d channels: want %+v, 8 and 1", r.Size, r.SearchCells, r.SearchChannels, size)
	}
	found, err := arch.ReadFile(filepath.Join(out, architectureFile))
	if err != nil {
		t.Fatal(err)
	}
	var res result
	if err := runDir(out).readJSON(resultFile, &res); err != nil {
		t.Fatal(err)
	}
	g, err := found.Network(1)
	if err != nil {
		t.Fatal(err)
	}
	if count := g.Count(); !res.WithinBudget || res.Params != count.Params || res.MACs != count.MACs || res.Architecture != found.Space.Notation(found.Choice) {
		t.Errorf("%+v: want a network within the budget of %d parameters and %d MACs", res, count.Params, count.MACs)
	}
	f, err := safetensors.ReadFile(filepath.Join(out, weightsFile))
	if err != nil {
		t.Fatal(err)
	}
	if err := fits(f.Weights, found); err != nil {
		t.Error(err)
	}
	again := edgenas(t, "search", "--space", "darts", "--latency-budget", "200us", "--cells", "2", "--profile", board, "--data", images, "--out", filepath.Join(dir, "none"))
	if again.code != exitUsage || !strings.Contains(again.stderr, "cells 2") {
		t.Errorf("two cells: exit %d, %s", again.code, again.stderr)
	}
}

// A chain goes the whole way; its supernet has all of its blocks, since each is
// decided by itself.
func TestSearchOfChain(t *testing.T) {
	images := "idx:" + fixture(t, "tiny") // and the fixtures
	size := tinySize
	size.Cells, size.Channels = 4, 2 // three blocks a stage are the default
	dir := t.TempDir()
	board := save(t, tinyProfile(t, "mbconv", size), filepath.Join(dir, "board.json"))
	out := filepath.Join(dir, "out")
	flags := []string{"search", "--space", "mbconv", "--cells", "4", "--channels", "2", "--latency-budget", "450us", "--profile", board, "--data", images,
		"--search-epochs", "1", "--epochs", "1", "--out", out}
	if got := edgenas(t, append(flags, "--search-cells", "1")...); got.code != exitUsage || !strings.Contains(got.stderr, "--search-cells 1: the cells of mbconv are decided one by one: want 4") {
		t.Errorf("a supernet of other blocks: exit %d, %s", got.code, got.stderr)
	}
	edgenas(t, append(flags, "--search-channels", "1")...).want(t, exitDone)
	var r request
	if err := runDir(out).readJSON(requestFile, &r); err != nil {
		t.Fatal(err)
	}
	if r.Size != size || r.SearchCells != 4 || r.SearchChannels != 1 {
		t.Errorf("size %+v, supernet of %d cells and %d channels: want %+v, 4 and 1", r.Size, r.SearchCells, r.SearchChannels, size)
	}
	found, err := arch.ReadFile(filepath.Join(out, architectureFile))
	if err != nil {
		t.Fatal(err)
	}
	var res result
	if err := runDir(out).readJSON(resultFile, &res); err != nil {
		t.Fatal(err)
	}
	g, err := found.Network(1)
	if err != nil {
		t.Fatal(err)
	}
	if count := g.Count(); !res.WithinBudget || res.Params != count.Params || res.MACs != count.MACs || res.Architecture != found.Space.Notation(found.Choice) {
		t.Errorf("%+v: want a network within the budget of %d parameters and %d MACs", res, count.Params, count.MACs)
	}
	if res.ONNXMaxDifference > 1e-4 {
		t.Errorf("logits of the export are off by %g", res.ONNXMaxDifference)
	}
	f, err := safetensors.ReadFile(filepath.Join(out, weightsFile))
	if err != nil {
		t.Fatal(err)
	}
	if err := fits(f.Weights, found); err != nil {
		t.Error(err)
	}
}

func BenchmarkNewNetworks(b *testing.B) {
	for _, sp := range arch.Spaces {
		b.Run("space="+sp.Name, func(b *testing.B) {
			space, err := sp.New(sp.Default)
			if err != nil {
				b.Fatal(err)
			}
			for b.Loop() {
				if _, err := newNetworks(space); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// SPDX-License-Identifier: Apache-2.0

package main

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/edgenas/edgenas/arch"
	"github.com/edgenas/edgenas/internal/fault"
	"github.com/edgenas/edgenas/internal/inventory"
	"github.com/edgenas/edgenas/internal/run"
	"github.com/edgenas/edgenas/internal/runfile"
	"github.com/edgenas/edgenas/internal/safetensors"
)

// A space with edge selection goes the whole way.
func TestSearchWithEdgeSelection(t *testing.T) {
	images := "idx:" + fixture(t, "tiny") // and the fixtures
	size := tinySize
	size.Cells, size.Channels = 8, 2 // eight cells are the default
	dir := t.TempDir()
	board := save(t, tinyProfile(t, "darts", size), filepath.Join(dir, "board.json"))
	out := filepath.Join(dir, "out")
	t.Parallel() // from here on the work is in other processes
	apart(t, "search", "--space", "darts", "--cells", "8", "--channels", "2", "--latency-budget", "200us",
		"--profile", board, "--data", images,
		"--epochs", "1", "--out", out).want(t, fault.Done)
	r, err := runfile.Dir(out).ReadRequest()
	if err != nil {
		t.Fatal(err)
	}
	if r.Size != size {
		t.Errorf("size %+v: want %+v", r.Size, size)
	}
	found, err := arch.ReadFile(filepath.Join(out, runfile.ArchitectureName))
	if err != nil {
		t.Fatal(err)
	}
	res, err := runfile.Dir(out).ReadResult()
	if err != nil {
		t.Fatal(err)
	}
	g, err := found.Network(1)
	if err != nil {
		t.Fatal(err)
	}
	if count := g.Count(); !res.WithinBudget || res.Params != count.Params || res.MACs != count.MACs ||
		res.Architecture != found.Space.Notation(found.Choice) {
		t.Errorf("%+v: want a network within the budget of %d parameters and %d MACs", res, count.Params, count.MACs)
	}
	f, err := safetensors.ReadFile(filepath.Join(out, runfile.WeightsName))
	if err != nil {
		t.Fatal(err)
	}
	if err := run.Fits(f.Weights, found); err != nil {
		t.Error(err)
	}
	again := apart(t, "search", "--space", "darts", "--latency-budget", "200us", "--cells", "2",
		"--profile", board, "--data", images, "--out", filepath.Join(dir, "none"))
	if again.code != fault.Usage || !strings.Contains(again.stderr, "cells 2") {
		t.Errorf("two cells: exit %d, %s", again.code, again.stderr)
	}
}

// A chain goes the whole way; small networks have all of its blocks, since each is
// decided by itself.
func TestSearchOfChain(t *testing.T) {
	images := "idx:" + fixture(t, "tiny") // and the fixtures
	size := tinySize
	size.Cells, size.Channels = 4, 2 // three blocks a stage are the default
	dir := t.TempDir()
	board := save(t, tinyProfile(t, "mbconv", size), filepath.Join(dir, "board.json"))
	out := filepath.Join(dir, "out")
	flags := []string{"search", "--space", "mbconv", "--cells", "4", "--channels", "2", "--latency-budget", "450us",
		"--profile", board, "--data", images,
		"--epochs", "1", "--out", out}
	t.Parallel() // from here on the work is in another process
	apart(t, flags...).want(t, fault.Done)
	r, err := runfile.Dir(out).ReadRequest()
	if err != nil {
		t.Fatal(err)
	}
	if r.Size != size {
		t.Errorf("size %+v: want %+v", r.Size, size)
	}
	found, err := arch.ReadFile(filepath.Join(out, runfile.ArchitectureName))
	if err != nil {
		t.Fatal(err)
	}
	res, err := runfile.Dir(out).ReadResult()
	if err != nil {
		t.Fatal(err)
	}
	g, err := found.Network(1)
	if err != nil {
		t.Fatal(err)
	}
	if count := g.Count(); !res.WithinBudget || res.Params != count.Params || res.MACs != count.MACs ||
		res.Architecture != found.Space.Notation(found.Choice) {
		t.Errorf("%+v: want a network within the budget of %d parameters and %d MACs", res, count.Params, count.MACs)
	}
	if res.ONNXMaxDifference > 1e-4 {
		t.Errorf("logits of the export are off by %g", res.ONNXMaxDifference)
	}
	f, err := safetensors.ReadFile(filepath.Join(out, runfile.WeightsName))
	if err != nil {
		t.Fatal(err)
	}
	if err := run.Fits(f.Weights, found); err != nil {
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
				if _, err := inventory.New(space, 2); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

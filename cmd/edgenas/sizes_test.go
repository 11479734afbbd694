// SPDX-License-Identifier: Apache-2.0

package main

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/edgenas/edgenas/arch"
	"github.com/edgenas/edgenas/internal/fault"
	"github.com/edgenas/edgenas/internal/inventory"
	"github.com/edgenas/edgenas/internal/target"
	"github.com/edgenas/edgenas/profiles"
)

// chain are flags for images for which mbconv has small networks.
var chain = []string{"--space", "mbconv", "--image", "8", "--classes", "3", "--rounds", "1"}

// sizesIn are the sizes of which a profile has all operations.
func sizesIn(t *testing.T, p *profiles.Profile) []arch.Size {
	t.Helper()
	sizes, err := target.SizesOf(p, target.SizeRequest{Space: "mbconv", Base: arch.Size{Image: 8, Colours: 1, Classes: 3},
		Inventories: &inventory.Cache{}, Threads: 2})
	if err != nil {
		t.Fatal(err)
	}
	return sizes
}

// A profile is of the sizes that suit the budget, and validation takes those
// that it has.
func TestProfileForBudget(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "p.json")
	o := apart(t, append([]string{"profile", "-o", path, "--latency-budget", "1us"}, chain...)...).want(t, fault.Done)
	if want := "sizes for a budget of 1µs: channels 1 and cells 1"; !strings.Contains(o.stderr, want) {
		t.Errorf("stderr %s: want %q", o.stderr, want)
	}
	smallest := load(t, path)
	if sizes := sizesIn(t, smallest); len(sizes) != 1 || sizes[0].Channels != 1 || sizes[0].Cells != 1 ||
		len(smallest.Networks) != target.CalibrationNetworks {
		t.Errorf("sizes %+v, %d networks", sizes, len(smallest.Networks))
	}

	// A larger budget adds to the file. Where all sizes are too fast, it is the largest.
	o = apart(t, append([]string{"profile", "-o", path, "--only-missing", "--latency-budget", "1h", "--cells", "auto",
		"--channels", "2"}, chain...)...).want(t, fault.Done)
	for _, want := range []string{"sizes for a budget of 1h0m0s: channels 2 and cells 5\n",
		"--channels and --cells give"} {
		if !strings.Contains(o.stderr, want) {
			t.Errorf("stderr %s: want %q", o.stderr, want)
		}
	}
	if p := load(t, path); len(p.Entries) <= len(smallest.Entries) || len(sizesIn(t, p)) != 2 {
		t.Errorf("%d entries after %d, %d networks; sizes %+v", len(p.Entries), len(smallest.Entries), len(p.Networks),
			sizesIn(t, p))
	}

	o = apart(t, append([]string{"lut", "validate", "--profile", path, "--allow-emulated", "--n", "4"}, chain...)...)
	o.want(t, fault.Done)
	if !strings.HasPrefix(o.stdout, "4 networks: ") || strings.Contains(o.stderr, "operations") {
		t.Errorf("stdout %s, stderr %s", o.stdout, o.stderr)
	}
}

// Channels or cells that are given, without a budget, are one size.
func TestProfileOfOneSize(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "p.json")
	o := apart(t, append([]string{"profile", "-o", path, "--channels", "1"}, chain...)...).want(t, fault.Done)
	usual, err := arch.NewSpace("mbconv", arch.Size{Cells: 3, Channels: 1, Image: 8, Colours: 1, Classes: 3})
	if err != nil {
		t.Fatal(err)
	}
	n, err := inventory.New(usual, 2)
	if err != nil {
		t.Fatal(err)
	}
	if p := load(t, path); p.Missing(n.KeyTexts()) != nil || len(p.Entries) != len(n.Keys()) ||
		strings.Contains(o.stderr, "sizes for") {
		t.Errorf("%d entries: want %d; stderr %s", len(p.Entries), len(n.Keys()), o.stderr)
	}
}

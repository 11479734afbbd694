// SPDX-License-Identifier: Apache-2.0

package memory

import (
	"errors"
	"runtime"
	"strings"
	"testing"

	"github.com/edgenas/edgenas/ops"
)

// network has 3·4·9 + 4·2+2 learned values, 2·4 running ones and 7 nodes.
func network(t *testing.T, batch int) *ops.Graph {
	t.Helper()
	b, x := ops.NewBuilder(ops.Shape{N: batch, C: 3, H: 8, W: 8})
	x = b.ReLU("relu", b.BatchNorm("bn", b.Conv("conv", x, 4, ops.Same(3, 1, 1), 1, false), false))
	g, err := b.Finish(b.Linear("linear", b.GlobalAvgPool("pool", x), 2))
	if err != nil {
		t.Fatal(err)
	}
	return g
}

// perImage plans an arena of so many bytes for each image.
func perImage(n int) Plan {
	return func(g *ops.Graph) (int, error) { return n * g.Nodes[0].Shape.N, nil }
}

func TestEstimate(t *testing.T) {
	g := network(t, 2)
	u, err := Model{g, perImage(1000), 500, 77}.Estimate()
	if err != nil {
		t.Fatal(err)
	}
	const learned, running = 3*4*9 + 4*2 + 2, 2 * 4
	want := Use{Step: 2000 + 4*2*3*8*8, Network: 500 + 4*learned, Checkpoint: copies * 4 * (2*learned + running), Rest: 77}
	want.Garbage = (want.Step + want.Network + want.Checkpoint + want.Rest) / 10
	want.Rest += programBytes
	if u != want || u.Total() != want.Step+want.Network+want.Checkpoint+want.Rest+want.Garbage {
		t.Errorf("%+v: want %+v", u, want)
	}
	broken := errors.New("broken")
	if _, err := (Model{Graph: g, Plan: func(*ops.Graph) (int, error) { return 0, broken }}).Estimate(); !errors.Is(err,
		broken) {
		t.Errorf("%v: want %v", err, broken)
	}
}

// What is in use counts, and what no longer is does not.
func TestHeld(t *testing.T) {
	const size = 64 << 20
	before := Held()
	b := make([]byte, size)
	if with := Held(); with < before+size*9/10 {
		t.Errorf("%d, and %d with %d more", before, with, size)
	}
	runtime.KeepAlive(b)
	if after := Held(); after > before+size/10 {
		t.Errorf("%d, and %d when all is let go", before, after)
	}
}

func TestCheck(t *testing.T) {
	const arena = 10 << 20 // for each image
	m := Model{Graph: network(t, 64), Plan: perImage(arena), Fixed: 1e6, Held: 1e7}
	total := func(batch int) int64 {
		u, err := m.estimate(m.Graph.WithBatch(batch))
		if err != nil {
			t.Fatal(err)
		}
		return u.Total()
	}
	for name, tt := range map[string]struct {
		available int64
		fits      int // 64: all
	}{
		"enough":       {total(64), 64},
		"one too many": {total(64) - 1, 63},
		"half":         {total(32), 32},
		"one":          {total(1), 1},
		"none":         {total(1) - 1, 0},
		"nothing":      {0, 0},
	} {
		use, err := m.Check(tt.available)
		if use.Total() != total(64) {
			t.Errorf("%s: %v", name, use)
		}
		var large *TooLargeError
		switch {
		case tt.fits == 64:
			if err != nil {
				t.Errorf("%s: %v", name, err)
			}
		case !errors.As(err, &large) || large.Fits != tt.fits || large.Batch != 64 || large.Available != tt.available:
			t.Errorf("%s: %v: want one that %d images fit", name, err, tt.fits)
		}
	}
	broken := errors.New("broken")
	m.Plan = func(g *ops.Graph) (int, error) {
		if g.Nodes[0].Shape.N < 64 {
			return 0, broken
		}
		return 1 << 40, nil
	}
	if _, err := m.Check(1 << 30); !errors.Is(err, broken) {
		t.Errorf("%v: want %v", err, broken)
	}
}

func TestTooLargeError(t *testing.T) {
	e := &TooLargeError{Use: Use{Step: 1.9e9, Network: 24e6, Checkpoint: 16e6, Rest: 54e6, Garbage: 790e3},
		Available: 1.2e9, Batch: 64, Fits: 38}
	const want = "memory: training on 64 images a step takes 2.0 GB (step 1.9 GB, network 24 MB, checkpoint 16 MB, " +
		"data and program 54 MB, garbage 790 kB), and 1.2 GB are available: a batch of 38 would fit"
	if e.Error() != want {
		t.Errorf("%s\nwant %s", e, want)
	}
	if e.Fits = 0; !strings.HasSuffix(e.Error(), "not even a batch of 1 would fit") {
		t.Error(e)
	}
}

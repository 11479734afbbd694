// SPDX-License-Identifier: Apache-2.0

package native

import (
	"context"
	"errors"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/edgenas/edgenas/arch"
	"github.com/edgenas/edgenas/export"
	"github.com/edgenas/edgenas/internal/kernels"
	"github.com/edgenas/edgenas/latency"
	"github.com/edgenas/edgenas/ops"
)

var (
	_ latency.Runtime = Runtime{}
	_ export.Runtime  = Runtime{}
)

func network(t *testing.T) (*ops.Graph, ops.Weights) {
	t.Helper()
	s, err := arch.NewSpace("nb201", arch.Size{Cells: 1, Channels: 4, Image: 8, Colours: 1, Classes: 3})
	if err != nil {
		t.Fatal(err)
	}
	c, err := s.Parse("|nor_conv_3x3~0|+|none~0|skip_connect~1|+|none~0|none~1|avg_pool_3x3~2|")
	if err != nil {
		t.Fatal(err)
	}
	g, err := s.Network(c, 1)
	if err != nil {
		t.Fatal(err)
	}
	return g, ops.InitWeights(g, rand.New(rand.NewPCG(1, 0)))
}

func runtime(t *testing.T, threads int) Runtime {
	t.Helper()
	pool := kernels.NewWorkers(threads)
	t.Cleanup(pool.Close)
	return Runtime{pool}
}

// What runs trained networks and what runs fused ones is the same runtime.
func TestRun(t *testing.T) {
	g, w := network(t)
	x := make([]float32, 64)
	for i := range x {
		x[i] = float32(i%7) - 3
	}
	y, err := runtime(t, 2).Run(g, w, x)
	if err != nil {
		t.Fatal(err)
	}
	fused := ops.Fuse(g)
	folded, err := fused.FoldWeights(w)
	if err != nil {
		t.Fatal(err)
	}
	r, err := runtime(t, 1).Compile(fused, folded)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	p := r.(runner).Program
	copy(p.Input(0), x) // one channel: both layouts are the same
	if err := r.Run(); err != nil {
		t.Fatal(err)
	}
	if len(y) != 3 {
		t.Fatalf("%d logits: want 3", len(y))
	}
	for i, v := range p.Output() {
		if v != y[i] {
			t.Errorf("logit %d: %v compiled, %v run", i, v, y[i])
		}
	}
}

func TestInfo(t *testing.T) {
	got, want := runtime(t, 3).Info(), Info(3)
	if got.Threads != 3 || got.Name != want.Name || got.Version != want.Version ||
		got.Build != want.Build || got.Build == "" {
		t.Errorf("%+v: want %+v", got, want)
	}
}

func TestVerify(t *testing.T) {
	g, w := network(t)
	r := runtime(t, 1)
	v, err := r.Verify(t.Context(), g, w, latency.Mode{}, 1)
	if err != nil || !(v.MedianS > 0) || v.Runtime.Threads != 1 {
		t.Errorf("%+v, %v", v, err)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := r.Verify(ended, g, w, latency.Mode{}, 1); !errors.Is(err, context.Canceled) {
		t.Errorf("an interrupted one: %v", err)
	}
	for name := range w {
		w[name].Data[0] = float32(math.NaN())
	}
	if _, err := r.Verify(t.Context(), g, w, latency.Mode{}, 1); err == nil {
		t.Error("weights that are no numbers were run")
	}
	if _, err := r.Compile(g, nil); err == nil {
		t.Error("a network without weights was compiled")
	}
	if _, err := r.Run(g, nil, nil); err == nil {
		t.Error("a network without weights was run")
	}
}

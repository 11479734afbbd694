// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"math"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/edgenas/edgenas/arch"
	"github.com/edgenas/edgenas/internal/autodiff"
	"github.com/edgenas/edgenas/internal/kernels"
)

// tiny is a step that takes no time.
func tiny(space, path string) Step {
	return Step{Space: space, Path: path, Batch: 2, Channels: 2, Cells: 3, Image: 32, Steps: 2, Seed: 1}
}

func TestStep(t *testing.T) {
	pool := kernels.NewWorkers(1)
	defer pool.Close()
	for _, tt := range []struct {
		space, path, peer string
		paths, steps      int
	}{
		{"nb201", Mixture, "nb201", 0, 2},
		{"nb201", GDAS, "nb201", 0, 2},
		{"nb201", GDAS, "nb201", 3, 3},
		{"nb201", Retrain, "retrain-nb201", 0, 2},
		{"darts", Mixture, "darts", 0, 2},
		{"darts", GDAS, "darts", 4, 4},
		{"darts", Retrain, "retrain-darts-v2", 0, 2},
		{"mbconv", Mixture, "mbconv", 0, 2},
		{"mbconv", GDAS, "mbconv", 3, 3},
		{"mbconv", Retrain, "retrain-proxyless-mobile", 0, 2},
	} {
		t.Run(tt.space+"/"+tt.path, func(t *testing.T) {
			s := tiny(tt.space, tt.path)
			s.Paths = tt.paths
			if tt.space == "mbconv" { // the published network has a choice for each of its blocks
				s.Cells = 4
			}
			r, err := s.Run(t.Context(), pool)
			if err != nil {
				t.Fatal(err)
			}
			if r.Peer != tt.peer || r.Path != tt.path || r.Threads != 1 || r.Batch != 2 || r.Channels != 2 ||
				r.Cells != s.Cells || len(r.StepsS) != tt.steps {
				t.Errorf("%+v", r)
			}
			if r.Params <= 0 || r.MACs <= 0 || r.Arena <= 0 || r.MedianS <= 0 || r.MinS > r.MedianS || r.Loss <= 0 ||
				math.Abs(r.ImagesPerS*r.MedianS-2) > 1e-9 {
				t.Errorf("%+v", r)
			}
			data, err := json.Marshal(r)
			if err != nil {
				t.Fatal(err)
			}
			for _, field := range []string{"peer", "mode", "path", "batch", "channels", "cells", "image", "threads", "params",
				"loss", "median_s", "min_s", "steps_s", "images_per_s", "max_rss_bytes"} {
				if !bytes.Contains(data, []byte(`"`+field+`":`)) {
					t.Errorf("%s has no %s", data, field)
				}
			}
			if n := strings.Count(r.Benchmark(), "BenchmarkStep/space="+tt.peer+"/path="+tt.path+"/"); n != tt.steps {
				t.Errorf("%s: %d steps, want %d", r.Benchmark(), n, tt.steps)
			}
		})
	}
}

func TestStepRefused(t *testing.T) {
	for name, change := range map[string]func(*Step){
		"space":            func(s *Step) { s.Space = "nb301" },
		"path":             func(s *Step) { s.Path = "all" },
		"no images":        func(s *Step) { s.Batch = 0 },
		"no steps":         func(s *Step) { s.Steps = 0 },
		"image":            func(s *Step) { s.Image = 9 },
		"channels":         func(s *Step) { s.Channels = -1 },
		"network":          func(s *Step) { s.Path, s.Arch = Retrain, "|none~0|" },
		"dead network":     func(s *Step) { s.Path, s.Arch = Retrain, "|none~0|+|none~0|none~1|+|none~0|none~1|none~2|" },
		"network of a mix": func(s *Step) { s.Arch = spaces[0].network },
		"paths of a mix":   func(s *Step) { s.Paths = 3 },
		"negative paths":   func(s *Step) { s.Path, s.Paths = GDAS, -1 },
	} {
		s := tiny("nb201", Mixture)
		change(&s)
		var spec *SpecError
		if _, err := s.Run(t.Context(), nil); !errors.As(err, &spec) {
			t.Errorf("%s: %v: want a SpecError", name, err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	pool := kernels.NewWorkers(1)
	defer pool.Close()
	if _, err := tiny("nb201", Mixture).Run(ctx, pool); !errors.Is(err, context.Canceled) {
		t.Errorf("%v: want context.Canceled", err)
	}
}

// The networks and extents that stand for the literature's are there.
func TestSpaces(t *testing.T) {
	for i, b := range spaces {
		if arch.Spaces[i].Name != b.space {
			t.Errorf("space %d is %s: want %s", i, b.space, arch.Spaces[i].Name)
		}
		for _, path := range []string{Mixture, Retrain} {
			s, _, err := Step{Space: b.space, Path: path, Batch: 1, Image: 32, Steps: 1}.resolve()
			if err != nil {
				t.Fatal(err)
			}
			g, _, err := s.graph()
			if err != nil {
				t.Fatal(err)
			}
			t.Log(b.space, path, s.Channels, s.Cells, g.Count())
			if path == Retrain && b.space == "darts" {
				// Liu et al., 2019, §3.2.2: 3.3 M parameters; with the auxiliary head 3.8 M.
				if p := g.Count().Params; g.Aux == 0 || p < 3.7e6 || p > 4e6 {
					t.Errorf("DARTS_V2 with auxiliary head has %d parameters", p)
				}
			}
		}
	}
}

// Over as many steps as there are operations, a path visits each on each edge once.
func TestVisit(t *testing.T) {
	for _, tt := range []struct {
		b             benched
		rows, columns int
	}{{spaces[0], 6, 5}, {spaces[1], 14, 8}, {spaces[2], 15, 7}} {
		for row := range tt.rows {
			seen := map[int]int{}
			for step := range tt.columns - tt.b.firstColumn {
				seen[tt.b.visit(step)(row, tt.columns)]++
			}
			for col := tt.b.firstColumn; col < tt.columns; col++ {
				if seen[col] != 1 {
					t.Errorf("%s: row %d: %v: want each of %d to %d once", tt.b.space, row, seen, tt.b.firstColumn, tt.columns-1)
				}
			}
		}
		rng := rand.New(rand.NewPCG(1, 2))
		drawn := map[int]int{}
		for range 100 * tt.columns {
			drawn[draw(rng)(0, tt.columns)]++
		}
		if len(drawn) != tt.columns || drawn[tt.columns-1] < 50 {
			t.Errorf("%s: drawn %v", tt.b.space, drawn)
		}
	}
}

// What is counted of a path is what the network of that path has.
func TestReached(t *testing.T) {
	pool := kernels.NewWorkers(1)
	defer pool.Close()
	s := tiny("nb201", GDAS)
	g, space, err := s.graph()
	if err != nil {
		t.Fatal(err)
	}
	m, err := autodiff.Compile[float32](g, autodiff.Options{Pool: pool, Paths: true, Alphas: [][2]int{{6, 5}}})
	if err != nil {
		t.Fatal(err)
	}
	all := g.Count().MACs
	for step := range 5 {
		column := spaces[0].visit(step)
		choice := arch.Choice{make([]int, 6)}
		for row := range choice[0] {
			choice[0][row] = column(row, 5)
		}
		n, err := space.Network(choice, s.Batch)
		if err != nil {
			t.Fatal(err)
		}
		open(m, column)
		if got, want := reached(g, m).Count().MACs, n.Count().MACs; got != want || got >= all {
			t.Errorf("step %d: %d multiply-adds of %d, want %d", step, got, all, want)
		}
	}
}

func TestMeasureLimits(t *testing.T) {
	pool := kernels.NewWorkers(2)
	defer pool.Close()
	l, err := load{turns: 10, images: 1, elements: 2 * copyPiece}.measure(t.Context(), pool, time.Microsecond)
	if err != nil {
		t.Fatal(err)
	}
	if loop, _ := multiplyAdds(); l.Threads != 2 || l.Conv <= 0 || l.Copy <= 0 || l.Add <= 0 ||
		(loop == nil) != (l.FMA == 0) {
		t.Errorf("%+v", l)
	}
}

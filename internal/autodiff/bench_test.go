// SPDX-License-Identifier: Apache-2.0

package autodiff

import (
	"fmt"
	"testing"

	"github.com/edgenas/edgenas/arch"
	"github.com/edgenas/edgenas/internal/kernels"
)

// BenchmarkStep is a step that trains weights: forward, backward, clip, SGD.
// The GDAS path opens every operation equally often.
func BenchmarkStep(b *testing.B) {
	pool := kernels.NewWorkers(2)
	defer pool.Close()
	for _, space := range []struct {
		name  string
		cells int
	}{{"nb201", 1}, {"nb201", 5}, {"darts", 8}} {
		for _, path := range []string{"mixture", "gdas"} {
			name := fmt.Sprintf("space=%s/cells=%d/channels=16/batch=64/image=32/path=%s", space.name, space.cells, path)
			b.Run(name, func(b *testing.B) {
				size := arch.Size{Cells: space.cells, Channels: 16, Image: 32, Colours: 3, Classes: 10}
				m := supernet[float32](b, space.name, size, 64, Options{Pool: pool, Paths: path == "gdas"})
				step := 0
				measure(b, m, pool, func() {
					if path == "gdas" {
						for a := range m.Alphas() {
							x := m.Alpha(a)
							for i := range x.Open {
								x.Open[i] = i%x.Cols == (step+i/x.Cols)%x.Cols
							}
						}
					}
					step++
				})
			})
		}
	}
}

// measure times steps that train weights; before is called before each.
func measure(b *testing.B, m *Model[float32], pool *kernels.Workers, before func()) {
	sgd := SGD[float32]{LR: 0.025, Momentum: 0.9, WeightDecay: 3e-4, Pool: pool}
	one := func() {
		before()
		m.Step(Weights)
		if _, err := ClipGradNorm[float32](m.Learnables(), 5); err != nil {
			b.Fatal(err)
		}
		if err := sgd.Step(m.Learnables()); err != nil {
			b.Fatal(err)
		}
	}
	for range 2 {
		one()
	}
	b.ReportAllocs()
	for b.Loop() {
		one()
	}
	b.ReportMetric(float64(m.ArenaBytes())/1e6, "arena-MB")
}

// BenchmarkRetrain is a step of a derived network: DARTS_V2 with its auxiliary
// head, and a nb201 cell with three 3×3 convolutions.
func BenchmarkRetrain(b *testing.B) {
	pool := kernels.NewWorkers(2)
	defer pool.Close()
	for _, tt := range []struct {
		space    string
		cells    int
		channels int
		batch    int
		arch     string
	}{
		{"darts", 20, 36, 32, "Genotype(" +
			"normal=[('sep_conv_3x3', 0), ('sep_conv_3x3', 1), ('sep_conv_3x3', 0), ('sep_conv_3x3', 1), " +
			"('sep_conv_3x3', 1), ('skip_connect', 0), ('skip_connect', 0), ('dil_conv_3x3', 2)], normal_concat=[2, 3, 4, 5], " +
			"reduce=[('max_pool_3x3', 0), ('max_pool_3x3', 1), ('skip_connect', 2), ('max_pool_3x3', 1), ('max_pool_3x3', 0), " +
			"('skip_connect', 2), ('skip_connect', 2), ('max_pool_3x3', 1)], reduce_concat=[2, 3, 4, 5])"},
		{"nb201", 5, 16, 64, "|nor_conv_3x3~0|+|nor_conv_3x3~0|none~1|+|none~0|none~1|nor_conv_3x3~2|"},
	} {
		name := fmt.Sprintf("space=%s/cells=%d/channels=%d/batch=%d/image=32", tt.space, tt.cells, tt.channels, tt.batch)
		b.Run(name, func(b *testing.B) {
			space := newSpace(b, tt.space, arch.Size{Cells: tt.cells, Channels: tt.channels, Image: 32, Colours: 3, Classes: 10})
			c, err := space.Parse(tt.arch)
			if err != nil {
				b.Fatal(err)
			}
			g, err := space.Training(c, tt.batch)
			if err != nil {
				b.Fatal(err)
			}
			measure(b, model[float32](b, g, Options{Pool: pool, AuxWeight: 0.4}), pool, func() {})
		})
	}
}

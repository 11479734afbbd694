// SPDX-License-Identifier: Apache-2.0

package autodiff

import (
	"testing"

	"github.com/edgenas/edgenas/arch"
	"github.com/edgenas/edgenas/internal/kernels"
)

// BenchmarkStep is a step that trains weights: forward, backward, clip, SGD.
// The GDAS path opens every operation equally often.
func BenchmarkStep(b *testing.B) {
	pool := kernels.NewPool(2)
	defer pool.Close()
	size := arch.Size{Cells: 1, Channels: 16, Image: 32, Colours: 3, Classes: 10}
	for _, path := range []string{"mixture", "gdas"} {
		b.Run("space=nb201/cells=1/channels=16/batch=64/image=32/path="+path, func(b *testing.B) {
			m := supernet[float32](b, size, 64, Options{Pool: pool, Paths: path == "gdas"})
			sgd := SGD[float32]{LR: 0.025, Momentum: 0.9, WeightDecay: 3e-4, Pool: pool}
			step := 0
			one := func() {
				if path == "gdas" {
					x := m.Alpha(0)
					for i := range x.Open {
						x.Open[i] = i%x.Cols == (step+i/x.Cols)%x.Cols
					}
				}
				m.Step(Weights)
				if _, err := ClipGradNorm[float32](m.Learnables(), 5); err != nil {
					b.Fatal(err)
				}
				if err := sgd.Step(m.Learnables()); err != nil {
					b.Fatal(err)
				}
				step++
			}
			for range 5 {
				one()
			}
			b.ReportAllocs()
			for b.Loop() {
				one()
			}
			b.ReportMetric(float64(m.ArenaBytes())/1e6, "arena-MB")
		})
	}
}

// SPDX-License-Identifier: Apache-2.0

package evaluate

import (
	"context"

	"github.com/edgenas/edgenas/arch"
	"github.com/edgenas/edgenas/internal/dataset"
	"github.com/edgenas/edgenas/internal/infer"
	"github.com/edgenas/edgenas/internal/kernels"
	"github.com/edgenas/edgenas/ops"
)

// judgeBatch is how many images the runtime gets at once.
const judgeBatch = 50

// Judge returns the mean cross-entropy of a network with these weights, and the
// share that it gets right, over images of a part of the set (nil: all of the
// part). The native runtime runs it, as it will be used: with the running
// statistics of batch norms.
func Judge(ctx context.Context, a arch.Architecture, w ops.Weights, set *dataset.Set, part *dataset.Part,
	images []int, pool *kernels.Workers) (loss, accuracy float64, err error) {
	g, err := a.Network(judgeBatch)
	if err != nil {
		return 0, 0, err
	}
	p, err := infer.CompileTrained(g, w, pool)
	if err != nil {
		return 0, 0, err
	}
	pass := dataset.NewPass(set, part, images)
	k := kernels.SoftmaxCrossEntropy[float32]{Classes: len(set.Classes), Labels: make([]int32, judgeBatch),
		Logits: p.Output(), Loss: make([]float32, 1), Correct: make([]int32, 1)}
	right := 0
	for k.N = pass.Next(p.Input(0), k.Labels); k.N > 0; k.N = pass.Next(p.Input(0), k.Labels) {
		if err := ctx.Err(); err != nil {
			return 0, 0, err
		}
		p.Execute()
		k.Run(pool)
		loss += float64(float64(k.N) * float64(k.Loss[0])) // no fused multiply-add: the same bits everywhere
		right += int(k.Correct[0])
	}
	n := float64(pass.Len())
	return loss / n, float64(right) / n, nil
}

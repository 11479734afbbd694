// SPDX-License-Identifier: Apache-2.0

package evaluate

import (
	"context"
	"math"

	"github.com/edgenas/edgenas/arch"
	"github.com/edgenas/edgenas/internal/dataset"
	"github.com/edgenas/edgenas/internal/infer"
	"github.com/edgenas/edgenas/internal/kernels"
	"github.com/edgenas/edgenas/ops"
)

// judgeBatch is how many images the runtime gets at once.
const judgeBatch = 50

// Judged is how good a network is on images.
type Judged struct {
	Loss     float64 // mean cross-entropy
	Error    float64 // standard error of Loss as that of more such images; as large as Loss for a single batch
	Accuracy float64 // share that it gets right, 0…1
}

// Luck is how much more the losses of two trainings differ than the images to
// judge them on do: two trainings of one network differ as well.
const Luck = 2

// Judge judges a network with these weights on images of a part of the set (nil:
// all of the part). The native runtime runs it, as it will be used: with the running
// statistics of batch norms.
func Judge(ctx context.Context, a arch.Architecture, w ops.Weights, set *dataset.Set, part *dataset.Part,
	images []int, pool *kernels.Workers) (j Judged, err error) {
	g, err := a.Network(judgeBatch)
	if err != nil {
		return j, err
	}
	p, err := infer.CompileTrained(g, w, pool)
	if err != nil {
		return j, err
	}
	pass := dataset.NewPass(set, part, images)
	k := kernels.SoftmaxCrossEntropy[float32]{Classes: len(set.Classes), Labels: make([]int32, judgeBatch),
		Logits: p.Output(), Loss: make([]float32, 1), Correct: make([]int32, 1)}
	right, losses := 0, []float64(nil)
	for k.N = pass.Next(p.Input(0), k.Labels); k.N > 0; k.N = pass.Next(p.Input(0), k.Labels) {
		if err := ctx.Err(); err != nil {
			return j, err
		}
		p.Execute()
		k.Run(pool)
		j.Loss += float64(float64(k.N) * float64(k.Loss[0])) // no fused multiply-add: the same bits everywhere
		losses = append(losses, float64(k.Loss[0]))
		right += int(k.Correct[0])
	}
	n := float64(pass.Len())
	j.Loss, j.Accuracy = j.Loss/n, float64(right)/n
	j.Error = standardError(losses, j.Loss)
	return j, nil
}

// standardError is that of the mean of the losses of batches.
func standardError(losses []float64, mean float64) float64 {
	n := float64(len(losses))
	if n < 2 {
		return mean
	}
	squares := 0.0
	for _, l := range losses {
		squares += float64((l - mean) * (l - mean))
	}
	return math.Sqrt(squares / n / (n - 1))
}

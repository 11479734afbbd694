// SPDX-License-Identifier: Apache-2.0

package autodiff

import (
	"math"

	"github.com/edgenas/edgenas/internal/kernels"
)

// ClipGradNorm scales the gradients so that their Euclidean norm over all
// parameters that have one is at most about limit, by limit/(norm+1e-6), as
// PyTorch's clip_grad_norm_ does. It returns the norm before. A norm that is
// not finite shows a step that must not be taken: gradients are then left as
// they are.
func ClipGradNorm[T kernels.Float](params []Learnable, limit float64) (norm float64, err error) {
	var squares float64
	if err := each(params, func(_ string, _, g []T) error {
		squares += kernels.SumSquares(g)
		return nil
	}); err != nil {
		return 0, err
	}
	norm = math.Sqrt(squares)
	factor := limit / (norm + 1e-6)
	if factor >= 1 || math.IsNaN(norm) || math.IsInf(norm, 0) {
		return norm, nil
	}
	return norm, each(params, func(_ string, _, g []T) error {
		for i := range g {
			g[i] *= T(factor)
		}
		return nil
	})
}

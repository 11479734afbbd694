// SPDX-License-Identifier: Apache-2.0

package autodiff

import (
	"errors"
	"fmt"
	"math"

	"github.com/edgenas/edgenas/internal/kernels"
)

// ErrNotFinite says that a gradient is infinite or not a number, so that the
// step that computed it must not be taken.
var ErrNotFinite = errors.New("not finite")

// ClipGradNorm scales the gradients so that their Euclidean norm over all
// parameters that have one is at most about limit, by limit/(norm+1e-6), as
// PyTorch's clip_grad_norm_ does. It returns the norm before. Where that is not
// finite it leaves the gradients as they are and returns ErrNotFinite.
func ClipGradNorm[T kernels.Float](params []Learnable, limit float64) (norm float64, err error) {
	var squares float64
	if err := each(params, func(_ string, _, g []T) error {
		squares += kernels.SumSquares(g)
		return nil
	}); err != nil {
		return 0, err
	}
	norm = math.Sqrt(squares)
	if math.IsNaN(norm) || math.IsInf(norm, 0) {
		return norm, fmt.Errorf("autodiff: the gradients' norm is %v: %w", norm, ErrNotFinite)
	}
	factor := limit / (norm + 1e-6)
	if factor >= 1 {
		return norm, nil
	}
	return norm, each(params, func(_ string, _, g []T) error {
		for i := range g {
			g[i] *= T(factor)
		}
		return nil
	})
}

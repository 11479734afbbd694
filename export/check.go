// SPDX-License-Identifier: Apache-2.0

package export

import (
	"errors"
	"fmt"
	"math"

	"github.com/edgenas/edgenas/ops"
)

// Tolerance is the greatest difference between the logits of an exported model
// and those of its network.
const Tolerance = 1e-4

// ErrMismatch says that a model does not compute what its network does.
var ErrMismatch = errors.New("logits differ")

// Runtime computes a network in training form for a batch of images: x is
// N,C,H,W, the logits are N,classes.
type Runtime interface {
	Run(g *ops.Graph, w ops.Weights, x []float32) (logits []float32, err error)
}

// Check reads a model back through onnx-go (see [ReadBack]), runs it on the
// images x and returns the largest absolute difference from the wanted logits.
// It returns ErrMismatch if that is above [Tolerance] or not a number.
func Check(data []byte, r Runtime, batch int, x, want []float32) (diff float64, err error) {
	g, w, err := ReadBack(data, batch)
	if err != nil {
		return 0, err
	}
	got, err := r.Run(g, w, x)
	if err != nil {
		return 0, fmt.Errorf("export: check: %w", err)
	}
	if len(got) != len(want) {
		return 0, fmt.Errorf("export: check: %d logits, want %d: %w", len(got), len(want), ErrMismatch)
	}
	for i := range got {
		d := math.Abs(float64(got[i]) - float64(want[i]))
		if math.IsNaN(d) {
			d = math.Inf(1)
		}
		diff = max(diff, d)
	}
	if diff > Tolerance {
		return diff, fmt.Errorf("export: check: by %g, at most %g is allowed: %w", diff, Tolerance, ErrMismatch)
	}
	return diff, nil
}

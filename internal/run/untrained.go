// SPDX-License-Identifier: Apache-2.0

package run

import (
	"context"
	"errors"
	"math/rand/v2"
	"os"

	"github.com/edgenas/edgenas/arch"
	"github.com/edgenas/edgenas/internal/target"
	"github.com/edgenas/edgenas/latency"
	"github.com/edgenas/edgenas/ops"
)

// Untrained measures a network with random weights on a target, in a named
// [latency.Mode].
func Untrained(ctx context.Context, t target.Target, a arch.Architecture, mode string, seed uint64) (
	latency.Verification, error) {
	g, err := a.Network(1)
	if err != nil {
		return latency.Verification{}, err
	}
	file, err := Export(a, ops.InitWeights(g, rand.New(rand.NewPCG(seed, 8))), nil)
	if err != nil {
		return latency.Verification{}, err
	}
	f, err := os.CreateTemp("", "edgenas-*.onnx")
	if err != nil {
		return latency.Verification{}, err
	}
	defer os.Remove(f.Name())
	_, err = f.Write(file)
	if err := errors.Join(err, f.Close()); err != nil {
		return latency.Verification{}, err
	}
	return t.Verify(ctx, f.Name(), mode)
}

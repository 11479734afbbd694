// SPDX-License-Identifier: Apache-2.0

// Package native is the native runtime (internal/infer) as others want to see
// it: package latency, which measures runtimes, and package export, which
// compares what they compute.
package native

import (
	"context"
	"math/rand/v2"

	"github.com/edgenas/edgenas/internal/infer"
	"github.com/edgenas/edgenas/internal/kernels"
	"github.com/edgenas/edgenas/internal/version"
	"github.com/edgenas/edgenas/latency"
	"github.com/edgenas/edgenas/ops"
	"github.com/edgenas/edgenas/profiles"
)

// Runtime runs networks on the threads of a pool. It is not for concurrent use.
type Runtime struct{ Pool *kernels.Workers }

// Info is what profiles say of the runtime with so many inference threads.
func Info(threads int) profiles.Runtime {
	return profiles.Runtime{
		Name: infer.Name, Version: infer.Version, Build: version.String(),
		Threads: threads, DType: "f32", Layout: "nhwc",
	}
}

// Info satisfies latency.Runtime.
func (r Runtime) Info() profiles.Runtime { return Info(r.Pool.Threads()) }

// Compile satisfies latency.Runtime. Inputs stay zero: times do not depend on
// values, but for denormal ones, into which a long chain without bias would
// shrink others.
func (r Runtime) Compile(g *ops.Graph, w ops.Weights) (latency.Runner, error) {
	p, err := infer.Compile(g, w, r.Pool)
	if err != nil {
		return nil, err
	}
	return runner{p}, nil
}

// Run satisfies export.Runtime.
func (r Runtime) Run(g *ops.Graph, w ops.Weights, x []float32) ([]float32, error) {
	p, err := infer.CompileTrained(g, w, r.Pool)
	if err != nil {
		return nil, err
	}
	return p.Run(x), nil
}

// Verify times a network in training form (see [latency.Verify]) in a mode, on
// an input drawn by the seed. Errors are those of a network that cannot be compiled, and
// ctx's when it ends.
func (r Runtime) Verify(
	ctx context.Context, g *ops.Graph, w ops.Weights, mode latency.Mode, seed uint64,
) (latency.Verification, error) {
	p, err := infer.CompileTrained(g, w, r.Pool)
	if err != nil {
		return latency.Verification{}, err
	}
	in, rng := p.Input(0), rand.New(rand.NewPCG(seed, 0))
	for i := range in {
		in[i] = float32(rng.NormFloat64())
	}
	return latency.Verify(ctx, runner{p}, r.Info(), mode)
}

type runner struct{ *infer.Program }

func (r runner) Run() error { r.Execute(); return nil }
func (runner) Close()       {}

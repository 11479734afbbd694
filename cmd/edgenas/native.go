// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"

	"github.com/edgenas/edgenas/internal/infer"
	"github.com/edgenas/edgenas/internal/kernels"
	"github.com/edgenas/edgenas/latency"
	"github.com/edgenas/edgenas/ops"
	"github.com/edgenas/edgenas/profiles"
)

// native is this program's own runtime as the packages latency and export
// want to see it.
type native struct{ pool *kernels.Pool }

func (n native) Info() profiles.Runtime { return nativeInfo(n.pool.Threads()) }

func nativeInfo(threads int) profiles.Runtime {
	return profiles.Runtime{Name: infer.Name, Version: infer.Version, Build: buildVersion(), Threads: threads, DType: "f32", Layout: "nhwc"}
}

func (n native) Compile(g *ops.Graph, w ops.Weights) (latency.Runner, error) {
	p, err := infer.Compile(g, w, n.pool)
	if err != nil {
		return nil, err
	}
	return runner{p}, nil
}

// Run satisfies export.Runtime: a trained network on images in N,C,H,W.
func (n native) Run(g *ops.Graph, w ops.Weights, x []float32) ([]float32, error) {
	p, err := infer.CompileTrained(g, w, n.pool)
	if err != nil {
		return nil, err
	}
	return p.Run(x), nil
}

type runner struct{ *infer.Program }

func (r runner) Run() error { r.Execute(); return nil }
func (runner) Close()       {}

// checkRuntime is a usage error unless the runtime is one that this program has.
func checkRuntime(name string) error {
	if name != infer.Name {
		return usageError{fmt.Errorf("--runtime %q: unknown; known is %q", name, infer.Name)}
	}
	return nil
}

// checkDevice is a usage error unless the device is one that this program reaches.
func checkDevice(name string) error {
	if name != "local" {
		return usageError{fmt.Errorf("--device %q: unknown; known is \"local\" (run edgenas profile on the other device and bring the file here with --profile)", name)}
	}
	return nil
}

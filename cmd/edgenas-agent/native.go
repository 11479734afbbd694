// SPDX-License-Identifier: Apache-2.0

package main

import (
	"runtime/debug"

	"github.com/edgenas/edgenas/internal/infer"
	"github.com/edgenas/edgenas/internal/kernels"
	"github.com/edgenas/edgenas/latency"
	"github.com/edgenas/edgenas/ops"
	"github.com/edgenas/edgenas/profiles"
)

// native is the native runtime as package latency measures it.
type native struct{ pool *kernels.Pool }

// newNative starts it with so many inference threads; 0 is 1.
func newNative(threads int) native { return native{kernels.NewPool(max(1, threads))} }

func (n native) Info() profiles.Runtime {
	return profiles.Runtime{Name: infer.Name, Version: infer.Version, Build: buildVersion(), Threads: n.pool.Threads(), DType: "f32", Layout: "nhwc"}
}

// Compile leaves the inputs zero: times do not depend on values, but for
// denormal ones, into which a long chain without bias would shrink others.
func (n native) Compile(g *ops.Graph, w ops.Weights) (latency.Runner, error) {
	p, err := infer.Compile(g, w, n.pool)
	if err != nil {
		return nil, err
	}
	return runner{p}, nil
}

type runner struct{ *infer.Program }

func (r runner) Run() error { r.Execute(); return nil }
func (runner) Close()       {}

// version is set by a release build; else the module's version stands in.
var version = ""

func buildVersion() string {
	if version != "" {
		return version
	}
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" {
		return info.Main.Version
	}
	return "(devel)"
}

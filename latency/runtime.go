// SPDX-License-Identifier: Apache-2.0

package latency

import (
	"github.com/edgenas/edgenas/ops"
	"github.com/edgenas/edgenas/profiles"
)

// Runtime runs networks: the native one, ONNX Runtime, a test double.
type Runtime interface {
	// Info is what a profile says of the runtime. Affinity is filled in here.
	Info() profiles.Runtime
	// Compile makes a fused graph (ops.Fuse) ready to run with folded weights.
	Compile(g *ops.Graph, w ops.Weights) (Runner, error)
}

// Runner is a compiled network.
type Runner interface {
	// Run executes it once on whatever is in its input buffers.
	Run() error
	// Close frees it.
	Close()
}

// SPDX-License-Identifier: Apache-2.0

// Package infer runs networks on this machine's cores with package kernels. It is
// the native runtime.
//
// [Compile] turns a graph and its weights into a [Program]: a list of kernels
// whose activations and scratch memory lie in one arena, planned by liveness,
// and whose weights are in the order in which the kernels read them.
// [CompileTrained] fuses a network in training form first.
//
// Images are channels-last in a program's memory, N,H,W,C. [Program.Run]
// translates from and to the N,C,H,W of graphs and data sets.
package infer

import (
	"fmt"

	"github.com/edgenas/edgenas/internal/kernels"
	"github.com/edgenas/edgenas/ops"
)

// Name is the runtime's name in profiles and on the command line.
const Name = "native"

// Version changes whenever networks get faster or slower, so that times of
// another version are not taken for this one's.
const Version = "1"

// Program is a compiled network. It is not for concurrent use: programs that
// share a pool take turns.
type Program struct {
	steps  []Step
	pool   *kernels.Workers
	arena  []float32
	inputs []value
	output value
}

// Step is one node of the graph, compiled.
type Step struct {
	Name   string  // of the node
	Key    ops.Key // what it costs is measured under this key
	Kernel kernels.Kernel
}

// value is the place of a node's output.
type value struct {
	shape ops.Shape
	data  []float32 // N,H,W,C
}

// Execute runs the network once on what the inputs hold. It leaves them as
// they are and does not allocate.
func (p *Program) Execute() {
	for i := range p.steps {
		p.steps[i].Kernel.Run(p.pool)
	}
}

// Input returns the buffer of the i-th Input node, N,H,W,C. It belongs to the
// program and is all zeros at first.
func (p *Program) Input(i int) []float32 { return p.inputs[i].data }

// Output returns the buffer of the result, N,H,W,C. The next Execute overwrites it.
func (p *Program) Output() []float32 { return p.output.data }

// Steps lists what Execute does, in order, for measuring it step by step.
func (p *Program) Steps() []Step { return p.steps }

// ArenaBytes returns the memory that all inputs, activations and scratch take.
// Weights come on top.
func (p *Program) ArenaBytes() int { return 4 * len(p.arena) }

// Run computes the output of the first input, both N,C,H,W. It panics unless
// x is as long as the input.
func (p *Program) Run(x []float32) []float32 {
	in, out := p.inputs[0], p.output
	if len(x) != len(in.data) {
		panic(fmt.Sprintf("infer: run: %d elements for an input of shape %v", len(x), in.shape))
	}
	kernels.NCHWToNHWC(in.data, x, in.shape.N, in.shape.C, in.shape.H*in.shape.W)
	p.Execute()
	y := make([]float32, len(out.data))
	kernels.NHWCToNCHW(y, out.data, out.shape.N, out.shape.C, out.shape.H*out.shape.W)
	return y
}

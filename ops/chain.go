// SPDX-License-Identifier: Apache-2.0

package ops

import (
	"errors"
	"fmt"
)

// ErrNoChain says that a primitive's output cannot be its next input.
var ErrNoChain = errors.New("output and input differ in shape")

// Bounds of a chain.
const (
	maxChain       = 1 << 28 // elements of each tensor: 1 GiB
	maxChainWindow = 1 << 10 // window and inputs
)

// Chain returns a fused graph with this primitive copies times in a row, each
// with its own weights: the time of a chain over the number of copies is the
// cost of the operation inside a network, with its weights no warmer than there.
//
// A primitive that changes the shape has no chain of more than one copy
// (ErrNoChain). Where the primitive adds or sums, its second input is an input
// node, the same for all copies; a concatenation has an input node for each
// further input, and these share the channels that the first leaves as equally
// as can be. Keys may come from files: Chain returns an error for one that no
// node has, and for a tensor of more than 1 GiB.
func (k Key) Chain(copies int) (*Graph, error) {
	n, err := k.node()
	if err != nil {
		return nil, err
	}
	in := Shape{k.N, k.In, k.H, k.W}
	if copies > 1 && n.Shape != in {
		return nil, fmt.Errorf("ops: key %s: chain of %d: %w", k, copies, ErrNoChain)
	}
	g := &Graph{Nodes: []Node{{Kind: Input, Name: "input", Shape: in}}}
	rest := k.furtherInputs(g, n)
	for i := range copies {
		n.Name, n.In = fmt.Sprintf("copy%d", i), append([]Value{g.Out}, rest...)
		g.Nodes = append(g.Nodes, n)
		g.Out = Value(len(g.Nodes) - 1)
	}
	if got, _ := g.Key(g.Nodes[g.Out]); got != k { // it has fields that its kind does not
		return nil, fmt.Errorf("ops: key %s: no such primitive: want %s", k, got)
	}
	return g, nil
}

// node returns the primitive, without name and inputs.
func (k Key) node() (Node, error) {
	w := k.Window
	if max(w.Kernel, w.Stride, w.Pad, w.Dilation, w.Crop, k.Inputs) > maxChainWindow {
		return Node{}, fmt.Errorf("ops: key %s: window or inputs beyond %d", k, maxChainWindow)
	}
	n := Node{Kind: k.Kind, Shape: Shape{k.N, k.In, k.H, k.W}}
	ok := true
	switch k.Kind {
	case Conv:
		ok = w.convolves(k.Groups) && k.In%k.Groups == 0 && k.Out%k.Groups == 0
		n.Shape.C, n.Window, n.Groups, n.Bias = k.Out, w, k.Groups, k.Bias
		n.ReLUIn, n.ReLUOut, n.Accumulate = k.ReLUIn, k.ReLUOut, k.Accumulate
	case MaxPool, AvgPool:
		ok = w.pools()
		n.Window, n.Accumulate = w, k.Accumulate
	case BatchNorm:
		n.Affine, n.ReLUOut = true, k.ReLUOut
	case Add:
		n.ReLUOut = k.ReLUOut
	case GlobalAvgPool:
		n.Shape = Shape{k.N, k.In, 1, 1}
	case Linear:
		ok = k.H == 1 && k.W == 1
		n.Shape.C = k.Out
	case Concat:
		ok = k.Inputs > 0 && k.Out >= k.In+k.Inputs-1 && (k.Inputs > 1 || k.Out == k.In)
		n.Shape.C = k.Out
	case Input, Mix:
		ok = false
	}
	if ok && n.Window != (Window{}) {
		n.Shape.H, n.Shape.W = w.Out(k.H), w.Out(k.W)
	}
	for _, dims := range [][]int{
		{k.N, k.In, k.H, k.W},
		{n.Shape.N, n.Shape.C, n.Shape.H, n.Shape.W},
		{k.In, k.Out, max(1, w.Kernel), max(1, w.Kernel)}, // weight
	} {
		size := int64(1)
		for _, d := range dims {
			if size *= int64(d); size > maxChain {
				return Node{}, fmt.Errorf("ops: key %s: a tensor of more than %d elements", k, maxChain)
			}
		}
		ok = ok && size > 0
	}
	if !ok {
		return Node{}, fmt.Errorf("ops: key %s: no such primitive", k)
	}
	return n, nil
}

// furtherInputs adds input nodes for what n reads beside the first input, and
// returns what each copy reads of them.
func (k Key) furtherInputs(g *Graph, n Node) (in []Value) {
	input := func(name string, s Shape) Value {
		g.Nodes = append(g.Nodes, Node{Kind: Input, Name: name, Shape: s})
		return Value(len(g.Nodes) - 1)
	}
	switch {
	case n.Kind == Concat:
		channels := k.Out - k.In
		for left := k.Inputs - 1; left > 0; left-- {
			c := channels / left
			in = append(in, input(fmt.Sprintf("input%d", len(g.Nodes)), Shape{k.N, c, k.H, k.W}))
			channels -= c
		}
	case n.Kind == Add && k.Inputs > 1:
		second := input("second", n.Shape)
		for range k.Inputs - 1 {
			in = append(in, second)
		}
	case n.Accumulate:
		in = append(in, input("second", n.Shape))
	}
	return in
}

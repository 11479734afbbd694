// SPDX-License-Identifier: Apache-2.0

package ops

import (
	"fmt"
	"math"
	"slices"
)

// Kind is the primitive that a node computes.
type Kind uint8

// The primitives. Training forms come first; BatchNorm is folded into the
// convolution before it by [Fuse] where there is one.
const (
	Input         Kind = iota // the images
	Conv                      // convolution, dense or grouped, with or without bias
	BatchNorm                 // per-channel normalisation, ε = 1e-5, momentum 0.1
	ReLU                      // max(0, x)
	MaxPool                   // padding never wins
	AvgPool                   // padding is not counted
	Add                       // sum of all inputs, left to right
	Zero                      // a map of zeros (of the strided extent)
	GlobalAvgPool             // mean over H and W
	Linear                    // fully connected with bias, on C×1×1
	Mix                       // Σ p[Row][Col]·input, p the mixture weights of one α
	Concat                    // the channels of all inputs, one map after the other
)

var kindNames = [...]string{"input", "conv", "batchnorm", "relu", "maxpool", "avgpool", "add", "zero",
	"globalavgpool", "linear", "mix", "concat"}

// String returns the name used in keys and errors.
func (k Kind) String() string { return kindNames[k] }

// BatchNormEpsilon is added to the variance, as in PyTorch.
const BatchNormEpsilon = 1e-5

// Value names the output of a node of the graph that recorded it: its index.
type Value int

// Gate names the element of an α's mixture weights that weights an input of a Mix.
type Gate struct{ Row, Col int }

// Node is one recorded primitive.
type Node struct {
	Kind   Kind
	Name   string  // unique in the graph; parameters are Name + ".weight" and so on
	In     []Value // inputs; earlier nodes only
	Shape  Shape   // of the output
	Window Window  // Conv, MaxPool, AvgPool; Zero uses the stride
	Groups int     // Conv
	Bias   bool    // Conv: has a bias (Linear always has one)
	Affine bool    // BatchNorm: has a learned scale and shift; Conv in fused graphs: the folded batch norm has
	Alpha  int     // Mix: index of the α
	Gates  []Gate  // Mix: one for each input

	// Only in fused graphs.
	Folded     []Folded // Conv: the batch norms that its weights have taken in, first to last
	ReLUIn     bool     // Conv: the first input is rectified while it is read
	ReLUOut    bool     // Conv, BatchNorm, Add: the output is rectified while it is written
	Accumulate bool     // Conv, pools: the last input is added to the output (before ReLUOut)
}

// Folded is a batch norm that a convolution has taken in.
type Folded struct {
	Name     string // of the batch norm's node
	Affine   bool   // it had a learned scale and shift
	Channels int    // of the batch norm; more than the convolution's where it came after a Concat
	First    int    // the batch norm's channel that is the convolution's first
}

// Graph is a recorded network: nodes in an order in which they can be run, the
// first of them the input. A finished graph is not changed.
type Graph struct {
	Nodes []Node
	Out   Value
	Aux   Value // an output that only training reads, beside Out; 0: none
}

// Shape returns the shape of v.
func (g *Graph) Shape(v Value) Shape { return g.Nodes[v].Shape }

// Consumers counts, for each node, how many inputs of later nodes read it; each
// of the graph's outputs counts as one reader.
func (g *Graph) Consumers() []int {
	n := make([]int, len(g.Nodes))
	for _, node := range g.Nodes {
		for _, v := range node.In {
			n[v]++
		}
	}
	n[g.Out]++
	if g.Aux != 0 {
		n[g.Aux]++
	}
	return n
}

// WithBatch returns the same network for n images at a time.
func (g *Graph) WithBatch(n int) *Graph {
	h := &Graph{Nodes: append([]Node(nil), g.Nodes...), Out: g.Out, Aux: g.Aux}
	for i := range h.Nodes {
		h.Nodes[i].Shape.N = n
	}
	return h
}

// Builder records primitives into a graph. The first impossible shape is kept
// and returned by Finish; what is recorded after it is ignored. Make one with
// [NewBuilder]; copies made by Scope record into the same graph.
type Builder struct {
	rec   *recording
	scope string
}

type recording struct {
	graph Graph
	names map[string]bool
	err   error
}

// usualNodes is room for the nodes of a network of a few cells.
const usualNodes = 128

// NewBuilder starts a graph whose input has shape s.
func NewBuilder(s Shape) (Builder, Value) {
	b := Builder{rec: &recording{names: make(map[string]bool, usualNodes)}}
	b.rec.graph.Nodes = make([]Node, 0, usualNodes)
	if s.N < 1 || s.C < 1 || s.H < 1 || s.W < 1 {
		b.rec.err = &ShapeError{Node: "input", In: []Shape{s}, Want: "at least 1×1×1×1"}
	}
	return b, b.record(Node{Kind: Input, Name: "input", Shape: s}, true, "")
}

// Scope returns a builder that puts name and a dot before the names of its nodes.
func (b Builder) Scope(name string) Builder {
	b.scope += name + "."
	return b
}

// Shape returns the shape of v.
func (b Builder) Shape(v Value) Shape { return b.rec.graph.Nodes[v].Shape }

// Finish ends the recording with out as the network's output. Nodes that out
// does not need are dropped, so a dead branch is never built, counted or run.
func (b Builder) Finish(out Value) (*Graph, error) { return b.FinishTraining(out, 0) }

// FinishTraining does what Finish does, with a second output that only training
// reads, such as the logits of an auxiliary head (see [Graph]).
func (b Builder) FinishTraining(out, aux Value) (*Graph, error) {
	if b.rec.err != nil {
		return nil, b.rec.err
	}
	g := &Graph{Nodes: b.rec.graph.Nodes, Out: out, Aux: aux}
	return g.prune(), nil
}

// prune returns the input and what the outputs depend on, in order.
func (g *Graph) prune() *Graph {
	live := make([]bool, len(g.Nodes))
	live[0], live[g.Out], live[g.Aux] = true, true, true // no Aux is the input
	count := 0
	for i := len(g.Nodes) - 1; i >= 0; i-- {
		if live[i] {
			count++
			for _, v := range g.Nodes[i].In {
				live[v] = true
			}
		}
	}
	h, at := &Graph{Nodes: make([]Node, 0, count)}, make([]Value, len(g.Nodes))
	for i, n := range g.Nodes {
		if !live[i] {
			continue
		}
		in := make([]Value, len(n.In))
		for j, v := range n.In {
			in[j] = at[v]
		}
		n.In, at[i] = in, Value(len(h.Nodes))
		h.Nodes = append(h.Nodes, n)
	}
	h.Out, h.Aux = at[g.Out], at[g.Aux]
	return h
}

// record appends n. If ok is false, it keeps a ShapeError instead, which says
// what was wanted.
func (b Builder) record(n Node, ok bool, want string, args ...any) Value {
	r := b.rec
	n.Name = b.scope + n.Name
	if r.err == nil {
		switch {
		case !ok || n.Shape.Len() < 1:
			in := make([]Shape, len(n.In))
			for i, v := range n.In {
				in[i] = b.Shape(v)
			}
			r.err = &ShapeError{Node: n.Kind.String() + " " + n.Name, In: in, Want: fmt.Sprintf(want, args...)}
		case r.names[n.Name]:
			r.err = fmt.Errorf("ops: %s: recorded twice", n.Name)
		}
	}
	if r.err != nil {
		n.Shape = Shape{1, 1, 1, 1}
	}
	r.names[n.Name] = true
	r.graph.Nodes = append(r.graph.Nodes, n)
	return Value(len(r.graph.Nodes) - 1)
}

// Conv records a convolution to out channels in the given number of groups
// (groups = C: depthwise). x: N,C,H,W → N,out,w.Out(H),w.Out(W). Its weight is
// out × C/groups × kernel × kernel. Only a dense convolution may crop.
func (b Builder) Conv(name string, x Value, out int, w Window, groups int, bias bool) Value {
	s := b.Shape(x)
	ok := w.convolves(groups) && out > 0 && s.C%groups == 0 && out%groups == 0
	n := Node{Kind: Conv, Name: name, In: []Value{x}, Window: w, Groups: groups, Bias: bias}
	if ok {
		n.Shape = Shape{s.N, out, w.Out(s.H), w.Out(s.W)}
	}
	return b.record(n, ok, "an image that a %+v window fits and channels divisible by %d groups, to %d channels",
		w, groups, out)
}

// BatchNorm records a batch normalisation; the shape stays. Affine says
// whether it has a learned scale and shift.
func (b Builder) BatchNorm(name string, x Value, affine bool) Value {
	return b.record(Node{Kind: BatchNorm, Name: name, In: []Value{x}, Shape: b.Shape(x), Affine: affine}, true, "")
}

// ReLU records max(0, x).
func (b Builder) ReLU(name string, x Value) Value {
	return b.record(Node{Kind: ReLU, Name: name, In: []Value{x}, Shape: b.Shape(x)}, true, "")
}

// MaxPool records a maximum over each window. x: N,C,H,W → N,C,w.Out(H),w.Out(W).
func (b Builder) MaxPool(name string, x Value, w Window) Value { return b.pool(MaxPool, name, x, w) }

// AvgPool records a mean over each window, not counting the padding.
func (b Builder) AvgPool(name string, x Value, w Window) Value { return b.pool(AvgPool, name, x, w) }

func (b Builder) pool(k Kind, name string, x Value, w Window) Value {
	s := b.Shape(x)
	ok := w.pools()
	n := Node{Kind: k, Name: name, In: []Value{x}, Window: w}
	if ok {
		n.Shape = Shape{s.N, s.C, w.Out(s.H), w.Out(s.W)}
	}
	return b.record(n, ok, "an image that a %+v window fits, undilated, padded by at most half a kernel", w)
}

// Add records the sum of one or more maps of one shape.
func (b Builder) Add(name string, xs ...Value) Value {
	n := Node{Kind: Add, Name: name, In: xs}
	ok := len(xs) > 0
	for _, x := range xs {
		ok = ok && b.Shape(x) == b.Shape(xs[0])
	}
	if ok {
		n.Shape = b.Shape(xs[0])
	}
	return b.record(n, ok, "one or more maps of one shape")
}

// Concat records the channels of one or more maps side by side.
// xs: N,C₁,H,W … N,Cₙ,H,W → N,C₁+…+Cₙ,H,W.
func (b Builder) Concat(name string, xs ...Value) Value {
	n := Node{Kind: Concat, Name: name, In: xs}
	ok := len(xs) > 0
	for _, x := range xs {
		s, first := b.Shape(x), b.Shape(xs[0])
		ok = ok && s.N == first.N && s.H == first.H && s.W == first.W
		n.Shape = Shape{s.N, n.Shape.C + s.C, s.H, s.W}
	}
	return b.record(n, ok, "one or more maps of one N, H and W")
}

// Zero records a map of zeros, as large as a stride-s operation on x leaves it.
func (b Builder) Zero(name string, x Value, stride int) Value {
	s := b.Shape(x)
	n := Node{Kind: Zero, Name: name, In: []Value{x}, Window: Window{Kernel: 1, Stride: stride, Dilation: 1}}
	ok := stride > 0
	if ok {
		n.Shape = Shape{s.N, s.C, n.Window.Out(s.H), n.Window.Out(s.W)}
	}
	return b.record(n, ok, "a positive stride")
}

// GlobalAvgPool records the mean over H and W. x: N,C,H,W → N,C,1,1.
func (b Builder) GlobalAvgPool(name string, x Value) Value {
	s := b.Shape(x)
	return b.record(Node{Kind: GlobalAvgPool, Name: name, In: []Value{x}, Shape: Shape{s.N, s.C, 1, 1}}, true, "")
}

// Linear records a fully connected layer with bias. x: N,C,1,1 → N,out,1,1.
// Its weight is out × C.
func (b Builder) Linear(name string, x Value, out int) Value {
	s := b.Shape(x)
	n := Node{Kind: Linear, Name: name, In: []Value{x}, Shape: Shape{s.N, out, 1, 1}}
	return b.record(n, s.H == 1 && s.W == 1 && out > 0, "N×C×1×1")
}

// Mix records a supernet's weighted sum: Σ p[gates[i]]·xs[i], p the mixture
// weights (rows: decisions, columns: operations) of the α with this index.
func (b Builder) Mix(name string, alpha int, xs []Value, gates []Gate) Value {
	n := Node{Kind: Mix, Name: name, In: xs, Alpha: alpha, Gates: gates}
	ok := len(xs) > 0 && len(xs) == len(gates)
	for _, x := range xs {
		ok = ok && b.Shape(x) == b.Shape(xs[0])
	}
	if ok {
		n.Shape = b.Shape(xs[0])
	}
	return b.record(n, ok, "maps of one shape, a gate for each")
}

// Param describes one stored tensor of a node.
type Param struct {
	Name  string // unique in the graph
	Dims  []int  // Conv: out, in/groups, k, k; Linear: out, in; else channels
	FanIn int    // inputs of one output, for initialisation; 0 for batch norm
	Learn bool   // false: running statistics
}

// Len returns the number of elements.
func (p Param) Len() int {
	n := 1
	for _, d := range p.Dims {
		n *= d
	}
	return n
}

// Params lists the tensors of node n, in the order that PyTorch names them.
func (g *Graph) Params(n Node) []Param {
	switch n.Kind {
	case Conv:
		in := g.Shape(n.In[0]).C / n.Groups
		k, fan := n.Window.Kernel, in*n.Window.Kernel*n.Window.Kernel
		p := []Param{{n.Name + ".weight", []int{n.Shape.C, in, k, k}, fan, true}}
		if n.Bias || len(n.Folded) > 0 {
			p = append(p, Param{n.Name + ".bias", []int{n.Shape.C}, fan, true})
		}
		return p
	case Linear:
		in := g.Shape(n.In[0]).C
		return []Param{{n.Name + ".weight", []int{n.Shape.C, in}, in, true}, {n.Name + ".bias", []int{n.Shape.C}, in, true}}
	case BatchNorm:
		c := []int{n.Shape.C}
		p := []Param{{n.Name + ".running_mean", c, 0, false}, {n.Name + ".running_var", c, 0, false}}
		if n.Affine {
			p = append([]Param{{n.Name + ".weight", c, 0, true}, {n.Name + ".bias", c, 0, true}}, p...)
		}
		return p
	}
	return nil
}

// Tensor is a dense float32 array in row-major order.
type Tensor struct {
	Dims []int
	Data []float32
}

// Elements returns the number of elements of a tensor. The dimensions may come
// from a file: a negative one, or more than limit elements, is an error.
func Elements(dims []int, limit int) (int, error) {
	for _, d := range dims {
		if d < 0 {
			return 0, fmt.Errorf("dimensions %v: one is negative", dims)
		}
	}
	if slices.Contains(dims, 0) {
		return 0, nil
	}
	n := 1
	for _, d := range dims {
		if n > limit/d {
			return 0, fmt.Errorf("dimensions %v: want at most %d elements", dims, limit)
		}
		n *= d
	}
	return n, nil
}

// Weights maps parameter names to values, laid out as PyTorch and ONNX do
// (convolutions out, in/groups, k, k).
type Weights map[string]Tensor

// Check returns an error unless w has every parameter of g in its dimensions
// and only finite values.
func (w Weights) Check(g *Graph) error {
	for _, n := range g.Nodes {
		if err := w.check(g.Params(n)); err != nil {
			return err
		}
	}
	return nil
}

func (w Weights) check(params []Param) error {
	for _, p := range params {
		t, ok := w[p.Name]
		switch {
		case !ok:
			return fmt.Errorf("ops: weights: %s is missing", p.Name)
		case !slices.Equal(t.Dims, p.Dims):
			return fmt.Errorf("ops: weights: %s has dimensions %v: want %v", p.Name, t.Dims, p.Dims)
		case len(t.Data) != p.Len():
			return fmt.Errorf("ops: weights: %s has %d elements: want %d", p.Name, len(t.Data), p.Len())
		}
		for i, v := range t.Data {
			if f := float64(v); math.IsNaN(f) || math.IsInf(f, 0) {
				return fmt.Errorf("ops: weights: %s: element %d is %v", p.Name, i, v)
			}
		}
	}
	return nil
}

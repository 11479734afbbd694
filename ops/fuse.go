// SPDX-License-Identifier: Apache-2.0

package ops

import (
	"fmt"
	"math"
)

// Fuse rewrites a trained network as runtimes execute it. Each node of the
// result is one step of the native runtime, has one [Key] in a latency table,
// and is one node of an exported model (with its ReLU and its sum beside it):
//
//   - what only training reads (Aux) is dropped;
//   - batch norms after a convolution that nothing else reads, or after a
//     concatenation of such, are folded into the convolutions' weights (see
//     FoldWeights);
//   - a ReLU that only convolutions read is merged into them: they rectify
//     while they read. Another one is merged into the node before it, if it is
//     that node's only reader;
//   - a sum is merged into the convolutions and poolings that it alone reads:
//     each adds what came before to its own output. Only inputs that are no
//     such node (skip connections) are left to a sum of their own, if there
//     are two or more;
//   - zeros vanish from sums.
//
// A graph with a Mix is a supernet, which no runtime executes: Fuse panics.
func Fuse(g *Graph) *Graph {
	f := fuser{old: g.withoutTrivialSums(), done: map[Value]Value{}}
	f.readers = f.old.readers()
	for i, n := range f.old.Nodes { // inputs first, in order
		if n.Kind == Input {
			f.done[Value(i)] = f.append(n)
		}
	}
	f.graph.Out = f.emit(f.old.Out)
	return &f.graph
}

type fuser struct {
	old     *Graph
	readers [][]Value
	graph   Graph
	done    map[Value]Value
}

// readers lists the nodes that read each node; the graph's output counts as
// a reader that is no node (-1).
func (g *Graph) readers() [][]Value {
	r := make([][]Value, len(g.Nodes))
	for i, n := range g.Nodes {
		for _, v := range n.In {
			r[v] = append(r[v], Value(i))
		}
	}
	r[g.Out] = append(r[g.Out], -1)
	return r
}

// withoutTrivialSums drops zeros from sums, sums of one input, and what only
// Aux needs.
func (g *Graph) withoutTrivialSums() *Graph {
	h := &Graph{Nodes: append([]Node(nil), g.Nodes...)}
	same := make([]Value, len(g.Nodes))
	for i := range h.Nodes {
		n := &h.Nodes[i]
		in := make([]Value, 0, len(n.In))
		for _, v := range n.In {
			in = append(in, same[v])
		}
		if n.Kind == Add {
			kept := in[:0:0]
			for _, v := range in {
				if h.Nodes[v].Kind != Zero {
					kept = append(kept, v)
				}
			}
			if len(kept) == 0 {
				kept = in[:1]
			}
			in = kept
		}
		n.In, same[i] = in, Value(i)
		if n.Kind == Add && len(in) == 1 {
			same[i] = in[0]
		}
	}
	h.Out = same[g.Out]
	return h.prune()
}

func (f *fuser) append(n Node) Value {
	f.graph.Nodes = append(f.graph.Nodes, n)
	return Value(len(f.graph.Nodes) - 1)
}

// emit appends what computes v to the fused graph, once.
func (f *fuser) emit(v Value) Value {
	if at, ok := f.done[v]; ok {
		return at
	}
	n := f.old.Nodes[v]
	var at Value
	switch n.Kind {
	case Mix:
		panic("ops: Fuse: " + n.Name + " is a supernet's mixture")
	case BatchNorm:
		at = f.batchNorm(n)
	case ReLU:
		at = f.relu(n)
	case Add:
		at = f.add(n)
	default:
		at = f.plain(n)
	}
	f.done[v] = at
	return at
}

// plain emits a node; a convolution takes in the ReLU before it where all
// readers of that ReLU are convolutions.
func (f *fuser) plain(n Node) Value {
	in := make([]Value, len(n.In))
	for i, v := range n.In {
		if n.Kind == Conv && f.rectifiesConvs(v) {
			n.ReLUIn, v = true, f.old.Nodes[v].In[0]
		}
		in[i] = f.emit(v)
	}
	n.In = in
	return f.append(n)
}

// rectifiesConvs says whether v is a ReLU that only convolutions read.
func (f *fuser) rectifiesConvs(v Value) bool {
	if f.old.Nodes[v].Kind != ReLU {
		return false
	}
	for _, r := range f.readers[v] {
		if r < 0 || f.old.Nodes[r].Kind != Conv {
			return false
		}
	}
	return true
}

// takesReLU says whether v can rectify its own output: it is read once and its
// kind can.
func (f *fuser) takesReLU(v Value) bool {
	if len(f.readers[v]) != 1 {
		return false
	}
	switch n := f.old.Nodes[v]; n.Kind {
	case Conv:
		return true
	case BatchNorm:
		return f.folded(v).Kind != Concat
	case Add: // the last step of the sum rectifies: it must not be a pooling
		last := f.lastMerged(n)
		return last < 0 || f.old.Nodes[last].Kind != MaxPool && f.old.Nodes[last].Kind != AvgPool
	}
	return false
}

func (f *fuser) relu(n Node) Value {
	at := f.emit(n.In[0])
	if f.takesReLU(n.In[0]) {
		f.graph.Nodes[at].ReLUOut = true
		return at
	}
	n.In = []Value{at}
	return f.append(n)
}

func (f *fuser) batchNorm(n Node) Value {
	at := f.emit(n.In[0])
	if f.takesNorm(n.In[0]) {
		f.fold(at, Folded{Name: n.Name, Affine: n.Affine, Channels: n.Shape.C})
		return at
	}
	n.In = []Value{at}
	return f.append(n)
}

// takesNorm says whether a batch norm that reads v goes into the convolution
// or the concatenated convolutions that v is, maybe behind another that does.
func (f *fuser) takesNorm(v Value) bool {
	if len(f.readers[v]) != 1 {
		return false
	}
	switch n := f.old.Nodes[v]; n.Kind {
	case Conv:
		return true
	case BatchNorm:
		return f.takesNorm(n.In[0])
	case Concat:
		for _, x := range n.In {
			if !f.takesNorm(x) {
				return false
			}
		}
		return true
	}
	return false
}

// fold puts a batch norm into the fused graph's convolution or concatenation at.
func (f *fuser) fold(at Value, bn Folded) {
	n := &f.graph.Nodes[at]
	if n.Kind == Conv {
		n.Folded = append(n.Folded, bn)
		return
	}
	for _, v := range n.In {
		f.fold(v, bn)
		bn.First += f.graph.Shape(v).C
	}
}

// folded is the node that v becomes part of: before the batch norms that fold.
func (f *fuser) folded(v Value) Node {
	n := f.old.Nodes[v]
	for n.Kind == BatchNorm && f.takesNorm(n.In[0]) {
		n = f.old.Nodes[n.In[0]]
	}
	return n
}

// merges says whether a sum that is v's only reader becomes part of v.
func (f *fuser) merges(v Value) bool {
	if len(f.readers[v]) != 1 {
		return false
	}
	switch f.folded(v).Kind {
	case Conv, MaxPool, AvgPool:
		return true
	}
	return false
}

// lastMerged is the last input of sum n that the sum is merged into, or -1.
func (f *fuser) lastMerged(n Node) Value {
	for i := len(n.In) - 1; i >= 0; i-- {
		if f.merges(n.In[i]) {
			return n.In[i]
		}
	}
	return -1
}

func (f *fuser) add(n Node) Value {
	var rest []Value // inputs that stay themselves
	for _, v := range n.In {
		if !f.merges(v) {
			rest = append(rest, f.emit(v))
		}
	}
	sum := Value(-1)
	switch {
	case len(rest) == 1:
		sum = rest[0]
	case len(rest) > 0:
		n := n
		n.In = rest
		sum = f.append(n)
	}
	for _, v := range n.In {
		if !f.merges(v) {
			continue
		}
		at := f.emit(v)
		if sum >= 0 {
			node := &f.graph.Nodes[at]
			node.In, node.Accumulate = append(node.In[:len(node.In):len(node.In)], sum), true
		}
		sum = at
	}
	return sum
}

// FoldWeights gives the weights of a fused graph from those of the graph it
// was made of: where a batch norm was folded,
//
//	weight' = weight·γ/√(var+ε),  bias' = β + (bias − mean)·γ/√(var+ε)
//
// per output channel. Other tensors are shared with w. It returns an error if
// w lacks one or has one of another size.
func (g *Graph) FoldWeights(w Weights) (Weights, error) {
	out := Weights{}
	get := func(name string, size int) ([]float32, error) {
		t, ok := w[name]
		switch {
		case !ok:
			return nil, fmt.Errorf("ops: weights: %s is missing", name)
		case len(t.Data) != size:
			return nil, fmt.Errorf("ops: weights: %s has %d elements: want %d", name, len(t.Data), size)
		}
		return t.Data, nil
	}
	for _, n := range g.Nodes {
		if len(n.Folded) == 0 {
			for _, p := range g.Params(n) {
				data, err := get(p.Name, elements(p.Dims))
				if err != nil {
					return nil, err
				}
				out[p.Name] = Tensor{Dims: p.Dims, Data: data}
			}
			continue
		}
		params := g.Params(n) // weight and bias
		weight, err := get(params[0].Name, elements(params[0].Dims))
		if err != nil {
			return nil, err
		}
		scale, shift := make([]float64, n.Shape.C), make([]float64, n.Shape.C)
		for o := range scale {
			scale[o] = 1
		}
		if n.Bias {
			bias, err := get(params[1].Name, n.Shape.C)
			if err != nil {
				return nil, err
			}
			for o, v := range bias {
				shift[o] = float64(v)
			}
		}
		for _, bn := range n.Folded {
			if err := fold(scale, shift, bn, get); err != nil {
				return nil, err
			}
		}
		folded, bias := make([]float32, len(weight)), make([]float32, n.Shape.C)
		for i, v := range weight {
			folded[i] = float32(float64(v) * scale[i*n.Shape.C/len(weight)])
		}
		for o, v := range shift {
			bias[o] = float32(v)
		}
		out[params[0].Name] = Tensor{Dims: params[0].Dims, Data: folded}
		out[params[1].Name] = Tensor{Dims: params[1].Dims, Data: bias}
	}
	return out, nil
}

// fold puts batch norm bn behind the affine map y = scale·x + shift.
func fold(scale, shift []float64, bn Folded, get func(string, int) ([]float32, error)) error {
	own := func(param string) ([]float32, error) {
		data, err := get(bn.Name+param, bn.Channels)
		if err != nil {
			return nil, err
		}
		return data[bn.First:][:len(scale)], nil
	}
	mean, err := own(".running_mean")
	if err != nil {
		return err
	}
	variance, err := own(".running_var")
	if err != nil {
		return err
	}
	for o := range scale {
		f := 1 / math.Sqrt(float64(variance[o])+BatchNormEpsilon)
		scale[o], shift[o] = scale[o]*f, (shift[o]-float64(mean[o]))*f
	}
	if !bn.Affine {
		return nil
	}
	gamma, err := own(".weight")
	if err != nil {
		return err
	}
	beta, err := own(".bias")
	if err != nil {
		return err
	}
	for o, g := range gamma {
		scale[o], shift[o] = scale[o]*float64(g), shift[o]*float64(g)+float64(beta[o])
	}
	return nil
}

func elements(dims []int) int {
	n := 1
	for _, d := range dims {
		n *= d
	}
	return n
}

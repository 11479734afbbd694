// SPDX-License-Identifier: Apache-2.0

package ops

// Fuse rewrites a trained network as runtimes execute it. Each node of the
// result is one step of the native runtime, has one [Key] in a latency table,
// and is one node of an exported model (with its ReLU and its sum beside it):
//
//   - what only training reads (Aux) is dropped;
//   - a batch norm that is the only reader of a convolution, or of a
//     concatenation of such convolutions, is folded into their weights (see
//     [Graph.FoldWeights]);
//   - a ReLU that only convolutions read is merged into them: they rectify
//     while they read. Any other ReLU is merged into the node before it, if it
//     is that node's only reader;
//   - a sum is merged into those of its inputs that are convolutions and
//     poolings without another reader: each adds what came before to its own
//     output. The other inputs (skip connections) keep a sum of their own, if
//     there are two or more;
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

// readers lists the nodes that read each node. The graph's output counts as a
// reader without a node (-1).
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

// withoutTrivialSums returns the graph without zeros in sums, sums of one
// input, and what only Aux needs.
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

// rectifiesConvs reports whether v is a ReLU that only convolutions read.
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

// takesReLU reports whether v can rectify its own output: it has one reader and
// is of a kind that can.
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
	return f.intoInput(n, f.takesReLU, func(at Value) { f.graph.Nodes[at].ReLUOut = true })
}

func (f *fuser) batchNorm(n Node) Value {
	bn := Folded{Name: n.Name, Affine: n.Affine, Channels: n.Shape.C}
	return f.intoInput(n, f.takesNorm, func(at Value) { f.fold(at, bn) })
}

// intoInput emits the input of n and makes n a part of it where that takes n;
// otherwise n is a node of its own.
func (f *fuser) intoInput(n Node, takes func(v Value) bool, merge func(at Value)) Value {
	at := f.emit(n.In[0])
	if takes(n.In[0]) {
		merge(at)
		return at
	}
	n.In = []Value{at}
	return f.append(n)
}

// takesNorm reports whether a batch norm that reads v is folded into v: into a
// convolution or concatenated convolutions, perhaps after another batch norm
// that is folded into them.
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

// fold adds a batch norm to the convolution, or to the convolutions of the
// concatenation, at this place of the fused graph.
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

// folded returns the node of which v becomes a part: the one before the batch
// norms that are folded.
func (f *fuser) folded(v Value) Node {
	n := f.old.Nodes[v]
	for n.Kind == BatchNorm && f.takesNorm(n.In[0]) {
		n = f.old.Nodes[n.In[0]]
	}
	return n
}

// merges reports whether a sum that is v's only reader becomes part of v.
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

// lastMerged returns the last input of sum n into which the sum is merged, or -1.
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

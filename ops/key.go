// SPDX-License-Identifier: Apache-2.0

package ops

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// Key names a fused primitive with everything that changes its time. Its text
// is the key of a latency table, for example
//
//	conv/k=3/s=1/p=1/d=1/g=1/cin=16/cout=16/h=28/w=28/n=1/f32/nhwc/relu_in+bias+add
//
// The search's operations and an ONNX model's nodes give the same keys, since
// both are read off a fused [Graph]. Fields that an operation does not have
// are zero.
type Key struct {
	Kind         Kind
	Window       Window // Conv and pools
	Groups       int    // Conv
	In, Out      int    // channels; In is of the first input
	H, W         int    // rows and columns of the input
	N            int    // images
	Inputs       int    // Add, Concat: how many maps it reads
	ReLUIn, Bias bool
	Accumulate   bool
	ReLUOut      bool
}

// Key is the key of node n. Inputs have none: ok is false.
func (g *Graph) Key(n Node) (k Key, ok bool) {
	if n.Kind == Input {
		return Key{}, false
	}
	in := g.Shape(n.In[0])
	k = Key{Kind: n.Kind, In: in.C, Out: n.Shape.C, H: in.H, W: in.W, N: in.N,
		ReLUIn: n.ReLUIn, ReLUOut: n.ReLUOut, Accumulate: n.Accumulate, Bias: n.Bias || len(n.Folded) > 0}
	switch n.Kind {
	case Conv:
		k.Window, k.Groups = n.Window, n.Groups
	case MaxPool, AvgPool:
		k.Window = n.Window
	case Add, Concat:
		k.Inputs = len(n.In)
	}
	return k, true
}

// Keys counts the keys of a fused graph.
func Keys(g *Graph) map[Key]int {
	m := map[Key]int{}
	for _, n := range g.Nodes {
		if k, ok := g.Key(n); ok {
			m[k]++
		}
	}
	return m
}

// flags in the order in which they stand in a key.
func (k *Key) flags() []struct {
	name string
	on   *bool
} {
	return []struct {
		name string
		on   *bool
	}{{"relu_in", &k.ReLUIn}, {"bias", &k.Bias}, {"add", &k.Accumulate}, {"relu_out", &k.ReLUOut}}
}

// numbers in the order in which they stand in a key; those that are 0 are left out.
func (k *Key) numbers() []struct {
	name string
	n    *int
} {
	return []struct {
		name string
		n    *int
	}{{"k", &k.Window.Kernel}, {"s", &k.Window.Stride}, {"p", &k.Window.Pad}, {"d", &k.Window.Dilation}, {"crop", &k.Window.Crop},
		{"g", &k.Groups}, {"inputs", &k.Inputs}, {"cin", &k.In}, {"cout", &k.Out}, {"h", &k.H}, {"w", &k.W}, {"n", &k.N}}
}

// String is the key's canonical text.
func (k Key) String() string {
	var b strings.Builder
	b.WriteString(k.Kind.String())
	for _, f := range k.numbers() {
		if *f.n != 0 || f.name == "p" && k.Window.Kernel != 0 {
			b.WriteString("/" + f.name + "=" + strconv.Itoa(*f.n))
		}
	}
	b.WriteString("/f32/nhwc")
	sep := "/"
	for _, f := range k.flags() {
		if *f.on {
			b.WriteString(sep + f.name)
			sep = "+"
		}
	}
	return b.String()
}

// ParseKey reads the text that String writes. Text that String would not
// write is an error.
func ParseKey(text string) (Key, error) {
	var k Key
	bad := func(why string) (Key, error) { return Key{}, fmt.Errorf("ops: key %q: %s", text, why) }
	if len(text) > 200 {
		return Key{}, fmt.Errorf("ops: key of %d bytes: want at most 200", len(text))
	}
	parts := strings.Split(text, "/")
	known := false
	for i, name := range kindNames {
		if name == parts[0] {
			k.Kind, known = Kind(i), true
		}
	}
	if !known || k.Kind == Input {
		return bad("unknown operation " + strconv.Quote(parts[0]))
	}
	for _, part := range parts[1:] {
		name, value, isNumber := strings.Cut(part, "=")
		if !isNumber {
			for _, flag := range strings.Split(part, "+") {
				for _, f := range k.flags() {
					if f.name == flag {
						*f.on = true
					}
				}
			}
			continue
		}
		for _, f := range k.numbers() {
			if f.name == name {
				n, err := strconv.Atoi(value)
				if err != nil || n < 0 || n > 1<<20 {
					return bad("bad number " + strconv.Quote(part))
				}
				*f.n = n
			}
		}
	}
	if k.String() != text {
		return bad("not in canonical form, which would be " + k.String())
	}
	return k, nil
}

// ErrNoChain says that a primitive's output cannot be its next input.
var ErrNoChain = errors.New("output and input differ in shape")

// maxChain bounds the elements of each tensor of a chain: 1 GiB.
const maxChain = 1 << 28

// Chain is a fused graph with this primitive copies times in a row, each with
// its own weights: the time of a chain over the number of copies is the cost
// of the operation inside a network, with its weights no warmer than there.
// A primitive that changes the shape has no chain (ErrNoChain) beyond one
// copy. A second input, where the primitive adds or sums, is an input node of
// its own, the same for all copies; a concatenation has one for each input,
// which share the channels that the first leaves as equally as can be. Keys
// may come from files: one that no node has, or of more than 1 GiB, is an error.
func (k Key) Chain(copies int) (*Graph, error) {
	in, w := Shape{k.N, k.In, k.H, k.W}, k.Window
	if max(w.Kernel, w.Stride, w.Pad, w.Dilation, w.Crop, k.Inputs) > 1<<10 {
		return nil, fmt.Errorf("ops: key %s: window or inputs beyond %d", k, 1<<10)
	}
	n := Node{Kind: k.Kind, In: []Value{0}, Shape: in}
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
	for _, dims := range [][]int{{k.N, k.In, k.H, k.W}, {n.Shape.N, n.Shape.C, n.Shape.H, n.Shape.W}, {k.In, k.Out, max(1, w.Kernel), max(1, w.Kernel)}} {
		size := int64(1)
		for _, d := range dims {
			if size *= int64(d); size > maxChain {
				return nil, fmt.Errorf("ops: key %s: a tensor of more than %d elements", k, maxChain)
			}
		}
		ok = ok && size > 0
	}
	if !ok {
		return nil, fmt.Errorf("ops: key %s: no such primitive", k)
	}
	if copies > 1 && n.Shape != in {
		return nil, fmt.Errorf("ops: key %s: chain of %d: %w", k, copies, ErrNoChain)
	}
	g := &Graph{Nodes: []Node{{Kind: Input, Name: "input", Shape: in}}}
	if n.Accumulate || n.Kind == Add && k.Inputs > 1 {
		g.Nodes = append(g.Nodes, Node{Kind: Input, Name: "second", Shape: n.Shape})
	}
	if n.Kind == Concat {
		rest := k.Out - k.In
		for i := k.Inputs - 1; i > 0; i-- { // inputs still to come
			s := Shape{k.N, rest / i, k.H, k.W}
			n.In = append(n.In, Value(len(g.Nodes)))
			g.Nodes = append(g.Nodes, Node{Kind: Input, Name: fmt.Sprintf("input%d", len(g.Nodes)), Shape: s})
			rest -= s.C
		}
	}
	for i := range copies {
		n := n
		n.Name, n.In = fmt.Sprintf("copy%d", i), append([]Value{g.Out}, n.In[1:]...)
		if n.Accumulate {
			n.In = append(n.In, 1)
		}
		for n.Kind == Add && len(n.In) < k.Inputs {
			n.In = append(n.In, 1)
		}
		g.Nodes = append(g.Nodes, n)
		g.Out = Value(len(g.Nodes) - 1)
	}
	if got, _ := g.Key(g.Nodes[g.Out]); got != k { // it has fields that its kind does not
		return nil, fmt.Errorf("ops: key %s: no such primitive: want %s", k, got)
	}
	return g, nil
}

// SPDX-License-Identifier: Apache-2.0

package ops

import (
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

// Key returns the key of node n. Inputs have none: ok is false.
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

// flags lists the flags in the order in which they stand in a key.
func (k *Key) flags() []struct {
	name string
	on   *bool
} {
	return []struct {
		name string
		on   *bool
	}{{"relu_in", &k.ReLUIn}, {"bias", &k.Bias}, {"add", &k.Accumulate}, {"relu_out", &k.ReLUOut}}
}

// numbers lists the numbers in the order in which they stand in a key. A key
// leaves out those that are 0.
func (k *Key) numbers() []struct {
	name string
	n    *int
} {
	return []struct {
		name string
		n    *int
	}{
		{"k", &k.Window.Kernel}, {"s", &k.Window.Stride}, {"p", &k.Window.Pad}, {"d", &k.Window.Dilation},
		{"crop", &k.Window.Crop}, {"g", &k.Groups}, {"inputs", &k.Inputs}, {"cin", &k.In}, {"cout", &k.Out}, {"h", &k.H},
		{"w", &k.W}, {"n", &k.N},
	}
}

// String returns the key's canonical text.
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

// ParseKey reads the text that String writes. It returns an error for any other
// text.
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

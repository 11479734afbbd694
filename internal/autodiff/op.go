// SPDX-License-Identifier: Apache-2.0

package autodiff

import (
	"fmt"
	"hash"
	"hash/fnv"

	"github.com/chewxy/hm"
	"github.com/edgenas/edgenas/internal/kernels"
	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// definition is what a coarse operation computes. Its text names the
// operation and everything that decides its result.
type definition[T kernels.Float] interface {
	fmt.Stringer
	// compile writes the instructions that compute the outputs from the inputs.
	compile(c *compiler[T], in, out *operands)
}

// differentiable is a definition of the forward pass.
type differentiable[T kernels.Float] interface {
	definition[T]
	// differentiate gives the gradient of each input from that of the first
	// output; nil where want is false.
	differentiate(b *grapher[T], in gorgonia.Nodes, out, grad *gorgonia.Node, want []bool) gorgonia.Nodes
}

// adder is a definition of the backward pass that can add to some of its outputs.
type adder interface{ adds(output int) bool }

// op makes a definition a Gorgonia operation. Gorgonia's operations have one
// output: several are laid one after the other in a vector, and a [pick] hands
// out each.
type op[T kernels.Float] struct {
	definition[T]
	in   []hm.Type
	ids  []int64 // of the inputs
	out  []tensor.Shape
	want []bool // which inputs need a gradient

	contributions contributions
}

var _ gorgonia.SDOp = (*op[float32])(nil)

func dtype[T kernels.Float]() tensor.Dtype {
	var zero T
	if _, ok := any(zero).(float64); ok {
		return tensor.Float64
	}
	return tensor.Float32
}

func typeOf[T kernels.Float](s tensor.Shape) hm.Type {
	if len(s) == 0 {
		return dtype[T]()
	}
	return gorgonia.TensorType{Dims: len(s), Of: dtype[T]()}
}

// size returns the number of elements of s.
func size(s tensor.Shape) int {
	n := 1
	for _, d := range s {
		n *= d
	}
	return n
}

// shape returns the shape of the node: that of the output, or of the vector of
// all outputs.
func (o *op[T]) shape() tensor.Shape {
	if len(o.out) == 1 {
		return o.out[0]
	}
	n := 0
	for _, s := range o.out {
		n += size(s)
	}
	return tensor.Shape{n}
}

func (o *op[T]) Arity() int { return len(o.in) }

func (o *op[T]) Type() hm.Type {
	return hm.NewFnType(append(append([]hm.Type(nil), o.in...), typeOf[T](o.shape()))...)
}

func (o *op[T]) InferShape(...gorgonia.DimSizer) (tensor.Shape, error) { return o.shape().Clone(), nil }
func (o *op[T]) ReturnsPtr() bool                                      { return false }
func (o *op[T]) CallsExtern() bool                                     { return false }
func (o *op[T]) OverwritesInput() int                                  { return -1 }

// WriteHash writes the inputs too: Gorgonia takes nodes of equal hash and
// operation for one without comparing their inputs.
func (o *op[T]) WriteHash(h hash.Hash) { fmt.Fprint(h, o.definition, o.ids) }

func (o *op[T]) Hashcode() uint32 {
	h := fnv.New32a()
	o.WriteHash(h)
	return h.Sum32()
}

func (o *op[T]) DiffWRT(int) []bool { return o.want }

func (o *op[T]) SymDiff(in gorgonia.Nodes, out, grad *gorgonia.Node) (gorgonia.Nodes, error) {
	d, ok := o.definition.(differentiable[T])
	if !ok {
		return nil, fmt.Errorf("autodiff: %s: has no second derivative", o.definition)
	}
	b := &grapher[T]{}
	nodes := d.differentiate(b, in, out, grad, o.want)
	for i, n := range nodes {
		if o.want[i] {
			o.contributions[in[i]] = append(o.contributions[in[i]], n)
		}
	}
	return nodes, b.err
}

// Do runs the operation by itself on memory of its own, for Gorgonia's tape machine.
func (o *op[T]) Do(in ...gorgonia.Value) (gorgonia.Value, error) {
	c := &compiler[T]{pool: kernels.NewWorkers(1)}
	var ins, outs []value
	for _, v := range in {
		data, err := dataOf[T](v)
		if err != nil {
			return nil, fmt.Errorf("autodiff: %s: %w", o.definition, err)
		}
		ins = append(ins, c.pin(data))
	}
	flat := make([]T, size(o.shape()))
	rest := flat
	for _, s := range o.out {
		outs = append(outs, c.pin(rest[:size(s)]))
		rest = rest[size(s):]
	}
	c.compile(o.definition, ins, outs)
	for i := range c.values {
		if c.values[i].mem == nil {
			c.values[i].mem = make([]T, c.values[i].size)
		}
	}
	c.bind()
	written := map[value]bool{}
	for _, x := range c.ins {
		for _, o := range x.out {
			if o.add != nil {
				*o.add = written[o.value]
			}
			written[o.value] = true
		}
		x.kernel.Run(c.pool)
	}
	return valueFor(o.shape(), flat), nil
}

// pick is one output of an operation that has several. The gradient of the
// first output stands for that of the operation; the others carry none.
type pick[T kernels.Float] struct {
	op[T]
	output int
	from   int // where the output begins in the vector
}

func (p *pick[T]) SymDiff(_ gorgonia.Nodes, _, grad *gorgonia.Node) (gorgonia.Nodes, error) {
	return gorgonia.Nodes{grad}, nil
}

// Do copies: the tape machine may overwrite what an operation returned.
func (p *pick[T]) Do(in ...gorgonia.Value) (gorgonia.Value, error) {
	data, err := dataOf[T](in[0])
	if err != nil {
		return nil, fmt.Errorf("autodiff: %s: %w", p.definition, err)
	}
	return valueFor(p.shape(), append([]T(nil), data[p.from:p.from+size(p.shape())]...)), nil
}

// choice is the definition of a pick, which compiles to nothing: programs
// give the operation's output its place.
type choice[T kernels.Float] int

func (c choice[T]) String() string                           { return fmt.Sprintf("output %d", int(c)) }
func (choice[T]) compile(*compiler[T], *operands, *operands) {}

// dataOf returns the memory of v.
func dataOf[T kernels.Float](v gorgonia.Value) ([]T, error) {
	switch data := v.Data().(type) {
	case []T:
		return data, nil
	case T:
		return []T{data}, nil
	}
	return nil, fmt.Errorf("have a value of %v, want %v", v.Dtype(), dtype[T]())
}

// valueFor returns a Gorgonia value of shape s on the memory of data.
func valueFor[T kernels.Float](s tensor.Shape, data []T) gorgonia.Value {
	if len(s) > 0 {
		return tensor.New(tensor.WithShape(s...), tensor.WithBacking(data))
	}
	switch x := any(data[0]).(type) {
	case float32:
		return gorgonia.NewF32(x)
	case float64:
		return gorgonia.NewF64(x)
	}
	panic("autodiff: unreachable: neither float32 nor float64")
}

// grapher adds operations to a Gorgonia graph and keeps the first error.
type grapher[T kernels.Float] struct {
	images        *gorgonia.Node // needs no gradient; nil in a backward pass
	contributions contributions
	err           error
}

// contributions are the gradients that the readers of a node hand to it, in
// the order in which Gorgonia is to sum them.
type contributions map[*gorgonia.Node]gorgonia.Nodes

// check returns an error unless every gradient is the sum of its
// contributions. Gorgonia would take two sums for one if their 32-bit hashes
// collided.
func (c contributions) check() error {
	for n, parts := range c {
		d := n.Deriv()
		if d == nil { // nothing that was asked for depends on it
			continue
		}
		for i := len(parts) - 1; i > 0; i-- {
			terms := children(d)
			if len(terms) != 2 || terms[1] != parts[i] {
				return fmt.Errorf("autodiff: the gradient of %s is not the sum of its parts", n.Name())
			}
			d = terms[0]
		}
		if d != parts[0] {
			return fmt.Errorf("autodiff: the gradient of %s is not its reader's", n.Name())
		}
	}
	return nil
}

// apply adds an operation with outputs of the given shapes; pick gives each of
// them if there are several. It returns nil after an error.
func (b *grapher[T]) apply(d definition[T], out []tensor.Shape, in ...*gorgonia.Node) *gorgonia.Node {
	if b.err != nil {
		return nil
	}
	_, forward := d.(differentiable[T])
	o := &op[T]{definition: d, out: out, contributions: b.contributions}
	for _, n := range in {
		o.in = append(o.in, n.Type())
		o.ids = append(o.ids, n.ID())
		p, ok := n.Op().(*pick[T])
		o.want = append(o.want, forward && n != b.images && !(ok && p.output > 0)) // the loss goes through first outputs
	}
	n, err := gorgonia.ApplyOp(o, in...)
	if err != nil {
		b.err = fmt.Errorf("autodiff: %s: %w", o.definition, err)
	}
	return n
}

// gradients applies d, a backward operation that yields the gradients of the
// first n inputs at once, to the inputs and what more it reads, and hands out
// those that are wanted.
func (b *grapher[T]) gradients(
	d definition[T], in gorgonia.Nodes, n int, want []bool, more ...*gorgonia.Node,
) gorgonia.Nodes {
	shapes := make([]tensor.Shape, n)
	for i := range shapes {
		shapes[i] = in[i].Shape()
	}
	all := b.apply(d, shapes, append(in[:len(in):len(in)], more...)...)
	g := make(gorgonia.Nodes, len(in))
	for i := range in {
		if want[i] {
			g[i] = b.pick(all, i)
		}
	}
	return g
}

// pick gives one output of n.
func (b *grapher[T]) pick(n *gorgonia.Node, output int) *gorgonia.Node {
	if b.err != nil {
		return nil
	}
	of := n.Op().(*op[T])
	p := &pick[T]{op: op[T]{
		definition: choice[T](output), in: []hm.Type{n.Type()}, ids: []int64{n.ID()},
		out: of.out[output : output+1], want: []bool{output == 0},
	}, output: output}
	for _, s := range of.out[:output] {
		p.from += size(s)
	}
	node, err := gorgonia.ApplyOp(p, n)
	if err != nil {
		b.err = fmt.Errorf("autodiff: %s of %s: %w", p.definition, of.definition, err)
	}
	return node
}

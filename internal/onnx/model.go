// SPDX-License-Identifier: Apache-2.0

package onnx

import "fmt"

const (
	// IRVersion is the version of the file format that is written: 8 (2021),
	// which the runtimes on phones read.
	IRVersion = 8
	// Opset is the version of the operators that is written.
	Opset = 13
)

// Model is an ONNX model: one graph of nodes over named tensors. It is plain
// data; [Model.Check] checks that it is sound.
type Model struct {
	IRVersion    int               // version of the file format
	Opset        int               // version of the standard operators
	Producer     string            // the program that wrote it
	Name         string            // of the graph
	Metadata     map[string]string // nil: none
	Inputs       []Value           // may repeat the name of an initializer, which is then its default
	Outputs      []Value
	Nodes        []Node // in an order in which they can be run
	Initializers []Tensor
}

// Value describes an input or an output.
type Value struct {
	Name string
	Type Type
	Dims []Dim // nil: unknown rank
}

// Dim is a dimension of a [Value]: a size, or a name for one that is free. The
// zero Dim is unknown.
type Dim struct {
	Size int    // 0: free
	Name string // for example "N"
}

// Type is the type of a tensor's elements, with ONNX's numbers.
type Type int32

// The types that tensors can have here.
const (
	Float Type = 1 // float32
	Int64 Type = 7 // shapes and axes
)

var typeNames = [...]string{"undefined", "float", "uint8", "int8", "uint16", "int16", "int32",
	"int64", "string", "bool",
	"float16", "double", "uint32", "uint64", "complex64", "complex128", "bfloat16"}

// String returns ONNX's name of the type.
func (t Type) String() string {
	if t >= 0 && int(t) < len(typeNames) {
		return typeNames[t]
	}
	return fmt.Sprintf("type %d", int32(t))
}

// Tensor is a stored tensor in row-major order. Dims are never negative and
// their product is the length of Floats (Float) or Ints (Int64).
type Tensor struct {
	Name   string
	Type   Type
	Dims   []int
	Floats []float32
	Ints   []int64
}

// Node applies an operator.
type Node struct {
	OpType  string
	Domain  string // of the operator; "": the standard operators
	Name    string // may be empty and need not be unique
	Inputs  []string
	Outputs []string // an empty input or output is one that is left out
	Attrs   map[string]Attr
}

// String names the node in errors.
func (n *Node) String() string {
	name := n.Name
	if name == "" && len(n.Outputs) > 0 {
		name = n.Outputs[0]
	}
	return fmt.Sprintf("node %q (%s)", name, n.OpType)
}

// Attr is the value of an attribute: exactly one of the fields, by Kind.
type Attr struct {
	Kind   AttrKind
	Int    int64
	Float  float32
	String string
	Tensor *Tensor
	Ints   []int64
	Floats []float32
}

// AttrKind is the type of an attribute, with ONNX's numbers.
type AttrKind int

// The kinds of attributes. Graphs, of control flow, are refused.
const (
	FloatAttr  AttrKind = 1
	IntAttr    AttrKind = 2
	StringAttr AttrKind = 3
	TensorAttr AttrKind = 4
	FloatsAttr AttrKind = 6
	IntsAttr   AttrKind = 7
)

// IntOf returns an integer attribute.
func IntOf(v int) Attr { return Attr{Kind: IntAttr, Int: int64(v)} }

// IntsOf returns an attribute of several integers.
func IntsOf(vs ...int) Attr {
	a := Attr{Kind: IntsAttr}
	for _, v := range vs {
		a.Ints = append(a.Ints, int64(v))
	}
	return a
}

// FloatOf returns a number attribute.
func FloatOf(v float32) Attr { return Attr{Kind: FloatAttr, Float: v} }

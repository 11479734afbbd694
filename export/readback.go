// SPDX-License-Identifier: Apache-2.0

package export

import (
	"fmt"

	onnxgo "github.com/owulveryck/onnx-go"
	"gonum.org/v1/gonum/graph"
	"gonum.org/v1/gonum/graph/simple"
	"gorgonia.org/tensor"

	"github.com/edgenas/edgenas/internal/onnx"
	"github.com/edgenas/edgenas/ops"
)

// ReadBack decodes a model with onnx-go and translates the result into a graph
// for batch images, with its weights. Onnx-go allocates whatever a file asks for
// and panics on what it does not expect: it gets only bytes that this project's
// own reader has accepted, and a panic becomes an error.
func ReadBack(data []byte, batch int) (g *ops.Graph, w ops.Weights, err error) {
	accepted, err := onnx.Unmarshal(data)
	if err != nil {
		return nil, nil, fmt.Errorf("export: %w", err)
	}
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("export: onnx-go: panic: %v", p)
		}
	}()
	c := &collector{WeightedDirectedGraph: simple.NewWeightedDirectedGraph(0, 0)}
	decoded := onnxgo.NewModel(c)
	if err := decoded.UnmarshalBinary(data); err != nil {
		return nil, nil, fmt.Errorf("export: onnx-go: %w", err)
	}
	m, err := c.model(decoded.Input, decoded.Output)
	if err != nil {
		return nil, nil, fmt.Errorf("export: onnx-go: %w", err)
	}
	m.Opset = accepted.Opset // which onnx-go does not show
	if g, w, err = m.Graph(batch); err != nil {
		return nil, nil, fmt.Errorf("export: read back: %w", err)
	}
	return g, w, nil
}

// collector is an onnx-go backend that only keeps what it is told: values as
// nodes of the graph, operations in the order of the file.
type collector struct {
	*simple.WeightedDirectedGraph // of nodes only: it would lose the second of two equal edges
	nodes                         []onnx.Node
}

// value is a named tensor, with what it is computed from, if anything.
type value struct {
	graph.Node
	name   string
	tensor tensor.Tensor
	inputs []*value
}

func (v *value) SetName(name string)             { v.name = name }
func (v *value) GetName() string                 { return v.name }
func (v *value) SetTensor(t tensor.Tensor) error { v.tensor = t; return nil }
func (v *value) GetTensor() tensor.Tensor        { return v.tensor }

func (c *collector) NewNode() graph.Node {
	return &value{Node: c.WeightedDirectedGraph.NewNode()}
}

// SetWeightedEdge is told that the value from is computed from the value to,
// its input with the number that is the weight.
func (c *collector) SetWeightedEdge(e graph.WeightedEdge) {
	v := e.From().(*value)
	v.inputs = append(v.inputs[:int(e.Weight())], e.To().(*value))
}

// ApplyOperation is told which operator computes the values, after their edges.
func (c *collector) ApplyOperation(op onnxgo.Operation, outputs ...graph.Node) error {
	n := onnx.Node{OpType: op.Name, Attrs: map[string]onnx.Attr{}}
	for _, out := range outputs {
		n.Outputs = append(n.Outputs, out.(*value).name)
	}
	if op.Name != "Constant" { // onnx-go makes up an input for it
		for _, in := range outputs[0].(*value).inputs {
			n.Inputs = append(n.Inputs, in.name)
		}
	}
	for name, v := range op.Attributes {
		a, err := attr(v)
		if err != nil {
			return fmt.Errorf("%v: attribute %q: %w", &n, name, err)
		}
		n.Attrs[name] = a
	}
	c.nodes = append(c.nodes, n)
	return nil
}

// attr converts an attribute.
func attr(v any) (onnx.Attr, error) {
	switch v := v.(type) {
	case float32:
		return onnx.FloatOf(v), nil
	case int64:
		return onnx.Attr{Kind: onnx.IntAttr, Int: v}, nil
	case string:
		return onnx.Attr{Kind: onnx.StringAttr, String: v}, nil
	case []float32:
		return onnx.Attr{Kind: onnx.FloatsAttr, Floats: v}, nil
	case []int64:
		return onnx.Attr{Kind: onnx.IntsAttr, Ints: v}, nil
	case tensor.Tensor:
		t, err := stored("", v)
		return onnx.Attr{Kind: onnx.TensorAttr, Tensor: &t}, err
	}
	return onnx.Attr{}, fmt.Errorf("is a %T", v)
}

// stored converts a tensor.
func stored(name string, t tensor.Tensor) (onnx.Tensor, error) {
	s := onnx.Tensor{Name: name, Dims: append([]int{}, t.Shape()...)}
	switch data := t.Data().(type) {
	case []float32:
		s.Type, s.Floats = onnx.Float, data
	case []int64:
		s.Type, s.Ints = onnx.Int64, data
	default:
		return s, fmt.Errorf("tensor %q is a %T", name, data)
	}
	return s, nil
}

// model returns what was collected as a model. Values that are neither inputs
// nor computed by a node are initializers.
func (c *collector) model(inputs, outputs []int64) (*onnx.Model, error) {
	m := &onnx.Model{IRVersion: onnx.IRVersion, Nodes: c.nodes}
	known := map[string]bool{}
	for _, n := range c.nodes {
		for _, name := range n.Outputs {
			known[name] = true
		}
	}
	describe := func(id int64) (onnx.Value, error) {
		v, ok := c.Node(id).(*value)
		if !ok || v.tensor == nil || v.tensor.Dtype() != tensor.Float32 {
			return onnx.Value{}, fmt.Errorf("no float32 input or output with number %d", id)
		}
		known[v.name] = true
		d := onnx.Value{Name: v.name, Type: onnx.Float}
		for _, size := range v.tensor.Shape() {
			d.Dims = append(d.Dims, onnx.Dim{Size: size})
		}
		return d, nil
	}
	for _, id := range inputs {
		v, err := describe(id)
		if err != nil {
			return nil, err
		}
		if len(v.Dims) == 3 { // onnx-go drops free dimensions
			v.Dims = append([]onnx.Dim{{Name: "N"}}, v.Dims...)
		}
		m.Inputs = append(m.Inputs, v)
	}
	for _, id := range outputs {
		v, err := describe(id)
		if err != nil {
			return nil, err
		}
		m.Outputs = append(m.Outputs, v)
	}
	for nodes := c.Nodes(); nodes.Next(); {
		v := nodes.Node().(*value)
		if known[v.name] || v.tensor == nil {
			continue
		}
		t, err := stored(v.name, v.tensor)
		if err != nil {
			return nil, err
		}
		m.Initializers = append(m.Initializers, t)
	}
	return m, nil
}

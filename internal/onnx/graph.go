// SPDX-License-Identifier: Apache-2.0

package onnx

import (
	"fmt"
	"slices"
	"strings"

	"github.com/edgenas/edgenas/ops"
)

// The opsets whose operators Graph knows: before 7, sums broadcast otherwise;
// after 28, meanings may have changed.
const (
	minOpset = 7
	maxOpset = 28
)

// UnsupportedError says that a node cannot be translated.
type UnsupportedError struct {
	Node string // its name, or that of its output
	Op   string // its operator
	Why  string
}

func (e *UnsupportedError) Error() string {
	return fmt.Sprintf("onnx: node %q (%s): %s", e.Node, e.Op, e.Why)
}

func unsupported(n *Node, format string, args ...any) error {
	name := n.Name
	if name == "" {
		name = n.Outputs[0]
	}
	return &UnsupportedError{name, n.OpType, fmt.Sprintf(format, args...)}
}

// Graph translates a sound model of one image input (N,C,H,W, float) and one
// output into a graph in training form, for batch images at a time, with its
// weights, which may share memory with the model. Nodes keep their names, or
// take those of their outputs; equal names get underscores.
//
// It takes what edgenas exports and usual convolutional networks: Conv, Relu,
// Add, Sum, AveragePool, MaxPool, GlobalAveragePool, ReduceMean over the image,
// Flatten, Reshape and Squeeze to N,C before Gemm or MatMul, BatchNormalization,
// Concat of channels, Slice of the first rows and columns before a Conv,
// Identity, Dropout and Constant; square windows padded equally on all sides.
// A linear layer on an image becomes a convolution with a kernel of its size.
// For anything else it returns an *UnsupportedError.
func (m *Model) Graph(batch int) (*ops.Graph, ops.Weights, error) {
	if err := m.Check(); err != nil {
		return nil, nil, err
	}
	if m.Opset < minOpset || m.Opset > maxOpset {
		return nil, nil, fmt.Errorf("onnx: opset_import: version %d: only %d to %d are supported: convert the model "+
			"with onnx.version_converter, or export it anew", m.Opset, minOpset, maxOpset)
	}
	t := translator{stored: map[string]*Tensor{}, values: map[string]value{}, readers: map[string]int{},
		names: map[string]bool{}, weights: ops.Weights{}}
	for i := range m.Initializers {
		t.stored[m.Initializers[i].Name] = &m.Initializers[i]
	}
	for _, n := range m.Nodes {
		for _, name := range n.Inputs {
			t.readers[name]++
		}
	}
	for _, v := range m.Outputs {
		t.readers[v.Name]++
	}
	if err := t.input(m, batch); err != nil {
		return nil, nil, fmt.Errorf("onnx: %w", err)
	}
	for i := range m.Nodes {
		if err := t.node(&m.Nodes[i]); err != nil {
			if _, first := t.b.Finish(0); first != nil { // an impossible shape further up
				err = fmt.Errorf("onnx: %w", first)
			}
			return nil, nil, err
		}
	}
	out, ok := t.values[m.Outputs[0].Name]
	if !ok || out.crop != [2]int{} || len(m.Outputs) > 1 {
		return nil, nil, fmt.Errorf("onnx: %d outputs, the first %q: want one, computed from the input",
			len(m.Outputs), m.Outputs[0].Name)
	}
	g, err := t.b.Finish(out.at)
	if err != nil {
		return nil, nil, fmt.Errorf("onnx: %w", err)
	}
	weights := ops.Weights{} // of what Finish left
	for _, n := range g.Nodes {
		for _, p := range g.Params(n) {
			weights[p.Name] = t.weights[p.Name]
		}
	}
	if err := weights.Check(g); err != nil {
		return nil, nil, fmt.Errorf("onnx: %w", err)
	}
	return g, weights, nil
}

// translator records the nodes of a model on a builder.
type translator struct {
	b       ops.Builder
	batch   int                // that the model is made for; 0: any
	stored  map[string]*Tensor // initializers and constants
	values  map[string]value
	readers map[string]int // how often a value is read
	names   map[string]bool
	weights ops.Weights
}

// value is a recorded value with what the builder does not know of it.
type value struct {
	at   ops.Value
	flat bool      // has the dimensions N,C·H·W
	crop [2]int    // rows and columns that a Slice has cut off in front: only a Conv may read it
	bias []float32 // of the MatMul that made it: may take in a sum
}

// input starts the recording.
func (t *translator) input(m *Model, batch int) error {
	var images []Value
	for _, v := range m.Inputs {
		if t.stored[v.Name] == nil {
			images = append(images, v)
		}
	}
	if len(images) != 1 {
		return fmt.Errorf("%d inputs: want 1", len(images))
	}
	in := images[0]
	if in.Type != Float || len(in.Dims) != 4 || in.Dims[1].Size == 0 || in.Dims[2].Size == 0 || in.Dims[3].Size == 0 {
		return fmt.Errorf("input %q: %v of %v: want float of N,C,H,W, only N free", in.Name, in.Type, in.Dims)
	}
	s := ops.Shape{N: batch, C: in.Dims[1].Size, H: in.Dims[2].Size, W: in.Dims[3].Size}
	if batch < 1 || tooLarge(s) {
		return fmt.Errorf("input %q: %v: want at most %d elements and at least one image", in.Name, s, MaxElements)
	}
	var x ops.Value
	t.b, x = ops.NewBuilder(s)
	t.batch, t.names["input"] = in.Dims[0].Size, true
	t.values[in.Name] = value{at: x}
	return nil
}

// tooLarge reports whether s has more than MaxElements elements.
func tooLarge(s ops.Shape) bool {
	n := int64(1)
	for _, d := range []int{s.N, s.C, s.H, s.W} {
		if n *= int64(d); n > MaxElements {
			return true
		}
	}
	return false
}

// node translates one node.
func (t *translator) node(n *Node) error {
	if n.Domain != "" && n.Domain != standardDomain {
		return unsupported(n, "operators of domain %q are not supported", n.Domain)
	}
	for _, name := range n.Outputs[1:] {
		if name != "" && t.readers[name] > 0 {
			return unsupported(n, "output %q is not supported", name)
		}
	}
	a := attributesOf(n)
	v, err := t.translate(n, a)
	if err == nil {
		err = a.end()
	}
	if err != nil {
		return err
	}
	if t.stored[n.Outputs[0]] != nil {
		return nil
	}
	if s := t.b.Shape(v.at); tooLarge(s) {
		return unsupported(n, "output of %v: want at most %d elements", s, MaxElements)
	}
	t.values[n.Outputs[0]] = v
	return nil
}

// operators lists those that translate knows.
var operators = []string{
	"Add", "AveragePool", "BatchNormalization", "Concat", "Constant", "Conv", "Dropout", "Flatten", "Gemm",
	"GlobalAveragePool", "Identity", "MatMul", "MaxPool", "ReduceMean", "Relu", "Reshape", "Slice", "Squeeze", "Sum",
}

// translate records one node and returns its output; of a constant, none.
func (t *translator) translate(n *Node, a *attributes) (value, error) {
	switch n.OpType {
	case "Conv":
		return t.conv(n, a)
	case "BatchNormalization":
		return t.batchNorm(n, a)
	case "Relu":
		x, err := t.read(n, 1)
		return value{at: t.b.ReLU(t.name(n), x.at), flat: x.flat}, err
	case "MaxPool", "AveragePool":
		return t.pool(n, a)
	case "GlobalAveragePool":
		x, err := t.image(n, 1)
		return value{at: t.b.GlobalAvgPool(t.name(n), x.at)}, err
	case "ReduceMean":
		return t.reduceMean(n, a)
	case "Add":
		if len(n.Inputs) != 2 {
			return value{}, unsupported(n, "%d inputs: want 2", len(n.Inputs))
		}
		if v, ok := t.addBias(n); ok {
			return v, nil
		}
		return t.sum(n)
	case "Sum":
		return t.sum(n)
	case "Concat":
		return t.concat(n, a)
	case "Slice":
		return t.slice(n, a)
	case "Flatten":
		return t.flatten(n, a)
	case "Reshape":
		return t.reshape(n, a)
	case "Squeeze":
		return t.squeeze(n, a)
	case "Gemm":
		return t.gemm(n, a)
	case "MatMul":
		return t.matMul(n)
	case "Identity":
		if c := t.constant(n, 0); c != nil {
			t.stored[n.Outputs[0]] = c
			return value{}, nil
		}
		return t.read(n, 1)
	case "Dropout":
		a.skip("ratio", "seed")
		return t.read(n, 2) // a third input would ask for training
	case "Constant":
		c, ok := a.get("value", TensorAttr)
		if !ok {
			return value{}, unsupported(n, "want the attribute \"value\", a tensor")
		}
		t.stored[n.Outputs[0]] = c.Tensor
		return value{}, nil
	}
	return value{}, unsupported(n, "the operator is not supported; supported are %s. "+
		"onnxsim may replace it: pip install onnxsim, onnxsim MODEL.onnx SIMPLER.onnx", strings.Join(operators, ", "))
}

// name returns a name for the node that no other node has.
func (t *translator) name(n *Node) string {
	name := n.Name
	if name == "" {
		name = n.Outputs[0]
	}
	for t.names[name] {
		name += "_"
	}
	t.names[name] = true
	return name
}

// read returns the first input of a node that may have this many inputs.
func (t *translator) read(n *Node, inputs int) (value, error) {
	if len(n.Inputs) < 1 || len(n.Inputs) > inputs {
		return value{}, unsupported(n, "%d inputs: want 1 to %d", len(n.Inputs), inputs)
	}
	return t.operand(n, 0)
}

// operand returns the i-th input, which must depend on the image.
func (t *translator) operand(n *Node, i int) (value, error) {
	v, ok := t.values[n.Inputs[i]]
	if !ok {
		return value{}, unsupported(n, "input %q does not depend on the image", n.Inputs[i])
	}
	if v.crop != [2]int{} && n.OpType != "Conv" && n.OpType != "Slice" {
		return value{}, unsupported(n, "input %q is a part of an image, which only a Conv may read", n.Inputs[i])
	}
	v.bias = nil
	return v, nil
}

// image does what read does, for an input that must be N,C,H,W.
func (t *translator) image(n *Node, inputs int) (value, error) {
	v, err := t.read(n, inputs)
	if err == nil && v.flat {
		err = unsupported(n, "input %q is flat: want N,C,H,W", n.Inputs[0])
	}
	return v, err
}

// constant returns the i-th input if it is stored, or nil.
func (t *translator) constant(n *Node, i int) *Tensor {
	if i >= len(n.Inputs) {
		return nil
	}
	return t.stored[n.Inputs[i]]
}

// floats returns the i-th input, which must be stored numbers of these dimensions.
func (t *translator) floats(n *Node, i int, dims ...int) ([]float32, error) {
	c := t.constant(n, i)
	if c == nil || c.Type != Float || !slices.Equal(c.Dims, dims) {
		return nil, unsupported(n, "input %d is %v: want stored floats of %v", i, c, dims)
	}
	return c.Floats, nil
}

// String describes the tensor in errors, without its elements.
func (t *Tensor) String() string {
	if t == nil {
		return "not stored"
	}
	return fmt.Sprintf("%v of %v", t.Type, t.Dims)
}

// SPDX-License-Identifier: Apache-2.0

package export

import (
	"errors"
	"fmt"
	"slices"

	"github.com/edgenas/edgenas/internal/onnx"
	"github.com/edgenas/edgenas/ops"
)

const (
	// Input is the name of the model's input, float N,C,H,W with N free.
	Input = "input"
	// Output is the name of the model's output: float N,classes, or N,C,H,W of
	// a network that does not end in a linear layer.
	Output = "logits"
	// Prefix stands before the keys of a [Meta] in the model's metadata.
	Prefix = "edgenas."
)

// Meta holds what a model says about itself: for example labels, normalisation,
// architecture, digest of the profile, predicted and measured latency. In the
// model its keys begin with [Prefix].
type Meta map[string]string

// Model returns the bytes of an ONNX file with network g, in training form, and
// weights w. Equal networks give equal bytes.
//
// Each node of [ops.Fuse] of g becomes one ONNX node of the same name, with its
// sum, its ReLU and its cropping in nodes of their own ("….add", "….relu",
// "….slice"); parameters keep their names. A ReLU that several convolutions
// read is written once. Model returns an error if w does not fit g or holds
// values that are not finite, for a network whose output is constant or its
// input, and where the features of a linear layer are read as an image again.
// It panics, as ops.Fuse does, on a supernet.
func Model(g *ops.Graph, w ops.Weights, meta Meta) ([]byte, error) {
	m, err := model(g, w, meta)
	if err != nil {
		return nil, err
	}
	data, err := m.Marshal()
	if err != nil {
		return nil, fmt.Errorf("export: %w", err)
	}
	return data, nil
}

// model translates the network.
func model(g *ops.Graph, w ops.Weights, meta Meta) (*onnx.Model, error) {
	fused := ops.Fuse(g)
	weights, err := fused.FoldWeights(w)
	if err == nil {
		err = weights.Check(fused)
	}
	if err != nil {
		return nil, fmt.Errorf("export: %w", err)
	}
	x := exporter{graph: fused, weights: weights, used: map[string]bool{Input: true, Output: true},
		rectified: map[string]string{}}
	for _, n := range fused.Nodes {
		x.used[n.Name] = true
	}
	for i, n := range fused.Nodes {
		if err := x.node(i, n); err != nil {
			return nil, fmt.Errorf("export: %s: %w", n.Name, err)
		}
	}
	m := &onnx.Model{
		IRVersion: onnx.IRVersion, Opset: onnx.Opset, Producer: "edgenas", Name: "network",
		Inputs:       []onnx.Value{{Name: Input, Type: onnx.Float, Dims: dims(fused.Shape(0), false)}},
		Outputs:      []onnx.Value{{Name: Output, Type: onnx.Float, Dims: dims(fused.Shape(fused.Out), x.flat[fused.Out])}},
		Nodes:        x.nodes,
		Initializers: x.tensors,
	}
	if len(meta) > 0 {
		m.Metadata = map[string]string{}
	}
	for key, value := range meta {
		m.Metadata[Prefix+key] = value
	}
	return m, nil
}

// dims returns N,C,H,W, or N,C if flat, with N free.
func dims(s ops.Shape, flat bool) []onnx.Dim {
	d := []onnx.Dim{{Name: "N"}, {Size: s.C}, {Size: s.H}, {Size: s.W}}
	if flat {
		d = d[:2]
	}
	return d
}

// exporter writes the nodes of a fused graph in order.
type exporter struct {
	graph     *ops.Graph
	weights   ops.Weights
	nodes     []onnx.Node
	tensors   []onnx.Tensor
	values    []string          // of each node of the graph
	flat      []bool            // whether that is N,C, as linear layers give it
	used      map[string]bool   // names of nodes and values
	rectified map[string]string // values and their ReLUs, where convolutions wanted those
}

// node writes node n, the i-th, with its sum and its ReLU.
func (x *exporter) node(i int, n ops.Node) error {
	flat, err := x.isFlat(n)
	if err != nil {
		return err
	}
	in := make([]string, len(n.In))
	for j, v := range n.In {
		in[j] = x.values[v]
	}
	last := ""
	if n.Accumulate {
		in, last = in[:len(in)-1], in[len(in)-1]
	}
	if n.ReLUIn {
		if x.rectified[in[0]] == "" {
			x.rectified[in[0]] = x.add("Relu", x.fresh(in[0]+".relu"), in[:1], nil)
		}
		in = []string{x.rectified[in[0]]}
	}
	var out string
	switch n.Kind {
	case ops.Input:
		if i > 0 {
			return errors.New("is a second input")
		}
		out = Input
	case ops.Conv:
		if n.Window.Crop > 0 {
			in = []string{x.crop(n, in[0])}
		}
		attrs := window(n.Window)
		attrs["dilations"], attrs["group"] = onnx.IntsOf(n.Window.Dilation, n.Window.Dilation), onnx.IntOf(n.Groups)
		out = x.add("Conv", n.Name, append(in, x.params(n)...), attrs)
	case ops.BatchNorm:
		out = x.add("BatchNormalization", n.Name, append(in, x.params(n)...),
			map[string]onnx.Attr{"epsilon": onnx.FloatOf(ops.BatchNormEpsilon)})
	case ops.ReLU:
		out = x.add("Relu", n.Name, in, nil)
	case ops.MaxPool:
		out = x.add("MaxPool", n.Name, in, window(n.Window))
	case ops.AvgPool:
		attrs := window(n.Window)
		attrs["count_include_pad"] = onnx.IntOf(0)
		out = x.add("AveragePool", n.Name, in, attrs)
	case ops.Add:
		op := "Add"
		if len(in) > 2 {
			op = "Sum" // Add takes two
		}
		out = x.add(op, n.Name, in, nil)
	case ops.Concat:
		out = x.add("Concat", n.Name, in, map[string]onnx.Attr{"axis": onnx.IntOf(1)})
	case ops.GlobalAvgPool:
		out = x.add("GlobalAveragePool", n.Name, in, nil)
	case ops.Linear:
		flat := x.add("Flatten", x.fresh(n.Name+".flatten"), in, map[string]onnx.Attr{"axis": onnx.IntOf(1)})
		out = x.add("Gemm", n.Name, append([]string{flat}, x.params(n)...), map[string]onnx.Attr{"transB": onnx.IntOf(1)})
	default:
		return fmt.Errorf("%v cannot be written", n.Kind)
	}
	if n.Accumulate { // what came before first, so that a reader finds the sums in the same order
		out = x.add("Add", x.fresh(n.Name+".add"), []string{last, out}, nil)
	}
	if n.ReLUOut {
		out = x.add("Relu", x.fresh(n.Name+".relu"), []string{out}, nil)
	}
	if ops.Value(i) == x.graph.Out && i > 0 {
		out = Output
		x.nodes[len(x.nodes)-1].Outputs[0] = out
	}
	x.values, x.flat = append(x.values, out), append(x.flat, flat)
	return nil
}

// isFlat reports whether n's output is N,C: that of a linear layer, or computed
// from one element by element.
func (x *exporter) isFlat(n ops.Node) (bool, error) {
	if n.Kind == ops.Linear || n.Kind == ops.Input {
		return n.Kind == ops.Linear, nil
	}
	flat := x.flat[n.In[0]]
	elementwise := n.Kind == ops.BatchNorm || n.Kind == ops.ReLU || n.Kind == ops.Add
	for _, v := range n.In {
		if x.flat[v] != flat || flat && !elementwise {
			return false, fmt.Errorf("%v that reads features of a linear layer as an image cannot be written", n.Kind)
		}
	}
	return flat, nil
}

// crop leaves out the rows and columns of in that convolution n does not read.
func (x *exporter) crop(n ops.Node, in string) string {
	name, s, c := x.fresh(n.Name+".slice"), x.graph.Shape(n.In[0]), n.Window.Crop
	inputs := []string{in}
	for _, t := range []struct {
		name         string
		rows, column int
	}{{"starts", c, c}, {"ends", s.H, s.W}, {"axes", 2, 3}} {
		t.name = x.fresh(name + "." + t.name)
		inputs = append(inputs, t.name)
		x.tensors = append(x.tensors,
			onnx.Tensor{Name: t.name, Type: onnx.Int64, Dims: []int{2}, Ints: []int64{int64(t.rows), int64(t.column)}})
	}
	return x.add("Slice", name, inputs, nil)
}

// add appends a node and returns its output, which has the node's name, unless
// that is kept for the model's output.
func (x *exporter) add(op, name string, in []string, attrs map[string]onnx.Attr) string {
	out := name
	if out == Output {
		out = x.fresh(out)
	}
	x.nodes = append(x.nodes, onnx.Node{OpType: op, Name: name, Inputs: in, Outputs: []string{out}, Attrs: attrs})
	return out
}

// fresh returns name, with underscores if it is used already.
func (x *exporter) fresh(name string) string {
	for x.used[name] {
		name += "_"
	}
	x.used[name] = true
	return name
}

// params stores the parameters of n and returns their names. A batch norm of
// ONNX always has scale and shift: where n has none, they are 1 and 0.
func (x *exporter) params(n ops.Node) []string {
	params := x.graph.Params(n)
	if n.Kind == ops.BatchNorm && !n.Affine {
		c := n.Shape.C
		scale := ops.Param{Name: n.Name + ".weight", Dims: []int{c}}
		shift := ops.Param{Name: n.Name + ".bias", Dims: []int{c}}
		x.weights[scale.Name] = ops.Tensor{Dims: scale.Dims, Data: slices.Repeat([]float32{1}, c)}
		x.weights[shift.Name] = ops.Tensor{Dims: shift.Dims, Data: make([]float32, c)}
		params = append([]ops.Param{scale, shift}, params...)
	}
	names := make([]string, len(params))
	for i, p := range params {
		names[i] = p.Name
		x.tensors = append(x.tensors,
			onnx.Tensor{Name: p.Name, Type: onnx.Float, Dims: p.Dims, Floats: x.weights[p.Name].Data})
	}
	return names
}

// window returns the attributes of a square kernel, padded equally on all sides.
func window(w ops.Window) map[string]onnx.Attr {
	return map[string]onnx.Attr{
		"kernel_shape": onnx.IntsOf(w.Kernel, w.Kernel),
		"strides":      onnx.IntsOf(w.Stride, w.Stride),
		"pads":         onnx.IntsOf(w.Pad, w.Pad, w.Pad, w.Pad),
	}
}

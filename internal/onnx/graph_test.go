// SPDX-License-Identifier: Apache-2.0

package onnx

import (
	"errors"
	"fmt"
	"math"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/edgenas/edgenas/ops"
)

// outline is the graph in one line: "stem=conv(input)3x3s1p1d1g1b …".
func outline(g *ops.Graph) string {
	var parts []string
	for _, n := range g.Nodes[1:] {
		var in []string
		for _, v := range n.In {
			in = append(in, g.Nodes[v].Name)
		}
		s := fmt.Sprintf("%s=%v(%s)", n.Name, n.Kind, strings.Join(in, ","))
		if w := n.Window; w.Kernel > 0 {
			s += fmt.Sprintf("k%ds%dp%dd%d", w.Kernel, w.Stride, w.Pad, w.Dilation)
			if w.Crop > 0 {
				s += fmt.Sprintf("crop%d", w.Crop)
			}
		}
		if n.Groups > 0 {
			s += fmt.Sprintf("g%d", n.Groups)
		}
		parts = append(parts, s)
	}
	return strings.Join(parts, " ")
}

func TestGraphSmall(t *testing.T) {
	g, w, err := small().Graph(3)
	if err != nil {
		t.Fatal(err)
	}
	want := "stem=conv(input)k1s1p0d1g1 bn=batchnorm(stem) relu=relu(bn) pool=globalavgpool(relu) head=linear(pool)"
	if got := outline(g); got != want {
		t.Errorf("graph %s\nwant  %s", got, want)
	}
	if in, out := g.Shape(0), g.Shape(g.Out); in != (ops.Shape{N: 3, C: 1, H: 4, W: 4}) ||
		out != (ops.Shape{N: 3, C: 2, H: 1, W: 1}) {
		t.Errorf("from %v to %v", in, out)
	}
	if got := w["head.weight"]; !reflect.DeepEqual(got, ops.Tensor{Dims: []int{2, 2}, Data: []float32{1, 2, 3, 4}}) {
		t.Errorf("head.weight = %v", got)
	}
	if got := w["bn.running_var"].Data; !slices.Equal(got, []float32{1, 4}) {
		t.Errorf("bn.running_var = %v", got)
	}
}

// net is a model of the nodes, from x (N×2×4×4, N free) to the last node's output.
func net(nodes ...Node) *Model {
	fill := func(name string, dims ...int) Tensor {
		n, _ := product(dims)
		t := Tensor{Name: name, Type: Float, Dims: dims, Floats: make([]float32, n)}
		for i := range t.Floats {
			t.Floats[i] = float32(i + 1)
		}
		return t
	}
	integers := func(name string, vs ...int64) Tensor {
		return Tensor{Name: name, Type: Int64, Dims: []int{len(vs)}, Ints: vs}
	}
	return &Model{
		IRVersion: IRVersion, Opset: Opset,
		Inputs:  []Value{{Name: "x", Type: Float, Dims: []Dim{{Name: "N"}, {Size: 2}, {Size: 4}, {Size: 4}}}},
		Outputs: []Value{{Name: nodes[len(nodes)-1].Outputs[0], Type: Float}},
		Nodes:   nodes,
		Initializers: []Tensor{
			fill("w3", 2, 2, 3, 3), fill("w1", 2, 2, 1, 1), fill("depthwise", 2, 1, 3, 3), fill("w2", 2, 2, 2, 2),
			fill("oblong", 2, 2, 1, 3),
			fill("vector", 2), fill("row", 1, 2), fill("three", 3), fill("dense", 2, 3), fill("image", 32, 3),
			fill("imageT", 3, 32),
			integers("axes", 2, 3), integers("back", -1, -2), integers("channel", 1), integers("flat", 0, -1),
			integers("flat32", -1, 32), integers("one", 1, -1),
			integers("square", 0, 2, 16), integers("ones", 1, 1), integers("1", 1), integers("2", 2), integers("3", 3),
			integers("far", math.MaxInt64),
			integers("fours", 4, 4), integers("threes", 3, 3), integers("twos", 2, 2), integers("zeros", 0, 0),
			integers("-1", -1),
		},
	}
}

func op(op, inputs, output string, attrs ...any) Node {
	n := Node{OpType: op, Inputs: strings.Fields(inputs), Outputs: []string{output}, Attrs: map[string]Attr{}}
	for i := 0; i < len(attrs); i += 2 {
		n.Attrs[attrs[i].(string)] = attrs[i+1].(Attr)
	}
	return n
}

func text(s string) Attr { return Attr{Kind: StringAttr, String: s} }

func TestGraphTakes(t *testing.T) {
	pooled := op("GlobalAveragePool", "x", "p")
	flat := op("Flatten", "p", "f")
	tests := []struct {
		name  string
		model *Model
		want  string
	}{
		{"convolution", net(op("Conv", "x w3 vector", "y", "pads", IntsOf(1, 1, 1, 1), "strides", IntsOf(2, 2))),
			"y=conv(input)k3s2p1d1g1"},
		{"left out bias", net(Node{OpType: "Conv", Inputs: []string{"x", "w1", ""}, Outputs: []string{"y"}}),
			"y=conv(input)k1s1p0d1g1"},
		{"depthwise, dilated", net(op("Conv", "x depthwise", "y", "group", IntOf(2), "dilations", IntsOf(2, 2), "pads",
			IntsOf(2, 2, 2, 2))), "y=conv(input)k3s1p2d2g2"},
		{"same", net(op("Conv", "x w3", "y", "auto_pad", text("SAME_UPPER"))), "y=conv(input)k3s1p1d1g1"},
		{"same, of one pixel", net(op("Conv", "x w1", "y", "auto_pad", text("SAME_LOWER"), "strides", IntsOf(2, 2))),
			"y=conv(input)k1s2p0d1g1"},
		{"valid", net(op("Conv", "x w3", "y", "auto_pad", text("VALID"), "pads", IntsOf(1, 1, 1, 1))),
			"y=conv(input)k3s1p0d1g1"},
		{"batch norm", net(op("BatchNormalization", "x vector vector vector vector", "y", "momentum", FloatOf(0.9))),
			"y=batchnorm(input)"},
		{"max pool", net(op("MaxPool", "x", "y", "kernel_shape", IntsOf(2, 2), "strides", IntsOf(2, 2), "ceil_mode",
			IntOf(1))), "y=maxpool(input)k2s2p0d1"},
		{"average pool", net(op("AveragePool", "x", "y", "kernel_shape", IntsOf(3, 3), "pads", IntsOf(1, 1, 1, 1))),
			"y=avgpool(input)k3s1p1d1"},
		{"average pool counting no padding",
			net(op("AveragePool", "x", "y", "kernel_shape", IntsOf(2, 2), "count_include_pad", IntOf(1))),
			"y=avgpool(input)k2s1p0d1"},
		{"mean", net(op("ReduceMean", "x", "y", "axes", IntsOf(3, 2))), "y=globalavgpool(input)"},
		{"mean, flat", net(op("ReduceMean", "x back", "m", "keepdims", IntOf(0)), op("MatMul", "m dense", "y")),
			"m=globalavgpool(input) y=linear(m)"},
		{"sums", net(op("Relu", "x", "a"), op("Add", "x a", "b"), op("Sum", "x a b", "y")),
			"a=relu(input) b=add(input,a) y=add(input,a,b)"},
		{"sum with itself", net(op("Add", "x x", "y")), "y=add(input,input)"},
		{"concatenation", net(op("Relu", "x", "a"), op("Concat", "x a x", "y", "axis", IntOf(1))),
			"a=relu(input) y=concat(input,a,input)"},
		{"concatenation, from behind", net(op("Concat", "x x", "y", "axis", IntOf(-3))), "y=concat(input,input)"},
		{"cropped convolution", net(op("Slice", "x ones fours axes", "s"), op("Conv", "s w1", "y", "strides", IntsOf(2, 2))),
			"y=conv(input)k1s2p0d1crop1g1"},
		{"cropped by a slice for each axis",
			net(op("Slice", "x 1 far 3 1", "s"), op("Slice", "s 1 far 2 1", "r"), op("Conv", "r w3", "y")),
			"y=conv(input)k3s1p0d1crop1g1"},
		{"cropped in an old opset",
			net(op("Slice", "x", "s", "starts", IntsOf(2, 2), "ends", IntsOf(4, 9), "axes", IntsOf(-1, -2)),
				op("Conv", "s w1", "y")), "y=conv(input)k1s1p0d1crop2g1"},
		{"cropped, same", net(op("Slice", "x ones fours axes", "s"),
			op("Conv", "s w1", "y", "auto_pad", text("SAME_UPPER"), "strides", IntsOf(2, 2))), "y=conv(input)k1s2p0d1crop1g1"},
		{"slice of all", net(op("Slice", "x zeros fours axes", "s"), op("Relu", "s", "y")), "y=relu(input)"},
		{"gemm", net(pooled, flat, op("Gemm", "f dense", "y")), "p=globalavgpool(input) y=linear(p)"},
		{"matmul and bias", net(pooled, flat, op("MatMul", "f dense", "m"), op("Add", "three m", "y")),
			"p=globalavgpool(input) m=linear(p)"},
		{"flatten from behind", net(pooled, op("Flatten", "p", "f", "axis", IntOf(-3)), op("MatMul", "f dense", "y")),
			"p=globalavgpool(input) y=linear(p)"},
		{"flatten twice", net(pooled, flat, op("Flatten", "f", "e", "axis", IntOf(-1)), op("MatMul", "e dense", "y")),
			"p=globalavgpool(input) y=linear(p)"},
		{"reshape", net(pooled, op("Reshape", "p flat", "f"), op("MatMul", "f dense", "y")),
			"p=globalavgpool(input) y=linear(p)"},
		{"squeeze", net(pooled, op("Squeeze", "p axes", "f"), op("MatMul", "f dense", "y")),
			"p=globalavgpool(input) y=linear(p)"},
		{"squeeze of old", net(pooled, op("Squeeze", "p", "f", "axes", IntsOf(2, 3)), op("MatMul", "f dense", "y")),
			"p=globalavgpool(input) y=linear(p)"},
		{"linear on an image", net(op("Reshape", "x flat32", "f"), op("Relu", "f", "r"),
			op("Gemm", "r imageT", "y", "transB", IntOf(1))), "r=relu(input) y=conv(r)k4s1p0d1g1"},
		{"nothing", net(op("Identity", "x", "a"), op("Dropout", "a", "b", "seed", IntOf(1)),
			op("Relu", "b", "y")), "y=relu(input)"},
		{"constants", net(op("Constant", "", "c", "value",
			Attr{Kind: TensorAttr, Tensor: &Tensor{Type: Float, Dims: []int{2, 2, 1, 1}, Floats: make([]float32, 4)}}),
			op("Identity", "c", "d"), op("Conv", "x d", "y")), "y=conv(input)k1s1p0d1g1"},
		{"unused", net(op("Relu", "x", "a"), op("Relu", "x", "y")), "y=relu(input)"},
		{"names", net(Node{OpType: "Relu", Name: "n", Inputs: []string{"x"}, Outputs: []string{"a"}},
			Node{OpType: "Relu", Name: "n", Inputs: []string{"a"}, Outputs: []string{"b"}}, op("Relu", "b", "input")),
			"n=relu(input) n_=relu(n) input_=relu(n_)"},
		{"long domain", net(Node{OpType: "Relu", Domain: "ai.onnx", Inputs: []string{"x"},
			Outputs: []string{"y"}}), "y=relu(input)"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			g, w, err := tt.model.Graph(1)
			if err != nil {
				t.Fatal(err)
			}
			if got := outline(g); got != tt.want {
				t.Errorf("graph %s\nwant  %s", got, tt.want)
			}
			if err := w.Check(g); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestGraphWeights(t *testing.T) {
	pooled, flat := op("GlobalAveragePool", "x", "p"), op("Flatten", "p", "f")
	tests := []struct {
		name, param string
		model       *Model
		want        []float32
	}{
		{"gemm", "y.weight", net(pooled, flat, op("Gemm", "f dense three", "y")), []float32{1, 4, 2, 5, 3, 6}},
		{"gemm's bias", "y.bias", net(pooled, flat, op("Gemm", "f dense three", "y")), []float32{1, 2, 3}},
		{"transposed", "y.weight", net(pooled, flat, op("Gemm", "f row", "y", "transB", IntOf(1))), []float32{1, 2}},
		{"matmul's bias", "m.bias", net(pooled, flat, op("MatMul", "f dense", "m"), op("Add", "m three", "y")),
			[]float32{1, 2, 3}},
		{"no bias", "y.bias", net(pooled, flat, op("MatMul", "f dense", "y")), []float32{0, 0, 0}},
		{"variance", "y.running_var", net(op("BatchNormalization", "x vector vector vector vector", "y")), []float32{1, 2}},
		{"scale", "y.weight", net(op("BatchNormalization", "x vector vector vector vector", "y")), []float32{1, 2}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, w, err := tt.model.Graph(1)
			if err != nil {
				t.Fatal(err)
			}
			if got := w[tt.param].Data; !slices.Equal(got, tt.want) {
				t.Errorf("%s = %v, want %v", tt.param, got, tt.want)
			}
		})
	}
}

// Whatever the model's ε is, a batch norm scales by γ/√(variance+ε).
func TestGraphEpsilon(t *testing.T) {
	for _, epsilon := range []float32{1e-3, 1e-5, 1e-7, 1e-12, 1e-30} {
		for _, variance := range []float32{0, 1e-12, 1e-6, 0.5, 1e6} {
			m := net(op("BatchNormalization", "x vector vector vector variance", "y", "epsilon", FloatOf(epsilon)))
			m.Initializers = append(m.Initializers,
				Tensor{Name: "variance", Type: Float, Dims: []int{2}, Floats: []float32{variance, variance}})
			_, w, err := m.Graph(1)
			if err != nil {
				t.Fatal(err)
			}
			for c, gamma := range []float64{1, 2} {
				got := float64(w["y.weight"].Data[c]) / math.Sqrt(float64(w["y.running_var"].Data[c])+ops.BatchNormEpsilon)
				want := gamma / math.Sqrt(float64(variance)+float64(epsilon))
				if math.Abs(got/want-1) > 1e-6 {
					t.Errorf("epsilon %g, variance %g: scales by %g, want %g", epsilon, variance, got, want)
				}
			}
		}
	}
}

// Every operator that the message for an unsupported one lists is known, and
// the message says how to go on.
func TestGraphOperators(t *testing.T) {
	for _, name := range operators {
		_, _, err := net(op(name, "x", "y")).Graph(1)
		if err != nil && strings.Contains(err.Error(), "operator is not supported") {
			t.Errorf("%s: %v", name, err)
		}
	}
	_, _, err := net(op("Softmax", "x", "y")).Graph(1)
	for _, want := range append([]string{"onnxsim", "GlobalAveragePool, "}, operators...) {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v: does not say %q", err, want)
		}
	}
	if !slices.IsSorted(operators) {
		t.Errorf("not in order: %q", operators)
	}
}

func TestGraphRefuses(t *testing.T) {
	wide := func(in, out string) Node { // 2192 pixels more each way
		return op("Conv", in+" w3", out, "dilations", IntsOf(3000, 3000), "pads", IntsOf(4096, 4096, 4096, 4096))
	}
	pooled, flat := op("GlobalAveragePool", "x", "p"), op("Flatten", "p", "f")
	matmul := op("MatMul", "f dense", "m")
	tests := []struct {
		name  string
		model *Model
		want  string
	}{
		{"operator", net(op("Softmax", "x", "y")), `node "y" (Softmax): the operator is not supported`},
		{"domain", net(Node{OpType: "Relu", Domain: "com.example", Inputs: []string{"x"}, Outputs: []string{"y"}}),
			`domain "com.example"`},
		{"oblong kernel", net(op("Conv", "x oblong", "y")), "weights are float of [2 2 1 3]"},
		{"kernel and weights differ", net(op("Conv", "x w3", "y", "kernel_shape", IntsOf(1, 1))), "weights of that kernel"},
		{"groups and weights differ", net(op("Conv", "x w3", "y", "group", IntOf(2))), "in 2 groups"},
		{"no groups", net(op("Conv", "x w3", "y", "group", IntOf(0))), "in 0 groups"},
		{"groups overflow", net(op("Conv", "x w3", "y", "group", IntOf(math.MaxInt))), "groups"},
		{"weights computed", net(op("Relu", "w3", "r"), op("Conv", "x r", "y")), "does not depend on the image"},
		{"no weights", net(op("Conv", "x", "y")), "weights are not stored"},
		{"bias", net(op("Conv", "x w3 three", "y")), "input 2 is float of [3]: want stored floats of [2]"},
		{"uneven padding", net(op("Conv", "x w3", "y", "pads", IntsOf(0, 0, 1, 1))), "pads [0 0 1 1]: want 4 equal"},
		{"negative padding", net(op("Conv", "x w3", "y", "pads", IntsOf(-1, -1, -1, -1))), "pads [-1"},
		{"one-dimensional", net(op("Conv", "x w3", "y", "strides", IntsOf(1))), "strides [1]: want 2"},
		{"huge dilation", net(op("Conv", "x w3", "y", "dilations", IntsOf(1<<20, 1<<20))), "0 to 4096"},
		{"no stride", net(op("Conv", "x w3", "y", "strides", IntsOf(0, 0))), "stride and dilation of 1 or more"},
		{"same, uneven", net(op("Conv", "x w3", "y", "auto_pad", text("SAME_UPPER"), "strides", IntsOf(2, 2))),
			"pads 1 rows and 1 columns"},
		{"padding unknown", net(op("Conv", "x w3", "y", "auto_pad", text("SOME"))), `auto_pad "SOME" is unknown`},
		{"attribute unknown", net(op("Conv", "x w3", "y", "alpha", IntOf(1))), `attribute "alpha" is not supported`},
		{"attribute of another kind", net(op("Conv", "x w3", "y", "group", FloatOf(1))),
			`attribute "group" is of kind 1: want 2`},
		{"kernel does not fit", net(op("Conv", "x w3", "a"), op("Conv", "a w3", "b"),
			op("Softmax", "b", "y")), "ops: conv b"},
		{"pool does not fit", net(op("AveragePool", "x", "y", "kernel_shape", IntsOf(5, 5))), "avgpool y"},
		{"huge output", net(wide("x", "a"), wide("a", "b"), wide("b", "c"), wide("c", "y")), "output of 1×2×8772×8772"},
		{"training", net(op("BatchNormalization", "x vector vector vector vector", "y", "training_mode", IntOf(1))),
			`attribute "training_mode" is 1: only 0`},
		{"second output", net(Node{OpType: "Dropout", Inputs: []string{"x"}, Outputs: []string{"a", "mask"}},
			op("Relu", "mask", "y")), `output "mask" is not supported`},
		{"channels of batch norm", net(op("BatchNormalization", "x three three three three", "y")),
			"want stored floats of [2]"},
		{"no variance", net(op("BatchNormalization", "x vector vector vector", "y")), "input 4 is not stored"},
		{"ceiling", net(op("MaxPool", "x", "y", "kernel_shape", IntsOf(3, 3), "strides", IntsOf(2, 2), "ceil_mode",
			IntOf(1))), "ceil_mode changes"},
		{"padding counted", net(op("AveragePool", "x", "y", "kernel_shape", IntsOf(3, 3), "pads", IntsOf(1, 1, 1, 1),
			"count_include_pad", IntOf(1))), "the padding is counted"},
		{"pool without kernel", net(op("MaxPool", "x", "y")), "want a kernel"},
		{"mean over channels", net(op("ReduceMean", "x channel", "y")), "axes [1]"},
		{"mean over all", net(op("ReduceMean", "x", "y")), "axes []"},
		{"sum of one stored", net(op("Add", "x vector", "y")), `input "vector" does not depend on the image`},
		{"sum of three", net(op("Add", "x x x", "y")), "3 inputs: want 2"},
		{"sum of none", net(op("Sum", "", "y")), "no inputs"},
		{"sum of other shapes", net(pooled, op("Add", "x p", "y")), "maps of one shape"},
		{"sum of flat and image", net(pooled, flat, op("Add", "p f", "y")), "some inputs are flat"},
		{"concatenated rows", net(op("Concat", "x x", "y", "axis", IntOf(2))), "axis 2: only 1"},
		{"concatenation without an axis", net(op("Concat", "x x", "y")), "axis 0: only 1"},
		{"concatenation of flat", net(pooled, flat, op("Concat", "f f", "y", "axis", IntOf(1))), `input "f" is flat`},
		{"concatenation of one stored", net(op("Concat", "x w3", "y", "axis", IntOf(1))), `input "w3" does not depend`},
		{"concatenation of other extents", net(pooled, op("Concat", "x p", "y", "axis", IntOf(1))), "maps of one N, H and W"},
		{"part of an image", net(op("Slice", "x ones fours axes", "s"), op("Relu", "s", "y")),
			`input "s" is a part of an image`},
		{"part of an image as output", net(op("Slice", "x ones fours axes", "y")), `the first "y": want one`},
		{"part of an image, depthwise",
			net(op("Slice", "x ones fours axes", "s"), op("Conv", "s depthwise", "y", "group", IntOf(2))), "in 2 groups"},
		{"part of an image, padded",
			net(op("Slice", "x ones fours axes", "s"), op("Conv", "s w3", "y", "pads", IntsOf(1, 1, 1, 1))), "is padded"},
		{"more rows than columns", net(op("Slice", "x 1 far 2", "s"), op("Conv", "s w1", "y")),
			"its first 1 rows and 0 columns"},
		{"slice of channels", net(op("Slice", "x 1 far 1", "s"), op("Conv", "s w1", "y")), "axes [1]"},
		{"slice of the last rows", net(op("Slice", "x zeros threes axes", "s"), op("Conv", "s w1", "y")), "ends [3 3]"},
		{"slice from the end", net(op("Slice", "x -1 far 2", "s"), op("Conv", "s w1", "y")), "starts [-1]"},
		{"slice of nothing", net(op("Slice", "x fours fours axes", "s"), op("Conv", "s w1", "y")), "starts [4 4]"},
		{"slice of nothing, in two steps",
			net(op("Slice", "x twos fours axes", "r"), op("Slice", "r twos fours axes", "s"), op("Conv", "s w1", "y")),
			"node \"s\" (Slice): starts [2 2]"},
		{"every second row", net(op("Slice", "x ones fours axes twos", "s"), op("Conv", "s w1", "y")), "steps [2 2]"},
		{"slice of steps that are not stored", net(op("Slice", "x ones fours axes x", "s"), op("Conv", "s w1", "y")),
			"only stored ones"},
		{"slice of all axes", net(op("Slice", "x ones fours", "s"), op("Conv", "s w1", "y")), "axes []"},
		{"slice beyond the axes", net(op("Slice", "x 1 far far", "s"), op("Conv", "s w1", "y")),
			"axes [9223372036854775807]"},
		{"pool of flat", net(pooled, flat, op("GlobalAveragePool", "f", "y")), "is flat"},
		{"bias of a MatMul that is read twice", net(pooled, flat, matmul, op("Add", "m three", "a"), op("Add", "a m", "y")),
			`input "three" does not`},
		{"bias of other size", net(pooled, flat, matmul, op("Add", "m vector", "y")), `input "vector" does not`},
		{"flatten batch", net(op("Flatten", "x", "y", "axis", IntOf(0))), "axis 0"},
		{"reshape to image", net(op("Reshape", "x square", "y")), "int64 of [3]: only a stored"},
		{"reshape to one row", net(op("Reshape", "x one", "y")), "shape [1 -1]"},
		{"squeeze image", net(op("Squeeze", "x axes", "y")), "of an input of 1×2×4×4"},
		{"linear on image", net(op("MatMul", "x dense", "y")), "want it flat"},
		{"linear of other size", net(pooled, flat, op("Gemm", "f dense", "y", "transB", IntOf(1))), "for 2 inputs"},
		{"scaled", net(pooled, flat, op("Gemm", "f dense", "y", "alpha", FloatOf(0.5))), "alpha and beta"},
		{"training dropout", net(op("Dropout", "x vector vector", "y")), "3 inputs: want 1 to 2"},
		{"constant list", net(op("Constant", "", "c", "value_ints", IntsOf(1)), op("Relu", "x", "y")),
			`want the attribute "value"`},
		{"stored output", net(op("Identity", "vector", "y")), `the first "y": want one, computed from the input`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, _, err := tt.model.Graph(1)
			if err == nil || !strings.HasPrefix(err.Error(), "onnx: ") || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %v, want …%s…", err, tt.want)
			}
		})
	}
	var unsupported *UnsupportedError
	if _, _, err := tests[0].model.Graph(1); !errors.As(err, &unsupported) || unsupported.Node != "y" ||
		unsupported.Op != "Softmax" {
		t.Errorf("error %#v: want an UnsupportedError", err)
	}
}

func TestGraphRefusesModel(t *testing.T) {
	tests := []struct {
		name   string
		batch  int
		change func(*Model)
		want   string
	}{
		{"unsound", 1, func(m *Model) { m.Nodes = nil }, "no nodes"},
		{"old", 1, func(m *Model) { m.Opset = 6 }, "opset_import: version 6"},
		{"new", 1, func(m *Model) { m.Opset = 99 }, "opset_import: version 99"},
		{"no images", 0, func(m *Model) {}, "at least one image"},
		{"two inputs", 1, func(m *Model) { m.Inputs = append(m.Inputs, Value{Name: "z", Type: Float}) }, "2 inputs: want 1"},
		{"integers", 1, func(m *Model) { m.Inputs[0].Type = Int64 }, "int64 of"},
		{"rank", 1, func(m *Model) { m.Inputs[0].Dims = m.Inputs[0].Dims[:3] }, "want float of N,C,H,W"},
		{"free rows", 1, func(m *Model) { m.Inputs[0].Dims[2] = Dim{Name: "H"} }, "only N free"},
		{"large", 1 << 30, func(m *Model) {}, "at most 134217728 elements"},
		{"two outputs", 1, func(m *Model) { m.Outputs = append(m.Outputs, Value{Name: "pool", Type: Float}) }, "2 outputs"},
		{"not finite", 1, func(m *Model) { m.Initializers[0].Floats[1] = float32(math.NaN()) }, "element 1 is NaN"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			m := small()
			tt.change(m)
			if _, _, err := m.Graph(tt.batch); err == nil || !strings.HasPrefix(err.Error(), "onnx: ") ||
				!strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %v, want …%s…", err, tt.want)
			}
		})
	}
}

// TestGraphOldInputs: before IR version 4, initializers stood among the inputs.
func TestGraphOldInputs(t *testing.T) {
	m := small()
	for _, w := range m.Initializers {
		v := Value{Name: w.Name, Type: w.Type}
		for _, d := range w.Dims {
			v.Dims = append(v.Dims, Dim{Size: d})
		}
		m.Inputs = append([]Value{v}, m.Inputs...)
	}
	if _, _, err := m.Graph(1); err != nil {
		t.Error(err)
	}
}

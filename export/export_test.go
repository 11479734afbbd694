// SPDX-License-Identifier: Apache-2.0

package export

import (
	"bytes"
	"encoding/binary"
	"errors"
	"flag"
	"fmt"
	"maps"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/edgenas/edgenas/internal/onnx"
	"github.com/edgenas/edgenas/ops"
	"github.com/edgenas/edgenas/ops/opstest"
)

var update = flag.Bool("update", false, "write golden files anew")

// reference is the slow runtime of package opstest.
type reference struct{}

func (reference) Run(g *ops.Graph, w ops.Weights, x []float32) ([]float32, error) {
	in := make([]float64, len(x))
	for i, v := range x {
		in[i] = float64(v)
	}
	var logits []float32
	for _, v := range opstest.Reference(g, w, in) {
		logits = append(logits, float32(v))
	}
	return logits, nil
}

// writable reports whether a network has something to write.
func writable(g *ops.Graph) bool {
	fused := ops.Fuse(g)
	for _, n := range fused.Nodes {
		if n.Kind == ops.Zero {
			return false
		}
	}
	return len(fused.Nodes) > 1
}

func marshal(t testing.TB, g *ops.Graph, w ops.Weights, meta Meta) (*onnx.Model, []byte) {
	t.Helper()
	m, err := model(g, w, meta)
	if err != nil {
		t.Fatal(err)
	}
	data, err := Model(g, w, meta)
	if err != nil {
		t.Fatal(err)
	}
	return m, data
}

// structure is a graph without names.
func structure(g *ops.Graph) string {
	var b strings.Builder
	for _, n := range g.Nodes {
		fmt.Fprintln(&b, n.Kind, n.In, n.Shape, n.Window, n.Groups, n.Bias)
	}
	return b.String()
}

// TestCases: every network that can be written computes the same before, as
// the model that is written, and as both readers read it; and it has the same
// keys of latency tables.
func TestCases(t *testing.T) {
	written := 0
	for _, c := range opstest.Cases() {
		t.Run(c.Name, func(t *testing.T) {
			if !writable(c.Graph) {
				if _, err := Model(c.Graph, c.Weights, nil); err == nil || !strings.HasPrefix(err.Error(), "export: ") {
					t.Errorf("error %v for a network that cannot be written", err)
				}
				return
			}
			written++
			m, data := marshal(t, c.Graph, c.Weights, nil)
			batch, x := c.Graph.Shape(0).N, opstest.Input(c.Graph, 1)
			want, _ := reference{}.Run(c.Graph, c.Weights, x)
			y, err := evaluate(m, x, batch)
			if err != nil {
				t.Fatal(err)
			}
			scale := 1.0 // tolerances are for logits of usual size
			for i, v := range want {
				scale = max(scale, math.Abs(float64(v)))
				if d := math.Abs(y.data[i] - float64(v)); !(d <= Tolerance*scale) {
					t.Fatalf("element %d of the model is %v, want %v", i, y.data[i], v)
				}
			}
			if rank := len(m.Outputs[0].Dims); rank != len(y.dims) {
				t.Errorf("output is described with %d dimensions, and has %v", rank, y.dims)
			}
			mine, err := onnx.Unmarshal(data)
			if err != nil {
				t.Fatal(err)
			}
			if !reflect.DeepEqual(mine, m) {
				t.Error("the model that is read is not the one that was written")
			}
			g1, w1, err := mine.Graph(batch)
			if err != nil {
				t.Fatal(err)
			}
			g2, w2, err := ReadBack(data, batch)
			if err != nil {
				t.Fatal(err)
			}
			if structure(g1) != structure(g2) {
				t.Errorf("onnx-go reads\n%swant\n%s", structure(g2), structure(g1))
			}
			if got, want := ops.Keys(ops.Fuse(g1)), ops.Keys(ops.Fuse(c.Graph)); !maps.Equal(got, want) {
				maps.DeleteFunc(got, func(k ops.Key, n int) bool { m := want[k]; delete(want, k); return m == n })
				t.Errorf("keys %v\nwant %v", got, want)
			}
			again1, _ := reference{}.Run(g1, w1, x)
			again2, _ := reference{}.Run(g2, w2, x)
			if !reflect.DeepEqual(again1, again2) {
				t.Errorf("the readers' networks compute %v and %v", again1, again2)
			}
			for i, v := range want {
				if d := math.Abs(float64(again1[i]) - float64(v)); !(d <= Tolerance*scale) {
					t.Fatalf("element %d read back is %v, want %v", i, again1[i], v)
				}
			}
		})
	}
	if written < 100 {
		t.Errorf("%d networks were written: the rule for which can be is wrong", written)
	}
}

// cell is a small network of the usual shape: stem, a cell with every kind of
// edge, head.
func cell(t testing.TB) (*ops.Graph, ops.Weights) {
	t.Helper()
	b, x := ops.NewBuilder(ops.Shape{N: 2, C: 1, H: 6, W: 6})
	stem := b.Scope("stem")
	x = stem.BatchNorm("bn", stem.Conv("conv", x, 4, ops.Same(3, 1, 1), 1, false), true)
	c := ops.Config{Channels: 4, Stride: 1, Affine: true}
	y := b.Add("node1", ops.ReLUConvBN(b.Scope("edge0"), x, 3, c), x)
	z := b.Add("node2", ops.ReLUConvBN(b.Scope("edge1"), x, 1, c), b.AvgPool("pool", y, ops.Same(3, 1, 1)), x, y)
	head := b.Scope("head")
	z = head.GlobalAvgPool("mean", head.ReLU("relu", head.BatchNorm("bn", z, true)))
	g, err := b.Finish(head.Linear("linear", z, 3))
	if err != nil {
		t.Fatal(err)
	}
	return g, opstest.Weights(g, 7)
}

func TestGolden(t *testing.T) {
	g, w := cell(t)
	_, data := marshal(t, g, w, Meta{"labels": "a,b,c", "mean": "0.286", "std": "0.353"})
	x := opstest.Input(g, 1)
	logits, _ := reference{}.Run(g, w, x)
	floats := func(vs []float32) (b []byte) {
		b, _ = binary.Append(b, binary.LittleEndian, vs)
		return b
	}
	// The inputs and logits beside the model are for onnx_check.py.
	for name, got := range map[string][]byte{"cell.onnx": data, "cell.inputs": floats(x), "cell.logits": floats(logits)} {
		path := filepath.Join("testdata", name)
		if *update {
			if err := os.WriteFile(path, got, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, want) {
			t.Errorf("bytes differ from %s: %d, want %d", path, len(got), len(want))
		}
	}
}

func TestModelText(t *testing.T) {
	g, w := cell(t)
	m, _ := marshal(t, g, w, Meta{"labels": "a,b,c"})
	var lines []string
	for _, n := range m.Nodes {
		lines = append(lines, fmt.Sprintf("%s %s(%s) %s", n.Name, n.OpType, strings.Join(n.Inputs, " "), n.Outputs[0]))
	}
	want := `stem.conv Conv(input stem.conv.weight stem.conv.bias) stem.conv
stem.conv.relu Relu(stem.conv) stem.conv.relu
edge0.conv Conv(stem.conv.relu edge0.conv.weight edge0.conv.bias) edge0.conv
edge0.conv.add Add(stem.conv edge0.conv) edge0.conv.add
node2 Add(stem.conv edge0.conv.add) node2
edge1.conv Conv(stem.conv.relu edge1.conv.weight edge1.conv.bias) edge1.conv
edge1.conv.add Add(node2 edge1.conv) edge1.conv.add
pool AveragePool(edge0.conv.add) pool
pool.add Add(edge1.conv.add pool) pool.add
head.bn BatchNormalization(pool.add head.bn.weight head.bn.bias head.bn.running_mean head.bn.running_var) head.bn
head.bn.relu Relu(head.bn) head.bn.relu
head.mean GlobalAveragePool(head.bn.relu) head.mean
head.linear.flatten Flatten(head.mean) head.linear.flatten
head.linear Gemm(head.linear.flatten head.linear.weight head.linear.bias) logits`
	if got := strings.Join(lines, "\n"); got != want {
		t.Errorf("nodes\n%s\nwant\n%s", got, want)
	}
	if m.Metadata["edgenas.labels"] != "a,b,c" || m.Opset != 13 || m.IRVersion != 8 {
		t.Errorf("metadata %v, opset %d, IR version %d", m.Metadata, m.Opset, m.IRVersion)
	}
}

// TestModelTextOfReduction: a cropped convolution has its slice before it, the
// ReLU stands once, the batch norm is in both convolutions.
func TestModelTextOfReduction(t *testing.T) {
	b, x := ops.NewBuilder(ops.Shape{N: 1, C: 4, H: 6, W: 8})
	x = b.MaxPool("pool", x, ops.Same(3, 1, 1))
	g, err := b.Finish(ops.FactorizedReduce(b.Scope("pre0"), x, ops.Config{Channels: 6, Stride: 2, Affine: true}))
	if err != nil {
		t.Fatal(err)
	}
	m, _ := marshal(t, g, opstest.Weights(g, 1), nil)
	var lines []string
	for _, n := range m.Nodes {
		lines = append(lines, fmt.Sprintf("%s %s(%s) %s", n.Name, n.OpType, strings.Join(n.Inputs, " "), n.Outputs[0]))
	}
	want := `pool MaxPool(input) pool
pool.relu Relu(pool) pool.relu
pre0.even Conv(pool.relu pre0.even.weight pre0.even.bias) pre0.even
pre0.odd.slice Slice(pool.relu pre0.odd.slice.starts pre0.odd.slice.ends pre0.odd.slice.axes) pre0.odd.slice
pre0.odd Conv(pre0.odd.slice pre0.odd.weight pre0.odd.bias) pre0.odd
pre0.concat Concat(pre0.even pre0.odd) logits`
	if got := strings.Join(lines, "\n"); got != want {
		t.Errorf("nodes\n%s\nwant\n%s", got, want)
	}
	for _, tensor := range m.Initializers {
		name := strings.TrimPrefix(tensor.Name, "pre0.odd.slice.")
		want, ok := map[string]string{"starts": "[1 1]", "ends": "[6 8]", "axes": "[2 3]"}[name]
		if ok && fmt.Sprint(tensor.Ints) != want {
			t.Errorf("%s is %v: want %s", tensor.Name, tensor.Ints, want)
		}
	}
}

// TestModelNames: made-up names keep out of the way of the graph's.
func TestModelNames(t *testing.T) {
	b, x := ops.NewBuilder(ops.Shape{N: 1, C: 1, H: 3, W: 3})
	x = b.ReLU("r", b.Conv("a", x, 1, ops.Same(1, 1, 1), 1, false)) // a.relu
	x = b.AvgPool("a.relu", x, ops.Same(3, 1, 1))
	g, err := b.Finish(b.MaxPool("input_", b.Add("logits", x, b.BatchNorm("bn", x, true)), ops.Same(3, 1, 1)))
	if err != nil {
		t.Fatal(err)
	}
	m, _ := marshal(t, g, opstest.Weights(g, 1), nil)
	var names []string
	for _, n := range m.Nodes {
		names = append(names, n.Name+"→"+n.Outputs[0])
	}
	want := "a→a a.relu_→a.relu_ a.relu→a.relu bn→bn logits→logits_ input_→logits"
	if got := strings.Join(names, " "); got != want {
		t.Errorf("nodes %s\nwant  %s", got, want)
	}
}

func TestModelRefuses(t *testing.T) {
	build := func(f func(b ops.Builder, x ops.Value) ops.Value) *ops.Graph {
		b, x := ops.NewBuilder(ops.Shape{N: 1, C: 2, H: 1, W: 1})
		g, err := b.Finish(f(b, x))
		if err != nil {
			t.Fatal(err)
		}
		return g
	}
	tests := []struct {
		name string
		g    *ops.Graph
		edit func(ops.Weights)
		want string
	}{
		{"a missing weight", build(func(b ops.Builder, x ops.Value) ops.Value { return b.Linear("fc", x, 2) }),
			func(w ops.Weights) { delete(w, "fc.bias") }, "fc.bias is missing"},
		{"a weight of another size", build(func(b ops.Builder, x ops.Value) ops.Value { return b.Linear("fc", x, 2) }),
			func(w ops.Weights) { w["fc.bias"] = w["fc.weight"] }, "fc.bias"},
		{"no number", build(func(b ops.Builder, x ops.Value) ops.Value { return b.Linear("fc", x, 2) }),
			func(w ops.Weights) { w["fc.bias"].Data[1] = float32(math.NaN()) }, "fc.bias"},
		{"a variance that folds to no number", build(func(b ops.Builder, x ops.Value) ops.Value {
			return b.BatchNorm("bn", b.Conv("conv", x, 2, ops.Same(1, 1, 1), 1, false), true)
		}), func(w ops.Weights) { w["bn.running_var"].Data[0] = -1 }, "conv.weight"},
		{"features as an image", build(func(b ops.Builder, x ops.Value) ops.Value {
			return b.Conv("conv", b.Linear("fc", x, 2), 2, ops.Same(1, 1, 1), 1, false)
		}), nil, "conv: conv that reads features"},
		{"features and an image", build(func(b ops.Builder, x ops.Value) ops.Value {
			return b.Add("sum", x, b.Linear("fc", x, 2))
		}), nil, "sum: add that reads features"},
		{"a name that is taken", build(func(b ops.Builder, x ops.Value) ops.Value {
			return b.ReLU("relu", b.ReLU("fc.weight", b.Linear("fc", x, 2)))
		}), nil, `"fc.weight"`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w := opstest.Weights(tt.g, 1)
			if tt.edit != nil {
				tt.edit(w)
			}
			if _, err := Model(tt.g, w, nil); err == nil || !strings.HasPrefix(err.Error(), "export: ") ||
				!strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %v, want …%s…", err, tt.want)
			}
		})
	}
}

func TestCheck(t *testing.T) {
	g, w := cell(t)
	_, data := marshal(t, g, w, nil)
	x := opstest.Input(g, 1)
	logits, _ := reference{}.Run(g, w, x)
	diff, err := Check(data, reference{}, 2, x, logits)
	if err != nil || diff > Tolerance {
		t.Errorf("difference %g, error %v", diff, err)
	}
	off := append([]float32{}, logits...)
	off[4] += 2e-4
	if diff, err := Check(data, reference{}, 2, x, off); !errors.Is(err, ErrMismatch) || math.Abs(diff-2e-4) > Tolerance {
		t.Errorf("difference %g, error %v: want 2e-4 and ErrMismatch", diff, err)
	}
	off[4] = float32(math.NaN())
	if diff, err := Check(data, reference{}, 2, x, off); !errors.Is(err, ErrMismatch) || !math.IsInf(diff, 1) {
		t.Errorf("difference %g, error %v: want infinity and ErrMismatch", diff, err)
	}
	if _, err := Check(data, reference{}, 2, x, logits[:3]); !errors.Is(err, ErrMismatch) {
		t.Errorf("error %v for fewer logits: want ErrMismatch", err)
	}
	if _, err := Check(data, broken{}, 2, x, logits); !errors.Is(err, errBroken) {
		t.Errorf("error %v: want the runtime's", err)
	}
}

type broken struct{}

var errBroken = errors.New("broken")

func (broken) Run(*ops.Graph, ops.Weights, []float32) ([]float32, error) { return nil, errBroken }

// TestReadBackForms: what the exporter does not write, but onnx-go reads.
func TestReadBackForms(t *testing.T) {
	weight := onnx.Tensor{Type: onnx.Float, Dims: []int{2, 1, 3, 3}, Floats: make([]float32, 18)}
	m := &onnx.Model{
		IRVersion: 3, Opset: 11,
		Inputs: []onnx.Value{ // with fixed N, and an initializer among them
			{Name: "shape", Type: onnx.Int64, Dims: []onnx.Dim{{Size: 2}}},
			{Name: "x", Type: onnx.Float, Dims: []onnx.Dim{{Size: 1}, {Size: 1}, {Size: 4}, {Size: 4}}},
		},
		Outputs: []onnx.Value{{Name: "y", Type: onnx.Float, Dims: []onnx.Dim{{Size: 1}, {Size: 1}}}},
		Nodes: []onnx.Node{
			{OpType: "Constant", Outputs: []string{"w"},
				Attrs: map[string]onnx.Attr{"value": {Kind: onnx.TensorAttr, Tensor: &weight}}},
			{OpType: "Conv", Inputs: []string{"x", "w"}, Outputs: []string{"c"},
				Attrs: map[string]onnx.Attr{"auto_pad": {Kind: onnx.StringAttr, String: "SAME_UPPER"}}},
			{OpType: "BatchNormalization", Inputs: []string{"c", "two", "two", "two", "two"}, Outputs: []string{"b"},
				Attrs: map[string]onnx.Attr{"epsilon": onnx.FloatOf(1e-3)}},
			{OpType: "Add", Inputs: []string{"b", "b"}, Outputs: []string{"a"}},
			{OpType: "Dropout", Inputs: []string{"a"}, Outputs: []string{"d", "mask"}},
			{OpType: "ReduceMean", Inputs: []string{"d"}, Outputs: []string{"p"},
				Attrs: map[string]onnx.Attr{"axes": onnx.IntsOf(2, 3)}},
			{OpType: "Reshape", Inputs: []string{"p", "shape"}, Outputs: []string{"f"}},
			{OpType: "MatMul", Inputs: []string{"f", "column"}, Outputs: []string{"y"}},
		},
		Initializers: []onnx.Tensor{
			{Name: "two", Type: onnx.Float, Dims: []int{2}, Floats: []float32{1, 2}},
			{Name: "column", Type: onnx.Float, Dims: []int{2, 1}, Floats: []float32{3, 4}},
			{Name: "shape", Type: onnx.Int64, Dims: []int{2}, Ints: []int64{1, -1}},
		},
	}
	data, err := m.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	want, wantWeights, err := m.Graph(5)
	if err != nil {
		t.Fatal(err)
	}
	got, weights, err := ReadBack(data, 5)
	if err != nil {
		t.Fatal(err)
	}
	if structure(got) != structure(want) {
		t.Errorf("onnx-go reads\n%swant\n%s", structure(got), structure(want))
	}
	if !reflect.DeepEqual(weights, wantWeights) {
		t.Errorf("weights %v\nwant %v", weights, wantWeights)
	}
}

// FuzzReadBack: what package onnx accepts, onnx-go reads without harm.
func FuzzReadBack(f *testing.F) {
	g, w := cell(f)
	_, data := marshal(f, g, w, Meta{"labels": "a"})
	f.Add(data)
	for _, c := range opstest.Cases() {
		if c.Name == "op/skip_connect/1×16×8×8/s=2/affine=true" { // Slice and Concat
			_, data := marshal(f, c.Graph, c.Weights, nil)
			f.Add(data)
		}
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		if g, w, err := ReadBack(data, 1); err == nil {
			if err := w.Check(g); err != nil {
				t.Fatal(err)
			}
		}
	})
}

func TestReadBackRefuses(t *testing.T) {
	if _, _, err := ReadBack([]byte("no model"), 1); err == nil || !strings.HasPrefix(err.Error(), "export: ") {
		t.Errorf("error %v", err)
	}
	g, w := cell(t)
	m, data := marshal(t, g, w, nil)
	if _, _, err := ReadBack(data, 0); err == nil {
		t.Error("no error for a batch of 0")
	}
	m.Nodes[1].OpType = "Softmax"
	data, err := m.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	var unsupported *onnx.UnsupportedError
	if _, _, err := ReadBack(data, 1); !errors.As(err, &unsupported) || unsupported.Op != "Softmax" {
		t.Errorf("error %v: want an UnsupportedError", err)
	}
}

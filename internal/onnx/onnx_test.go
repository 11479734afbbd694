// SPDX-License-Identifier: Apache-2.0

package onnx

import (
	"bytes"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write golden files anew")

// small is a network of most of what a model can hold: conv, relu, mean,
// flatten, gemm.
func small() *Model {
	return &Model{
		IRVersion: IRVersion, Opset: Opset, Producer: "edgenas", Name: "small",
		Metadata: map[string]string{"edgenas.labels": "cat,dog", "edgenas.mean": "0.5"},
		Inputs:   []Value{{Name: "input", Type: Float, Dims: []Dim{{Name: "N"}, {Size: 1}, {Size: 4}, {Size: 4}}}},
		Outputs:  []Value{{Name: "logits", Type: Float, Dims: []Dim{{Name: "N"}, {Size: 2}}}},
		Nodes: []Node{
			{OpType: "Conv", Name: "stem", Inputs: []string{"input", "stem.weight", "stem.bias"}, Outputs: []string{"stem"},
				Attrs: map[string]Attr{"kernel_shape": IntsOf(1, 1), "group": IntOf(1), "pads": IntsOf(0, 0, 0, 0)}},
			{OpType: "BatchNormalization", Name: "bn", Inputs: []string{"stem", "scale", "shift", "mean", "var"},
				Outputs: []string{"bn"},
				Attrs:   map[string]Attr{"epsilon": FloatOf(1e-5)}},
			{OpType: "Relu", Inputs: []string{"bn"}, Outputs: []string{"relu"}},
			{OpType: "GlobalAveragePool", Name: "pool", Inputs: []string{"relu"}, Outputs: []string{"pool"}},
			{OpType: "Reshape", Name: "flat", Inputs: []string{"pool", "shape"}, Outputs: []string{"flat"}},
			{OpType: "Gemm", Name: "head", Inputs: []string{"flat", "head.weight", "head.bias"}, Outputs: []string{"logits"},
				Attrs: map[string]Attr{"transB": IntOf(1)}},
		},
		Initializers: []Tensor{
			{Name: "stem.weight", Type: Float, Dims: []int{2, 1, 1, 1}, Floats: []float32{1, -2}},
			{Name: "stem.bias", Type: Float, Dims: []int{2}, Floats: []float32{0.5, 3}},
			{Name: "scale", Type: Float, Dims: []int{2}, Floats: []float32{1, 2}},
			{Name: "shift", Type: Float, Dims: []int{2}, Floats: []float32{0, 1}},
			{Name: "mean", Type: Float, Dims: []int{2}, Floats: []float32{0, 0}},
			{Name: "var", Type: Float, Dims: []int{2}, Floats: []float32{1, 4}},
			{Name: "shape", Type: Int64, Dims: []int{2}, Ints: []int64{0, -1}},
			{Name: "head.weight", Type: Float, Dims: []int{2, 2}, Floats: []float32{1, 2, 3, 4}},
			{Name: "head.bias", Type: Float, Dims: []int{2}, Floats: []float32{-1, 1}},
		},
	}
}

func marshal(t testing.TB, m *Model) []byte {
	t.Helper()
	data, err := m.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func TestGolden(t *testing.T) {
	path := filepath.Join("testdata", "small.onnx")
	if *update {
		if err := small().WriteFile(path); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got := marshal(t, small()); !bytes.Equal(got, want) {
		t.Errorf("bytes differ from %s:\n%q", path, got)
	}
	m, err := ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(m, small()) {
		t.Errorf("read %+v, want %+v", m, small())
	}
}

func TestFileErrors(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "bad.onnx")
	if err := os.WriteFile(path, []byte("PK\x03\x04 not a model"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := ReadFile(path); err == nil || !strings.Contains(err.Error(), path) {
		t.Errorf("error %v: want the path in it", err)
	}
	if _, err := ReadFile(filepath.Join(dir, "missing")); err == nil {
		t.Error("no error for a missing file")
	}
	if err := small().WriteFile(filepath.Join(path, "x")); err == nil || !strings.HasPrefix(err.Error(), "onnx: ") {
		t.Errorf("error %v for a folder that is a file", err)
	}
	if err := (&Model{}).WriteFile(path); err == nil {
		t.Error("no error for an empty model")
	}
}

// TestRoundTripRandom: any sound model survives the file.
func TestRoundTripRandom(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 0))
	for range 300 {
		m := random(rng)
		data := marshal(t, m)
		got, err := Unmarshal(data)
		if err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(got, m) {
			t.Fatalf("read %+v, want %+v", got, m)
		}
		for cut := range len(data) { // a truncated file is an error or another sound model
			if m, err := Unmarshal(data[:cut]); err == nil {
				if err := m.Check(); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
}

// random is a sound model of made-up operators.
func random(rng *rand.Rand) *Model {
	m := &Model{IRVersion: rng.IntN(10), Opset: 1 + rng.IntN(20), Producer: "p", Name: "g"}
	names := []string{""}
	for i := range rng.IntN(3) {
		m.Inputs = append(m.Inputs,
			Value{Name: fmt.Sprint("in", i), Type: Type(rng.IntN(17)),
				Dims: []Dim{{Name: "N"}, {Size: 1 + rng.IntN(5)}, {}}[:rng.IntN(4)]})
		names = append(names, fmt.Sprint("in", i))
	}
	tensor := func(name string) Tensor {
		dims, n := make([]int, rng.IntN(4)), 1
		for j := range dims {
			dims[j] = rng.IntN(3)
			n *= dims[j]
		}
		if rng.IntN(2) == 0 {
			t := Tensor{Name: name, Type: Int64, Dims: dims}
			for range n {
				t.Ints = append(t.Ints, rng.Int64()-rng.Int64())
			}
			return t
		}
		t := Tensor{Name: name, Type: Float, Dims: dims}
		for range n {
			t.Floats = append(t.Floats, rng.Float32())
		}
		return t
	}
	for i := range rng.IntN(3) {
		m.Initializers = append(m.Initializers, tensor(fmt.Sprint("t", i)))
		names = append(names, fmt.Sprint("t", i))
	}
	for i := range 1 + rng.IntN(5) {
		n := Node{OpType: "Op", Domain: []string{"", "own"}[rng.IntN(2)], Name: []string{"", "n"}[rng.IntN(2)]}
		for range rng.IntN(4) {
			n.Inputs = append(n.Inputs, names[rng.IntN(len(names))])
		}
		n.Outputs = []string{fmt.Sprint("v", i), "", fmt.Sprint("w", i)}[:1+rng.IntN(3)]
		inner := tensor("")
		for j, a := range []Attr{IntOf(rng.IntN(9) - 4), IntsOf(1, -2, 1<<30), FloatOf(rng.Float32()),
			{Kind: StringAttr, String: "NOTSET"},
			{Kind: FloatsAttr, Floats: []float32{1, 2}}, {Kind: TensorAttr, Tensor: &inner}, IntOf(0), IntsOf()} {
			if rng.IntN(3) == 0 {
				if n.Attrs == nil {
					n.Attrs = map[string]Attr{}
				}
				n.Attrs[fmt.Sprint("a", j)] = a
			}
		}
		m.Nodes, names = append(m.Nodes, n), append(names, n.Outputs[0])
	}
	m.Outputs = []Value{{Name: names[len(names)-1], Type: Float, Dims: []Dim{}}}
	if rng.IntN(2) == 0 {
		m.Metadata = map[string]string{"k": "v", "": "empty key"}
	}
	return m
}

func TestCheckRefuses(t *testing.T) {
	long := strings.Repeat("x", MaxName+1)
	tests := []struct {
		name   string
		change func(*Model)
		want   string
	}{
		{"no opset", func(m *Model) { m.Opset = 0 }, "opset_import: no version"},
		{"no nodes", func(m *Model) { m.Nodes = nil }, "no nodes"},
		{"no outputs", func(m *Model) { m.Outputs = nil }, "no outputs"},
		{"too many nodes", func(m *Model) { m.Nodes = make([]Node, MaxNodes+1) }, "32769 nodes"},
		{"long metadata", func(m *Model) { m.Metadata["k"] = strings.Repeat("x", MaxText+1) },
			"metadata_props: value of k of 1048577 bytes"},
		{"long producer", func(m *Model) { m.Producer = long }, "producer_name of 1025 bytes"},
		{"input without name", func(m *Model) { m.Inputs[0].Name = "" }, "no name"},
		{"input twice", func(m *Model) { m.Inputs = append(m.Inputs, m.Inputs[0]) }, `input "input": stands twice`},
		{"negative input", func(m *Model) { m.Inputs[0].Dims[1].Size = -1 }, "negative"},
		{"huge input", func(m *Model) { m.Inputs[0].Dims[1].Size, m.Inputs[0].Dims[2].Size = 1<<20, 1<<20 }, "elements"},
		{"huge output", func(m *Model) { m.Outputs[0].Dims[1].Size = MaxElements }, "in all"},
		{"rank", func(m *Model) { m.Inputs[0].Dims = make([]Dim, 9) }, "9 dimensions"},
		{"initializer twice", func(m *Model) { m.Initializers[1].Name = "stem.weight" },
			`initializer "stem.weight": stands twice`},
		{"too few elements", func(m *Model) { m.Initializers[0].Dims[0] = 3 }, "dimensions [3 1 1 1] with 2 floats"},
		{"negative dimension", func(m *Model) { m.Initializers[0].Dims = []int{-1, -2} }, "dimensions [-1 -2]"},
		{"other type", func(m *Model) { m.Initializers[0].Type = 10 }, "elements are float16"},
		{"unknown type", func(m *Model) { m.Initializers[0].Type = -5 }, "elements are type -5"},
		{"no operator", func(m *Model) { m.Nodes[0].OpType = "" }, "no operator"},
		{"no output", func(m *Model) { m.Nodes[0].Outputs = []string{"", "y"} }, `node "stem" (Conv): no output`},
		{"undefined input", func(m *Model) { m.Nodes[0].Inputs[0] = "y" },
			`node "stem" (Conv): reads "y", which nothing before it makes`},
		{"cycle", func(m *Model) { m.Nodes[0].Inputs[0] = "relu" }, `reads "relu"`},
		{"reads itself", func(m *Model) { m.Nodes[0].Inputs[0] = "stem" }, `reads "stem"`},
		{"output twice", func(m *Model) { m.Nodes[2].Outputs[0] = "stem" }, `makes "stem", which exists already`},
		{"output twice in one node", func(m *Model) { m.Nodes[0].Outputs = []string{"a", "a"} }, `makes "a"`},
		{"output is an input", func(m *Model) { m.Nodes[0].Outputs[0] = "input" }, `makes "input"`},
		{"output is an initializer", func(m *Model) { m.Nodes[0].Outputs[0] = "var" }, `makes "var"`},
		{"undefined output", func(m *Model) { m.Outputs[0].Name = "y" }, `output "y"`},
		{"graph output twice", func(m *Model) { m.Outputs = append(m.Outputs, m.Outputs[0]) }, "stands twice"},
		{"long name", func(m *Model) { m.Nodes[0].Outputs[0] = long }, "name of 1025 bytes"},
		{"not UTF-8", func(m *Model) { m.Nodes[0].Name = "\xff" }, "not UTF-8"},
		{"attribute kind", func(m *Model) { m.Nodes[0].Attrs["group"] = Attr{} }, `attribute "group": kind 0`},
		{"attribute without tensor", func(m *Model) { m.Nodes[0].Attrs["value"] = Attr{Kind: TensorAttr} }, "no tensor"},
		{"long attribute", func(m *Model) { m.Nodes[0].Attrs["x"] = IntsOf(make([]int, MaxList+1)...) }, "4097 numbers"},
		{"many attributes", func(m *Model) {
			for i := range MaxAttrs {
				m.Nodes[0].Attrs[fmt.Sprint(i)] = IntOf(i)
			}
		}, "67 attributes"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			m := small()
			tt.change(m)
			if _, err := m.Marshal(); err == nil || !strings.HasPrefix(err.Error(), "onnx: ") ||
				!strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), "\n") {
				t.Errorf("error %v, want …%s…", err, tt.want)
			}
		})
	}
}

// SPDX-License-Identifier: Apache-2.0

package onnx

import (
	"bytes"
	"fmt"
	"math"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"
)

// file is an encoded model with these fields in its graph, beside those that
// make it sound: a Relu from x to y.
func file(graph ...[]byte) []byte {
	relu := Node{OpType: "Relu", Inputs: []string{"x"}, Outputs: []string{"y"}}
	b := appendMessage(nil, graphNode, relu.encode())
	b = appendMessage(b, graphInput, (&Value{Name: "x", Type: Float}).encode())
	b = appendMessage(b, graphOutput, (&Value{Name: "y", Type: Float}).encode())
	return append(appendMessage(nil, modelGraph, append(b, slices.Concat(graph...)...)), version(13)...)
}

// metadata is a message of n entries with different keys.
func metadata(n int) (b []byte) {
	for i := range n {
		b = append(b, appendMessage(nil, modelMetadata, appendText(nil, entryKey, fmt.Sprint(i)))...)
	}
	return b
}

func version(opset int64) []byte {
	return appendMessage(nil, modelOpset, appendInt(nil, opsetVersion, opset))
}

// initializer is one with these fields after its name.
func initializer(fields ...[]byte) []byte {
	return appendMessage(nil, graphInitializer, append(appendText(nil, tensorName, "w"), slices.Concat(fields...)...))
}

// node is one with this attribute.
func node(attribute ...[]byte) []byte {
	b := appendText(nil, nodeOutput, "z")
	b = appendText(b, nodeName, "n")
	b = appendText(b, nodeOpType, "Op")
	return appendMessage(nil, graphNode,
		appendMessage(b, nodeAttribute, append(appendText(nil, attributeName, "a"), slices.Concat(attribute...)...)))
}

func dim(sizes ...int64) []byte {
	var b []byte
	for _, d := range sizes {
		b = appendInt(b, tensorDims, d)
	}
	return b
}

func packed(num protowire.Number, vs ...int64) []byte {
	var b []byte
	for _, v := range vs {
		b = protowire.AppendVarint(b, uint64(v))
	}
	return appendMessage(nil, num, b)
}

var (
	float = appendInt(nil, tensorType, 1)
	ints  = appendInt(nil, tensorType, 7)
)

func raw(n int) []byte { return appendMessage(nil, tensorRawData, make([]byte, n)) }

func TestUnmarshalForms(t *testing.T) {
	tests := []struct {
		name string
		file []byte
		want Tensor
	}{
		{"raw floats", file(initializer(dim(2), float,
			appendMessage(nil, tensorRawData, []byte{0, 0, 128, 63, 0, 0, 0, 192}))),
			Tensor{Name: "w", Type: Float, Dims: []int{2}, Floats: []float32{1, -2}}},
		{"packed floats", file(initializer(dim(2), float,
			appendMessage(nil, tensorFloatData, []byte{0, 0, 128, 63, 0, 0, 0, 192}))),
			Tensor{Name: "w", Type: Float, Dims: []int{2}, Floats: []float32{1, -2}}},
		{"single floats, dimensions last", file(initializer(
			protowire.AppendFixed32(protowire.AppendTag(nil, tensorFloatData, protowire.Fixed32Type), math.Float32bits(1)),
			protowire.AppendFixed32(protowire.AppendTag(nil, tensorFloatData, protowire.Fixed32Type), math.Float32bits(-2)),
			float, packed(tensorDims, 2))),
			Tensor{Name: "w", Type: Float, Dims: []int{2}, Floats: []float32{1, -2}}},
		{"scalar", file(initializer(float, raw(4))), Tensor{Name: "w", Type: Float, Dims: []int{}, Floats: []float32{0}}},
		{"empty", file(initializer(dim(3, 0), float)), Tensor{Name: "w", Type: Float, Dims: []int{3, 0}}},
		{"packed integers", file(initializer(dim(2), ints, packed(tensorInt64Data, -1, 5))),
			Tensor{Name: "w", Type: Int64, Dims: []int{2}, Ints: []int64{-1, 5}}},
		{"single integers", file(initializer(dim(1, 1), ints, appendInt(nil, tensorInt64Data, -7))),
			Tensor{Name: "w", Type: Int64, Dims: []int{1, 1}, Ints: []int64{-7}}},
		{"raw integers", file(initializer(dim(1), ints, raw(8))),
			Tensor{Name: "w", Type: Int64, Dims: []int{1}, Ints: []int64{0}}},
		{"unknown fields", file(appendInt(nil, 99, 1), initializer(dim(1), float, raw(4), appendText(nil, 12, "doc"))),
			Tensor{Name: "w", Type: Float, Dims: []int{1}, Floats: []float32{0}}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			m, err := Unmarshal(tt.file)
			if err != nil {
				t.Fatal(err)
			}
			if !reflect.DeepEqual(m.Initializers[0], tt.want) {
				t.Errorf("have %+v, want %+v", m.Initializers[0], tt.want)
			}
		})
	}
}

func TestUnmarshalRefuses(t *testing.T) {
	deep := []byte{}
	for range 20000 { // graphs in attributes in nodes in graphs
		deep = appendMessage(nil, graphNode, appendMessage(nil, nodeAttribute, appendMessage(nil, 6, deep)))
		if len(deep) > 1<<16 {
			break
		}
	}
	many := bytes.Repeat(appendMessage(nil, graphNode, nil), MaxNodes+1)
	tests := []struct {
		name string
		file []byte
		want string
	}{
		{"empty", nil, "opset_import: no version"},
		{"text", []byte("hello, world"), "wire type"},
		{"no graph", version(13), "no nodes"},
		{"no opset", appendMessage(nil, modelGraph, nil), "opset_import: no version"},
		{"opset twice", append(version(13), version(13)...), "opset_import: the standard operators stand twice"},
		{"graph twice", append(file(), file()...), "graph stands twice"},
		{"opset negative", version(-1), "field 2 is -1"},
		{"graph is a number", appendInt(nil, modelGraph, 5), "field 7 has wire type 0: want 2"},
		{"truncated", file()[:20], "unexpected EOF"},
		{"group", []byte{0x3b, 0x3c}, "field 7 has wire type 3, which ONNX does not use"},
		{"field 0", []byte{0, 0}, "invalid field number"},
		{"length beyond file", []byte{0x3a, 0xff, 0xff, 0xff, 0xff, 0x0f}, "unexpected EOF"},
		{"metadata twice", append(file(),
			bytes.Repeat(appendMessage(nil, modelMetadata, appendText(nil, entryKey, "k")), 2)...),
			`metadata_props: key "k" stands twice`},
		{"too much metadata", append(file(), metadata(MaxNodes+1)...), "metadata_props: more than 32768 entries"},
		{"too many nodes", file(many), "nodes: more than 32768"},
		{"too many initializers", file(bytes.Repeat(initializer(float, raw(4)), MaxNodes+1)),
			"initializers: more than 32768"},
		{"too many values", file(bytes.Repeat(appendMessage(nil, graphValueInfo, appendText(nil, valueName, "v")),
			MaxNodes+1)), "values: more than 32768"},
		{"too many inputs of a node",
			file(appendMessage(nil, graphNode, bytes.Repeat(appendText(nil, nodeInput, "x"), MaxList+1))), "more than 4096"},
		{"long name", file(appendMessage(nil, graphNode,
			appendText(nil, nodeName, strings.Repeat("x", MaxName+1)))), "1025 bytes"},
		{"name not UTF-8", file(appendMessage(nil, graphNode, appendText(nil, nodeName, "\xc0"))), "no UTF-8"},
		{"sparse", file(appendMessage(nil, graphSparse, nil)), "sparse"},
		{"subgraph", file(node(appendMessage(nil, 6, file()), appendInt(nil, attributeType, 5))),
			`node "n" (Op): attribute "a": subgraphs are not supported`},
		{"deep subgraphs", file(deep), `attribute ""`},
		{"attribute without kind", file(node(appendInt(nil, attributeInt, 1))), "kind 0"},
		{"attribute of strings", file(node(appendInt(nil, attributeType, 8))), "kind 8 is not supported"},
		{"attribute twice", file(appendMessage(nil, graphNode,
			append(appendText(nil, nodeOutput, "z"),
				bytes.Repeat(appendMessage(nil, nodeAttribute, appendInt(nil, attributeType, 2)), 2)...))), "stands twice"},
		{"attribute with two tensors",
			file(node(appendMessage(nil, attributeTensor, append(float, raw(4)...)),
				appendMessage(nil, attributeTensor, nil))), "stands twice"},
		{"attribute float as double",
			file(node(protowire.AppendFixed64(protowire.AppendTag(nil, attributeFloat, protowire.Fixed64Type), 0))),
			"field 2 has wire type 1: want 5"},
		{"too many integers", file(node(packed(attributeInts, make([]int64, MaxList+1)...))), "more than 4096 integers"},
		{"input is a sequence", file(appendMessage(nil, graphInput,
			append(appendText(nil, valueName, "s"), appendMessage(nil, valueType, appendMessage(nil, 4, nil))...))),
			`input "s": is no tensor`},
		{"intermediate value huge",
			file(appendMessage(nil, graphValueInfo, (&Value{Name: "v", Dims: []Dim{{Size: 1 << 30}}}).encode())), `value "v"`},
		{"shape twice", file(appendMessage(nil, graphInput,
			append(appendText(nil, valueName, "s"), appendMessage(nil, valueType,
				appendMessage(nil, typeTensor,
					append(appendMessage(nil, tensorTypeShape, nil), appendMessage(nil, tensorTypeShape, nil)...)))...))),
			"shape stands twice"},
		{"tensor without type", file(initializer(dim(1), raw(4))), "4 bytes of undefined"},
		{"float16", file(initializer(dim(1), appendInt(nil, tensorType, 10), raw(2))), "2 bytes of float16"},
		{"doubles", file(initializer(dim(1), appendInt(nil, tensorType, 11))), "elements are double"},
		{"negative dimension", file(initializer(dim(-1), float, raw(4))), "dimensions [-1]"},
		{"two negative dimensions", file(initializer(dim(-2, -2), float, raw(16))), "dimensions [-2 -2]"},
		{"huge dimension", file(initializer(dim(1<<31), float, raw(4))), "dimensions [2147483648]"},
		{"huge product", file(initializer(dim(1<<30, 1<<30, 1<<30), float, raw(4))), "at most 134217728 elements"},
		{"product overflows to 4 bytes", file(initializer(dim(1<<31-1, 1<<31-1, 3, 1), float, raw(4))),
			"at most 134217728 elements"},
		{"rank", file(initializer(dim(1, 1, 1, 1, 1, 1, 1, 1, 1), float, raw(4))), "want at most 8"},
		{"no data", file(initializer(dim(1<<27), float)), "with 0 floats"},
		{"too little data", file(initializer(dim(2), float, raw(4))), "dimensions [2] with 4 bytes"},
		{"too much data", file(initializer(dim(2), float, raw(12))), "with 12 bytes"},
		{"odd data", file(initializer(dim(1), float, appendMessage(nil, tensorFloatData, make([]byte, 5)))),
			"5 bytes of float32"},
		{"raw and typed", file(initializer(dim(1), float, raw(4),
			appendMessage(nil, tensorFloatData, make([]byte, 4)))), "raw and typed"},
		{"floats as integers", file(initializer(dim(1), ints, appendMessage(nil, tensorFloatData, make([]byte, 4)))),
			"0 integers and 1 floats"},
		{"many integers", file(initializer(dim(MaxList+1), ints, raw(8*MaxList+8))), "bytes of int64"},
		{"other file", file(initializer(dim(1), float, appendMessage(nil, tensorExternalData, nil))), "other files"},
		{"cut varint", file(initializer(packed(tensorDims), appendMessage(nil, tensorDims, []byte{0xff}))), "unexpected EOF"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := Unmarshal(tt.file)
			if err == nil || !strings.HasPrefix(err.Error(), "onnx: ") || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %v, want …%s…", err, tt.want)
			}
		})
	}
}

// TestUnmarshalMemory: a small file that claims much takes little.
func TestUnmarshalMemory(t *testing.T) {
	claims := file(initializer(dim(1<<27), float),
		appendMessage(nil, graphInput, (&Value{Name: "v", Type: Float, Dims: []Dim{{Size: 1 << 26}}}).encode()))
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	if _, err := Unmarshal(claims); err == nil {
		t.Error("no error")
	}
	runtime.ReadMemStats(&after)
	if took := after.TotalAlloc - before.TotalAlloc; took > 1<<16 {
		t.Errorf("%d bytes for a file of %d", took, len(claims))
	}
}

// FuzzUnmarshal: no panic; what is read is written and read the same; what is
// translated is a graph whose weights fit.
func FuzzUnmarshal(f *testing.F) {
	f.Add(marshal(f, small()))
	f.Add(file(initializer(dim(2), float, raw(8))))
	f.Add(file(node(packed(attributeInts, 1, 2), appendInt(nil, attributeType, 7))))
	f.Fuzz(func(t *testing.T, data []byte) {
		m, err := Unmarshal(data)
		if err != nil {
			return
		}
		once, err := m.Marshal()
		if err != nil {
			t.Fatal(err)
		}
		again, err := Unmarshal(once)
		if err != nil {
			t.Fatal(err)
		}
		if twice, err := again.Marshal(); err != nil || !bytes.Equal(once, twice) {
			t.Fatalf("written again: %v, %q, first %q", err, twice, once)
		}
		if g, w, err := m.Graph(2); err == nil {
			if err := w.Check(g); err != nil {
				t.Fatal(err)
			}
		}
	})
}

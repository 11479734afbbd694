// SPDX-License-Identifier: Apache-2.0

package onnx

import (
	"fmt"
	"maps"
	"math"
	"slices"

	"github.com/edgenas/edgenas/internal/atomicfile"
	"google.golang.org/protobuf/encoding/protowire"
)

// WriteFile writes the model to path, all or nothing (see package atomicfile).
// See [Model.Marshal] for the bytes.
func (m *Model) WriteFile(path string) error {
	data, err := m.Marshal()
	if err != nil {
		return err
	}
	if err := atomicfile.Write(path, data); err != nil {
		return fmt.Errorf("onnx: %w", err)
	}
	return nil
}

// Marshal encodes the model. Equal models give equal bytes: fields in the
// order of their numbers, metadata and attributes in the order of their keys.
// It returns an error if [Model.Check] does or the file would be too large.
func (m *Model) Marshal() ([]byte, error) {
	if err := m.Check(); err != nil {
		return nil, err
	}
	var b []byte
	b = appendInt(b, modelIRVersion, int64(m.IRVersion))
	b = appendText(b, modelProducer, m.Producer)
	b = appendMessage(b, modelGraph, m.graph())
	b = appendMessage(b, modelOpset, appendInt(nil, opsetVersion, int64(m.Opset)))
	for _, key := range slices.Sorted(maps.Keys(m.Metadata)) {
		b = appendMessage(b, modelMetadata, appendText(appendText(nil, entryKey, key), entryValue, m.Metadata[key]))
	}
	if len(b) > MaxFile {
		return nil, fmt.Errorf("onnx: model of %d bytes: want at most %d", len(b), MaxFile)
	}
	return b, nil
}

func (m *Model) graph() []byte {
	var b []byte
	for i := range m.Nodes {
		b = appendMessage(b, graphNode, m.Nodes[i].encode())
	}
	b = appendText(b, graphName, m.Name)
	for i := range m.Initializers {
		b = appendMessage(b, graphInitializer, m.Initializers[i].encode())
	}
	for _, v := range m.Inputs {
		b = appendMessage(b, graphInput, v.encode())
	}
	for _, v := range m.Outputs {
		b = appendMessage(b, graphOutput, v.encode())
	}
	return b
}

func (n *Node) encode() []byte {
	var b []byte
	for _, name := range n.Inputs {
		b = appendMessage(b, nodeInput, []byte(name)) // also where it is empty: its place counts
	}
	for _, name := range n.Outputs {
		b = appendMessage(b, nodeOutput, []byte(name))
	}
	b = appendText(b, nodeName, n.Name)
	b = appendText(b, nodeOpType, n.OpType)
	for _, name := range slices.Sorted(maps.Keys(n.Attrs)) {
		b = appendMessage(b, nodeAttribute, n.Attrs[name].encode(name))
	}
	return appendText(b, nodeDomain, n.Domain)
}

func (a Attr) encode(name string) []byte {
	b := appendText(nil, attributeName, name)
	switch a.Kind {
	case FloatAttr:
		b = protowire.AppendTag(b, attributeFloat, protowire.Fixed32Type)
		b = protowire.AppendFixed32(b, math.Float32bits(a.Float))
	case IntAttr:
		b = appendInt(b, attributeInt, a.Int)
	case StringAttr:
		b = appendText(b, attributeString, a.String)
	case TensorAttr:
		b = appendMessage(b, attributeTensor, a.Tensor.encode())
	case FloatsAttr: // repeated fields of this message are not packed
		for _, v := range a.Floats {
			b = protowire.AppendTag(b, attributeFloats, protowire.Fixed32Type)
			b = protowire.AppendFixed32(b, math.Float32bits(v))
		}
	case IntsAttr:
		for _, v := range a.Ints {
			b = appendInt(b, attributeInts, v)
		}
	}
	return appendInt(b, attributeType, int64(a.Kind))
}

func (t *Tensor) encode() []byte {
	var b []byte
	for _, d := range t.Dims {
		b = appendInt(b, tensorDims, int64(d))
	}
	b = appendInt(b, tensorType, int64(t.Type))
	b = appendText(b, tensorName, t.Name)
	b = protowire.AppendTag(b, tensorRawData, protowire.BytesType)
	b = protowire.AppendVarint(b, uint64(4*len(t.Floats)+8*len(t.Ints)))
	b = slices.Grow(b, 4*len(t.Floats)+8*len(t.Ints))
	for _, v := range t.Floats {
		b = protowire.AppendFixed32(b, math.Float32bits(v))
	}
	for _, v := range t.Ints {
		b = protowire.AppendFixed64(b, uint64(v))
	}
	return b
}

func (v *Value) encode() []byte {
	elem := appendInt(nil, tensorTypeElem, int64(v.Type))
	if v.Dims != nil {
		var shape []byte
		for _, d := range v.Dims {
			var dim []byte
			if d.Size > 0 {
				dim = appendInt(dim, dimValue, int64(d.Size))
			}
			shape = appendMessage(shape, shapeDim, appendText(dim, dimParam, d.Name))
		}
		elem = appendMessage(elem, tensorTypeShape, shape)
	}
	b := appendText(nil, valueName, v.Name)
	return appendMessage(b, valueType, appendMessage(nil, typeTensor, elem))
}

func appendInt(b []byte, num protowire.Number, v int64) []byte {
	return protowire.AppendVarint(protowire.AppendTag(b, num, protowire.VarintType), uint64(v))
}

// appendText leaves out an empty text, as protocol buffers do.
func appendText(b []byte, num protowire.Number, s string) []byte {
	if s == "" {
		return b
	}
	return protowire.AppendString(protowire.AppendTag(b, num, protowire.BytesType), s)
}

func appendMessage(b []byte, num protowire.Number, message []byte) []byte {
	return protowire.AppendBytes(protowire.AppendTag(b, num, protowire.BytesType), message)
}

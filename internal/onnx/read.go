// SPDX-License-Identifier: Apache-2.0

package onnx

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"os"

	"google.golang.org/protobuf/encoding/protowire"
)

// ReadFile reads the model at path; see [Unmarshal].
func ReadFile(path string) (*Model, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("onnx: %w", err)
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, MaxFile+1))
	if err != nil {
		return nil, fmt.Errorf("onnx: %w", err)
	}
	m, err := unmarshal(data)
	if err != nil {
		return nil, fmt.Errorf("onnx: %s: %w", path, err)
	}
	return m, nil
}

// Unmarshal decodes a model and checks it (see [Model.Check]). It returns an
// error for what is too large or malformed, for elements other than float32
// and int64, and for subgraphs, sparse tensors and data in other files.
// Descriptions of intermediate values are checked and dropped, documentation
// is skipped. The model shares no memory with data.
func Unmarshal(data []byte) (*Model, error) {
	m, err := unmarshal(data)
	if err != nil {
		return nil, fmt.Errorf("onnx: %w", err)
	}
	return m, nil
}

func unmarshal(data []byte) (*Model, error) {
	if len(data) > MaxFile {
		return nil, fmt.Errorf("file is larger than %d bytes", MaxFile)
	}
	m, hasGraph := &Model{}, false
	err := eachField(data, func(f field) error {
		switch f.num {
		case modelIRVersion:
			return f.small(&m.IRVersion)
		case modelProducer:
			return f.text(&m.Producer, MaxName)
		case modelOpset:
			return f.opset(&m.Opset)
		case modelMetadata:
			return f.metadata(m)
		case modelGraph:
			if hasGraph {
				return errors.New("graph stands twice")
			}
			hasGraph = true
			return f.graph(m)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return m, m.check()
}

func (f field) opset(version *int) error {
	var domain string
	var v int
	err := f.message(func(f field) error {
		switch f.num {
		case opsetDomain:
			return f.text(&domain, MaxName)
		case opsetVersion:
			return f.small(&v)
		}
		return nil
	})
	if err != nil || domain != "" && domain != standardDomain {
		return err
	}
	if *version != 0 {
		return errors.New("opset_import: the standard operators stand twice")
	}
	*version = v
	return nil
}

// standardDomain is the long name of the domain of the standard operators.
const standardDomain = "ai.onnx"

func (f field) metadata(m *Model) error {
	var key, value string
	err := f.message(func(f field) error {
		switch f.num {
		case entryKey:
			return f.text(&key, MaxName)
		case entryValue:
			return f.text(&value, MaxText)
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("metadata_props: key %q: %w", key, err)
	}
	if _, twice := m.Metadata[key]; twice {
		return fmt.Errorf("metadata_props: key %q stands twice", key)
	}
	if len(m.Metadata) == MaxNodes {
		return fmt.Errorf("metadata_props: more than %d entries", MaxNodes)
	}
	if m.Metadata == nil {
		m.Metadata = map[string]string{}
	}
	m.Metadata[key] = value
	return nil
}

func (f field) graph(m *Model) error {
	var between []Value
	err := f.message(func(f field) error {
		switch f.num {
		case graphName:
			return f.text(&m.Name, MaxName)
		case graphNode:
			return f.node(&m.Nodes)
		case graphInitializer:
			t, err := grow(&m.Initializers, MaxNodes)
			if err != nil {
				return fmt.Errorf("initializers: %w", err)
			}
			if err := f.tensor(t); err != nil {
				return fmt.Errorf("initializer %q: %w", t.Name, err)
			}
		case graphInput:
			return f.value(&m.Inputs, "input")
		case graphOutput:
			return f.value(&m.Outputs, "output")
		case graphValueInfo:
			return f.value(&between, "value")
		case graphSparse:
			return errors.New("sparse initializers are not supported")
		}
		return nil
	})
	if err != nil {
		return err
	}
	elements := 0
	for _, vs := range [][]Value{m.Inputs, m.Outputs, between} {
		for _, v := range vs {
			if err := v.check(&elements); err != nil {
				return fmt.Errorf("value %q: %w", v.Name, err)
			}
		}
	}
	return nil
}

func (f field) node(nodes *[]Node) error {
	n, err := grow(nodes, MaxNodes)
	if err != nil {
		return fmt.Errorf("nodes: %w", err)
	}
	err = f.message(func(f field) error {
		switch f.num {
		case nodeInput, nodeOutput:
			list := &n.Inputs
			if f.num == nodeOutput {
				list = &n.Outputs
			}
			name, err := grow(list, MaxList)
			if err != nil {
				return err
			}
			return f.text(name, MaxName)
		case nodeName:
			return f.text(&n.Name, MaxName)
		case nodeOpType:
			return f.text(&n.OpType, MaxName)
		case nodeDomain:
			return f.text(&n.Domain, MaxName)
		case nodeAttribute:
			return f.attribute(n)
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("%v: %w", n, err)
	}
	return nil
}

func (f field) attribute(n *Node) error {
	var name string
	var a Attr
	err := f.message(func(f field) error {
		switch f.num {
		case attributeName:
			return f.text(&name, MaxName)
		case attributeType:
			var kind int
			err := f.small(&kind)
			a.Kind = AttrKind(kind)
			return err
		case attributeFloat:
			return f.float(&a.Float)
		case attributeInt:
			return f.int64(&a.Int)
		case attributeString:
			return f.text(&a.String, MaxText)
		case attributeTensor:
			if a.Tensor != nil {
				return errTwice
			}
			a.Tensor = &Tensor{}
			return f.tensor(a.Tensor)
		case attributeFloats:
			return f.floats(&a.Floats)
		case attributeInts:
			return f.int64s(&a.Ints)
		}
		return nil
	})
	if err == nil {
		err = a.only()
	}
	if _, ok := n.Attrs[name]; ok && err == nil {
		err = errTwice
	}
	if err == nil && len(n.Attrs) == MaxAttrs {
		err = fmt.Errorf("more than %d", MaxAttrs)
	}
	if err != nil {
		return fmt.Errorf("attribute %q: %w", name, err)
	}
	if n.Attrs == nil {
		n.Attrs = map[string]Attr{}
	}
	n.Attrs[name] = a
	return nil
}

// only drops the fields that are not of the attribute's kind.
func (a *Attr) only() error {
	switch all := *a; a.Kind {
	case FloatAttr:
		*a = Attr{Kind: a.Kind, Float: all.Float}
	case IntAttr:
		*a = Attr{Kind: a.Kind, Int: all.Int}
	case StringAttr:
		*a = Attr{Kind: a.Kind, String: all.String}
	case TensorAttr:
		*a = Attr{Kind: a.Kind, Tensor: all.Tensor}
	case FloatsAttr:
		*a = Attr{Kind: a.Kind, Floats: all.Floats}
	case IntsAttr:
		*a = Attr{Kind: a.Kind, Ints: all.Ints}
	case 5, 10:
		return errors.New("subgraphs are not supported")
	default:
		return fmt.Errorf("kind %d is not supported", a.Kind)
	}
	return nil
}

// tensor decodes a tensor. Values are taken out of the file only once their
// number is known to be what the dimensions say.
func (f field) tensor(t *Tensor) error {
	var dims []int64
	var raw []byte
	var elem int
	err := f.message(func(f field) error {
		switch f.num {
		case tensorName:
			return f.text(&t.Name, MaxName)
		case tensorDims:
			return f.int64s(&dims)
		case tensorType:
			return f.small(&elem)
		case tensorFloatData:
			return f.floats(&t.Floats)
		case tensorInt64Data:
			return f.int64s(&t.Ints)
		case tensorRawData:
			raw = f.body
			return f.want(protowire.BytesType)
		case tensorSegment, tensorExternalData:
			return errors.New("segments and data in other files are not supported")
		}
		return nil
	})
	if err != nil {
		return err
	}
	t.Type, t.Dims = Type(elem), make([]int, 0, MaxRank)
	for _, d := range dims {
		if d < 0 || d > math.MaxInt32 || len(t.Dims) == MaxRank {
			return fmt.Errorf("dimensions %v: want at most %d, 0 to %d each", dims[:min(len(dims), MaxRank+1)],
				MaxRank, math.MaxInt32)
		}
		t.Dims = append(t.Dims, int(d))
	}
	if len(raw) > 0 {
		if err := t.decode(raw); err != nil {
			return err
		}
	}
	return t.check()
}

// decode sets the elements from raw little-endian data.
func (t *Tensor) decode(raw []byte) error {
	n, err := product(t.Dims)
	if err != nil {
		return err
	}
	if t.Floats != nil || t.Ints != nil {
		return errors.New("has raw and typed data")
	}
	switch {
	case t.Type == Float && len(raw) == 4*n:
		t.Floats = make([]float32, n)
		for i := range t.Floats {
			t.Floats[i] = math.Float32frombits(binary.LittleEndian.Uint32(raw[4*i:]))
		}
	case t.Type == Int64 && len(raw) == 8*n && n <= MaxList:
		t.Ints = make([]int64, n)
		for i := range t.Ints {
			t.Ints[i] = int64(binary.LittleEndian.Uint64(raw[8*i:]))
		}
	default:
		return fmt.Errorf("dimensions %v with %d bytes of %v", t.Dims, len(raw), t.Type)
	}
	return nil
}

func (f field) value(values *[]Value, what string) error {
	v, err := grow(values, MaxNodes)
	if err != nil {
		return fmt.Errorf("%ss: %w", what, err)
	}
	err = f.message(func(f field) error {
		switch f.num {
		case valueName:
			return f.text(&v.Name, MaxName)
		case valueType:
			return f.message(func(f field) error {
				switch f.num {
				case typeTensor:
					return f.message(v.tensorType)
				case typeDenotation:
					return nil
				}
				return errors.New("is no tensor")
			})
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("%s %q: %w", what, v.Name, err)
	}
	return nil
}

func (v *Value) tensorType(f field) error {
	switch f.num {
	case tensorTypeElem:
		var elem int
		err := f.small(&elem)
		v.Type = Type(elem)
		return err
	case tensorTypeShape:
		if v.Dims != nil {
			return errors.New("shape stands twice")
		}
		v.Dims = []Dim{}
		return f.message(func(f field) error {
			if f.num != shapeDim {
				return nil
			}
			d, err := grow(&v.Dims, MaxRank)
			if err != nil {
				return fmt.Errorf("dimensions: %w", err)
			}
			return f.message(func(f field) error {
				switch f.num {
				case dimValue:
					return f.small(&d.Size)
				case dimParam:
					return f.text(&d.Name, MaxName)
				}
				return nil
			})
		})
	}
	return nil
}

// SPDX-License-Identifier: Apache-2.0

package onnx

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"unicode/utf8"

	"github.com/edgenas/edgenas/ops"
)

// Limits of what is read and written.
const (
	// MaxFile is the size in bytes of the largest file.
	MaxFile = 256 << 20
	// MaxNodes is the largest number of nodes, and of initializers, inputs,
	// outputs and metadata entries.
	MaxNodes = 1 << 15
	// MaxList is the largest number of inputs or outputs of a node, and of
	// integers in a tensor or numbers in an attribute.
	MaxList = 1 << 12
	// MaxAttrs is the largest number of attributes of a node.
	MaxAttrs = 64
	// MaxRank is the largest number of dimensions of a tensor.
	MaxRank = 8
	// MaxName is the length in bytes of the longest name.
	MaxName = 1 << 10
	// MaxText is the length in bytes of the longest metadata value.
	MaxText = 1 << 20
	// MaxElements is the largest number of elements that a tensor may have,
	// and all described inputs, outputs and intermediate values together.
	MaxElements = 1 << 27
)

// Check returns an error unless the model is sound and within the limits: it
// has nodes and outputs; each node reads only inputs, initializers and outputs
// of nodes before it (so there are no cycles); no name is made twice; tensors
// hold as many elements as their dimensions say.
func (m *Model) Check() error {
	if err := m.check(); err != nil {
		return fmt.Errorf("onnx: %w", err)
	}
	return nil
}

func (m *Model) check() error {
	switch {
	case m.Opset < 1:
		return errors.New("opset_import: no version of the standard operators")
	case len(m.Nodes) == 0:
		return errors.New("no nodes")
	case len(m.Outputs) == 0:
		return errors.New("no outputs")
	}
	for _, count := range []int{len(m.Nodes), len(m.Initializers), len(m.Inputs), len(m.Outputs), len(m.Metadata)} {
		if count > MaxNodes {
			return fmt.Errorf("%d nodes, initializers, inputs, outputs or metadata entries: want at most %d", count, MaxNodes)
		}
	}
	for key, value := range m.Metadata {
		err := cmp.Or(checkText("metadata_props: key", key, MaxName),
			checkText("metadata_props: value of "+key, value, MaxText))
		if err != nil {
			return err
		}
	}
	err := cmp.Or(checkText("producer_name", m.Producer, MaxName), checkText("graph.name", m.Name, MaxName))
	if err != nil {
		return err
	}
	made, elements := map[string]bool{}, 0
	for _, v := range m.Inputs {
		if err := v.check(&elements); err != nil {
			return fmt.Errorf("input %q: %w", v.Name, err)
		}
		if made[v.Name] {
			return fmt.Errorf("input %q: stands twice", v.Name)
		}
		made[v.Name] = true
	}
	stored := map[string]bool{}
	for i := range m.Initializers {
		t := &m.Initializers[i]
		if err := cmp.Or(checkName(t.Name), t.check()); err != nil {
			return fmt.Errorf("initializer %q: %w", t.Name, err)
		}
		if stored[t.Name] {
			return fmt.Errorf("initializer %q: stands twice", t.Name)
		}
		stored[t.Name], made[t.Name] = true, true
	}
	for i := range m.Nodes {
		if err := m.Nodes[i].check(made); err != nil {
			return fmt.Errorf("%v: %w", &m.Nodes[i], err)
		}
	}
	seen := map[string]bool{}
	for _, v := range m.Outputs {
		if err := v.check(&elements); err != nil {
			return fmt.Errorf("output %q: %w", v.Name, err)
		}
		if !made[v.Name] {
			return fmt.Errorf("output %q: no node makes it", v.Name)
		}
		if seen[v.Name] {
			return fmt.Errorf("output %q: stands twice", v.Name)
		}
		seen[v.Name] = true
	}
	return nil
}

// check checks the node and marks what it makes.
func (n *Node) check(made map[string]bool) error {
	if n.OpType == "" {
		return errors.New("no operator")
	}
	for _, f := range []struct{ field, text string }{
		{"op_type", n.OpType}, {"name", n.Name}, {"domain", n.Domain},
	} {
		if err := checkText(f.field, f.text, MaxName); err != nil {
			return err
		}
	}
	if len(n.Inputs) > MaxList || len(n.Outputs) > MaxList || len(n.Attrs) > MaxAttrs {
		return fmt.Errorf("%d inputs, %d outputs, %d attributes: want at most %d, %d and %d",
			len(n.Inputs), len(n.Outputs), len(n.Attrs), MaxList, MaxList, MaxAttrs)
	}
	for _, name := range n.Inputs {
		if name != "" && !made[name] {
			return fmt.Errorf("reads %q, which nothing before it makes", name)
		}
	}
	if len(n.Outputs) == 0 || n.Outputs[0] == "" {
		return errors.New("no output")
	}
	for _, name := range n.Outputs {
		if name == "" {
			continue
		}
		if err := checkName(name); err != nil {
			return err
		}
		if made[name] {
			return fmt.Errorf("makes %q, which exists already", name)
		}
		made[name] = true
	}
	for name, a := range n.Attrs {
		if err := cmp.Or(checkName(name), a.check()); err != nil {
			return fmt.Errorf("attribute %q: %w", name, err)
		}
	}
	return nil
}

func (a *Attr) check() error {
	switch a.Kind {
	case FloatAttr, IntAttr:
		return nil
	case StringAttr:
		return checkText("text", a.String, MaxText)
	case TensorAttr:
		if a.Tensor == nil {
			return errors.New("no tensor")
		}
		return cmp.Or(checkText("name", a.Tensor.Name, MaxName), a.Tensor.check())
	case FloatsAttr, IntsAttr:
		if n := len(a.Floats) + len(a.Ints); n > MaxList {
			return fmt.Errorf("%d numbers: want at most %d", n, MaxList)
		}
		return nil
	}
	return fmt.Errorf("kind %d is not supported", a.Kind)
}

func (t *Tensor) check() error {
	n, err := product(t.Dims)
	if err != nil {
		return err
	}
	switch t.Type {
	case Float:
		if len(t.Floats) != n || t.Ints != nil {
			return fmt.Errorf("dimensions %v with %d floats and %d integers", t.Dims, len(t.Floats), len(t.Ints))
		}
	case Int64:
		if len(t.Ints) != n || t.Floats != nil {
			return fmt.Errorf("dimensions %v with %d integers and %d floats", t.Dims, len(t.Ints), len(t.Floats))
		}
		if n > MaxList {
			return fmt.Errorf("%d integers: want at most %d", n, MaxList)
		}
	default:
		return fmt.Errorf("elements are %v: only float and int64 are supported", t.Type)
	}
	return nil
}

// check adds the value's elements, free dimensions counted as 1, to those that
// were described before it.
func (v *Value) check(elements *int) error {
	if err := checkName(v.Name); err != nil {
		return err
	}
	dims := make([]int, len(v.Dims))
	for i, d := range v.Dims {
		if d.Size < 0 || d.Size > 0 && d.Name != "" {
			return fmt.Errorf("dimension %d is negative, or has both a size and a name: %+v", i, d)
		}
		if err := checkText("dimension", d.Name, MaxName); err != nil {
			return err
		}
		dims[i] = max(d.Size, 1)
	}
	n, err := product(dims)
	if err != nil {
		return err
	}
	if *elements += n; *elements > MaxElements {
		return fmt.Errorf("more than %d elements in all", MaxElements)
	}
	return nil
}

// product returns the number of elements, at most MaxElements.
func product(dims []int) (int, error) {
	if len(dims) > MaxRank {
		return 0, fmt.Errorf("%d dimensions: want at most %d", len(dims), MaxRank)
	}
	for _, d := range dims {
		if d > math.MaxInt32 {
			return 0, fmt.Errorf("dimensions %v: want 0 to %d each", dims, math.MaxInt32)
		}
	}
	return ops.Elements(dims, MaxElements)
}

func checkName(s string) error {
	if s == "" {
		return errors.New("no name")
	}
	return checkText("name", s, MaxName)
}

func checkText(what, s string, limit int) error {
	if len(s) > limit {
		return fmt.Errorf("%s of %d bytes: want at most %d", what, len(s), limit)
	}
	if !utf8.ValidString(s) {
		return fmt.Errorf("%s %q is not UTF-8", what, s)
	}
	return nil
}

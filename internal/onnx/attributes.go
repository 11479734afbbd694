// SPDX-License-Identifier: Apache-2.0

package onnx

import (
	"fmt"

	"github.com/edgenas/edgenas/ops"
)

// attributes reads the attributes of a node while it is translated. The first
// problem is kept for end: a wrong kind, or an attribute that was not asked
// for, since what it would change is unknown.
type attributes struct {
	node  *Node
	asked map[string]bool
	why   string
}

func attributesOf(n *Node) *attributes { return &attributes{node: n, asked: map[string]bool{}} }

// end returns an *UnsupportedError if there was a problem.
func (a *attributes) end() error {
	for name := range a.node.Attrs {
		if !a.asked[name] {
			a.fail("attribute %q is not supported", name)
		}
	}
	if a.why != "" {
		return unsupported(a.node, "%s", a.why)
	}
	return nil
}

func (a *attributes) fail(format string, args ...any) {
	if a.why == "" {
		a.why = fmt.Sprintf(format, args...)
	}
}

func (a *attributes) get(name string, kind AttrKind) (Attr, bool) {
	a.asked[name] = true
	v, ok := a.node.Attrs[name]
	if ok && v.Kind != kind {
		a.fail("attribute %q is of kind %d: want %d", name, v.Kind, kind)
		return Attr{}, false
	}
	return v, ok
}

// skip names attributes that change nothing.
func (a *attributes) skip(names ...string) {
	for _, name := range names {
		a.asked[name] = true
	}
}

func (a *attributes) int(name string, absent int64) int64 {
	if v, ok := a.get(name, IntAttr); ok {
		return v.Int
	}
	return absent
}

func (a *attributes) float(name string, absent float32) float32 {
	if v, ok := a.get(name, FloatAttr); ok {
		return v.Float
	}
	return absent
}

func (a *attributes) text(name, absent string) string {
	if v, ok := a.get(name, StringAttr); ok {
		return v.String
	}
	return absent
}

// want fails unless the integer has the one value that is supported.
func (a *attributes) want(name string, absent, value int64) {
	if v := a.int(name, absent); v != value {
		a.fail("attribute %q is %d: only %d is supported", name, v, value)
	}
}

// maxWindow bounds kernels, strides, padding and dilations, in pixels.
const maxWindow = 1 << 12

// equal reads n equal numbers, one for each axis or side.
func (a *attributes) equal(name string, n, absent int) int {
	v, ok := a.get(name, IntsAttr)
	if !ok {
		return absent
	}
	for _, x := range v.Ints {
		if len(v.Ints) != n || x != v.Ints[0] || x < 0 || x > maxWindow {
			a.fail("%s %v: want %d equal numbers, 0 to %d", name, v.Ints, n, maxWindow)
			return absent
		}
	}
	if len(v.Ints) == 0 {
		return absent
	}
	return int(v.Ints[0])
}

// window reads how a convolution or a pooling moves over an image of shape in;
// kernel is its size if kernel_shape is left out, 0 if it must not be.
func (a *attributes) window(in ops.Shape, kernel int) ops.Window {
	w := ops.Window{
		Kernel:   a.equal("kernel_shape", 2, kernel),
		Stride:   a.equal("strides", 2, 1),
		Pad:      a.equal("pads", 4, 0),
		Dilation: a.equal("dilations", 2, 1),
	}
	if w.Kernel < 1 || w.Stride < 1 || w.Dilation < 1 || kernel > 0 && w.Kernel != kernel {
		a.fail("window %+v: want a kernel, stride and dilation of 1 or more, and weights of that kernel", w)
		return ops.Same(1, 1, 1)
	}
	switch auto := a.text("auto_pad", "NOTSET"); auto {
	case "NOTSET":
	case "VALID":
		w.Pad = 0
	case "SAME_UPPER", "SAME_LOWER": // ⌈n/stride⌉ pixels come out
		total := func(n int) int {
			return max(0, ((n+w.Stride-1)/w.Stride-1)*w.Stride+w.Dilation*(w.Kernel-1)+1-n)
		}
		if total(in.H) != total(in.W) || total(in.H)%2 != 0 {
			a.fail("auto_pad %s pads %d rows and %d columns: only equal padding on all sides is supported", auto,
				total(in.H), total(in.W))
		}
		w.Pad = total(in.H) / 2
	default:
		a.fail("auto_pad %q is unknown", auto)
	}
	return w
}

// SPDX-License-Identifier: Apache-2.0

package ops_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/edgenas/edgenas/ops"
	"github.com/edgenas/edgenas/ops/opstest"
)

// Files and α's columns depend on this order: append, change nothing.
func TestCatalogOrder(t *testing.T) {
	want := []string{"none", "skip_connect", "nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3",
		"max_pool_3x3", "sep_conv_3x3", "sep_conv_5x5", "dil_conv_3x3", "dil_conv_5x5"}
	var got []string
	for _, op := range ops.Catalog {
		got = append(got, op.Name())
	}
	if !slices.Equal(got, want) {
		t.Errorf("catalog %q: want %q", got, want)
	}
}

func TestByName(t *testing.T) {
	for _, op := range ops.Catalog {
		if got := ops.ByName(op.Name()); got != op {
			t.Errorf("%s: found %v", op.Name(), got)
		}
	}
	if got := ops.ByName("sep_conv_9x9"); got != nil {
		t.Errorf("an unknown name found %v", got)
	}
}

// An operation gives the shape that its edge demands.
func TestOperationShapes(t *testing.T) {
	for _, op := range ops.Catalog {
		for _, stride := range []int{1, 2} {
			in := ops.Shape{N: 2, C: 8, H: 7, W: 6}
			if op.Name() == "skip_connect" {
				in.H = 10 // see TestFactorizedReduceWantsEvenExtents
			}
			b, x := ops.NewBuilder(in)
			y := op.Build(b.Scope(op.Name()), x, ops.Config{Channels: 8, Stride: stride, Affine: true})
			if _, err := b.Finish(y); err != nil {
				t.Error(err)
			}
			want := ops.Shape{N: 2, C: 8, H: (in.H + stride - 1) / stride, W: 6 / stride}
			if got := b.Shape(y); got != want {
				t.Errorf("%s at stride %d: %v: want %v", op.Name(), stride, got, want)
			}
		}
	}
}

// TestOperations spells out what each operation records at stride 2 in a
// derived network.
func TestOperations(t *testing.T) {
	separable := func(prefix, reads, window string) string {
		return fmt.Sprintf("%srelu=relu(%s) %sdepthwise=conv(%srelu)%sg6 %spointwise=conv(%sdepthwise)k1s1p0d1g1 %sbn=batchnorm(%spointwise)",
			prefix, reads, prefix, prefix, window, prefix, prefix, prefix, prefix)
	}
	for _, tt := range []struct{ op, want string }{
		{"none", "zero=zero(input)"},
		{"skip_connect", "relu=relu(input) even=conv(relu)k1s2p0d1g1 odd=conv(relu)k1s2p0d1c1g1 concat=concat(even,odd) bn=batchnorm(concat)"},
		{"nor_conv_1x1", "relu=relu(input) conv=conv(relu)k1s2p0d1g1 bn=batchnorm(conv)"},
		{"nor_conv_3x3", "relu=relu(input) conv=conv(relu)k3s2p1d1g1 bn=batchnorm(conv)"},
		{"avg_pool_3x3", "pool=avgpool(input)k3s2p1d1"},
		{"max_pool_3x3", "pool=maxpool(input)k3s2p1d1"},
		{"sep_conv_3x3", separable("first.", "input", "k3s2p1d1") + " " + separable("second.", "first.bn", "k3s1p1d1")},
		{"sep_conv_5x5", separable("first.", "input", "k5s2p2d1") + " " + separable("second.", "first.bn", "k5s1p2d1")},
		{"dil_conv_3x3", separable("", "input", "k3s2p2d2")},
		{"dil_conv_5x5", separable("", "input", "k5s2p4d2")},
	} {
		b, x := ops.NewBuilder(ops.Shape{N: 1, C: 6, H: 8, W: 8})
		g, err := b.Finish(ops.ByName(tt.op).Build(b, x, ops.Config{Channels: 6, Stride: 2, Affine: true}))
		if err != nil {
			t.Error(err)
			continue
		}
		if got := outline(g); got != tt.want {
			t.Errorf("%s records\n%s: want\n%s", tt.op, got, tt.want)
		}
	}
}

// outline is the graph in one line.
func outline(g *ops.Graph) string {
	var parts []string
	for _, n := range g.Nodes[1:] {
		var in []string
		for _, v := range n.In {
			in = append(in, g.Nodes[v].Name)
		}
		s := fmt.Sprintf("%s=%v(%s)", n.Name, n.Kind, strings.Join(in, ","))
		if w := n.Window; w.Kernel > 0 && n.Kind != ops.Zero {
			s += fmt.Sprintf("k%ds%dp%dd%d", w.Kernel, w.Stride, w.Pad, w.Dilation)
			if w.Crop > 0 {
				s += fmt.Sprintf("c%d", w.Crop)
			}
		}
		if n.Groups > 0 {
			s += fmt.Sprintf("g%d", n.Groups)
		}
		parts = append(parts, s)
	}
	return strings.Join(parts, " ")
}

// Of odd extents, the two halves of a factorised reduce do not fit together.
func TestFactorizedReduceWantsEvenExtents(t *testing.T) {
	for _, tt := range []struct {
		h, w int
		ok   bool
	}{{8, 6, true}, {2, 2, true}, {7, 6, false}, {8, 5, false}, {7, 7, false}, {1, 1, false}} {
		b, x := ops.NewBuilder(ops.Shape{N: 1, C: 3, H: tt.h, W: tt.w})
		g, err := b.Finish(ops.FactorizedReduce(b.Scope("pre0"), x, ops.Config{Channels: 6, Stride: 2, Affine: true}))
		var shapeError *ops.ShapeError
		switch {
		case errors.As(err, &shapeError) == tt.ok:
			t.Errorf("%d×%d: error %v", tt.h, tt.w, err)
		case tt.ok && g.Shape(g.Out) != (ops.Shape{N: 1, C: 6, H: tt.h / 2, W: tt.w / 2}):
			t.Errorf("%d×%d became %v", tt.h, tt.w, g.Shape(g.Out))
		}
	}
}

// One half of the channels is of the even rows and columns, one of the odd.
func TestFactorizedReduceHalves(t *testing.T) {
	b, x := ops.NewBuilder(ops.Shape{N: 1, C: 1, H: 4, W: 4})
	g, err := b.Finish(ops.FactorizedReduce(b, x, ops.Config{Channels: 2, Stride: 2}))
	if err != nil {
		t.Fatal(err)
	}
	w := opstest.Weights(g, 1)
	for name, t := range w {
		for i := range t.Data {
			t.Data[i] = 1
			if strings.HasSuffix(name, "mean") {
				t.Data[i] = 0
			}
		}
	}
	image := []float64{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15}
	got := opstest.Reference(g, w, image)
	if err := opstest.Compare(got, []float64{0, 2, 8, 10, 5, 7, 13, 15}, 1e-5); err != nil {
		t.Error(err)
	}
}

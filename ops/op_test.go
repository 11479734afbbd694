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
		"max_pool_3x3", "sep_conv_3x3", "sep_conv_5x5", "dil_conv_3x3", "dil_conv_5x5",
		"mbconv_3x3_e3", "mbconv_3x3_e6", "mbconv_5x5_e3", "mbconv_5x5_e6", "mbconv_7x7_e3", "mbconv_7x7_e6"}
	var got []string
	for _, op := range ops.Catalogue {
		got = append(got, op.Name())
	}
	if !slices.Equal(got, want) {
		t.Errorf("catalog %q: want %q", got, want)
	}
}

func TestByName(t *testing.T) {
	for _, op := range ops.Catalogue {
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
	for _, op := range ops.Catalogue {
		for _, stride := range []int{1, 2} {
			in := ops.Shape{N: 2, C: 8, H: 7, W: 6}
			if op.Name() == ops.SkipConnect {
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
		return fmt.Sprintf("%srelu=relu(%s) %sdepthwise=conv(%srelu)%sg6 "+
			"%spointwise=conv(%sdepthwise)k1s1p0d1g1 %sbn=batchnorm(%spointwise)",
			prefix, reads, prefix, prefix, window, prefix, prefix, prefix, prefix)
	}
	inverted := func(window string, hidden int) string {
		return "expand.conv=conv(input)k1s1p0d1g1 expand.bn=batchnorm(expand.conv) expand.relu=relu(expand.bn) " +
			fmt.Sprintf("depthwise.conv=conv(expand.relu)%sg%d depthwise.bn=batchnorm(depthwise.conv) "+
				"depthwise.relu=relu(depthwise.bn) ", window, hidden) +
			"project.conv=conv(depthwise.relu)k1s1p0d1g1 project.bn=batchnorm(project.conv)"
	}
	for _, tt := range []struct{ op, want string }{
		{"none", "zero=zero(input)"},
		{"skip_connect", "relu=relu(input) even=conv(relu)k1s2p0d1g1 " +
			"odd=conv(relu)k1s2p0d1c1g1 concat=concat(even,odd) bn=batchnorm(concat)"},
		{"nor_conv_1x1", "relu=relu(input) conv=conv(relu)k1s2p0d1g1 bn=batchnorm(conv)"},
		{"nor_conv_3x3", "relu=relu(input) conv=conv(relu)k3s2p1d1g1 bn=batchnorm(conv)"},
		{"avg_pool_3x3", "pool=avgpool(input)k3s2p1d1"},
		{"max_pool_3x3", "pool=maxpool(input)k3s2p1d1"},
		{"sep_conv_3x3", separable("first.", "input", "k3s2p1d1") + " " + separable("second.", "first.bn", "k3s1p1d1")},
		{"sep_conv_5x5", separable("first.", "input", "k5s2p2d1") + " " + separable("second.", "first.bn", "k5s1p2d1")},
		{"dil_conv_3x3", separable("", "input", "k3s2p2d2")},
		{"dil_conv_5x5", separable("", "input", "k5s2p4d2")},
		{"mbconv_3x3_e3", inverted("k3s2p1d1", 18)},
		{"mbconv_3x3_e6", inverted("k3s2p1d1", 36)},
		{"mbconv_5x5_e3", inverted("k5s2p2d1", 18)},
		{"mbconv_5x5_e6", inverted("k5s2p2d1", 36)},
		{"mbconv_7x7_e3", inverted("k7s2p3d1", 18)},
		{"mbconv_7x7_e6", inverted("k7s2p3d1", 36)},
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

// An inverted residual block adds its input where the shape stays, does not
// expand by one, and hands Affine to all its batch norms.
func TestInvertedResidual(t *testing.T) {
	for _, tt := range []struct {
		name              string
		expansion, stride int
		channels          int
		want              string // last node
		macs, params      int64  // by hand, for 6 channels of 8×8
	}{
		{"residual", 3, 1, 6, "add=add(input,project.bn)", 64 * (6*18 + 25*18 + 18*6), 6*18 + 25*18 + 18*6 + 2*(18+18+6)},
		{"stride", 3, 2, 6, "project.bn=batchnorm(project.conv)", 64*6*18 + 16*(25*18+18*6),
			6*18 + 25*18 + 18*6 + 2*(18+18+6)},
		{"more channels", 6, 1, 7, "project.bn=batchnorm(project.conv)", 64 * (6*36 + 25*36 + 36*7),
			6*36 + 25*36 + 36*7 + 2*(36+36+7)},
		{"expansion 1", 1, 1, 4, "project.bn=batchnorm(project.conv)", 64 * (25*6 + 6*4), 25*6 + 6*4 + 2*(6+4)},
	} {
		for _, affine := range []bool{true, false} {
			b, x := ops.NewBuilder(ops.Shape{N: 1, C: 6, H: 8, W: 8})
			g, err := b.Finish(ops.InvertedResidual(b, x, 5, tt.expansion,
				ops.Config{Channels: tt.channels, Stride: tt.stride, Affine: affine}))
			if err != nil {
				t.Fatal(err)
			}
			want, norms := tt.params, 0
			for _, n := range g.Nodes {
				if n.Kind == ops.BatchNorm {
					if norms += 2 * n.Shape.C; n.Affine != affine {
						t.Errorf("%s: %s: affine %t", tt.name, n.Name, n.Affine)
					}
				}
			}
			if !affine {
				want -= int64(norms)
			}
			if got := g.Count(); got.MACs != tt.macs || got.Params != want {
				t.Errorf("%s: %d MACs, %d parameters: want %d and %d", tt.name, got.MACs, got.Params, tt.macs, want)
			}
			if got := outline(g); !strings.HasSuffix(got, " "+tt.want) {
				t.Errorf("%s records\n%s: want %s at its end", tt.name, got, tt.want)
			}
			if expands := strings.Contains(outline(g), "expand"); expands != (tt.expansion > 1) {
				t.Errorf("%s: expands: %t", tt.name, expands)
			}
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

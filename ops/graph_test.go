// SPDX-License-Identifier: Apache-2.0

package ops_test

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"

	"github.com/edgenas/edgenas/ops"
	"github.com/edgenas/edgenas/ops/opstest"
)

// wellFormed checks what holds for every graph: names are unique, inputs stand
// before their readers, everything is read.
func wellFormed(t *testing.T, g *ops.Graph) {
	t.Helper()
	names := map[string]bool{}
	for i, n := range g.Nodes {
		if names[n.Name] {
			t.Errorf("two nodes are named %s", n.Name)
		}
		names[n.Name] = true
		for _, v := range n.In {
			if v < 0 || int(v) >= i {
				t.Errorf("node %d (%s) reads node %d", i, n.Name, v)
			}
		}
	}
	for i, n := range g.Consumers() {
		if n == 0 && g.Nodes[i].Kind != ops.Input {
			t.Errorf("nothing reads %s", g.Nodes[i].Name)
		}
	}
}

func TestShapes(t *testing.T) {
	type shape = ops.Shape
	impossible := shape{}
	image := shape{N: 2, C: 6, H: 8, W: 5}
	window := func(kernel, stride, pad, dilation int) ops.Window {
		return ops.Window{kernel, stride, pad, dilation, 0}
	}
	cropped := func(kernel, stride, pad, crop int) ops.Window {
		return ops.Window{Kernel: kernel, Stride: stride, Pad: pad, Dilation: 1, Crop: crop}
	}
	for _, tt := range []struct {
		name  string
		in    shape
		build func(b ops.Builder, x ops.Value) ops.Value
		want  shape
	}{
		{"conv same", image, conv(12, ops.Same(3, 1, 1), 1), shape{2, 12, 8, 5}},
		{"conv stride 2", image, conv(12, ops.Same(3, 2, 1), 1), shape{2, 12, 4, 3}},
		{"conv 1×1 stride 2", image, conv(12, ops.Same(1, 2, 1), 1), shape{2, 12, 4, 3}},
		{"conv dilated", image, conv(6, ops.Same(5, 1, 2), 1), shape{2, 6, 8, 5}},
		{"conv without padding", image, conv(6, window(3, 1, 0, 1), 1), shape{2, 6, 6, 3}},
		{"conv as large as the image", image, conv(6, window(5, 1, 0, 1), 1), shape{2, 6, 4, 1}},
		{"conv larger than the image", image, conv(6, window(6, 1, 0, 1), 1), impossible},
		{"conv in groups", image, conv(12, ops.Same(3, 1, 1), 3), shape{2, 12, 8, 5}},
		{"conv depthwise", image, conv(6, ops.Same(3, 1, 1), 6), shape{2, 6, 8, 5}},
		{"conv groups do not divide the input", image, conv(8, ops.Same(3, 1, 1), 4), impossible},
		{"conv groups do not divide the output", image, conv(8, ops.Same(3, 1, 1), 3), impossible},
		{"conv no groups", image, conv(6, ops.Same(3, 1, 1), 0), impossible},
		{"conv no channels", image, conv(0, ops.Same(3, 1, 1), 1), impossible},
		{"conv no kernel", image, conv(6, window(0, 1, 0, 1), 1), impossible},
		{"conv no stride", image, conv(6, window(3, 0, 1, 1), 1), impossible},
		{"conv no dilation", image, conv(6, window(3, 1, 1, 0), 1), impossible},
		{"conv negative padding", image, conv(6, window(3, 1, -1, 1), 1), impossible},
		{"conv windows of padding only", image, conv(6, window(3, 1, 3, 1), 1), impossible},
		{"conv cropped", image, conv(6, cropped(1, 2, 0, 1), 1), shape{2, 6, 4, 2}},
		{"conv cropped 3×3", image, conv(6, cropped(3, 1, 0, 2), 1), shape{2, 6, 4, 1}},
		{"conv cropped to nothing", image, conv(6, cropped(1, 1, 0, 5), 1), impossible},
		{"conv cropped and padded", image, conv(6, cropped(3, 1, 1, 1), 1), impossible},
		{"conv cropped, depthwise", image, conv(6, cropped(1, 2, 0, 1), 6), impossible},
		{"conv negative crop", image, conv(6, cropped(1, 1, 0, -1), 1), impossible},
		{"maxpool cropped", image, pool(cropped(2, 2, 0, 1)), impossible},
		{"batchnorm", image, func(b ops.Builder, x ops.Value) ops.Value { return b.BatchNorm("y", x, true) }, image},
		{"relu", image, func(b ops.Builder, x ops.Value) ops.Value { return b.ReLU("y", x) }, image},
		{"maxpool same", image, pool(ops.Same(3, 1, 1)), image},
		{"maxpool half", image, pool(window(2, 2, 0, 1)), shape{2, 6, 4, 2}},
		{"maxpool half, padded", image, pool(window(3, 2, 1, 1)), shape{2, 6, 4, 3}},
		{"maxpool padded by more than half", image, pool(window(3, 1, 2, 1)), impossible},
		{"maxpool dilated", image, pool(window(3, 1, 1, 2)), impossible},
		{"maxpool larger than the image", image, pool(window(6, 1, 0, 1)), impossible},
		{"avgpool half", image, func(b ops.Builder, x ops.Value) ops.Value { return b.AvgPool("y", x, window(2, 2, 0, 1)) },
			shape{2, 6, 4, 2}},
		{"add", image, func(b ops.Builder, x ops.Value) ops.Value { return b.Add("y", x, x, x) }, image},
		{"add nothing", image, func(b ops.Builder, x ops.Value) ops.Value { return b.Add("y") }, impossible},
		{"add of two shapes", image, func(b ops.Builder, x ops.Value) ops.Value {
			return b.Add("y", x, conv(12, ops.Same(1, 1, 1), 1)(b.Scope("other"), x))
		}, impossible},
		{"concat", image, func(b ops.Builder, x ops.Value) ops.Value {
			return b.Concat("y", x, conv(3, ops.Same(1, 1, 1), 1)(b.Scope("other"), x), x)
		}, shape{2, 15, 8, 5}},
		{"concat one", image, func(b ops.Builder, x ops.Value) ops.Value { return b.Concat("y", x) }, image},
		{"concat nothing", image, func(b ops.Builder, x ops.Value) ops.Value { return b.Concat("y") }, impossible},
		{"concat of two extents", image, func(b ops.Builder, x ops.Value) ops.Value {
			return b.Concat("y", x, b.GlobalAvgPool("pool", x))
		}, impossible},
		{"zero", image, func(b ops.Builder, x ops.Value) ops.Value { return b.Zero("y", x, 1) }, image},
		{"zero stride 2", image, func(b ops.Builder, x ops.Value) ops.Value { return b.Zero("y", x, 2) }, shape{2, 6, 4, 3}},
		{"zero no stride", image, func(b ops.Builder, x ops.Value) ops.Value { return b.Zero("y", x, 0) }, impossible},
		{"globalavgpool", image, func(b ops.Builder, x ops.Value) ops.Value { return b.GlobalAvgPool("y", x) },
			shape{2, 6, 1, 1}},
		{"linear", shape{2, 6, 1, 1}, linear(10), shape{2, 10, 1, 1}},
		{"linear on an image", image, linear(10), impossible},
		{"linear no outputs", shape{2, 6, 1, 1}, linear(0), impossible},
		{"mix", image, func(b ops.Builder, x ops.Value) ops.Value {
			return b.Mix("y", 0, []ops.Value{x, x}, []ops.Gate{{0, 1}, {0, 2}})
		}, image},
		{"mix without a gate for each", image, func(b ops.Builder, x ops.Value) ops.Value {
			return b.Mix("y", 0, []ops.Value{x, x}, []ops.Gate{{0, 1}})
		}, impossible},
		{"mix of two shapes", image, func(b ops.Builder, x ops.Value) ops.Value {
			return b.Mix("y", 0, []ops.Value{x, b.GlobalAvgPool("pool", x)}, []ops.Gate{{0, 1}, {0, 2}})
		}, impossible},
		{"mix of nothing", image, func(b ops.Builder, x ops.Value) ops.Value { return b.Mix("y", 0, nil, nil) }, impossible},
		{"no image", shape{0, 6, 8, 5}, func(_ ops.Builder, x ops.Value) ops.Value { return x }, impossible},
		{"two negative extents", shape{2, 6, -8, -5}, func(_ ops.Builder, x ops.Value) ops.Value { return x }, impossible},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b, x := ops.NewBuilder(tt.in)
			g, err := b.Finish(tt.build(b, x))
			if tt.want == impossible {
				var shapeError *ops.ShapeError
				if !errors.As(err, &shapeError) {
					t.Fatalf("graph %v, error %v: want a ShapeError", g, err)
				}
				if !strings.Contains(err.Error(), fmt.Sprint(tt.in)) && len(shapeError.In) > 0 {
					t.Errorf("error %q lacks the shape %v", err, tt.in)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if got := g.Shape(g.Out); got != tt.want {
				t.Errorf("shape %v: want %v", got, tt.want)
			}
			wellFormed(t, g)
		})
	}
}

func conv(out int, w ops.Window, groups int) func(b ops.Builder, x ops.Value) ops.Value {
	return func(b ops.Builder, x ops.Value) ops.Value { return b.Conv("y", x, out, w, groups, false) }
}

func pool(w ops.Window) func(b ops.Builder, x ops.Value) ops.Value {
	return func(b ops.Builder, x ops.Value) ops.Value { return b.MaxPool("y", x, w) }
}

func linear(out int) func(b ops.Builder, x ops.Value) ops.Value {
	return func(b ops.Builder, x ops.Value) ops.Value { return b.Linear("y", x, out) }
}

func TestBuilderKeepsFirstError(t *testing.T) {
	b, x := ops.NewBuilder(ops.Shape{1, 3, 8, 8})
	cell := b.Scope("stage1").Scope("cell0")
	x = cell.Conv("wide", x, 4, ops.Same(3, 1, 1), 3, false) // impossible
	x = cell.MaxPool("pool", x, ops.Window{Kernel: 9, Stride: 1, Dilation: 1})
	x = cell.Linear("linear", cell.Add("add", x, x), 10)
	_, err := b.Finish(x)
	var shapeError *ops.ShapeError
	if !errors.As(err, &shapeError) {
		t.Fatalf("error %v: want a ShapeError", err)
	}
	if shapeError.Node != "conv stage1.cell0.wide" {
		t.Errorf("node %q: want the first that is impossible", shapeError.Node)
	}
}

func TestBuilderRefusesNameTwice(t *testing.T) {
	b, x := ops.NewBuilder(ops.Shape{1, 3, 8, 8})
	y := b.Scope("a").ReLU("relu", b.Scope("b").ReLU("relu", x))
	if _, err := b.Finish(y); err != nil {
		t.Fatal(err)
	}
	y = b.Scope("a").ReLU("relu", y)
	if _, err := b.Finish(y); err == nil || !strings.Contains(err.Error(), "a.relu") {
		t.Errorf("error %v: want one that names a.relu", err)
	}
}

func TestFinishPrunes(t *testing.T) {
	b, x := ops.NewBuilder(ops.Shape{1, 3, 8, 8})
	dead := b.ReLU("dead", x)
	y := b.ReLU("live1", x)
	b.Add("dead too", dead, y)
	y = b.Add("live2", y, b.BatchNorm("live3", x, true), y)
	b.ReLU("dead end", y)
	g, err := b.Finish(y)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, n := range g.Nodes {
		names = append(names, n.Name)
	}
	if want := []string{"input", "live1", "live3", "live2"}; !reflect.DeepEqual(names, want) {
		t.Errorf("nodes %q: want %q", names, want)
	}
	if in := g.Nodes[3].In; !reflect.DeepEqual(in, []ops.Value{1, 2, 1}) || g.Out != 3 {
		t.Errorf("live2 reads %v, the output is %d: want [1 2 1] and 3", in, g.Out)
	}
	if got, want := g.Consumers(), []int{2, 2, 1, 1}; !reflect.DeepEqual(got, want) {
		t.Errorf("consumers %v: want %v", got, want)
	}
	wellFormed(t, g)

	// What is recorded later changes no finished graph.
	b.ReLU("late", y)
	if len(g.Nodes) != 4 {
		t.Errorf("%d nodes after more was recorded", len(g.Nodes))
	}
}

// trained is a network with an auxiliary head, which shares what its input
// needs with the network.
func trained(t *testing.T) *ops.Graph {
	t.Helper()
	b, x := ops.NewBuilder(ops.Shape{1, 3, 8, 8})
	x = b.ReLU("shared", x)
	y := b.BatchNorm("side", b.Conv("aux", x, 2, ops.Same(1, 1, 1), 1, false), true)
	b.ReLU("dead", y)
	g, err := b.FinishTraining(b.Linear("head", b.GlobalAvgPool("pool", x), 4),
		b.Linear("auxhead", b.GlobalAvgPool("auxpool", y), 4))
	if err != nil {
		t.Fatal(err)
	}
	return g
}

func TestAux(t *testing.T) {
	names := func(g *ops.Graph) (names []string) {
		for _, n := range g.Nodes {
			names = append(names, n.Name)
		}
		return names
	}
	g := trained(t)
	if got, want := names(g), []string{"input", "shared", "aux", "side", "pool", "head", "auxpool",
		"auxhead"}; !reflect.DeepEqual(got, want) || g.Out != 5 || g.Aux != 7 {
		t.Errorf("nodes %q, out %d, aux %d: want %q, 5 and 7", got, g.Out, g.Aux, want)
	}
	if got, want := g.Consumers(), []int{1, 2, 1, 1, 1, 1, 1, 1}; !reflect.DeepEqual(got, want) {
		t.Errorf("consumers %v: want %v", got, want)
	}
	wellFormed(t, g)
	if h := g.WithBatch(5); h.Aux != g.Aux || h.Shape(h.Aux).N != 5 {
		t.Errorf("with batch 5: aux %d of %v", h.Aux, h.Shape(h.Aux))
	}
	f := ops.Fuse(g)
	if got, want := names(f), []string{"input", "shared", "pool", "head"}; !reflect.DeepEqual(got, want) ||
		f.Out != 3 || f.Aux != 0 {
		t.Errorf("fused: nodes %q, out %d, aux %d: want %q, 3 and none", got, f.Out, f.Aux, want)
	}
	if got, want := g.Count(), (ops.Count{MACs: 2*3*64 + 12 + 8, Params: 6 + 4 + 16 +
		12, PeakBytes: 4 * (192 + 128 + 128)}); got != want {
		t.Errorf("count %+v: want %+v", got, want)
	}
	b, x := ops.NewBuilder(ops.Shape{1, 3, 8, 8})
	aux := b.ReLU("aux", x)
	g, err := b.FinishTraining(b.ReLU("out", b.ReLU("relu", x)), aux)
	if err != nil {
		t.Fatal(err)
	}
	// the first output is alive until the end
	if got, want := g.Count(), (ops.Count{PeakBytes: 4 * 3 * 192}); got != want {
		t.Errorf("count %+v: want %+v", got, want)
	}
}

func TestWithBatch(t *testing.T) {
	for _, c := range opstest.Cases() {
		old := c.Graph.Shape(c.Graph.Out)
		g := c.Graph.WithBatch(7)
		for i, n := range g.Nodes {
			want := c.Graph.Nodes[i]
			want.Shape.N = 7
			if !reflect.DeepEqual(n, want) {
				t.Errorf("%s: node %v: want %v", c.Name, n, want)
			}
		}
		if c.Graph.Shape(c.Graph.Out) != old || g.Out != c.Graph.Out {
			t.Errorf("%s: the graph itself changed", c.Name)
		}
	}
}

func TestParams(t *testing.T) {
	type param = ops.Param
	b, x := ops.NewBuilder(ops.Shape{1, 6, 8, 8})
	x = b.Conv("dense", x, 4, ops.Same(5, 1, 1), 1, false)
	x = b.BatchNorm("bn", x, true)
	x = b.Conv("grouped", x, 8, ops.Same(3, 1, 1), 2, true)
	x = b.BatchNorm("plain", x, false)
	x = b.Linear("linear", b.GlobalAvgPool("pool", x), 10)
	g, err := b.Finish(x)
	if err != nil {
		t.Fatal(err)
	}
	var got []param
	for _, n := range g.Nodes {
		got = append(got, g.Params(n)...)
	}
	want := []param{
		{"dense.weight", []int{4, 6, 5, 5}, 150, true},
		{"bn.weight", []int{4}, 0, true},
		{"bn.bias", []int{4}, 0, true},
		{"bn.running_mean", []int{4}, 0, false},
		{"bn.running_var", []int{4}, 0, false},
		{"grouped.weight", []int{8, 2, 3, 3}, 18, true},
		{"grouped.bias", []int{8}, 18, true},
		{"plain.running_mean", []int{8}, 0, false},
		{"plain.running_var", []int{8}, 0, false},
		{"linear.weight", []int{10, 8}, 8, true},
		{"linear.bias", []int{10}, 8, true},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("parameters\n%v: want\n%v", got, want)
	}
}

func TestWeightsCheck(t *testing.T) {
	b, x := ops.NewBuilder(ops.Shape{1, 6, 8, 8})
	g, err := b.Finish(b.BatchNorm("bn", b.Conv("conv", x, 4, ops.Same(3, 1, 1), 1, false), true))
	if err != nil {
		t.Fatal(err)
	}
	tensor := func(n int, dims ...int) ops.Tensor { return ops.Tensor{Dims: dims, Data: make([]float32, n)} }
	bad := func(v float64) ops.Tensor { return ops.Tensor{Dims: []int{4}, Data: []float32{0, 0, float32(v), 0}} }
	for _, tt := range []struct {
		name   string
		change func(w ops.Weights)
		want   string // in the error; "" is none
	}{
		{"complete", func(ops.Weights) {}, ""},
		{"more than needed", func(w ops.Weights) { w["other"] = ops.Tensor{} }, ""},
		{"missing", func(w ops.Weights) { delete(w, "bn.running_var") }, "bn.running_var is missing"},
		{"other extent", func(w ops.Weights) { w["bn.bias"] = tensor(5, 5) }, "bn.bias has dimensions [5]: want [4]"},
		{"other rank", func(w ops.Weights) { w["conv.weight"] = tensor(216, 216) }, "conv.weight has dimensions [216]"},
		{"fewer elements than its dimensions", func(w ops.Weights) { w["bn.bias"] = tensor(3, 4) },
			"bn.bias has 3 elements: want 4"},
		{"not a number", func(w ops.Weights) { w["bn.bias"] = bad(math.NaN()) }, "bn.bias: element 2 is NaN"},
		{"infinite", func(w ops.Weights) { w["bn.weight"] = bad(math.Inf(-1)) }, "bn.weight: element 2 is -Inf"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := ops.InitWeights(g, rand.New(rand.NewPCG(1, 0)))
			tt.change(w)
			err := w.Check(g)
			if (err == nil) != (tt.want == "") || err != nil && !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %v: want %q", err, tt.want)
			}
		})
	}
}

// SPDX-License-Identifier: Apache-2.0

package autodiff

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/edgenas/edgenas/arch"
	"github.com/edgenas/edgenas/internal/kernels"
	"github.com/edgenas/edgenas/ops"
)

// tiny is the size of nb201 supernets whose values are checked, tinyDARTS that
// of darts ones: two reduction cells and a normal one. tinyMBConv has blocks
// that may be left out, and one of stride 2.
var (
	tiny       = arch.Size{Cells: 1, Channels: 4, Image: 8, Colours: 3, Classes: 10}
	tinyDARTS  = arch.Size{Cells: 3, Channels: 2, Image: 8, Colours: 3, Classes: 10}
	tinyMBConv = arch.Size{Cells: 2, Channels: 2, Image: 8, Colours: 3, Classes: 10}
)

func newSpace(tb testing.TB, name string, size arch.Size) arch.Space {
	tb.Helper()
	space, err := arch.NewSpace(name, size)
	if err != nil {
		tb.Fatal(err)
	}
	return space
}

// supernet is a supernet with drawn weights, mixture weights and a batch.
func supernet[T kernels.Float](tb testing.TB, space string, size arch.Size, batch int, o Options) *Model[T] {
	tb.Helper()
	g, err := newSpace(tb, space, size).Supernet(batch)
	if err != nil {
		tb.Fatal(err)
	}
	return model[T](tb, g, o)
}

// network is the network of a NAS-Bench-201 string.
func network[T kernels.Float](tb testing.TB, text string, batch int, o Options) *Model[T] {
	tb.Helper()
	space := newSpace(tb, "nb201", tiny)
	c, err := space.Parse(text)
	if err != nil {
		tb.Fatal(err)
	}
	g, err := space.Network(c, batch)
	if err != nil {
		tb.Fatal(err)
	}
	return model[T](tb, g, o)
}

// model compiles g with drawn parameters, mixture weights and a batch.
func model[T kernels.Float](tb testing.TB, g *ops.Graph, o Options) *Model[T] {
	tb.Helper()
	m, err := Compile[T](g, o)
	if err != nil {
		tb.Fatal(err)
	}
	rng := rand.New(rand.NewPCG(1, 2))
	w := ops.InitWeights(g, rng)
	for _, n := range g.Nodes {
		if n.Kind == ops.BatchNorm && n.Affine { // not the 1 and 0 that they start with
			for i := range w[n.Name+".weight"].Data {
				w[n.Name+".weight"].Data[i] = float32(0.5 + rng.Float64())
				w[n.Name+".bias"].Data[i] = float32(rng.NormFloat64() / 4)
			}
		}
	}
	if err := m.Load(w); err != nil {
		tb.Fatal(err)
	}
	for i := range m.Alphas() {
		for j := range m.Alpha(i).P {
			m.Alpha(i).P[j] = T(0.1 + 0.4*rng.Float64())
		}
	}
	for i := range m.Input() {
		m.Input()[i] = T(rng.NormFloat64())
	}
	for i := range m.Labels() {
		m.Labels()[i] = int32(rng.IntN(g.Shape(g.Out).C))
	}
	return m
}

// open opens, in each row of α, the gate of one column and closes the others.
func open[T kernels.Float](a Mixture[T], columns []int) {
	for i := range a.Open {
		a.Open[i] = i%a.Cols == columns[i/a.Cols]
	}
}

// state is everything that a step leaves behind, bit by bit.
func state[T kernels.Float](m *Model[T]) []T {
	all := slices.Concat(m.Logits(), m.loss)
	for _, p := range m.Params() {
		all = append(all, p.W...)
		if p.Active() {
			all = append(all, p.G...)
		}
	}
	for i := range m.Alphas() {
		all = append(all, m.Alpha(i).DP...)
	}
	return all
}

func TestSameBitsForAnyThreads(t *testing.T) {
	for _, tt := range []struct {
		space string
		size  arch.Size
	}{
		{"nb201", arch.Size{Cells: 1, Channels: 8, Image: 16, Colours: 3, Classes: 10}},
		{"darts", arch.Size{Cells: 3, Channels: 8, Image: 8, Colours: 3, Classes: 10}},
	} {
		t.Run(tt.space, func(t *testing.T) { testSameBits(t, tt.space, tt.size) })
	}
}

func testSameBits(t *testing.T, space string, size arch.Size) {
	var want []float32
	for _, threads := range []int{1, 2, 3} {
		pool := kernels.NewWorkers(threads)
		defer pool.Close()
		m := supernet[float32](t, space, size, 5, Options{Pool: pool})
		sgd := SGD[float32]{LR: 0.1, Momentum: 0.9, WeightDecay: 1e-3, Pool: pool}
		for range 3 {
			m.Step(Alpha)
			m.Step(Weights)
			if _, err := ClipGradNorm[float32](m.Learnables(), 1); err != nil {
				t.Fatal(err)
			}
			if err := sgd.Step(m.Learnables()); err != nil {
				t.Fatal(err)
			}
		}
		got := state(m)
		if want == nil {
			want = got
		}
		if !slices.Equal(got, want) {
			t.Errorf("%d threads give other bits than 1", threads)
		}
	}
}

func TestStepsDoNotAllocate(t *testing.T) {
	for _, tt := range []struct {
		space string
		size  arch.Size
		paths bool
	}{
		{"nb201", tiny, false}, {"nb201", tiny, true},
		{"darts", tinyDARTS, false}, {"darts", tinyDARTS, true},
		{"mbconv", tinyMBConv, false}, {"mbconv", tinyMBConv, true},
	} {
		t.Run(fmt.Sprintf("%s, paths=%t", tt.space, tt.paths), func(t *testing.T) {
			testNoAllocations(t, tt.space, tt.size, tt.paths)
		})
	}
}

func testNoAllocations(t *testing.T, space string, size arch.Size, paths bool) {
	pool := kernels.NewWorkers(2)
	defer pool.Close()
	m := supernet[float32](t, space, size, 3, Options{Pool: pool, Paths: paths, Smoothing: 0.1})
	var alphas []Learnable
	for i := range m.Alphas() {
		alphas = append(alphas, NewParam(fmt.Sprint("alpha", i), slices.Clone(m.Alpha(i).P), m.Alpha(i).DP))
	}
	sgd := SGD[float32]{LR: 0.1, Momentum: 0.9, Pool: pool}
	adam := Adam[float32]{LR: 0.1, Beta1: 0.5, Beta2: 0.999, Epsilon: 1e-8}
	all, path := m.Learnables(), 0
	step := func() {
		for i := range m.Alphas() {
			a := m.Alpha(i)
			for j := range a.Open {
				a.Open[j] = !paths || j%a.Cols == (path+j/a.Cols)%a.Cols
			}
		}
		path++
		m.Forward()
		m.Step(Alpha)
		m.Step(Weights)
		if _, err := ClipGradNorm[float32](all, 1e-3); err != nil {
			t.Fatal(err)
		}
		if err := sgd.Step(all); err != nil {
			t.Fatal(err)
		}
		if err := adam.Step(alphas); err != nil {
			t.Fatal(err)
		}
	}
	for range m.Alpha(0).Cols { // every path once
		step()
	}
	if n := testing.AllocsPerRun(10, step); n != 0 {
		t.Errorf("%g allocations a step", n)
	}
}

func TestForwardChangesNothing(t *testing.T) {
	m := supernet[float32](t, "nb201", tiny, 3, Options{})
	loss, correct := m.Step(Weights)
	want := state(m)
	again, right := m.Forward()
	// running statistics moved in the step, but are not read: the loss is the same
	if again != loss || right != correct {
		t.Errorf("forward gives loss %v and %d correct, the step %v and %d", again, right, loss, correct)
	}
	if !slices.Equal(state(m), want) {
		t.Error("forward changed parameters or gradients")
	}
}

func TestAlphaStep(t *testing.T) {
	m := supernet[float64](t, "nb201", tiny, 3, Options{})
	loss, _ := m.Step(Weights)
	want := slices.Clone(m.Alpha(0).DP)
	all := m.running()
	for _, p := range m.Params() {
		for i := range p.G {
			p.G[i] = 7
		}
	}
	clear(m.Alpha(0).DP)
	if again, _ := m.Step(Alpha); again != loss {
		t.Errorf("loss %v, want %v", again, loss)
	}
	if !slices.Equal(m.Alpha(0).DP, want) {
		t.Errorf("gradient %v, want %v", m.Alpha(0).DP, want)
	}
	for _, p := range m.Params() {
		if p.Active() || slices.ContainsFunc(p.G, func(g float64) bool { return g != 7 }) {
			t.Errorf("%s: has a gradient after a step on α", p.Name)
		}
	}
	if few := m.running(); few > all*9/10 {
		t.Errorf("%d of %d instructions run for α alone", few, all)
	}
}

// running counts the instructions of the last step.
func (m *Model[T]) running() (n int) {
	for _, x := range m.program.ins {
		if x.on {
			n++
		}
	}
	return n
}

func TestLoadAndWeights(t *testing.T) {
	g, err := newSpace(t, "nb201", tiny).Supernet(2)
	if err != nil {
		t.Fatal(err)
	}
	m := model[float32](t, g, Options{})
	m.Step(Weights)
	w := m.Weights()
	if err := w.Check(g); err != nil {
		t.Fatal(err)
	}
	n := model[float32](t, g, Options{})
	if err := n.Load(w); err != nil {
		t.Fatal(err)
	}
	for name, tensor := range n.Weights() {
		if !slices.Equal(tensor.Data, w[name].Data) {
			t.Errorf("%s is not what was loaded", name)
		}
	}
	before := state(n)
	delete(w, "stem.conv.weight")
	if err := n.Load(w); err == nil || !strings.Contains(err.Error(), "stem.conv.weight") {
		t.Errorf("a missing tensor: %v", err)
	}
	if !slices.Equal(state(n), before) {
		t.Error("a failed load changed parameters")
	}
}

func TestCompileErrors(t *testing.T) {
	shape := ops.Shape{N: 2, C: 4, H: 4, W: 4}
	finish := func(t *testing.T, b ops.Builder, x ops.Value) *ops.Graph {
		t.Helper()
		g, err := b.Finish(b.Linear("linear", b.GlobalAvgPool("pool", x), 3))
		if err != nil {
			t.Fatal(err)
		}
		return g
	}
	for _, c := range []struct {
		name, want string
		options    Options
		build      func(b ops.Builder, x ops.Value) ops.Value
	}{
		{"grouped", "2 groups", Options{}, func(b ops.Builder, x ops.Value) ops.Value {
			return b.Conv("conv", x, 4, ops.Same(3, 1, 1), 2, false)
		}},
		{"zeros", "reads zeros", Options{}, func(b ops.Builder, x ops.Value) ops.Value {
			return b.Zero("zero", x, 1)
		}},
		{"mixture of zeros", "nothing but zeros", Options{}, func(b ops.Builder, x ops.Value) ops.Value {
			return b.Mix("mix", 0, []ops.Value{b.Zero("zero", x, 1)}, []ops.Gate{{}})
		}},
		{"gate outside", "outside", Options{Alphas: [][2]int{{1, 1}}}, func(b ops.Builder, x ops.Value) ops.Value {
			return b.Mix("mix", 0, []ops.Value{x}, []ops.Gate{{Row: 0, Col: 1}})
		}},
		{"α outside", "outside", Options{Alphas: [][2]int{{1, 1}}}, func(b ops.Builder, x ops.Value) ops.Value {
			return b.Mix("mix", 1, []ops.Value{x}, []ops.Gate{{}})
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			b, x := ops.NewBuilder(shape)
			_, err := Compile[float32](finish(t, b, c.build(b, x)), c.options)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %v, want one with %q", err, c.want)
			}
		})
	}
	t.Run("fused", func(t *testing.T) {
		b, x := ops.NewBuilder(shape)
		x = b.BatchNorm("bn", b.Conv("conv", x, 4, ops.Same(3, 1, 1), 1, false), true)
		_, err := Compile[float32](ops.Fuse(finish(t, b, x)), Options{})
		if err == nil || !strings.Contains(err.Error(), "fused") {
			t.Errorf("error %v", err)
		}
	})
	t.Run("map as output", func(t *testing.T) {
		b, x := ops.NewBuilder(shape)
		g, err := b.Finish(b.ReLU("relu", x))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := Compile[float32](g, Options{}); err == nil || !strings.Contains(err.Error(), "2×4×4×4") {
			t.Errorf("error %v", err)
		}
	})
}

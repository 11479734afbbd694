// SPDX-License-Identifier: Apache-2.0

package autodiff

import (
	"slices"
	"testing"

	"github.com/edgenas/edgenas/ops"
	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// TestSumsInPlace finds no instruction that only adds gradients, where the
// operations can add or a sum can take over a gradient that is no longer read.
func TestSumsInPlace(t *testing.T) {
	for name, m := range map[string]*Model[float64]{
		"supernet": supernet[float64](t, "nb201", tiny, 2, Options{}),
		"network": network[float64](t, "|nor_conv_3x3~0|+|nor_conv_3x3~0|nor_conv_3x3~1|+"+
			"|skip_connect~0|nor_conv_3x3~1|nor_conv_3x3~2|", 2, Options{}),
	} {
		sums := 0
		for _, n := range m.reference.expr.AllNodes() {
			if isSum(n) {
				sums++
			}
		}
		if sums < 10 {
			t.Errorf("%s: Gorgonia made %d sums: the test looks past them", name, sums)
		}
		if slices.ContainsFunc(m.program.ins, func(x *instruction[float64]) bool {
			_, ok := x.kernel.(*fanIn[float64])
			return ok
		}) {
			t.Errorf("%s: an instruction only adds gradients", name)
		}
	}
}

// TestEqualPoolingsAreOne counts the poolings of a cell's first map, which
// three edges pool.
func TestEqualPoolingsAreOne(t *testing.T) {
	pools := func(o Options) (n int) {
		m := supernet[float32](t, "nb201", tiny, 2, o)
		for _, node := range m.reference.expr.AllNodes() {
			if op, ok := node.Op().(*op[float32]); ok {
				if _, ok := op.definition.(avgPool[float32]); ok {
					n++
				}
			}
		}
		return n
	}
	const reductions = 2
	shared, apart := pools(Options{}), pools(Options{Paths: true})
	if shared != 3*3+reductions || apart != 3*6+reductions {
		t.Errorf("%d poolings, %d with paths", shared, apart)
	}
}

func TestContributionsAreChecked(t *testing.T) {
	b, x := ops.NewBuilder(ops.Shape{N: 2, C: 2, H: 4, W: 4})
	x = b.Conv("conv", x, 2, ops.Same(3, 1, 1), 1, false)
	x = b.Add("add", b.ReLU("relu", x), b.AvgPool("pool", x, ops.Same(3, 1, 1)), x)
	g, err := b.Finish(b.Linear("linear", b.GlobalAvgPool("global", x), 3))
	if err != nil {
		t.Fatal(err)
	}
	l, err := newLowering[float64](g, Options{})
	if err != nil {
		t.Fatal(err)
	}
	logits := l.nodes[g.Out]
	root := l.pick(l.apply(loss[float64]{n: 2, classes: 3}, []tensor.Shape{{}, logits.Shape()}, logits), 0)
	if _, err := gorgonia.Grad(root, l.learn[0].node); err != nil {
		t.Fatal(err)
	}
	if err := l.contributions.check(); err != nil {
		t.Error(err)
	}
	tried := 0
	for n, parts := range l.contributions {
		if len(parts) < 2 {
			continue
		}
		tried++
		l.contributions[n] = parts[:len(parts)-1]
		if l.contributions.check() == nil {
			t.Errorf("%s: a contribution too many is not found", n.Name())
		}
		l.contributions[n] = parts
	}
	if tried == 0 {
		t.Error("no gradient has several contributions")
	}
}

// TestExtents gives αs more rows and columns than mixtures use, and one that
// no mixture uses.
func TestExtents(t *testing.T) {
	b, x := ops.NewBuilder(ops.Shape{N: 2, C: 2, H: 4, W: 4})
	x = b.Conv("conv", x, 2, ops.Same(3, 1, 1), 1, false)
	terms := []ops.Value{x, b.MaxPool("pool", x, ops.Same(3, 1, 1))}
	x = b.Mix("mix", 1, terms, []ops.Gate{{Row: 1, Col: 0}, {Row: 1, Col: 2}})
	g, err := b.Finish(b.Linear("linear", b.GlobalAvgPool("global", x), 3))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name   string
		alphas [][2]int
		want   [][2]int
	}{
		{"as gates need", nil, [][2]int{{0, 0}, {2, 3}}},
		{"given", [][2]int{{1, 2}, {3, 4}, {5, 6}}, [][2]int{{1, 2}, {3, 4}, {5, 6}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := model[float64](t, g, Options{Alphas: c.alphas})
			if m.Alphas() != len(c.want) {
				t.Fatalf("%d αs, want %d", m.Alphas(), len(c.want))
			}
			m.Step(Weights)
			for i, w := range c.want {
				a := m.Alpha(i)
				if a.Rows != w[0] || a.Cols != w[1] || len(a.P) != w[0]*w[1] || len(a.DP) != len(a.P) || len(a.Open) != len(a.P) {
					t.Errorf("α%d: %d×%d with %d weights, want %v", i, a.Rows, a.Cols, len(a.P), w)
				}
				for j, d := range a.DP {
					if used := i == 1 && (j == a.Cols || j == a.Cols+2); used != (d != 0) {
						t.Errorf("α%d: gradient of p[%d] is %v", i, j, d)
					}
				}
			}
			checkGradients(t, m)
		})
	}
}

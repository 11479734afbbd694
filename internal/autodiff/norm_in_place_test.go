// SPDX-License-Identifier: Apache-2.0

package autodiff

import (
	"fmt"
	"math"
	"testing"

	"github.com/edgenas/edgenas/internal/kernels"
	"github.com/edgenas/edgenas/ops"
)

// behindConv is a small network with a 3×3 convolution, what build makes of it,
// and a classifier.
func behindConv[T kernels.Float](t *testing.T, build func(b ops.Builder, x ops.Value) ops.Value) *Model[T] {
	t.Helper()
	b, x := ops.NewBuilder(ops.Shape{N: 3, C: 2, H: 6, W: 5})
	y := build(b, b.Conv("conv", x, 19, ops.Same(3, 1, 1), 1, false))
	g, err := b.Finish(b.Linear("linear", b.GlobalAvgPool("global", b.ReLU("relu", y)), 3))
	if err != nil {
		t.Fatal(err)
	}
	return model[T](t, g, Options{})
}

// TestNormsInPlace counts the norms that write over what they read.
func TestNormsInPlace(t *testing.T) {
	pool := func(b ops.Builder, x ops.Value) ops.Value { return b.MaxPool("pool", x, ops.Same(3, 1, 1)) }
	for _, c := range []struct {
		name        string
		m           *Model[float32]
		norms, over int
	}{
		{"darts", supernet[float32](t, "darts", tinyDARTS, 2, Options{}), 7, 6}, // the stem's is affine
		{"darts with paths", supernet[float32](t, "darts", tinyDARTS, 2, Options{Paths: true}), 7, 6},
		{"nb201, all affine", supernet[float32](t, "nb201", tiny, 2, Options{}), 6, 0},
		{"pooled", behindConv[float32](t, func(b ops.Builder, x ops.Value) ops.Value {
			return b.BatchNorm("bn", pool(b, x), false)
		}), 1, 1},
		{"two of one map", behindConv[float32](t, func(b ops.Builder, x ops.Value) ops.Value {
			return b.Add("y", b.BatchNorm("a", x, false), b.BatchNorm("b", x, false))
		}), 2, 0},
		{"read beside it", behindConv[float32](t, func(b ops.Builder, x ops.Value) ops.Value {
			return b.Add("y", b.BatchNorm("bn", x, false), x)
		}), 1, 0},
		{"read by the gradient of a ReLU", behindConv[float32](t, func(b ops.Builder, x ops.Value) ops.Value {
			return b.BatchNorm("bn", b.ReLU("relu.before", x), false)
		}), 1, 0},
		{"norm of a norm", behindConv[float32](t, func(b ops.Builder, x ops.Value) ops.Value {
			return b.BatchNorm("b", b.BatchNorm("a", x, false), false)
		}), 2, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			p, norms := c.m.program, 0
			for _, x := range p.ins {
				if _, ok := x.kernel.(*batchNormForward[float32]); ok {
					norms++
				}
			}
			if norms != c.norms || len(p.over) != c.over {
				t.Errorf("%d of %d norms in place, want %d of %d", len(p.over), norms, c.over, c.norms)
			}
			for y, x := range p.over {
				if &p.values[y].mem[0] != &p.values[x].mem[0] {
					t.Errorf("value %d is not where value %d is", y, x)
				}
			}
		})
	}
}

// TestNormOfMaxPool compares float32, whose gradient of a max pooling may know
// the maximum without reading it, with float64.
func TestNormOfMaxPool(t *testing.T) {
	build := func(b ops.Builder, x ops.Value) ops.Value {
		for i := range 3 { // what lies in the arena is written over
			b := b.Scope(fmt.Sprint(i))
			x = b.BatchNorm("bn", b.MaxPool("pool", x, ops.Same(3, 1, 1)), false)
			x = b.Conv("conv", x, 19, ops.Same(3, 1, 1), 1, false)
		}
		return x
	}
	m, exact := behindConv[float32](t, build), behindConv[float64](t, build)
	for i := range 2 {
		loss, _ := m.Step(Weights)
		want, _ := exact.Step(Weights)
		if math.Abs(loss-want) > 1e-5*want {
			t.Errorf("step %d: loss %v, want %v", i, loss, want)
		}
	}
	for i, p := range m.Params() {
		var of float64
		for _, g := range exact.Params()[i].G {
			of = max(of, math.Abs(g))
		}
		for j, g := range exact.Params()[i].G {
			if math.Abs(float64(p.G[j])-g) > 1e-3*of {
				t.Fatalf("gradient of %s[%d] is %v, want %v", p.Name, j, p.G[j], g)
			}
		}
	}
}

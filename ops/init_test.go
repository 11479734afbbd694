// SPDX-License-Identifier: Apache-2.0

package ops_test

import (
	"math"
	"math/rand/v2"
	"reflect"
	"testing"

	"github.com/edgenas/edgenas/ops"
	"github.com/edgenas/edgenas/ops/opstest"
)

func TestInitWeights(t *testing.T) {
	draw := func(g *ops.Graph, seed uint64) ops.Weights { return ops.InitWeights(g, rand.New(rand.NewPCG(seed, 0))) }
	b, x := ops.NewBuilder(ops.Shape{1, 16, 8, 8})
	x = b.BatchNorm("bn", b.Conv("conv", x, 32, ops.Same(3, 1, 1), 1, true), true)
	g, err := b.Finish(b.Linear("linear", b.GlobalAvgPool("pool", x), 100))
	if err != nil {
		t.Fatal(err)
	}
	w := draw(g, 1)
	if err := w.Check(g); err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(w, draw(g, 1)) {
		t.Error("one seed, two sets of weights")
	}
	if reflect.DeepEqual(w, draw(g, 2)) {
		t.Error("two seeds, one set of weights")
	}
	for _, tt := range []struct {
		name  string
		fanIn float64
	}{{"conv.weight", 144}, {"conv.bias", 144}, {"linear.weight", 32}, {"linear.bias", 32}} {
		bound, most, sum, squares := 1/math.Sqrt(tt.fanIn), 0.0, 0.0, 0.0
		data := w[tt.name].Data
		for _, v := range data {
			most, sum, squares = max(most, math.Abs(float64(v))), sum+float64(v), squares+float64(v)*float64(v)
		}
		n := float64(len(data))
		if most > bound || most < bound*(1-8/n) { // the largest of n falls short by more once in e⁸
			t.Errorf("%s: largest %v: want about %v", tt.name, most, bound)
		}
		deviation := bound / math.Sqrt(3)
		if math.Abs(sum/n) > 5*deviation/math.Sqrt(n) {
			t.Errorf("%s: mean %v", tt.name, sum/n)
		}
		if got := math.Sqrt(squares / n); math.Abs(got/deviation-1) > 3/math.Sqrt(n) {
			t.Errorf("%s: deviation %v: want about %v", tt.name, got, deviation)
		}
	}
	for name, want := range map[string]float32{"bn.weight": 1, "bn.bias": 0, "bn.running_mean": 0, "bn.running_var": 1} {
		for _, v := range w[name].Data {
			if v != want {
				t.Errorf("%s holds %v: want %v", name, v, want)
			}
		}
	}
}

// Fused networks have parameters of their own: those of the folded form.
func TestInitWeightsFused(t *testing.T) {
	for _, c := range opstest.Cases() {
		f := ops.Fuse(c.Graph)
		if err := ops.InitWeights(f, rand.New(rand.NewPCG(1, 0))).Check(f); err != nil {
			t.Errorf("%s: %v", c.Name, err)
		}
	}
}

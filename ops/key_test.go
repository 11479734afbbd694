// SPDX-License-Identifier: Apache-2.0

package ops_test

import (
	"errors"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/edgenas/edgenas/ops"
	"github.com/edgenas/edgenas/ops/opstest"
)

func TestKeyString(t *testing.T) {
	b, x := ops.NewBuilder(ops.Shape{1, 16, 28, 28})
	y := ops.ReLUConvBN(b, x, 3, ops.Config{Channels: 16, Stride: 1, Affine: true})
	y = b.Add("add", b.AvgPool("pool", x, ops.Same(3, 1, 1)), x, y)
	y = b.ReLU("out", b.Add("sum", y, x))
	y = b.ReLU("last", b.BatchNorm("norm", y, true))
	y = b.MaxPool("half", y, ops.Window{Kernel: 2, Stride: 2, Dilation: 1})
	y = b.Conv("separable", y, 16, ops.Same(5, 2, 2), 16, true)
	y = ops.FactorizedReduce(b.Scope("reduce"), b.MaxPool("even", y, ops.Window{Kernel: 2, Stride: 1, Dilation: 1}),
		ops.Config{Channels: 12, Stride: 2, Affine: true})
	g, err := b.Finish(b.Linear("linear", b.GlobalAvgPool("mean", b.ReLU("relu2", y)), 10))
	if err != nil {
		t.Fatal(err)
	}
	f := ops.Fuse(g)
	var got []string
	for _, n := range f.Nodes {
		if k, ok := f.Key(n); ok {
			got = append(got, k.String())
		}
	}
	want := []string{
		"avgpool/k=3/s=1/p=1/d=1/cin=16/cout=16/h=28/w=28/n=1/f32/nhwc/add",
		"conv/k=3/s=1/p=1/d=1/g=1/cin=16/cout=16/h=28/w=28/n=1/f32/nhwc/relu_in+bias+add",
		"add/inputs=2/cin=16/cout=16/h=28/w=28/n=1/f32/nhwc/relu_out",
		"batchnorm/cin=16/cout=16/h=28/w=28/n=1/f32/nhwc/relu_out",
		"maxpool/k=2/s=2/p=0/d=1/cin=16/cout=16/h=28/w=28/n=1/f32/nhwc",
		"conv/k=5/s=2/p=4/d=2/g=16/cin=16/cout=16/h=14/w=14/n=1/f32/nhwc/bias",
		"maxpool/k=2/s=1/p=0/d=1/cin=16/cout=16/h=7/w=7/n=1/f32/nhwc",
		"conv/k=1/s=2/p=0/d=1/g=1/cin=16/cout=6/h=6/w=6/n=1/f32/nhwc/relu_in+bias",
		"conv/k=1/s=2/p=0/d=1/crop=1/g=1/cin=16/cout=6/h=6/w=6/n=1/f32/nhwc/relu_in+bias",
		"concat/inputs=2/cin=6/cout=12/h=3/w=3/n=1/f32/nhwc",
		"relu/cin=12/cout=12/h=3/w=3/n=1/f32/nhwc",
		"globalavgpool/cin=12/cout=12/h=3/w=3/n=1/f32/nhwc",
		"linear/cin=12/cout=10/h=1/w=1/n=1/f32/nhwc",
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("keys\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// keys of all cases of the compliance suite, fused.
func keys() map[ops.Key]int {
	all := map[ops.Key]int{}
	for _, c := range opstest.Cases() {
		for k, n := range ops.Keys(ops.Fuse(c.Graph)) {
			all[k] += n
		}
	}
	return all
}

func TestParseKey(t *testing.T) {
	seen := map[string]ops.Key{}
	for k := range keys() {
		text := k.String()
		if other, ok := seen[text]; ok {
			t.Errorf("%+v and %+v are both %s", k, other, text)
		}
		seen[text] = k
		got, err := ops.ParseKey(text)
		if err != nil {
			t.Error(err)
		}
		if got != k {
			t.Errorf("%s: read %+v: want %+v", text, got, k)
		}
	}
	if len(seen) < 100 {
		t.Errorf("only %d keys were seen", len(seen))
	}
}

func TestParseKeyErrors(t *testing.T) {
	const good = "conv/k=3/s=1/p=1/d=1/g=1/cin=16/cout=16/h=28/w=28/n=1/f32/nhwc/relu_in+bias"
	if _, err := ops.ParseKey(good); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct{ name, text string }{
		{"empty", ""},
		{"no operation", "/" + good},
		{"unknown operation", "conv3d" + good[4:]},
		{"the input has no key", "input/cin=1/cout=1/h=1/w=1/n=1/f32/nhwc"},
		{"a field twice", "conv/k=3/" + good[5:]},
		{"fields in another order", "conv/s=1/k=3" + good[12:]},
		{"unknown field", strings.Replace(good, "/g=1", "/g=1/e=6", 1)},
		{"unknown flag", good + "+gelu"},
		{"flags in another order", strings.Replace(good, "relu_in+bias", "bias+relu_in", 1)},
		{"another type", strings.Replace(good, "f32", "i8", 1)},
		{"another layout", strings.Replace(good, "nhwc", "nchw", 1)},
		{"leading zero", strings.Replace(good, "h=28", "h=028", 1)},
		{"negative", strings.Replace(good, "h=28", "h=-28", 1)},
		{"no number", strings.Replace(good, "h=28", "h=x", 1)},
		{"huge", strings.Replace(good, "h=28", "h=99999999999999999999", 1)},
		{"space", good + " "},
		{"crop of 0", strings.Replace(good, "d=1/", "d=1/crop=0/", 1)},
		{"long", good + strings.Repeat("+bias", 1000)},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if k, err := ops.ParseKey(tt.text); err == nil {
				t.Errorf("read %v", k)
			} else if len(err.Error()) > 1000 {
				t.Errorf("error of %d bytes", len(err.Error()))
			}
		})
	}
}

func FuzzParseKey(f *testing.F) {
	for k := range keys() {
		f.Add(k.String())
	}
	f.Add("conv/k=1048576/s=1/p=1/d=1048576/g=1/cin=1048576/cout=1048576/h=1048576/w=1048576/n=1048576/f32/nhwc")
	f.Add("concat/inputs=1000/cin=1/cout=1000000/h=2/w=2/n=1/f32/nhwc")
	f.Add("concat/inputs=3/cin=4/cout=5/h=2/w=2/n=1/f32/nhwc")
	f.Add("maxpool/k=3/s=1/p=1/d=2/cin=4/cout=8/h=6/w=6/n=1/f32/nhwc/relu_in+bias")
	f.Fuzz(func(t *testing.T, text string) {
		k, err := ops.ParseKey(text)
		if err != nil {
			return
		}
		if k.String() != text {
			t.Fatalf("%q was read as %q", text, k)
		}
		g, err := k.Chain(1)
		if err != nil {
			return
		}
		if c := g.Count(); max(c.MACs, c.Params, c.PeakBytes) > 1<<14 {
			return // too slow for a fuzz test
		}
		opstest.Reference(g, opstest.Weights(g, 1), chainInputs(g)...)
	})
}

func chainInputs(g *ops.Graph) [][]float64 {
	var inputs [][]float64
	for _, n := range g.Nodes {
		if n.Kind == ops.Input {
			x := make([]float64, n.Shape.Len())
			for i := range x {
				x[i] = float64(i%7) - 3
			}
			inputs = append(inputs, x)
		}
	}
	return inputs
}

func TestChain(t *testing.T) {
	for k := range keys() {
		one, err := k.Chain(1)
		if err != nil {
			t.Error(err)
			continue
		}
		if got := ops.Keys(one); len(got) != 1 || got[k] != 1 {
			t.Errorf("%s: a chain of 1 has the keys %v", k, got)
		}
		many, err := k.Chain(3)
		same := one.Shape(0) == one.Shape(one.Out)
		switch {
		case !same && !errors.Is(err, ops.ErrNoChain):
			t.Errorf("%s: chain of 3: error %v: want ErrNoChain", k, err)
		case same && err != nil:
			t.Error(err)
		case same:
			if got := ops.Keys(many); len(got) != 1 || got[k] != 3 {
				t.Errorf("%s: a chain of 3 has the keys %v", k, got)
			}
			wellFormed(t, many)
			w := ops.InitWeights(many, rand.New(rand.NewPCG(1, 0)))
			if err := w.Check(many); err != nil {
				t.Error(err)
			}
			if one := ops.InitWeights(one, rand.New(rand.NewPCG(1, 0))); len(w) != 3*len(one) {
				t.Errorf("%s: %d tensors: want each copy to have its own %d", k, len(w), len(one))
			}
		}
	}
}

// Keys that no network has are refused, however well they are written.
func TestChainRefuses(t *testing.T) {
	for _, text := range []string{
		"conv/k=3/s=1/p=1/d=1/crop=1/g=1/cin=4/cout=4/h=8/w=8/n=1/f32/nhwc", // cropped and padded
		"conv/k=1/s=2/p=0/d=1/crop=1/g=4/cin=4/cout=4/h=8/w=8/n=1/f32/nhwc", // cropped and depthwise
		"conv/k=1/s=2/p=0/d=1/crop=8/g=1/cin=4/cout=4/h=8/w=8/n=1/f32/nhwc", // nothing left
		"conv/k=1/s=2/p=0/d=1/crop=1048576/g=1/cin=4/cout=4/h=8/w=8/n=1/f32/nhwc",
		"maxpool/k=3/s=1/p=0/d=1/crop=1/cin=4/cout=4/h=8/w=8/n=1/f32/nhwc",
		"concat/inputs=3/cin=4/cout=5/h=8/w=8/n=1/f32/nhwc", // two maps of one channel
		"concat/inputs=1/cin=4/cout=5/h=8/w=8/n=1/f32/nhwc",
		"concat/inputs=1048576/cin=1/cout=1048576/h=1/w=1/n=1/f32/nhwc",
		"mix/cin=4/cout=4/h=8/w=8/n=1/f32/nhwc",
		"add/inputs=2/cin=4/cout=8/h=8/w=8/n=1/f32/nhwc",
	} {
		k, err := ops.ParseKey(text)
		if err != nil {
			t.Error(err)
		}
		if g, err := k.Chain(1); err == nil || errors.Is(err, ops.ErrNoChain) {
			t.Errorf("%s: chain %v, error %v", text, g, err)
		}
	}
}

// SPDX-License-Identifier: Apache-2.0

package ops_test

import (
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/edgenas/edgenas/ops"
	"github.com/edgenas/edgenas/ops/opstest"
)

// TestFuse checks on every case of the compliance suite that the fused network
// computes what the trained one does, and that nothing is left that a runtime
// would do for nothing.
func TestFuse(t *testing.T) {
	for _, c := range opstest.Cases() {
		t.Run(c.Name, func(t *testing.T) {
			f := ops.Fuse(c.Graph)
			w, err := f.FoldWeights(c.Weights)
			if err != nil {
				t.Fatal(err)
			}
			if err := w.Check(f); err != nil {
				t.Fatal(err)
			}
			x := opstest.Float64s(opstest.Input(c.Graph, 1))
			want := opstest.Reference(c.Graph, c.Weights, x)
			if err := opstest.Compare(opstest.Reference(f, w, x), want, 1e-6); err != nil {
				t.Error(err)
			}
			if len(f.Nodes) > len(c.Graph.Nodes) {
				t.Errorf("%d nodes: want at most %d", len(f.Nodes), len(c.Graph.Nodes))
			}
			wellFormed(t, f)
			readers := f.Consumers()
			for _, n := range f.Nodes {
				switch n.Kind {
				case ops.Add:
					if len(n.In) < 2 {
						t.Errorf("%s: a sum of %d", n.Name, len(n.In))
					}
					for _, v := range n.In {
						if f.Nodes[v].Kind == ops.Zero && len(n.In) > 1 {
							t.Errorf("%s: adds zeros", n.Name)
						}
					}
				case ops.Concat:
					for _, v := range n.In {
						if bn := f.Nodes[v]; bn.Kind == ops.BatchNorm && f.Nodes[bn.In[0]].Kind == ops.Conv && readers[bn.In[0]] == 1 &&
							!f.Nodes[bn.In[0]].Accumulate {
							t.Errorf("%s: not folded", bn.Name)
						}
					}
				case ops.BatchNorm:
					if in := n.In[0]; f.Nodes[in].Kind == ops.Conv && readers[in] == 1 && !f.Nodes[in].ReLUOut &&
						!f.Nodes[in].Accumulate {
						t.Errorf("%s: not folded into %s", n.Name, f.Nodes[in].Name)
					}
				case ops.ReLU:
					if in := n.In[0]; f.Nodes[in].Kind == ops.Conv && readers[in] == 1 {
						t.Errorf("%s: not merged into %s", n.Name, f.Nodes[in].Name)
					}
				}
			}
			if !reflect.DeepEqual(ops.Fuse(c.Graph), f) {
				t.Error("fused twice with two results")
			}
		})
	}
}

func TestFuseRefusesMix(t *testing.T) {
	b, x := ops.NewBuilder(ops.Shape{1, 2, 3, 3})
	g, err := b.Finish(b.Mix("mix", 0, []ops.Value{x}, []ops.Gate{{0, 1}}))
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if got := fmt.Sprint(recover()); !strings.Contains(got, "mix") {
			t.Errorf("panic %q: want one that names the mixture", got)
		}
	}()
	ops.Fuse(g)
}

// Every tensor of the trained network is needed, in its size.
func TestFoldWeightsErrors(t *testing.T) {
	b, x := ops.NewBuilder(ops.Shape{1, 2, 4, 4})
	x = b.BatchNorm("bn", b.Conv("conv", x, 3, ops.Same(3, 1, 1), 1, true), true)
	x = b.BatchNorm("plain", b.ReLU("relu", x), false)
	g, err := b.Finish(b.Linear("linear", b.GlobalAvgPool("pool", x), 2))
	if err != nil {
		t.Fatal(err)
	}
	f := ops.Fuse(g)
	if _, err := f.FoldWeights(opstest.Weights(g, 1)); err != nil {
		t.Fatal(err)
	}
	for name := range opstest.Weights(g, 1) {
		for _, change := range []func(w ops.Weights){
			func(w ops.Weights) { delete(w, name) },
			func(w ops.Weights) { w[name] = ops.Tensor{Dims: w[name].Dims, Data: w[name].Data[1:]} },
		} {
			w := opstest.Weights(g, 1)
			change(w)
			if _, err := f.FoldWeights(w); err == nil || !strings.Contains(err.Error(), name) {
				t.Errorf("%s: error %v", name, err)
			}
		}
	}
}

// A batch norm behind concatenated convolutions goes into all of them, each
// with its own channels of it.
func TestFuseConcat(t *testing.T) {
	b, x := ops.NewBuilder(ops.Shape{1, 6, 6, 6})
	y := ops.FactorizedReduce(b, x, ops.Config{Channels: 6, Stride: 2, Affine: true})
	g, err := b.Finish(b.Add("sum", y, b.MaxPool("pool", x, ops.Same(3, 2, 1))))
	if err != nil {
		t.Fatal(err)
	}
	f := ops.Fuse(g)
	var got []string
	for _, n := range f.Nodes {
		got = append(got, fmt.Sprint(n.Name, n.In, n.Folded, n.ReLUIn, n.Accumulate))
	}
	want := []string{
		"input[] [] false false",
		"even[0] [{bn true 6 0}] true false",
		"odd[0] [{bn true 6 3}] true false",
		"concat[1 2] [] false false",
		"pool[0 3] [] false true",
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("fused\n%s: want\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// SPDX-License-Identifier: Apache-2.0

package infer

import (
	"errors"
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/edgenas/edgenas/arch"
	"github.com/edgenas/edgenas/internal/kernels"
	"github.com/edgenas/edgenas/ops"
	"github.com/edgenas/edgenas/ops/opstest"
)

func newPool(t testing.TB, threads int) *kernels.Workers {
	p := kernels.NewWorkers(threads)
	t.Cleanup(p.Close)
	return p
}

func TestCompliance(t *testing.T) {
	for _, tt := range []struct {
		name    string
		compile func(g *ops.Graph, w ops.Weights, pool *kernels.Workers) (*Program, error)
		threads int
	}{
		{"as trained", Compile, 1},
		{"fused", CompileTrained, 1},
		{"fused, 3 threads", CompileTrained, 3},
	} {
		t.Run(tt.name, func(t *testing.T) {
			pool := newPool(t, tt.threads)
			opstest.Run(t, func(g *ops.Graph, w ops.Weights) (func(x []float32) ([]float32, error), error) {
				p, err := tt.compile(g, w, pool)
				if err != nil {
					return nil, err
				}
				return func(x []float32) ([]float32, error) { return p.Run(x), nil }, nil
			})
		})
	}
}

// network is a small network with its weights, of the space whose notation it is.
func network(t testing.TB, notation string, batch int) (*ops.Graph, ops.Weights) {
	t.Helper()
	name, size := "nb201", arch.Size{Cells: 2, Channels: 8, Image: 16, Colours: 3, Classes: 10}
	if strings.HasPrefix(notation, "Genotype") {
		name, size.Cells = "darts", 4
	}
	s, err := arch.NewSpace(name, size)
	if err != nil {
		t.Fatal(err)
	}
	c, err := s.Parse(notation)
	if err != nil {
		t.Fatal(err)
	}
	g, err := s.Network(c, batch)
	if err != nil {
		t.Fatal(err)
	}
	return g, opstest.Weights(g, 1)
}

// genotype has every operation of DARTS at strides 1 and 2.
const genotype = "Genotype(normal=[('sep_conv_3x3', 0), ('dil_conv_5x5', 1), ('max_pool_3x3', 0), " +
	"('avg_pool_3x3', 2), ('sep_conv_5x5', 1), ('skip_connect', 0), ('dil_conv_3x3', 3), " +
	"('skip_connect', 4)], normal_concat=range(2, 6), " +
	"reduce=[('max_pool_3x3', 0), ('sep_conv_5x5', 1), ('skip_connect', 0), ('dil_conv_3x3', 1), " +
	"('avg_pool_3x3', 0), ('dil_conv_5x5', 1), ('sep_conv_3x3', 1), ('skip_connect', 2)], reduce_concat=range(2, 6))"

const mixed = "|nor_conv_3x3~0|+|nor_conv_3x3~0|avg_pool_3x3~1|+|skip_connect~0|nor_conv_1x1~1|nor_conv_3x3~2|"

func TestNetwork(t *testing.T) {
	pool := newPool(t, 1)
	for _, notation := range []string{
		mixed,
		genotype,
		"|nor_conv_3x3~0|+|nor_conv_3x3~0|nor_conv_3x3~1|+|nor_conv_3x3~0|nor_conv_3x3~1|nor_conv_3x3~2|",
		"|skip_connect~0|+|skip_connect~0|skip_connect~1|+|skip_connect~0|skip_connect~1|skip_connect~2|",
		"|avg_pool_3x3~0|+|none~0|skip_connect~1|+|none~0|none~1|avg_pool_3x3~2|",
	} {
		g, w := network(t, notation, 2)
		p, err := CompileTrained(g, w, pool)
		if err != nil {
			t.Fatal(err)
		}
		x := opstest.Input(g, 1)
		want := opstest.Reference(g, w, opstest.Float64s(x))
		if err := opstest.Compare(p.Run(x), want, 1e-5); err != nil {
			t.Errorf("%s: %v", notation, err)
		}
	}
}

// An image's logits do not depend on the batch that it is in, nor on the
// number of threads.
func TestBits(t *testing.T) {
	for _, notation := range []string{mixed, genotype} {
		g, w := network(t, notation, 1)
		x := opstest.Input(g.WithBatch(5), 1)
		var want []float32
		for _, tt := range []struct{ batch, threads int }{{1, 1}, {1, 2}, {5, 1}, {5, 3}} {
			p, err := CompileTrained(g.WithBatch(tt.batch), w, newPool(t, tt.threads))
			if err != nil {
				t.Fatal(err)
			}
			var got []float32
			for i := 0; i < len(x); i += len(p.Input(0)) {
				got = append(got, p.Run(x[i:i+len(p.Input(0))])...)
			}
			if want == nil {
				want = got
			}
			if !slices.Equal(got, want) {
				t.Errorf("%.20s: batch %d, %d threads: %v: want %v", notation, tt.batch, tt.threads, got, want)
			}
		}
	}
}

func TestExecuteAllocatesNothing(t *testing.T) {
	g, w := network(t, genotype, 2)
	for _, tt := range []struct{ threads, runs int }{{1, 1}, {2, 10}} {
		p, err := CompileTrained(g, w, newPool(t, tt.threads))
		if err != nil {
			t.Fatal(err)
		}
		// AllocsPerRun does not count its first call. On one thread that one
		// does nothing, so that the program's very first Execute counts; on
		// more, the Go runtime itself allocates when a goroutine first waits.
		warm := tt.threads == 1
		n := testing.AllocsPerRun(tt.runs, func() {
			if warm {
				warm = false
				return
			}
			p.Execute()
		})
		if n != 0 {
			t.Errorf("%d threads: %v allocations", tt.threads, n)
		}
	}
}

// TestExecuteKeepsInputs runs chains, whose second input all copies read,
// again and again: sums in place must not creep into the inputs.
func TestExecuteKeepsInputs(t *testing.T) {
	pool := newPool(t, 1)
	keys := map[ops.Key]int{}
	for _, notation := range []string{mixed, genotype} {
		g, _ := network(t, notation, 1)
		maps.Copy(keys, ops.Keys(ops.Fuse(g)))
	}
	for k := range keys {
		chain, err := k.Chain(3)
		if errors.Is(err, ops.ErrNoChain) {
			chain, err = k.Chain(1)
		}
		if err != nil {
			t.Fatal(err)
		}
		w := opstest.Weights(chain, 1)
		p, err := Compile(chain, w, pool)
		if err != nil {
			t.Fatal(err)
		}
		rng := rand.New(rand.NewPCG(1, 0))
		var inputs [][]float64 // N,C,H,W
		for _, n := range chain.Nodes {
			if n.Kind != ops.Input {
				continue
			}
			x := make([]float32, n.Shape.Len())
			for i := range x {
				x[i] = float32(rng.NormFloat64())
			}
			kernels.NCHWToNHWC(p.Input(len(inputs)), x, n.Shape.N, n.Shape.C, n.Shape.H*n.Shape.W)
			inputs = append(inputs, opstest.Float64s(x))
		}
		want := opstest.Reference(chain, w, inputs...)
		out := chain.Shape(chain.Out)
		got := make([]float32, out.Len())
		for range 2 {
			p.Execute()
			kernels.NHWCToNCHW(got, p.Output(), out.N, out.C, out.H*out.W)
			if err := opstest.Compare(got, want, 1e-5); err != nil {
				t.Errorf("%s: %v", k, err)
			}
		}
	}
}

func TestSteps(t *testing.T) {
	g, w := network(t, mixed, 1)
	p, err := CompileTrained(g, w, newPool(t, 1))
	if err != nil {
		t.Fatal(err)
	}
	got := map[ops.Key]int{}
	for _, s := range p.Steps() {
		got[s.Key]++
	}
	want := ops.Keys(ops.Fuse(g))
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("keys of the steps\n%v: want\n%v", got, want)
	}
	x := opstest.Input(g, 1)
	logits := p.Run(x)
	for _, s := range p.Steps() {
		s.Kernel.Run(p.pool)
	}
	if !slices.Equal(p.Output(), logits) {
		t.Errorf("step by step %v: want %v", p.Output(), logits)
	}
}

func TestCompileErrors(t *testing.T) {
	build := func(record func(b ops.Builder, x ops.Value) ops.Value) *ops.Graph {
		b, x := ops.NewBuilder(ops.Shape{N: 1, C: 4, H: 6, W: 6})
		g, err := b.Finish(record(b, x))
		if err != nil {
			t.Fatal(err)
		}
		return g
	}
	conv := func(out, groups int) *ops.Graph {
		return build(func(b ops.Builder, x ops.Value) ops.Value {
			return b.BatchNorm("bn", b.Conv("conv", x, out, ops.Same(3, 1, 1), groups, false), true)
		})
	}
	for _, tt := range []struct {
		name        string
		g           *ops.Graph
		change      func(w ops.Weights)
		unsupported bool
		want        string
	}{
		{"grouped convolution", conv(4, 2), nil, true, "in 2 groups"},
		{"depthwise with a multiplier", conv(8, 4), nil, true, "4 channels to 8 in 4 groups"},
		{"mixture", build(func(b ops.Builder, x ops.Value) ops.Value {
			return b.Mix("mix", 0, []ops.Value{x}, []ops.Gate{{Row: 0, Col: 0}})
		}), nil, true, "mix"},
		{"missing weight", conv(4, 1), func(w ops.Weights) { delete(w, "conv.weight") }, false, "conv.weight is missing"},
		{"missing statistics", conv(4, 1), func(w ops.Weights) { delete(w, "bn.running_var") }, false,
			"bn.running_var is missing"},
		{"not a number", conv(4, 1), func(w ops.Weights) { w["conv.weight"].Data[3] = float32(math.NaN()) }, false,
			"conv.weight: element 3 is NaN"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := opstest.Weights(tt.g, 1)
			if tt.change != nil {
				tt.change(w)
			}
			compile := CompileTrained
			if tt.name == "mixture" { // a supernet cannot be fused
				compile = Compile
			}
			_, err := compile(tt.g, w, newPool(t, 1))
			var unsupported *UnsupportedError
			if err == nil || errors.As(err, &unsupported) != tt.unsupported || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %v: want %q", err, tt.want)
			}
		})
	}
}

func TestRunChecksItsInput(t *testing.T) {
	g, w := network(t, mixed, 1)
	p, err := CompileTrained(g, w, newPool(t, 1))
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if got := fmt.Sprint(recover()); !strings.Contains(got, "1×3×16×16") {
			t.Errorf("panic %q: want one with the shape", got)
		}
	}()
	p.Run(make([]float32, 3))
}

// BenchmarkExecute times whole networks of one shape, one image.
func BenchmarkExecute(b *testing.B) {
	s, err := arch.NewSpace("nb201", arch.Spaces[0].Default)
	if err != nil {
		b.Fatal(err)
	}
	for _, cell := range []struct{ name, notation string }{
		{"skip", "|skip_connect~0|+|skip_connect~0|skip_connect~1|+|skip_connect~0|skip_connect~1|skip_connect~2|"},
		{"mixed", mixed},
		{"conv", "|nor_conv_3x3~0|+|nor_conv_3x3~0|nor_conv_3x3~1|+|nor_conv_3x3~0|nor_conv_3x3~1|nor_conv_3x3~2|"},
	} {
		b.Run("cell="+cell.name, func(b *testing.B) {
			c, err := s.Parse(cell.notation)
			if err != nil {
				b.Fatal(err)
			}
			g, err := s.Network(c, 1)
			if err != nil {
				b.Fatal(err)
			}
			p, err := CompileTrained(g, opstest.Weights(g, 1), newPool(b, 1))
			if err != nil {
				b.Fatal(err)
			}
			for b.Loop() {
				p.Execute()
			}
			b.ReportMetric(float64(p.ArenaBytes()), "arena-bytes")
			b.ReportMetric(float64(g.Count().MACs)*float64(b.N)/b.Elapsed().Seconds()/1e9, "GMAC/s")
		})
	}
}

// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/edgenas/edgenas/internal/kernels"
	"github.com/edgenas/edgenas/internal/stats"
)

// OpResult is a timed operation, in the fields of the peers.
type OpResult struct {
	Peer         string  `json:"peer"`
	Op           string  `json:"op"`
	N            int     `json:"n"`
	C            int     `json:"c"`
	Size         int     `json:"size"`
	Mode         string  `json:"mode"`
	Layout       string  `json:"layout"`
	Threads      int     `json:"threads"`
	ForwardMS    float64 `json:"forward_ms"`
	ForwardMinMS float64 `json:"forward_min_ms"`
	BothMS       float64 `json:"both_ms"`
	BothMinMS    float64 `json:"both_min_ms"`
	MACs         int64   `json:"macs"` // multiply-adds forward; backward has twice as many
}

// Benchmark is the result in Go's benchmark format: a line for each pass.
func (r OpResult) Benchmark() string {
	line := func(pass string, ms float64) string {
		return fmt.Sprintf("BenchmarkOp/op=%s/n=%d/c=%d/size=%d/pass=%s-%d\t1\t%.0f ns/op\n",
			r.Op, r.N, r.C, r.Size, pass, r.Threads, ms*1e6)
	}
	return line("forward", r.ForwardMS) + line("both", r.BothMS)
}

// extents are those of the images that operations are timed on.
type extents struct{ n, c, size int }

var opExtents = []extents{{32, 32, 32}, {64, 16, 32}}

// Op is an operation to be timed on images of N×C×Size×Size.
type Op struct {
	Name       string
	N, C, Size int
}

// String is the name with the extents: conv3x3/n=32/c=32/size=32.
func (o Op) String() string { return fmt.Sprintf("%s/n=%d/c=%d/size=%d", o.Name, o.N, o.C, o.Size) }

// Ops lists the operations that are compared.
func Ops() (all []Op) {
	for _, e := range opExtents {
		for _, o := range operations[float32]() {
			all = append(all, Op{o.name, e.n, e.c, e.size})
		}
	}
	return all
}

// Run times the operation forward, and forward and backward: the gradients in
// the image and in all weights. Each is measured for this long.
func (o Op) Run(ctx context.Context, pool *kernels.Workers, during time.Duration) (OpResult, error) {
	all := operations[float32]()
	i := slices.IndexFunc(all, func(k operation[float32]) bool { return k.name == o.Name })
	if i < 0 {
		return OpResult{}, specf("operation %q is unknown", o.Name)
	}
	t := newTape[float32](o.N, o.Size, o.C, pool, 0)
	all[i].build(t)
	forward := func() {
		for _, k := range t.forward {
			k.Run(pool)
		}
	}
	f, err := repeat(ctx, during, forward)
	if err != nil {
		return OpResult{}, err
	}
	both, err := repeat(ctx, during, func() {
		forward()
		for _, k := range slices.Backward(t.backward) {
			k.Run(pool)
		}
	})
	if err != nil {
		return OpResult{}, err
	}
	const ms = 1e3
	return OpResult{Peer: "op", Op: o.Name, N: o.N, C: o.C, Size: o.Size, Mode: Mode, Layout: "channels-last",
		Threads: pool.Threads(), MACs: t.macs, ForwardMS: stats.Median(f) * ms, ForwardMinMS: slices.Min(f) * ms,
		BothMS: stats.Median(both) * ms, BothMinMS: slices.Min(both) * ms}, nil
}

// operation is one of those that are compared.
type operation[T kernels.Float] struct {
	name  string
	build func(t *tape[T])
}

// operations lists them in the order of the peer: primitives, then a
// supernet's operations, whose batch norms are not affine and whose poolings
// have one behind them.
func operations[T kernels.Float]() []operation[T] {
	return []operation[T]{
		{"conv3x3", func(t *tape[T]) { t.conv(3) }},
		{"conv1x1", func(t *tape[T]) { t.conv(1) }},
		{"dwconv3x3", func(t *tape[T]) { t.depthwise(3, 1) }},
		{"dwconv5x5", func(t *tape[T]) { t.depthwise(5, 1) }},
		{"dwconv3x3-dilated", func(t *tape[T]) { t.depthwise(3, 2) }},
		{"batchnorm", func(t *tape[T]) { t.batchNorm() }},
		{"relu", func(t *tape[T]) { t.relu() }},
		{"max_pool_3x3", func(t *tape[T]) { t.maxPool() }},
		{"avg_pool_3x3", func(t *tape[T]) { t.avgPool() }},
		{"sep_conv_3x3", func(t *tape[T]) { t.separable(3, 1, 2) }},
		{"sep_conv_5x5", func(t *tape[T]) { t.separable(5, 1, 2) }},
		{"dil_conv_3x3", func(t *tape[T]) { t.separable(3, 2, 1) }},
		{"dil_conv_5x5", func(t *tape[T]) { t.separable(5, 2, 1) }},
	}
}

// Match keeps the operations whose text has part in it; all if it is empty.
func Match(all []Op, part string) []Op {
	return slices.DeleteFunc(all, func(o Op) bool { return !strings.Contains(o.String(), part) })
}

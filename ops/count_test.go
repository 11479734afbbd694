// SPDX-License-Identifier: Apache-2.0

package ops_test

import (
	"math"
	"testing"

	"github.com/edgenas/edgenas/ops"
	"github.com/edgenas/edgenas/ops/opstest"
)

func TestCount(t *testing.T) {
	for _, tt := range []struct {
		name  string
		in    ops.Shape
		build func(b ops.Builder, x ops.Value) ops.Value
		want  ops.Count
	}{
		{"input", ops.Shape{1, 2, 3, 4}, func(_ ops.Builder, x ops.Value) ops.Value { return x },
			ops.Count{PeakBytes: 4 * 24}},
		{"dense conv with bias", ops.Shape{1, 3, 8, 8}, func(b ops.Builder, x ops.Value) ops.Value {
			return b.Conv("y", x, 16, ops.Same(3, 2, 1), 1, true)
		}, ops.Count{MACs: 16 * 16 * 27, Params: 16*27 + 16, PeakBytes: 4 * (192 + 256)}},
		{"depthwise conv", ops.Shape{1, 8, 4, 4}, func(b ops.Builder, x ops.Value) ops.Value {
			return b.Conv("y", x, 8, ops.Same(5, 1, 1), 8, false)
		}, ops.Count{MACs: 128 * 25, Params: 8 * 25, PeakBytes: 4 * (128 + 128)}},
		{"grouped conv, two images", ops.Shape{2, 8, 4, 4}, func(b ops.Builder, x ops.Value) ops.Value {
			return b.Conv("y", x, 4, ops.Same(1, 1, 1), 2, false)
		}, ops.Count{MACs: 128 * 4, Params: 16, PeakBytes: 4 * (256 + 128)}},
		{"batch norm: its statistics are not learned", ops.Shape{1, 8, 4, 4}, func(b ops.Builder, x ops.Value) ops.Value {
			return b.BatchNorm("b", b.BatchNorm("a", x, true), false)
		}, ops.Count{Params: 16, PeakBytes: 4 * (128 + 128)}},
		{"classifier", ops.Shape{2, 8, 4, 4}, func(b ops.Builder, x ops.Value) ops.Value {
			return b.Linear("linear", b.GlobalAvgPool("pool", x), 10)
		}, ops.Count{MACs: 160, Params: 90, PeakBytes: 4 * (256 + 16)}},
		{"cropped conv", ops.Shape{1, 3, 8, 6}, func(b ops.Builder, x ops.Value) ops.Value {
			return b.Conv("y", x, 5, ops.Window{Kernel: 1, Stride: 2, Dilation: 1, Crop: 1}, 1, false)
		}, ops.Count{MACs: 5 * 12 * 3, Params: 15, PeakBytes: 4 * (144 + 60)}},
		// All three inputs are alive beside the result.
		{"concatenation", ops.Shape{1, 8, 4, 4}, func(b ops.Builder, x ops.Value) ops.Value {
			return b.Concat("concat", x, b.ReLU("a", x), b.BatchNorm("b", x, false))
		}, ops.Count{PeakBytes: 4 * (3 + 3) * 128}},
		// The input lives until the sum, so three maps are alive at once.
		{"residual", ops.Shape{1, 8, 4, 4}, func(b ops.Builder, x ops.Value) ops.Value {
			return b.ReLU("relu", b.Add("add", x, b.BatchNorm("bn", x, false)))
		}, ops.Count{PeakBytes: 4 * 3 * 128}},
		{"chain", ops.Shape{1, 8, 4, 4}, func(b ops.Builder, x ops.Value) ops.Value {
			return b.ReLU("c", b.ReLU("b", b.ReLU("a", x)))
		}, ops.Count{PeakBytes: 4 * 2 * 128}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b, x := ops.NewBuilder(tt.in)
			g, err := b.Finish(tt.build(b, x))
			if err != nil {
				t.Fatal(err)
			}
			if got := g.Count(); got != tt.want {
				t.Errorf("count %+v: want %+v", got, tt.want)
			}
		})
	}
}

// Fusing moves no work between convolutions and adds none.
func TestCountFused(t *testing.T) {
	for _, c := range opstest.Cases() {
		got, want := ops.Fuse(c.Graph).Count(), c.Graph.Count()
		if got.MACs != want.MACs {
			t.Errorf("%s: %d MACs when fused: want %d", c.Name, got.MACs, want.MACs)
		}
	}
}

func TestElements(t *testing.T) {
	for _, tt := range []struct {
		dims []int
		want int // -1: an error
	}{
		{nil, 1}, {[]int{2, 3, 4}, 24}, {[]int{5, 5}, 25}, {[]int{26}, -1}, {[]int{math.MaxInt, math.MaxInt, 2}, -1},
		{[]int{math.MaxInt, 0}, 0}, {[]int{0, -1}, -1}, {[]int{-2, -2}, -1},
	} {
		n, err := ops.Elements(tt.dims, 25)
		if (err != nil) != (tt.want < 0) || err == nil && n != tt.want {
			t.Errorf("%v: %d, %v: want %d", tt.dims, n, err, tt.want)
		}
	}
}

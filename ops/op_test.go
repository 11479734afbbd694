// SPDX-License-Identifier: Apache-2.0

package ops_test

import (
	"slices"
	"testing"

	"github.com/edgenas/edgenas/ops"
)

// Files and α's columns depend on this order: append, change nothing.
func TestCatalogOrder(t *testing.T) {
	want := []string{"none", "skip_connect", "nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3"}
	var got []string
	for _, op := range ops.Catalog {
		got = append(got, op.Name())
	}
	if !slices.Equal(got, want) {
		t.Errorf("catalog %q: want %q", got, want)
	}
}

func TestByName(t *testing.T) {
	for _, op := range ops.Catalog {
		if got := ops.ByName(op.Name()); got != op {
			t.Errorf("%s: found %v", op.Name(), got)
		}
	}
	if got := ops.ByName("sep_conv_9x9"); got != nil {
		t.Errorf("an unknown name found %v", got)
	}
}

// An operation gives the shape that its edge demands. Skip connections have no
// way to change it.
func TestOperationShapes(t *testing.T) {
	in := ops.Shape{N: 2, C: 8, H: 7, W: 6}
	for _, op := range ops.Catalog {
		for _, stride := range []int{1, 2} {
			if op.Name() == "skip_connect" && stride > 1 {
				continue
			}
			b, x := ops.NewBuilder(in)
			y := op.Build(b.Scope(op.Name()), x, ops.Config{Channels: 8, Stride: stride, Affine: true})
			if _, err := b.Finish(y); err != nil {
				t.Error(err)
			}
			want := ops.Shape{N: 2, C: 8, H: (7 + stride - 1) / stride, W: 6 / stride}
			if got := b.Shape(y); got != want {
				t.Errorf("%s at stride %d: %v: want %v", op.Name(), stride, got, want)
			}
		}
	}
}

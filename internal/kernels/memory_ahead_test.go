// SPDX-License-Identifier: Apache-2.0

package kernels

import (
	"slices"
	"testing"
)

// TestAhead checks which elements are asked for next.
func TestAhead(t *testing.T) {
	x := []float32{0, 1, 2, 3, 4, 5}
	for _, c := range []struct {
		name      string
		got, want []float32
	}{
		{"within", ahead(x, 1, 2), []float32{1, 2}},
		{"to the end", ahead(x, 5, 2), []float32{5}},
		{"behind the end", ahead(x, 7, 2), nil},
		{"share of the first rows", share(x, 0, 1, 3), []float32{0, 1}},
		{"share of the last rows", share(x, 2, 2, 3), []float32{4, 5}},
		{"share behind the last row", share(x, 3, 2, 3), nil},
		{"forwards", following(x, 0, 3, 0), []float32{2, 3}},
		{"backwards", following(x, 2, 3, 1), []float32{2, 3}},
		{"after the last", following(x, 2, 3, 0), nil},
		{"before the first", following(x, 0, 3, 1), nil},
	} {
		if !slices.Equal(c.got, c.want) {
			t.Errorf("%s: %v, want %v", c.name, c.got, c.want)
		}
	}
}

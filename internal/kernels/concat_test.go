// SPDX-License-Identifier: Apache-2.0

package kernels

import (
	"fmt"
	"testing"
)

// concatShapes: one map, equal and unequal ones, rows beyond one piece.
var concatShapes = []struct {
	m        int
	channels []int
}{
	{1, []int{1}},
	{7, []int{5}},
	{9, []int{8, 8}},
	{6, []int{1, 17, 3}},
	{2 * 31 * 29, []int{16, 16, 16, 16}},
	{3, []int{flatSize, 7}}, // a row is more than a piece
}

func TestConcat(t *testing.T) {
	each(t, func(t *testing.T) {
		for _, tt := range concatShapes {
			t.Run(fmt.Sprint(tt.m, tt.channels), func(t *testing.T) {
				xs, want, width := make([][]float32, len(tt.channels)), []float64{}, 0
				for i, c := range tt.channels {
					xs[i], width = random[float32](uint64(i), tt.m*c), width+c
				}
				for m := range tt.m {
					for i, c := range tt.channels {
						for j := range c {
							want = append(want, float64(xs[i][m*c+j]))
						}
					}
				}
				promises(t, func(threads int) (*Concat[float32], [][]float32) {
					k := &Concat[float32]{M: tt.m, Channels: tt.channels, Xs: xs, Y: scratch[float32](tt.m * width)}
					if threads == 1 {
						run(k)
						near(t, "Y", k.Y, want, 0)
					}
					return k, [][]float32{k.Y}
				})
			})
		}
	})
}

// TestConcatBackward: every input's gradient is overwritten, added to or left
// out, in every combination.
func TestConcatBackward(t *testing.T) {
	each(t, func(t *testing.T) {
		for _, tt := range concatShapes {
			t.Run(fmt.Sprint(tt.m, tt.channels), func(t *testing.T) {
				width := 0
				for _, c := range tt.channels {
					width += c
				}
				dy := random[float32](1, tt.m*width)
				for first := range 3 { // what happens to the first input: 0 overwritten, 1 added to, 2 left out
					before, add := make([][]float32, len(tt.channels)), make([]bool, len(tt.channels))
					for i, c := range tt.channels {
						add[i] = (first+i)%3 == 1
						if (first+i)%3 < 2 {
							before[i] = random[float32](uint64(2+i), tt.m*c)
						}
					}
					promises(t, func(threads int) (*ConcatBackward[float32], [][]float32) {
						k := &ConcatBackward[float32]{M: tt.m, Channels: tt.channels, DY: dy, Add: add}
						for _, dx := range before {
							k.DXs = append(k.DXs, clone(dx))
						}
						if threads > 1 {
							return k, k.DXs
						}
						run(k)
						at := 0
						for i, c := range tt.channels {
							for j, got := range k.DXs[i] {
								want := dy[j/c*width+at+j%c]
								if add[i] {
									want += before[i][j]
								}
								if got != want {
									t.Fatalf("DXs[%d][%d] = %v, want %v", i, j, got, want)
								}
							}
							copy(k.DXs[i], before[i])
							at += c
						}
						return k, k.DXs
					})
				}
			})
		}
		k := &ConcatBackward[float32]{M: 2, Channels: []int{1, 2}, DY: []float32{1, 2, 3, 4, 5, 6},
			DXs: [][]float32{{9, 9}, {9, 9, 9, 9}}}
		run(k) // nil Add
		if got := fmt.Sprint(k.DXs); got != "[[1 4] [2 3 5 6]]" {
			t.Errorf("DXs = %s", got)
		}
	})
}

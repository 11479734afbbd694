// SPDX-License-Identifier: Apache-2.0

package dataset

import (
	"math/rand/v2"
	"slices"
	"testing"
)

// shown returns one image of a tinySet as the loader gives it.
func shown(s *Set, l *Loader) []float32 {
	x := make([]float32, s.ImageLen())
	l.Next(x, make([]int32, 1))
	return x
}

// TestFlipAndCrop compares augmented images with all that there can be, each
// made from a padded copy, and expects every one of them to turn up.
func TestFlipAndCrop(t *testing.T) {
	for _, tc := range []struct {
		name  string
		a     Augment
		count int
	}{
		{"none", Augment{}, 1},
		{"flip", Augment{Flip: true}, 2},
		{"crop", Augment{Pad: 2}, 25},
		{"flip and crop", Augment{Flip: true, Pad: 1}, 18},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := tinySet(t, 1, 1, 5, 4, 3)
			values := newView(s, &s.Train).values
			big := func(y, x, c int) float32 { // the image with a black border of Pad
				y, x = y-tc.a.Pad, x-tc.a.Pad
				if y < 0 || y >= s.H || x < 0 || x >= s.W {
					return values[256*c]
				}
				return values[256*c+int(s.Train.Pixels[(y*s.W+x)*s.C+c])]
			}
			var possible [][]float32
			for top := range 2*tc.a.Pad + 1 {
				for left := range 2*tc.a.Pad + 1 {
					var plain, mirrored []float32
					for y := range s.H {
						for x := range s.W {
							for c := range s.C {
								plain = append(plain, big(top+y, left+x, c))
								mirrored = append(mirrored, big(top+y, left+s.W-1-x, c))
							}
						}
					}
					possible = append(possible, plain)
					if tc.a.Flip {
						possible = append(possible, mirrored)
					}
				}
			}
			if len(possible) != tc.count {
				t.Fatalf("%d variations, want %d", len(possible), tc.count)
			}
			l := NewLoader(s, &s.Train, nil, tc.a, rand.NewPCG(5, 5))
			seen := make([]int, len(possible))
			const draws = 200
			for range draws * tc.count {
				x := shown(s, l)
				k := slices.IndexFunc(possible, func(p []float32) bool { return slices.Equal(p, x) })
				if k < 0 {
					t.Fatalf("no variation looks like %v", x)
				}
				seen[k]++
			}
			for k, n := range seen {
				if n < draws/2 || n > draws*2 {
					t.Errorf("variation %d was drawn %d times, want about %d", k, n, draws)
				}
			}
		})
	}
}

// TestCutout expects a square, clipped by the border, of zeros in all channels.
func TestCutout(t *testing.T) {
	for _, side := range []int{1, 2, 3, 20} {
		s := tinySet(t, 1, 1, 7, 6, 3)
		plain := shown(s, NewLoader(s, &s.Train, nil, Augment{}, rand.NewPCG(1, 1)))
		l := NewLoader(s, &s.Train, nil, Augment{Cutout: side}, rand.NewPCG(5, 5))
		covered := map[int]bool{}
		for range 2000 {
			x := shown(s, l)
			top, bottom, left, right := s.H, -1, s.W, -1
			for i := range x {
				if x[i] == plain[i] {
					continue
				}
				if x[i] != 0 {
					t.Fatalf("side %d: value %g, want 0 or %g", side, x[i], plain[i])
				}
				y, column := i/s.C/s.W, i/s.C%s.W
				top, bottom, left, right = min(top, y), max(bottom, y), min(left, column), max(right, column)
				covered[i/s.C] = true
			}
			h, w := bottom-top+1, right-left+1
			if h < 1 || w < 1 || h > side || w > side ||
				h < side && top > 0 && bottom < s.H-1 || w < side && left > 0 && right < s.W-1 {
				t.Fatalf("side %d: rows %d…%d, columns %d…%d", side, top, bottom, left, right)
			}
			for y := top; y <= bottom; y++ {
				for i := (y*s.W + left) * s.C; i < (y*s.W+right+1)*s.C; i++ {
					if x[i] != 0 {
						t.Fatalf("side %d: a hole in the square", side)
					}
				}
			}
		}
		if len(covered) != s.H*s.W {
			t.Errorf("side %d: %d of %d pixels were ever cut out", side, len(covered), s.H*s.W)
		}
	}
}

// The longer a training, the farther it crops; all else is the same for any.
func TestFor(t *testing.T) {
	for _, tt := range []struct {
		name   string
		epochs float64
		pad    int
	}{
		{"none", 0, 0}, {"short", 8.9, 0}, {"each place once", 9, 1}, {"longer", 24.9, 1}, {"25", 25, 2}, {"81", 81, 4},
		{"no farther than asked for", 600, 4},
	} {
		want := Augment{Flip: true, Pad: tt.pad, Cutout: 8}
		if got := (Augment{Flip: true, Pad: 4, Cutout: 8}).For(tt.epochs); got != want {
			t.Errorf("%s: %+v: want %+v", tt.name, got, want)
		}
	}
}

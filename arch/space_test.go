// SPDX-License-Identifier: Apache-2.0

package arch

import (
	"math"
	"math/rand/v2"
	"strings"
	"testing"
)

// Files name spaces, so the list only grows at its end.
func TestSpaces(t *testing.T) {
	want := []string{"nb201", "darts", "mbconv"}
	if len(Spaces) != len(want) {
		t.Fatalf("%d spaces: want %q", len(Spaces), want)
	}
	for i, sp := range Spaces {
		if sp.Name != want[i] {
			t.Errorf("space %d is %s: want %s", i, sp.Name, want[i])
		}
		s, err := NewSpace(sp.Name, sp.Default)
		if err != nil {
			t.Error(err)
			continue
		}
		if s.Name() != sp.Name || s.Size() != sp.Default {
			t.Errorf("%s of size %+v became %s of size %+v", sp.Name, sp.Default, s.Name(), s.Size())
		}
		if len(s.Cells()) != len(s.Alphas()) {
			t.Errorf("%s: cells for %d of %d α", sp.Name, len(s.Cells()), len(s.Alphas()))
		}
		for j, a := range s.Alphas() {
			if len(a.Rows) != len(s.Cells()[j].Edges) {
				t.Errorf("%s: α %s has %d rows and %d edges", sp.Name, a.Name, len(a.Rows), len(s.Cells()[j].Edges))
			}
		}
		if _, err := s.Supernet(1); err != nil {
			t.Error(err)
		}
	}
	if _, err := NewSpace("nb301", paper); err == nil || !strings.Contains(err.Error(), `"nb201"`) {
		t.Errorf("unknown space: error %v: want one that lists those known", err)
	}
}

// Columns of α and files depend on these orders.
func TestNB201Alpha(t *testing.T) {
	a := newSpace(t, paper).Alphas()
	if len(a) != 1 || a[0].Name != "cell" {
		t.Fatalf("α %v: want one, cell", a)
	}
	if got, want := strings.Join(a[0].Rows, " "), "1<-0 2<-0 2<-1 3<-0 3<-1 3<-2"; got != want {
		t.Errorf("rows %s: want %s", got, want)
	}
	if got, want := strings.Join(a[0].Ops, " "), "none skip_connect nor_conv_1x1 nor_conv_3x3 avg_pool_3x3"; got != want {
		t.Errorf("columns %s: want %s", got, want)
	}
}

// Sizes from the smallest to the largest of each parameter give networks,
// those beyond an error that names the parameter.
func TestSizes(t *testing.T) {
	for _, sp := range []struct {
		name     string
		minCells int
		step     int // of images
	}{{"nb201", 1, 4}, {"darts", 3, 4}, {"mbconv", 1, 1}} {
		middle := Size{Cells: 3, Channels: 4, Image: 8, Colours: 1, Classes: 2}
		for _, tt := range []struct {
			name      string
			set       func(s *Size, n int)
			low, high int
			step      int
		}{
			{"cells", func(s *Size, n int) { s.Cells = n }, sp.minCells, 100, 1},
			{"channels", func(s *Size, n int) { s.Channels = n }, 1, 1024, 1},
			{"image", func(s *Size, n int) { s.Image = n }, 8, 1024, sp.step},
			{"colours", func(s *Size, n int) { s.Colours = n }, 1, 16, 1},
			{"classes", func(s *Size, n int) { s.Classes = n }, 2, 100_000, 1},
		} {
			t.Run(sp.name+"/"+tt.name, func(t *testing.T) {
				for _, n := range []int{tt.low, tt.low + tt.step, tt.low + 3*tt.step, tt.high} {
					size := middle
					tt.set(&size, n)
					s, err := NewSpace(sp.name, size)
					if err != nil {
						t.Error(err)
						continue
					}
					if _, err := s.Network(random(s, rand.New(rand.NewPCG(1, 0))), 1); err != nil {
						t.Error(err)
					}
				}
				for _, n := range []int{tt.low - tt.step, -tt.step, tt.high + tt.step, math.MinInt, math.MaxInt - 3} {
					size := middle
					tt.set(&size, n)
					if _, err := NewSpace(sp.name, size); err == nil || !strings.Contains(err.Error(), tt.name) {
						t.Errorf("%s %d: error %v", tt.name, n, err)
					}
				}
			})
		}
	}
}

// The spaces of cells halve the image twice, and take no odd extents.
func TestImageIsHalvedTwice(t *testing.T) {
	for _, sp := range Spaces[:2] {
		for image := 9; image < 12; image++ {
			_, err := NewSpace(sp.Name, Size{Cells: 3, Channels: 4, Image: image, Colours: 1, Classes: 2})
			if err == nil || !strings.Contains(err.Error(), "multiple of 4") {
				t.Errorf("%s: image %d: error %v", sp.Name, image, err)
			}
		}
	}
}

// random is a choice drawn option by option.
func random(s Space, rng *rand.Rand) Choice {
	c := make(Choice, len(s.Alphas()))
	for i, a := range s.Alphas() {
		c[i] = make([]int, len(a.Rows))
	}
	for _, g := range s.Groups() {
		g.Set(c, rng.IntN(len(g.Options)))
	}
	return c
}

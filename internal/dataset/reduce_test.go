// SPDX-License-Identifier: Apache-2.0

package dataset

import (
	"errors"
	"math"
	"slices"
	"strings"
	"testing"
)

// exactMean is the mean of channel c over the area that pixel (y, x) of the
// reduced image covers, by sampling a grid of which both sizes are divisors.
func exactMean(s *Set, p *Part, image, side, y, x, c int) float64 {
	sum := 0
	for fy := y * s.H; fy < (y+1)*s.H; fy++ {
		for fx := x * s.W; fx < (x+1)*s.W; fx++ {
			sum += int(p.Pixels[((image*s.H+fy/side)*s.W+fx/side)*s.C+c])
		}
	}
	return float64(sum) / float64(s.H*s.W)
}

func TestReduced(t *testing.T) {
	for _, tc := range []struct {
		name               string
		from, to, channels int
	}{
		{"half", 8, 4, 3},
		{"not a divisor", 7, 4, 1},
		{"one pixel less", 5, 4, 3},
		{"as it was", 4, 4, 1},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := tinySet(t, 7, 3, tc.from, tc.from, tc.channels)
			r, err := s.Reduced(tc.to)
			if err != nil {
				t.Fatal(err)
			}
			if r.H != tc.to || r.W != tc.to || r.C != s.C {
				t.Fatalf("images of %d×%d×%d", r.H, r.W, r.C)
			}
			for _, part := range []struct{ before, after *Part }{{&s.Train, &r.Train}, {&s.Test, &r.Test}} {
				if !slices.Equal(part.before.Labels, part.after.Labels) {
					t.Error("labels differ")
				}
				for i, got := range part.after.Pixels {
					c, x := i%r.C, i/r.C%r.W
					y, image := i/r.C/r.W%r.H, i/r.ImageLen()
					want := exactMean(s, part.before, image, tc.to, y, x, c)
					if math.Abs(float64(got)-want) > 0.5 {
						t.Fatalf("image %d, pixel %d,%d, channel %d: %d, want %g rounded", image, y, x, c, got, want)
					}
				}
			}
			if same := r.Digest == s.Digest; same != (tc.from == tc.to) {
				t.Errorf("digest as before: %v", same)
			}
		})
	}
}

// A constant line stays what it is, even the brightest.
func TestReducedKeepsConstants(t *testing.T) {
	s := tinySet(t, 2, 1, 7, 7, 1)
	for i := range s.ImageLen() {
		s.Train.Pixels[i] = 255
	}
	r, err := s.Reduced(3)
	if err != nil {
		t.Fatal(err)
	}
	for i, v := range r.Train.Pixels[:r.ImageLen()] {
		if v != 255 {
			t.Errorf("pixel %d is %d", i, v)
		}
	}
}

func TestReducedAugment(t *testing.T) {
	s := tinySet(t, 2, 1, 32, 32, 1)
	s.Augment = Augment{Flip: true, Pad: 4, Cutout: 15}
	r, err := s.Reduced(16)
	if err != nil {
		t.Fatal(err)
	}
	if want := (Augment{Flip: true, Pad: 2, Cutout: 8}); r.Augment != want {
		t.Errorf("%+v, want %+v", r.Augment, want)
	}
	if s.Augment.Pad != 4 || s.H != 32 {
		t.Error("the set itself has changed")
	}
}

func TestReducedWithoutContrast(t *testing.T) {
	s := tinySet(t, 2, 1, 2, 2, 1)
	for i := range s.Train.Pixels {
		s.Train.Pixels[i] = uint8(255 * ((i + i/2) % 2)) // a chessboard in each image
	}
	_, err := s.Reduced(1)
	var bad *DataError
	if !errors.As(err, &bad) || !strings.Contains(err.Error(), "reduced to 1×1: channel 0") {
		t.Errorf("error %v", err)
	}
}

func TestReducedPanics(t *testing.T) {
	for _, tc := range []struct {
		name       string
		h, w, side int
	}{{"larger", 4, 4, 5}, {"nothing", 4, 4, 0}, {"not square", 4, 5, 2}} {
		t.Run(tc.name, func(t *testing.T) {
			defer func() {
				if recover() == nil {
					t.Error("no panic")
				}
			}()
			s := tinySet(t, 1, 1, tc.h, tc.w, 1)
			s.Reduced(tc.side)
		})
	}
}

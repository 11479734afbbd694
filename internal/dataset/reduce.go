// SPDX-License-Identifier: Apache-2.0

package dataset

import (
	"fmt"
	"math"
)

// Reduced returns the set with smaller square images: each pixel is the mean of
// the area that it covers, rounded to the nearest value. Labels are shared with
// s. The border of random crops and the cut-out square shrink with the images.
// Sizes need not divide one another. It panics unless images are square and side
// is 1 to their side, and returns an error where no contrast is left.
func (s *Set) Reduced(side int) (*Set, error) {
	if s.H != s.W || side < 1 || side > s.H {
		panic(fmt.Sprintf("dataset: images of %d×%d reduced to %d×%d", s.W, s.H, side, side))
	}
	r := *s
	r.H, r.W = side, side
	r.Augment.Pad = s.scaled(s.Augment.Pad, side)
	r.Augment.Cutout = s.scaled(s.Augment.Cutout, side)
	covers := coverage(s.H, side)
	r.Train.Pixels = s.reduce(&s.Train, covers)
	r.Test.Pixels = s.reduce(&s.Test, covers)
	if err := r.finish(Options{}); err != nil {
		return nil, &DataError{s.Name, fmt.Errorf("reduced to %d×%d: %w", side, side, err)}
	}
	return &r, nil
}

// scaled is a length in pixels of an image that becomes side pixels wide.
func (s *Set) scaled(length, side int) int {
	return int(math.Round(float64(length) * float64(side) / float64(s.W)))
}

// A cover is the pixels of a line that a pixel of the reduced line covers, and
// how much of each: their sum is the length of the line.
type cover struct {
	first   int
	weights []int
}

// coverage returns the covers of a line of n pixels that is reduced to m. A
// pixel is m units long before and n after.
func coverage(n, m int) []cover {
	covers := make([]cover, m)
	for i := range covers {
		from, to := i*n, (i+1)*n
		c := cover{first: from / m}
		for j := c.first; j*m < to; j++ {
			c.weights = append(c.weights, min(to, (j+1)*m)-max(from, j*m))
		}
		covers[i] = c
	}
	return covers
}

// reduce returns the pixels of a part, reduced.
func (s *Set) reduce(p *Part, covers []cover) []uint8 {
	side, total := len(covers), s.H*s.W
	pixels := make([]uint8, 0, p.Len()*side*side*s.C)
	for i := range p.Len() {
		image := p.Pixels[i*s.ImageLen() : (i+1)*s.ImageLen()]
		for _, rows := range covers {
			for _, columns := range covers {
				for c := range s.C {
					sum := 0
					for y, high := range rows.weights {
						line := image[((rows.first+y)*s.W+columns.first)*s.C+c:]
						for x, wide := range columns.weights {
							sum += high * wide * int(line[x*s.C])
						}
					}
					pixels = append(pixels, uint8((sum+total/2)/total))
				}
			}
		}
	}
	return pixels
}

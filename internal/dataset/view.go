// SPDX-License-Identifier: Apache-2.0

package dataset

import "fmt"

// A view turns images of a part into normalised values.
type view struct {
	part    *Part
	h, w, c int
	values  []float32 // 256 of channel 0, then channel 1, …: pixel → value
}

func newView(s *Set, p *Part) view {
	v := view{part: p, h: s.H, w: s.W, c: s.C, values: make([]float32, 256*s.C)}
	for i := range v.values {
		c := i / 256
		v.values[i] = (float32(i%256)/255 - s.Mean[c]) / s.Std[c]
	}
	return v
}

// all returns indices, or those of all images of p if it is nil.
func all(p *Part, indices []int) []int {
	if indices == nil {
		indices = make([]int, p.Len())
		for i := range indices {
			indices[i] = i
		}
	}
	return indices
}

func (v *view) check(x []float32, y []int32) {
	if len(x) != len(y)*v.h*v.w*v.c {
		panic(fmt.Sprintf("dataset: %d values for %d images of %d×%d×%d", len(x), len(y), v.h, v.w, v.c))
	}
}

// vary writes image index of the part as image i of the batch x, changed as how
// says, and returns its label.
func (v *view) vary(x []float32, i, index int, how variation) int32 {
	size := v.h * v.w * v.c
	src := v.part.Pixels[index*size : (index+1)*size]
	dst := x[i*size : (i+1)*size]
	for y := range v.h {
		row := dst[y*v.w*v.c : (y+1)*v.w*v.c]
		sy := y + how.dy
		for x := range v.w {
			sx := x + how.dx
			if how.flip {
				sx = v.w - 1 - x + how.dx
			}
			inside := sy >= 0 && sy < v.h && sx >= 0 && sx < v.w
			for c := range v.c {
				pixel := 0
				if inside {
					pixel = int(src[(sy*v.w+sx)*v.c+c])
				}
				row[x*v.c+c] = v.values[c<<8|pixel]
			}
		}
	}
	for y := how.top; y < how.bottom; y++ {
		clear(dst[(y*v.w+how.left)*v.c : (y*v.w+how.right)*v.c])
	}
	return v.part.Labels[index]
}

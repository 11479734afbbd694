// SPDX-License-Identifier: Apache-2.0

package dataset

import (
	"math"
	"math/rand/v2"
)

// Augment says how a Loader varies training images. The zero value leaves them
// as they are.
type Augment struct {
	Flip   bool `json:"flip"`   // mirror left and right, half of the time
	Pad    int  `json:"pad"`    // crop at random from the image with a border of Pad black pixels
	Cutout int  `json:"cutout"` // side of a square set to the mean at a random place (arXiv:1708.04552)
}

// For returns what suits a training of so many epochs. Images are cropped at no
// more places than they are seen times: a short training does not overfit, and
// crops only slow it down (docs/METHODS.md).
func (a Augment) For(epochs float64) Augment {
	places := int(math.Sqrt(epochs)) // along a side: 2·Pad + 1
	a.Pad = min(a.Pad, max(0, (places-1)/2))
	return a
}

// A variation is what one image gets: where its source starts, whether it is
// mirrored, and the square cut out.
type variation struct {
	dx, dy      int
	flip        bool
	cut         bool
	left, right int // columns of the square, right excluded
	top, bottom int
}

// draw takes a variation of an h×w image from rng.
func (a Augment) draw(rng *rand.Rand, h, w int) (v variation) {
	if a.Flip {
		v.flip = rng.IntN(2) == 1
	}
	if a.Pad > 0 {
		v.dy = rng.IntN(2*a.Pad+1) - a.Pad
		v.dx = rng.IntN(2*a.Pad+1) - a.Pad
	}
	if a.Cutout > 0 { // its centre is inside the image, its border need not be
		y, x := rng.IntN(h)-a.Cutout/2, rng.IntN(w)-a.Cutout/2
		v.cut = true
		v.top, v.bottom = max(y, 0), min(y+a.Cutout, h)
		v.left, v.right = max(x, 0), min(x+a.Cutout, w)
	}
	return v
}

// SPDX-License-Identifier: Apache-2.0

package imagepack

import "math/bits"

// A canvas holds one image with black borders, so that every neighbour of a
// pixel exists: two rows above, one column to the left and one to the right.
// The pixel two to the left of a row's first is the border of the row above.
type canvas struct {
	pix    []byte
	stride int
	width  int
}

func newCanvas(width, height int) *canvas {
	return &canvas{pix: make([]byte, (height+2)*(width+2)), stride: width + 2, width: width}
}

// row returns where row y of the image starts.
func (c *canvas) row(y int) int { return (y+2)*c.stride + 1 }

const (
	mirrors    = 3 // left half; right half with a lit or a black mirrored pixel
	roughness  = 10
	insideBand = 8
	edgeMasks  = 16
	edgeBand   = 4
	inside     = mirrors * roughness * insideBand
	contexts   = inside + mirrors*edgeMasks*edgeBand
)

// predict returns the expected value (1…255, if the pixel is not black) and the
// context of the pixel at column x, which lies at pix[i], from pixels before it.
// The weights are a least-squares fit to Fashion-MNIST.
func (c *canvas) predict(i, x int) (expected, context int) {
	up := c.pix[i-c.stride-1:]
	nw, n, ne := int(up[0]), int(up[1]), int(up[2])
	w := int(c.pix[i-1])
	expected = min(max((39*w+45*n-29*nw)>>6+25, 1), 255)

	mirror := 0
	if 2*x >= c.width {
		mirror = 1 + black(int(c.pix[i+c.width-1-2*x]))
	}
	if w != 0 && n != 0 && nw != 0 && ne != 0 {
		ww, nn := int(c.pix[i-2]), int(c.pix[i-2*c.stride])
		rough := uint(abs(w-nw) + abs(n-nw) + abs(ne-n) + abs(w-ww) + abs(n-nn))
		return expected, (mirror*roughness+bits.Len(rough>>2))*insideBand + expected>>5
	}
	mask := black(w) | black(n)<<1 | black(ne)<<2 | black(nw)<<3
	return expected, inside + (mirror*edgeMasks+mask)*edgeBand + expected>>6
}

// symbol codes the value of a pixel: 0 is black, other values are the distance
// from the expected one, modulo 255, plus 1.
func symbol(value byte, expected int) byte {
	if value == 0 {
		return 0
	}
	return byte((int(value)-expected+255)%255 + 1)
}

// value is the inverse of symbol.
func value(symbol, expected int) byte {
	if symbol == 0 {
		return 0
	}
	v := expected + symbol - 1
	if v > 255 {
		v -= 255
	}
	return byte(v)
}

func black(v int) int {
	if v == 0 {
		return 1
	}
	return 0
}

func abs(v int) int {
	if v < 0 {
		return -v
	}
	return v
}

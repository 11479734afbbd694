// SPDX-License-Identifier: Apache-2.0

package kernels

// A 3×3 convolution of stride 1 needs a quarter of the multiplications if it
// computes tiles of 4×4 outputs by Winograd's minimal filtering F(4×4, 3×3):
// with d a tile's 6×6 inputs and g the weights of one input and output channel,
//
//	y = Aᵀ [ (G g Gᵀ) ⊙ (Bᵀ d B) ] A
//
// where ⊙ becomes, over channels, one matrix product for each of 36 points:
// tiles × In times In × Out. This file has the plan; conv_winograd_loops.go has the
// transforms and the products. Why, and how exact: docs/adr/0004. Sources:
// Winograd, Arithmetic Complexity of Computations, 1980; Lavin, Gray, Fast
// Algorithms for Convolutional Neural Networks, CVPR 2016.
const (
	tileSide = 4            // outputs
	tileSpan = tileSide + 2 // inputs
	points   = tileSpan * tileSpan
)

// winogradPixels is how many outputs a batch must have: with fewer, transforming
// the weights costs more than is saved.
const winogradPixels = 192

// winograd says whether a convolution and its gradients are computed by minimal
// filtering, if there are loops for it: where channels fill vectors, outputs at
// least half of the tiles, and weights are used often enough. There it was
// faster with 16 to 128 channels, else slower or not tried (docs/adr/0004).
func (s ConvShape) winograd() bool {
	h, w := s.OutH(), s.OutW()
	return s.Kernel == 3 && s.Stride == 1 && s.Dilation <= 1 && s.Crop == 0 && s.Pad <= 2 &&
		s.In%panel == 0 && s.Out%panel == 0 && s.N*h*w >= winogradPixels &&
		2*h*w >= roundUp(h, tileSide)*roundUp(w, tileSide)
}

// tiling is the plan of a convolution by minimal filtering. Tiles are numbered
// through the batch, row by row; a piece is so many that follow one another.
type tiling struct {
	n              int
	h, w, in       int // source
	oh, ow, out    int // destination
	pad            int
	across, down   int // tiles of an image
	block          int // tiles that are transformed together
	xPoint, yPoint int // from one point to the next, before and after the products
	strip          int // elements of six rows of a strip's working copy, and of those with zeros around the image
	weightRows     int // input channels whose weights are transformed together
}

// tileElements are a point's elements of a block: 36 points of source and
// destination and some weights stay in the second-level cache.
const tileElements = 768

// blockTiles divide by the rows of every micro.product, and are the least
// tiles of a block.
const blockTiles = 12

// weightElements of each tap are transformed together, in the first-level cache.
const weightElements = 1024

func newTiling(n, h, w, in, oh, ow, out, pad, elements int) *tiling {
	t := &tiling{n: n, h: h, w: w, in: in, oh: oh, ow: ow, out: out, pad: pad}
	t.across, t.down = roundUp(ow, tileSide)/tileSide, roundUp(oh, tileSide)/tileSide
	t.block = min(max(1, elements/(blockTiles*max(in, out)))*blockTiles, roundUp(t.tiles(), blockTiles))
	// One vector more keeps points out of each other's cache sets.
	t.xPoint, t.yPoint = t.block*in+panel, t.block*out+panel
	t.strip = 2 * tileSpan * (min(t.across, t.block)*tileSide + 2) * max(in, out)
	t.weightRows = min(in, max(1, weightElements/(out*panel))*panel)
	return t
}

// roundUp is the least multiple of m that is not less than n.
func roundUp(n, m int) int { return (n + m - 1) / m * m }

// forwardTiling is the plan of the output, backwardTiling that of the input's gradient.
func (s ConvShape) forwardTiling() *tiling {
	return newTiling(s.N, s.H, s.W, s.In, s.OutH(), s.OutW(), s.Out, s.Pad, tileElements)
}

func (s ConvShape) backwardTiling() *tiling {
	return newTiling(s.N, s.OutH(), s.OutW(), s.Out, s.H, s.W, s.In, 2-s.Pad, tileElements)
}

// tiles is the number of tiles of the batch.
func (t *tiling) tiles() int { return t.n * t.down * t.across }

func (t *tiling) pieces() int { return (t.tiles() + t.block - 1) / t.block }

// weightsLen is the length of the transformed weights, [36][in][out].
func (t *tiling) weightsLen() int { return points * t.in * t.out }

// workLen is what a worker needs.
func (t *tiling) workLen() int {
	return max(points*(t.xPoint+t.yPoint)+t.strip, (9+3*tileSpan)*t.weightRows*t.out)
}

// weightPieces is the number of pieces that the transform of the weights has.
func (t *tiling) weightPieces() int { return (t.in + t.weightRows - 1) / t.weightRows }

// transformWeights writes a piece of G g Gᵀ to a.packed. The weights are
// [3][3][in][out], or, if turned, [3][3][out][in] and used back to front.
func transformWeights[T Float](t *tiling, piece, worker int, weights []T, turned bool, a *denseArgs[T]) {
	m, n := loops[T](), t.in*t.out
	work := a.work[worker*t.workLen():][:t.workLen()]
	first := piece * t.weightRows
	rows := min(t.weightRows, t.in-first)
	e := rows * t.out
	taps, tap := weights[first*t.out:], n
	if turned {
		taps, tap, work = work, e, work[9*e:]
		for i := range 9 {
			transposeStrided(taps[i*e:][:e], weights[(8-i)*n+first:], rows, t.out, t.in)
		}
	}
	m.weightPoints(work, strides{e, tileSpan * e, 0}, taps, strides{tap, 3 * tap, 0}, 1, 3, e)
	m.weightPoints(a.packed[first*t.out:], strides{tileSpan * n, n, 0}, work, strides{tileSpan * e, e, 0}, 1, tileSpan, e)
}

// transposeStrided is dst[r·cols+c] = src[c·stride+r], four columns at a time.
func transposeStrided[T Float](dst, src []T, rows, cols, stride int) {
	for c := 0; c < cols; c += 4 {
		s0, s1 := src[c*stride:][:rows], src[(c+1)*stride:][:rows]
		s2, s3 := src[(c+2)*stride:][:rows], src[(c+3)*stride:][:rows]
		for r := range s0 {
			*(*[4]T)(dst[r*cols+c:]) = [4]T{s0[r], s1[r], s2[r], s3[r]}
		}
	}
}

// strip is tiles of the batch that follow one another in a row of an image; row
// and col count tiles.
type strip struct{ tile, tiles, image, row, col int }

// stripAt is the one that starts with a tile and ends before the tile end.
func (t *tiling) stripAt(tile, end int) strip {
	s := strip{tile: tile, image: tile / (t.across * t.down), row: tile / t.across % t.down, col: tile % t.across}
	s.tiles = min(t.across-s.col, end-tile)
	return s
}

// after is the next strip before the tile end, without tiles if there is none.
func (t *tiling) after(s strip, end int) strip {
	s.tile += s.tiles
	s.col, s.row = 0, s.row+1
	if s.row == t.down {
		s.row, s.image = 0, s.image+1
	}
	s.tiles = min(t.across, end-s.tile)
	return s
}

// sourcePoints writes Bᵀ d B of the tiles first…end−1 to v, [36][tiles][in].
func sourcePoints[T Float](t *tiling, m *micro[T], first, end int, x, v, work []T, relu bool) {
	var last strip
	for s := t.stripAt(first, end); s.tiles > 0; s = t.after(s, end) {
		cols, left := s.tiles*tileSide+2, s.col*tileSide-t.pad
		from, to := max(left, 0), min(left+cols, t.w) // columns that there are
		row, before, n := cols*t.in, (from-left)*t.in, (to-from)*t.in
		columns := work[:tileSpan*row] // transformed
		if s.tiles != last.tiles || s.col != last.col {
			for i := range tileSpan {
				clear(columns[i*row:][:before])
				clear(columns[i*row:][before+n : row])
			}
			last = s
		}
		d, dRow := imageRows(x[s.image*t.h*t.w*t.in:], work[tileSpan*row:], s.row*tileSide-t.pad, tileSpan, t.h, from*t.in,
			n, t.w*t.in)
		m.inputPoints(columns[before:], strides{row, 0, 0}, d, strides{dRow, 0, 0}, 1, 1, n, floorOf[T](relu))
		m.inputPoints(v[(s.tile-first)*t.in:], strides{t.xPoint, t.in, tileSpan * t.xPoint}, columns,
			strides{t.in, tileSide * t.in, row}, tileSpan, s.tiles, t.in, floorOf[T](false))
	}
}

// imageRows is elements from…from+n−1 of so many rows of an image, from row top
// on, and the distance of the rows: in place, or, if some are outside, a copy in
// work with zeros for these.
func imageRows[T Float](x, work []T, top, rows, h, from, n, width int) ([]T, int) {
	if top >= 0 && top+rows <= h {
		return x[top*width+from:], width
	}
	for r := range rows {
		to := work[r*n:][:n]
		if row := top + r; row >= 0 && row < h {
			copy(to, x[row*width+from:])
		} else {
			clear(to)
		}
	}
	return work, n
}

// runTiles does one piece; a.packed are the transformed weights.
func runTiles[T Float](t *tiling, piece, worker int, a *denseArgs[T]) {
	m := loops[T]()
	work := a.work[worker*t.workLen():][:t.workLen()]
	v, z := work[:points*t.xPoint], work[points*t.xPoint:][:points*t.yPoint]
	first := piece * t.block
	end := min(first+t.block, t.tiles())
	sourcePoints(t, m, first, end, a.x, v, work[points*(t.xPoint+t.yPoint):], a.reluIn)
	m.product(z, v, a.packed, points, roundUp(end-first, m.productRows), t.in, t.out, t.xPoint, t.yPoint)

	along := strides{t.yPoint, 0, tileSpan * t.yPoint}
	m.outputTile(z, along, z, along, tileSpan, 1, (end-first)*t.out, nil, nil, nil, tileSide, floorOf[T](false))
	for s := t.stripAt(first, end); s.tiles > 0; s = t.after(s, end) {
		whole := min(s.tiles, t.ow/tileSide-s.col) // tiles that are not cut off on the right
		storeTiles(t, m, z[(s.tile-first)*t.out:], s, 0, whole, tileSide, a)
		storeTiles(t, m, z[(s.tile-first)*t.out:], s, whole, s.tiles-whole, t.ow%tileSide, a)
	}
}

// storeTiles writes so many tiles of a strip, from the skip-th on, each with so
// many columns. z is [6][4][tiles][out], the columns transformed.
func storeTiles[T Float](t *tiling, m *micro[T], z []T, s strip, skip, tiles, cols int, a *denseArgs[T]) {
	if tiles == 0 {
		return
	}
	row, col := s.row*tileSide, (s.col+skip)*tileSide
	at := ((s.image*t.oh+row)*t.ow + col) * t.out
	to, from := strides{t.ow * t.out, tileSide * t.out, t.out}, strides{tileSpan * t.yPoint, t.out, t.yPoint}
	m.outputTile(a.y[at:], to, z[skip*t.out:], from, cols, tiles, t.out, tail(a.mask, at), tail(a.residual, at), a.bias,
		min(tileSide, t.oh-row), a.floor)
}

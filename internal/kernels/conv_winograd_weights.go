// SPDX-License-Identifier: Apache-2.0

package kernels

// tilingGrad is the plan of the gradient of the weights by minimal
// filtering: dg = Gᵀ [ Σ (Bᵀ d B) ⊙ (A dy Aᵀ) ] G over the tiles. Each chunk of
// the batch sums at the points, and transforms the sum back.
type tilingGrad struct {
	*tiling
	images, chunks int
}

// gradElements is tileElements for the gradient of the weights, whose sums are
// loaded and stored once for each block.
const gradElements = 1024

// gradTiles is how many tiles a chunk has at least, for transforming its sums
// back to cost little beside them.
const gradTiles = 32

func (s ConvShape) tilingGrad() *tilingGrad {
	t := &tilingGrad{tiling: newTiling(s.N, s.H, s.W, s.In, s.OutH(), s.OutW(), s.Out, s.Pad, gradElements)}
	each := t.across * t.down
	t.images = max((s.N+chunks-1)/chunks, (gradTiles+each-1)/each)
	t.chunks = (s.N + t.images - 1) / t.images
	return t
}

// partial is the length of a chunk's gradients.
func (t *tilingGrad) partial() int { return 9 * t.in * t.out }

// workLen is what a worker needs: the sums, the points of a block, and a strip.
func (t *tilingGrad) workLen() int {
	return points*(t.in*t.out+t.xPoint+t.yPoint) + max(t.strip, 3*tileSpan*weightElements)
}

// gradientPoints writes A dy Aᵀ of the tiles first…end−1 to d, [36][tiles][out].
func gradientPoints[T Float](t *tiling, m *micro[T], first, end int, dy, d, work []T) {
	var last strip
	for s := t.stripAt(first, end); s.tiles > 0; s = t.after(s, end) {
		cols, left := s.tiles*tileSide, s.col*tileSide
		row, n := cols*t.out, min(cols, t.ow-left)*t.out
		columns := work[:tileSpan*row] // transformed
		if s.tiles != last.tiles || s.col != last.col {
			for i := range tileSpan {
				clear(columns[i*row:][n:row])
			}
			last = s
		}
		y, yRow := imageRows(dy[s.image*t.oh*t.ow*t.out:], work[tileSpan*row:], s.row*tileSide, tileSide, t.oh, left*t.out,
			n, t.ow*t.out)
		m.outputPoints(columns, strides{row, 0, 0}, y, strides{yRow, 0, 0}, 1, 1, n)
		m.outputPoints(d[(s.tile-first)*t.out:], strides{t.yPoint, t.out, tileSpan * t.yPoint}, columns,
			strides{t.out, tileSide * t.out, row}, tileSpan, s.tiles, t.out)
	}
}

// tilingTask computes a chunk's gradients.
type tilingTask[T Float] ConvBackwardWeights[T]

func (c *tilingTask[T]) Do(chunk, worker int) {
	t, m := c.tiles, loops[T]()
	n := t.in * t.out
	work := c.Scratch[t.chunks*t.partial()+worker*t.workLen():][:t.workLen()]
	sums, v := work[:points*n], work[points*n:][:points*t.xPoint]
	d, rest := work[points*(n+t.xPoint):][:points*t.yPoint], work[points*(n+t.xPoint+t.yPoint):]
	image := t.across * t.down
	start, stop := chunk*t.images*image, min((chunk+1)*t.images, t.n)*image
	for first := start; first < stop; first += t.block {
		end := min(first+t.block, stop)
		sourcePoints(t.tiling, m, first, end, c.X, v, rest, c.ReLUIn)
		gradientPoints(t.tiling, m, first, end, c.DY, d, rest)
		m.productGrad(sums, v, d, points, end-first, t.in, t.out, t.xPoint, t.yPoint, first > start)
	}
	dw := c.Scratch[chunk*t.partial():][:t.partial()]
	for i := 0; i < n; i += weightElements {
		e := min(weightElements, n-i)
		m.weightTaps(rest, strides{e, 3 * e, 0}, sums[i:], strides{n, tileSpan * n, 0}, 1, tileSpan, e)
		m.weightTaps(dw[i:], strides{3 * n, n, 0}, rest, strides{3 * e, e, 0}, 1, 3, e)
	}
}

// tilingSumTask adds the chunks' gradients of one tap.
type tilingSumTask[T Float] ConvBackwardWeights[T]

func (c *tilingSumTask[T]) Do(tap, _ int) {
	t, m := c.tiles, loops[T]()
	n := t.in * t.out
	sum := c.DW[tap*n:][:n]
	copy(sum, c.Scratch[tap*n:])
	for chunk := 1; chunk < t.chunks; chunk++ {
		m.add(sum, sum, c.Scratch[chunk*t.partial()+tap*n:][:n], floorOf[T](false))
	}
}

// SPDX-License-Identifier: Apache-2.0

package kernels

// pointwise is a 1×1 convolution of a block of pixels, rows × cols, which all
// kernels that have one share. Where the platform has micro.point, that takes
// blocks of channels of a row of pixels; else the blocks are micro.conv's panels.
type pointwise struct {
	in, out                int
	cols                   int
	xCol, xRow, yCol, yRow int
	blocks                 []pointBlock
	tile                   int     // of panels: pixels of a tile of micro.conv; else 0
	x, y                   [][]int // of panels: of the pixels of 1, 2, … rows
	place                  []int   // of panels: of a tile's pixels in a tile of its own
}

// pointBlock is a group of channels that are computed together: vectors of eight
// channels, starting at channel first. Consecutive vectors are adjacent, except
// that the final one starts at first+last, so it may overlap its predecessor.
type pointBlock struct{ first, vectors, last int }

const (
	pointVector = 8 // channels of a vector of a pointBlock
	pointRows   = 4 // rows of weights that micro.pointGrad computes at once
)

// pointBlocks divides n channels, at least a vector, into blocks for micro.point.
// As many blocks as possible have three vectors, which need the fewest loads, and
// none of several has only one. The last vector ends with the last channel, and
// may overlap the vector before it.
func pointBlocks(n int) (blocks []pointBlock) {
	for first, left := 0, (n+pointVector-1)/pointVector; left > 0; {
		b := pointBlock{first: first, vectors: 3}
		if left < 3 || left == 4 {
			b.vectors = min(left, 2)
		}
		b.last = min((b.vectors-1)*pointVector, n-pointVector-first)
		blocks = append(blocks, b)
		first, left = first+b.vectors*pointVector, left-b.vectors
	}
	return blocks
}

// panelBlocks returns the panels of n channels as blocks (see [panelStart]).
// Panels may overlap; if a panel is wider than n, its vectors are not full.
func panelBlocks(n int) (blocks []pointBlock) {
	for i := 0; i*panel < n; i++ {
		blocks = append(blocks, pointBlock{panelStart(i, n), panel / pointVector, panel - pointVector})
	}
	return blocks
}

// channel returns the first channel of vector v.
func (b pointBlock) channel(v int) int {
	if v == b.vectors-1 {
		return b.first + b.last
	}
	return b.first + v*pointVector
}

// wide returns the number of channels of a block's weights, which have the
// channels in which vectors overlap twice.
func (b pointBlock) wide() int { return b.vectors * pointVector }

// inBlocks reports whether there are loops for n channels in blocks.
func (m *micro[T]) inBlocks(n int) bool { return m.point != nil && n >= pointVector }

// newPointwise makes the plan for 1…rows rows.
func newPointwise[T Float](m *micro[T], in, out, rows, cols, xCol, xRow, yCol, yRow int) pointwise {
	p := pointwise{in: in, out: out, cols: cols, xCol: xCol, xRow: xRow, yCol: yCol, yRow: yRow}
	if m.inBlocks(out) {
		p.blocks = pointBlocks(out)
		return p
	}
	p.blocks, p.tile = panelBlocks(out), m.convRows
	for n := 1; n <= rows; n++ {
		var x, y []int
		for r := range n {
			for c := range cols {
				x, y = append(x, r*xRow+c*xCol), append(y, r*yRow+c*yCol)
			}
		}
		for i := len(x); len(x)%p.tile != 0; {
			x, y = append(x, x[i-1]), append(y, y[i-1])
		}
		p.x, p.y = append(p.x, x), append(p.y, y)
	}
	for i := range p.tile {
		p.place = append(p.place, i*panel)
	}
	return p
}

func (p *pointwise) packedLen() int { return blocksWide(p.blocks) * p.in }

func blocksWide(blocks []pointBlock) (n int) {
	for _, b := range blocks {
		n += b.wide()
	}
	return n
}

// tileLen returns the length of run's working memory.
func (p *pointwise) tileLen() int { return p.tile * panel }

// vector returns the first channel of a block's vector v, and how many of n it has.
func (b pointBlock) vector(v, n int) (first, channels int) {
	return b.channel(v), min(pointVector, max(0, n-b.channel(v)))
}

// packPointwise lays weights out as [block][in][channels of the block], with
// zeros in the gaps.
func packPointwise[T Float](p *pointwise, dst, weights []T, inStride, outStride int) {
	for _, b := range p.blocks {
		if b.wide() > p.out {
			clear(dst[:p.in*b.wide()])
		}
		for v := range b.vectors {
			if first, n := b.vector(v, p.out); n > 0 {
				packColumns(dst[v*pointVector:], b.wide(), weights[first*outStride:], p.in, n, inStride, outStride)
			}
		}
		dst = dst[p.in*b.wide():]
	}
}

// packColumns sets dst[k·row+j] = weights[k·inStride+j·outStride] for k < in and j < n.
func packColumns[T Float](dst []T, row int, weights []T, in, n, inStride, outStride int) {
	if outStride == 1 {
		for k := range in {
			copy(dst[k*row:][:n], weights[k*inStride:])
		}
		return
	}
	for j := range n {
		from := weights[j*outStride:]
		for k := range in {
			dst[k*row+j] = from[k*inStride]
		}
	}
}

// lay lays pixels of a map, c channels of each, where a 1×1 convolution reads
// them, rectified or not. one is a one for every channel.
func lay[T Float](m *micro[T], y []T, yCol int, x []T, xCol int, one []T, relu bool, pixels, c int) {
	if m.lay != nil {
		m.lay(y, yCol, x, xCol, floorOf[T](relu), pixels, c)
		return
	}
	m.depth(depthOperands[T]{y: y, yCol: yCol, x: x, xCol: xCol, w: one, window: oneTap, floor: floorOf[T](relu),
		cols: pixels, c: c})
}

// oneSegment and oneTap are a 1×1 window.
var (
	oneSegment = []int{0}
	oneTap     = window{rows: 1, cols: 1}
)

// runPointwise convolves so many rows. tile is working memory, zero a panel of
// zeros. mask and residual are nil or as in micro.conv, and then panels, if it has
// them, are whole.
func runPointwise[T Float](p *pointwise, m *micro[T], y, mask, residual, x, packed, tile, zero []T, rows int) {
	if p.tile == 0 {
		cols := p.cols
		if p.xRow == cols*p.xCol && p.yRow == cols*p.yCol { // one long row
			cols, rows = rows*cols, 1
		}
		for r := range rows {
			at := r * p.yRow
			m.point(y[at:], tail(mask, at), tail(residual, at), p.yCol, x[r*p.xRow:], p.xCol, packed, p.blocks, cols, p.in)
		}
		return
	}
	xoff, yoff, none := p.x[rows-1], p.y[rows-1], floorOf[T](false)
	if p.out < panel {
		for t := 0; t < len(xoff); t += p.tile {
			m.conv(convOperands[T]{y: tile, yoff: p.place, x: x, xoff: xoff[t:][:p.tile], segs: oneSegment, seglen: p.in,
				w: packed, bias: zero, floor: none})
			for j, at := range yoff[t:][:p.tile] {
				copy(y[at:][:p.out], tile[j*panel:])
			}
		}
		return
	}
	for _, b := range p.blocks {
		m.conv(convOperands[T]{y: y[b.first:], mask: tail(mask, b.first), residual: tail(residual, b.first), yoff: yoff,
			x: x, xoff: xoff, segs: oneSegment, seglen: p.in, w: packed, bias: zero, floor: none})
		packed = packed[p.in*panel:]
	}
}

// pointwiseBack is the gradient of a 1×1 convolution in maps side by side: a
// convolution for each, if their masks and residuals can be taken as they are
// written, else one of all.
type pointwiseBack struct {
	maps   []pointwiseMap
	all    bool
	packed int // length of all packed weights
}

// pointwiseMap is one of those; packed is where its weights begin.
type pointwiseMap struct {
	pointwise
	packed int
}

// newPointwiseBack makes the plans with of, for so many channels of a map or of
// all side by side.
func newPointwiseBack[T Float](m *micro[T], channels []int,
	of func(channels int, all bool) pointwise) (p pointwiseBack) {
	for _, c := range channels {
		p.all = p.all || c%panel != 0 && !m.inBlocks(c)
	}
	if p.all {
		channels = []int{together(channels)}
	}
	for _, c := range channels {
		k := pointwiseMap{of(c, p.all), p.packed}
		p.maps, p.packed = append(p.maps, k), p.packed+k.packedLen()
	}
	return p
}

func (p *pointwiseBack) tileLen() (n int) {
	for i := range p.maps {
		n = max(n, p.maps[i].tileLen())
	}
	return n
}

// packPointwiseBack lays out the weights of the convolution, in × out.
func packPointwiseBack[T Float](p *pointwiseBack, dst, weights []T) {
	for i := range p.maps {
		k := &p.maps[i]
		packPointwise(&k.pointwise, dst[k.packed:], weights, 1, k.in)
		weights = weights[k.out*k.in:]
	}
}

// pointwiseGrad is the gradient of a 1×1 convolution in its weights, in × out:
// of each part of a batch, in the order in which the loops want it.
type pointwiseGrad struct {
	in, out int
	blocks  []pointBlock // each is a piece, which is summed by itself
	panels  bool         // they are those of micro.outer
	rows    int          // in rounded up to what the loops take
	wide    int          // channels that they read of Y's gradient
}

func newPointwiseGrad[T Float](m *micro[T], in, out int) pointwiseGrad {
	if m.inBlocks(out) {
		return pointwiseGrad{in: in, out: out, blocks: pointBlocks(out), rows: roundUp(in, pointRows), wide: out}
	}
	return pointwiseGrad{in: in, out: out, blocks: panelBlocks(out), panels: true, rows: roundUp(in, m.outerRows),
		wide: max(panel, out)}
}

// length is that of a part's gradient.
func (p *pointwiseGrad) length() int { return p.rows * blocksWide(p.blocks) }

// addPointwiseGrad adds so many pixels, xCol and dyCol apart, to a part's
// gradient. x has up to p.rows elements more than it needs, of any value.
func addPointwiseGrad[T Float](p *pointwiseGrad, m *micro[T], dw, x []T, xCol int, dy []T, dyCol, pixels int) {
	if !p.panels {
		m.pointGrad(dw, p.rows, x, xCol, dy, dyCol, p.blocks, pixels)
		return
	}
	for _, b := range p.blocks {
		m.outer(dw, p.rows, x, dy[b.first:], 1, pixels, 0, xCol, 0, dyCol)
		dw = dw[p.rows*panel:]
	}
}

// sumPointwiseGrad adds up a piece of n parts' gradients, size apart, and writes
// it to dw, in × out.
func sumPointwiseGrad[T Float](p *pointwiseGrad, dw, partial []T, piece, size, n int) {
	b, at := p.blocks[piece], p.rows*blocksWide(p.blocks[:piece])
	m, sum := loops[T](), partial[at:][:p.in*b.wide()]
	for i := 1; i < n; i++ {
		m.add(sum, sum, partial[i*size+at:][:len(sum)], floorOf[T](false))
	}
	done := 0 // channels of the pieces before, which others write
	if piece > 0 {
		before := p.blocks[piece-1]
		done = before.channel(before.vectors-1) + pointVector
	}
	for v := range b.vectors {
		first, channels := b.vector(v, p.out)
		for k, skip := 0, max(0, done-first); k < p.in && skip < channels; k++ {
			copy(dw[k*p.out+first+skip:][:channels-skip], sum[k*b.wide()+v*pointVector+skip:])
		}
	}
}

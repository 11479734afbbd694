// SPDX-License-Identifier: Apache-2.0

package kernels

// pointwise is a 1×1 convolution of a block of pixels, rows × cols, which all
// kernels that have one share. Where the platform has micro.point, that takes
// blocks of channels of a row of pixels; else micro.conv takes panels.
type pointwise struct {
	in, out                int
	cols                   int
	xCol, xRow, yCol, yRow int
	blocks                 []pointBlock // nil: panels
	tile                   int          // of panels: pixels of a tile of micro.conv
	x, y                   [][]int      // of panels: of the pixels of 1, 2, … rows
	place                  []int        // of panels: of a tile's pixels in a tile of its own
}

// pointBlock is channels that micro.point takes together: vectors of eight from
// channel first on, one behind the other but for the last one, which begins last
// channels behind the first and, ending with all channels, may overlap the one
// before it.
type pointBlock struct{ first, vectors, last int }

const (
	pointVector = 8 // channels of a vector of a pointBlock
	pointRows   = 4 // rows of weights that micro.pointGrad computes at once
)

// pointBlocks are the blocks of n channels, at least a vector: as many as can be
// have three vectors, which need the fewest loads, and none only one.
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

// channel is the first one of vector v.
func (b pointBlock) channel(v int) int {
	if v == b.vectors-1 {
		return b.first + b.last
	}
	return b.first + v*pointVector
}

// wide is the channels that a block's weights have, those that overlap twice.
func (b pointBlock) wide() int { return b.vectors * pointVector }

// inBlocks says whether there are loops for n channels in blocks.
func (m *micro[T]) inBlocks(n int) bool { return m.point != nil && n >= pointVector }

// newPointwise is the plan for 1…rows rows.
func newPointwise[T Float](m *micro[T], in, out, rows, cols, xCol, xRow, yCol, yRow int) pointwise {
	p := pointwise{in: in, out: out, cols: cols, xCol: xCol, xRow: xRow, yCol: yCol, yRow: yRow}
	if m.inBlocks(out) {
		p.blocks = pointBlocks(out)
		return p
	}
	p.tile = m.convRows
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

func (p *pointwise) packedLen() int {
	if p.blocks != nil {
		return blocksWide(p.blocks) * p.in
	}
	return (p.out + panel - 1) / panel * panel * p.in
}

func blocksWide(blocks []pointBlock) (n int) {
	for _, b := range blocks {
		n += b.wide()
	}
	return n
}

// tileLen is the length of run's working memory.
func (p *pointwise) tileLen() int { return p.tile * panel }

// packPointwise lays weights out as [block][in][channels of the block], or in
// panels, as [⌈out/16⌉][in][16] (see [panelStart]).
func packPointwise[T Float](p *pointwise, dst, weights []T, inStride, outStride int) {
	if p.blocks == nil {
		clear(dst[:p.packedLen()])
		for i := 0; i*panel < p.out; i++ {
			packColumns(dst[i*p.in*panel:], panel, weights[panelStart(i, p.out)*outStride:], p.in, min(panel, p.out), inStride, outStride)
		}
		return
	}
	for _, b := range p.blocks {
		for v := range b.vectors {
			packColumns(dst[v*pointVector:], b.wide(), weights[b.channel(v)*outStride:], p.in, pointVector, inStride, outStride)
		}
		dst = dst[p.in*b.wide():]
	}
}

// packColumns is dst[k·row+j] = weights[k·inStride+j·outStride] for k < in and j < n.
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
	m.depth(y, nil, nil, yCol, x, xCol, one, window{rows: 1, cols: 1}, nil, floorOf[T](relu), pixels, c)
}

// oneSegment is the table of a 1×1 window.
var oneSegment = []int{0}

// runPointwise convolves so many rows. tile is working memory, zero a panel of
// zeros. mask and residual are nil or as in micro.conv, and then p.out is whole
// panels if it has no blocks.
func runPointwise[T Float](p *pointwise, m *micro[T], y, mask, residual, x, packed, tile, zero []T, rows int) {
	if p.blocks != nil {
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
			m.conv(tile, nil, nil, p.place, x, xoff[t:][:p.tile], oneSegment, p.in, packed, zero, none)
			for j, at := range yoff[t:][:p.tile] {
				copy(y[at:][:p.out], tile[j*panel:])
			}
		}
		return
	}
	for i := 0; i*panel < p.out; i++ {
		first := panelStart(i, p.out)
		m.conv(y[first:], tail(mask, first), tail(residual, first), yoff, x, xoff, oneSegment, p.in, packed[i*p.in*panel:], zero, none)
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
func newPointwiseBack[T Float](m *micro[T], channels []int, of func(channels int, all bool) pointwise) (p pointwiseBack) {
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
	blocks  []pointBlock // nil: panels
	rows    int          // in rounded up to what the loops take
	wide    int          // channels that they read of Y's gradient
}

func newPointwiseGrad[T Float](m *micro[T], in, out int) pointwiseGrad {
	if m.inBlocks(out) {
		return pointwiseGrad{in: in, out: out, blocks: pointBlocks(out), rows: roundUp(in, pointRows), wide: out}
	}
	return pointwiseGrad{in: in, out: out, rows: roundUp(in, m.outerRows), wide: max(panel, out)}
}

// length is that of a part's gradient.
func (p *pointwiseGrad) length() int { return p.rows * p.columns() }

func (p *pointwiseGrad) columns() int {
	if p.blocks != nil {
		return blocksWide(p.blocks)
	}
	return roundUp(p.out, panel)
}

// addPointwiseGrad adds so many pixels, xCol and dyCol apart, to a part's
// gradient. x has up to p.rows elements more than it needs, of any value.
func addPointwiseGrad[T Float](p *pointwiseGrad, m *micro[T], dw, x []T, xCol int, dy []T, dyCol, pixels int) {
	if p.blocks != nil {
		m.pointGrad(dw, p.rows, x, xCol, dy, dyCol, p.blocks, pixels)
		return
	}
	for o := 0; o*panel < p.out; o++ {
		m.outer(dw[o*panel*p.rows:], p.rows, x, dy[panelStart(o, p.out):], 1, pixels, 0, xCol, 0, dyCol)
	}
}

// pieces is the number of blocks or panels, which are summed one by one.
func (p *pointwiseGrad) pieces() int {
	if p.blocks != nil {
		return len(p.blocks)
	}
	return (p.out + panel - 1) / panel
}

// sumPointwiseGrad adds up a piece of n parts' gradients, size apart, and writes
// it to dw, in × out.
func sumPointwiseGrad[T Float](p *pointwiseGrad, dw, partial []T, piece, size, n int) {
	at, wide := piece*panel*p.rows, panel
	if p.blocks != nil {
		at, wide = p.blocks[piece].first*p.rows, p.blocks[piece].wide()
	}
	m, sum := loops[T](), partial[at:][:p.in*wide]
	for i := 1; i < n; i++ {
		m.add(sum, sum, partial[i*size+at:][:len(sum)], floorOf[T](false))
	}
	if p.blocks != nil {
		b := p.blocks[piece]
		for v := range b.vectors {
			for k := range p.in {
				copy(dw[k*p.out+b.channel(v):][:pointVector], sum[k*wide+v*pointVector:])
			}
		}
		return
	}
	again := piece*panel - panelStart(piece, p.out) // what overlaps the panel before is that one's
	for k := range p.in {
		copy(dw[k*p.out+piece*panel:][:min(panel, p.out-piece*panel)], sum[k*panel+again:])
	}
}

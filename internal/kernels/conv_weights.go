// SPDX-License-Identifier: Apache-2.0

package kernels

// chunks is the number of parts of a batch that get partial weight gradients
// of their own. It bounds the threads that help, and fixes the bits.
const chunks = 16

// parts is the number of images in a part of a batch of n, and of parts.
func parts(n int) (images, count int) {
	images = (n + chunks - 1) / chunks
	return images, (n + images - 1) / images
}

// blockElements of input and output gradient are read again and again while
// they are in the first-level cache.
const blockElements = 6 << 10

// ConvBackwardWeights is the gradient of a dense convolution in its weights,
// DW[kh][kw][i][o] = Σ pre(X)·DY over images and pixels; pre is a ReLU if
// ReLUIn. Parts of the batch are summed apart, then added in order.
type ConvBackwardWeights[T Float] struct {
	ConvShape
	ReLUIn             bool
	X, DY, DW, Scratch []T

	plan  *outerPlan
	tiles *tilingGrad // if minimal filtering pays
	key   convKey
}

// outerPlan is how the weight gradients are cut.
type outerPlan struct {
	g       gather
	segs    []int
	seglen  int
	rows    int // seglen rounded up to whole tiles
	panels  int
	partial int // elements of a chunk's gradients: [panels][segs][rows][16]
	images  int // in a chunk
	chunks  int
	block   int // row units that are read together
	dyWidth int // channels of DY as read: Out, or a panel if it is copied
	dyCopy  int // elements of that copy
	slack   int // elements that the last tile reads past the working copy
}

// planned makes a plan: c.tiles, or if that is nil c.plan.
func (c *ConvBackwardWeights[T]) planned() {
	key := convKey{c.ConvShape, c.ReLUIn, 1} // the same for any threads
	if key == c.key {
		return
	}
	c.check()
	c.key, c.plan, c.tiles = key, nil, nil
	if c.winograd() && loops[T]().product != nil {
		c.tiles = c.tilingGrad()
	} else {
		c.plan = c.outerPlan(loops[T]().outerRows, c.ReLUIn)
	}
}

func (c ConvShape) outerPlan(tile int, reluIn bool) *outerPlan {
	run := c.In // what segments will say
	if max(1, c.Dilation) == 1 {
		run *= c.Kernel
	}
	g := c.forward(!reluIn && run%tile == 0, 1)
	g.images = 1
	p := &outerPlan{g: g, slack: tile, panels: (c.Out + panel - 1) / panel, dyWidth: c.Out}
	p.segs, p.seglen = g.segments(g.rows.phases[0], g.cols.phases[0], true)
	p.rows = (p.seglen + tile - 1) / tile * tile
	p.partial = p.panels * len(p.segs) * p.rows * panel
	p.images, p.chunks = parts(c.N)
	p.block = max(1, blockElements/(g.cols.units*panel+g.rows.step*g.width*g.c))
	if c.Out < panel {
		p.dyWidth = panel
		p.dyCopy = g.units * g.cols.units * p.dyWidth
	}
	return p
}

func (p *outerPlan) workLen() int { return p.g.workLen() + p.slack + p.dyCopy }

// ScratchLen returns the length that Scratch must have for so many threads.
func (c *ConvBackwardWeights[T]) ScratchLen(threads int) int {
	c.planned()
	if f := c.tiles; f != nil {
		return f.chunks*f.partial() + threads*f.workLen()
	}
	p := c.plan
	return p.chunks*p.partial + threads*p.workLen()
}

// Run computes DW.
func (c *ConvBackwardWeights[T]) Run(p *Workers) {
	c.planned()
	need("conv backward weights", "X", c.X, c.xLen())
	need("conv backward weights", "DY", c.DY, c.yLen())
	need("conv backward weights", "DW", c.DW, c.weightsLen())
	need("conv backward weights", "Scratch", c.Scratch, c.ScratchLen(p.Threads()))
	if c.tiles != nil {
		p.For(c.tiles.chunks, (*tilingTask[T])(c))
		p.For(9, (*tilingSumTask[T])(c))
		return
	}
	p.For(c.plan.chunks, (*outerTask[T])(c))
	p.For(c.plan.panels*len(c.plan.segs), (*outerSumTask[T])(c))
}

// outerTask computes a chunk's partial gradients.
type outerTask[T Float] ConvBackwardWeights[T]

func (c *outerTask[T]) Do(chunk, worker int) {
	p, m := c.plan, loops[T]()
	g := &p.g
	partial := c.Scratch[chunk*p.partial:][:p.partial]
	clear(partial)
	work := c.Scratch[p.chunks*p.partial+worker*p.workLen():][:p.workLen()]
	for piece := chunk * p.images * g.bands(); piece < min((chunk+1)*p.images, c.N)*g.bands(); piece++ {
		image, _, unit, units := g.at(piece)
		x := load(g, m, piece, c.X, work, entry[T]{relu: c.ReLUIn})
		dy := c.DY[(image*g.rows.units+unit)*g.cols.units*c.Out:]
		if p.dyCopy > 0 {
			wide := work[g.workLen()+p.slack:]
			for i := range units * g.cols.units {
				row := wide[i*p.dyWidth:][:p.dyWidth]
				clear(row[copy(row, dy[i*c.Out:][:c.Out]):])
			}
			dy = wide
		}
		xCol, dyCol := g.cols.step*g.c, p.dyWidth
		xRow, dyRow := g.rows.step*g.width*g.c, g.cols.units*p.dyWidth
		for r := 0; r < units; r += p.block {
			for i := range p.panels {
				for s, seg := range p.segs {
					dw := partial[(i*len(p.segs)+s)*p.rows*panel:]
					m.outer(dw, p.rows, x[seg+r*xRow:], dy[r*dyRow+panelStart(i, c.Out):], min(p.block, units-r), g.cols.units, xRow,
						xCol, dyRow, dyCol)
				}
			}
		}
	}
}

// outerSumTask adds the chunks' gradients of one panel and segment.
type outerSumTask[T Float] ConvBackwardWeights[T]

func (c *outerSumTask[T]) Do(piece, _ int) {
	p, m := c.plan, loops[T]()
	n := p.rows * panel
	sum := c.Scratch[piece*n:][:n]
	for chunk := 1; chunk < p.chunks; chunk++ {
		m.add(sum, sum, c.Scratch[chunk*p.partial+piece*n:][:n], floorOf[T](false))
	}
	i, seg := piece/len(p.segs), piece%len(p.segs)
	own := i * panel // the last panel begins before its own channels, among those of the one before
	sum = sum[own-panelStart(i, c.Out):]
	for row := range p.seglen {
		copy(c.DW[(seg*p.seglen+row)*c.Out+own:][:min(panel, c.Out-own)], sum[row*panel:])
	}
}

// SPDX-License-Identifier: Apache-2.0

package kernels

// dense is the plan of a dense convolution, forward or backward: an implicit
// matrix product. Pixels are the rows, found through offset tables in the
// (padded) source; weights are packed in panels of 16 destination channels.
type dense struct {
	g      gather
	out    int // destination channels
	rows   int // pixels of a tile, micro.convRows
	passes []pass
	packed int   // length of the packed weights
	tile   []int // offsets of a tile's pixels in a tile of its own
}

// pass is one pair of phases: the pixels that use one set of taps.
type pass struct {
	taps   []int // weight positions kh·kernel+kw in packed order
	segs   []int
	seglen int
	packed int // start of its panels in the packed weights
	depth  int // products in a sum: len(segs)·seglen
	full   offsets
	last   offsets
}

// offsets says where the pixels of a piece are, in the working copy (x) and in
// the destination (y, from the piece's first image and row). The last pixel is
// repeated to fill the last tile.
type offsets struct {
	n    int // pixels without the repeated ones
	x, y []int
}

func newDense(g gather, kernel, out, rows int) *dense {
	d := &dense{g: g, out: out, rows: rows}
	for i := range rows {
		d.tile = append(d.tile, i*panel)
	}
	_, images, unit, units := g.at(g.pieces() - 1)
	for _, rp := range g.rows.phases {
		for _, cp := range g.cols.phases {
			p := pass{packed: d.packed}
			p.segs, p.seglen = g.segments(rp, cp, true)
			for _, r := range rp.taps {
				for _, c := range cp.taps {
					p.taps = append(p.taps, r.t*kernel+c.t)
				}
			}
			p.depth = len(p.taps) * g.c
			p.last = d.offsets(rp, cp, images, unit, units)
			p.full = p.last
			if images != g.images || unit > 0 {
				p.full = d.offsets(rp, cp, g.images, 0, g.units)
			}
			d.packed += (out + panel - 1) / panel * p.depth * panel
			d.passes = append(d.passes, p)
		}
	}
	return d
}

func (d *dense) offsets(rp, cp phase, images, unit, units int) (o offsets) {
	g := &d.g
	for image := range images {
		for i := range min(units, rp.count-unit) {
			for j := range cp.count {
				o.x = append(o.x, image*g.imageLen()+(i*g.rows.step*g.width+j*g.cols.step)*g.c)
				row, col := rp.first+i*g.rows.every, cp.first+j*g.cols.every
				o.y = append(o.y, ((image*g.rows.dest+row)*g.cols.dest+col)*d.out)
			}
		}
	}
	o.n = len(o.x)
	for n := o.n; n%d.rows != 0; n++ {
		o.x, o.y = append(o.x, o.x[n-1]), append(o.y, o.y[n-1])
	}
	return o
}

// workLen is what a worker needs: the working copy, a tile for the channels
// that do not fill a panel, and that panel's bias.
func (d *dense) workLen() int { return d.g.workLen() + (d.rows+1)*panel }

// panelStart is the first destination channel of a panel. Where the channels do
// not fill the last one, it begins early and overlaps the one before; if there
// are fewer than 16 in all, zeros fill it.
func panelStart(i, out int) int { return max(0, min(i*panel, out-panel)) }

// pack lays weights [taps][source][destination], with these strides, out in
// panels of 16 destination channels: for each pass [panels][taps][source][16].
func pack[T Float](d *dense, dst, weights []T, tapStride, sourceStride, outStride int) {
	for _, p := range d.passes {
		dst := dst[p.packed:]
		n := min(panel, d.out)
		for i := 0; i*panel < d.out; i++ {
			first := panelStart(i, d.out)
			for _, t := range p.taps {
				for s := range d.g.c {
					row := dst[:panel]
					src := weights[t*tapStride+s*sourceStride+first*outStride:]
					if outStride == 1 {
						copy(row, src[:n])
					} else {
						for j := range n {
							row[j] = src[j*outStride]
						}
					}
					clear(row[n:])
					dst = dst[panel:]
				}
			}
		}
	}
}

// denseArgs are the slices of one run.
type denseArgs[T Float] struct {
	x, packed, bias, y, mask, residual []T
	reluIn                             bool
	floor                              T
	work                               []T // workLen for each worker
}

// runDense does one piece.
func runDense[T Float](d *dense, piece, worker int, a *denseArgs[T]) {
	m, g := loops[T](), &d.g
	work := a.work[worker*d.workLen():][:d.workLen()]
	image, images, unit, units := g.at(piece)
	x := load(g, m, piece, a.x, work, entry[T]{relu: a.reluIn})
	start := (image*g.rows.dest + unit*g.rows.every) * g.cols.dest * d.out
	y, mask, residual := a.y[start:], tail(a.mask, start), tail(a.residual, start)
	tile := work[g.workLen():][:d.rows*panel]
	bias := work[g.workLen()+d.rows*panel:][:panel]
	for i := range d.passes {
		p := &d.passes[i]
		o := &p.full
		if unit+units == g.rows.units && (images == 1 || image+images == g.n) {
			o = &p.last
		}
		w := a.packed[p.packed:]
		for i := 0; i*panel < d.out; i++ {
			first := panelStart(i, d.out)
			clear(bias)
			if a.bias != nil {
				copy(bias, a.bias[first:])
			}
			y, mask, residual := y[first:], tail(mask, first), tail(residual, first)
			again := i*panel - first // what overlaps would be written twice, which a sum in place does not stand
			if d.out >= panel && (again == 0 || residual == nil) {
				m.conv(convOperands[T]{y: y, mask: mask, residual: residual, yoff: o.y, x: x, xoff: o.x, segs: p.segs,
					seglen: p.seglen, w: w, bias: bias, floor: a.floor})
			} else {
				n := min(panel, d.out-i*panel)
				for t := 0; t < o.n; t += d.rows {
					m.conv(convOperands[T]{y: tile, yoff: d.tile, x: x, xoff: o.x[t:][:d.rows], segs: p.segs, seglen: p.seglen,
						w: w, bias: bias, floor: floorOf[T](false)})
					for j, at := range o.y[t:min(t+d.rows, o.n)] {
						finish(y[at+again:], tile[j*panel+again:][:n], tail(mask, at+again), tail(residual, at+again), a.floor)
					}
				}
			}
			w = w[p.depth*panel:]
		}
	}
}

// SPDX-License-Identifier: Apache-2.0

package kernels

// Every windowed kernel — dense or depthwise, forward or backward, any stride
// or dilation — is written as one thing: an output element gathers source
// elements at fixed distances. This file describes which, copies the source
// with its padding, and cuts the work into pieces.

// tap is a kernel position t that reads source index unit·step + q.
type tap struct{ t, q int }

// phase is a set of outputs first + unit·every, unit < count, with the same taps.
type phase struct {
	first, count int
	taps         []tap // ascending q
}

// axis describes the rows or the columns of a gather. Forward has one phase;
// the gradient of a strided window has one for each remainder.
type axis struct {
	units  int // a unit is every outputs
	every  int
	step   int // source elements from one unit to the next
	source int // source extent
	dest   int // destination extent
	lo, hi int // least and greatest q
	phases []phase
}

// forwardAxis: output o reads o·stride + t·dilation − pad, t < kernel. A
// negative pad crops.
func forwardAxis(in, out, kernel, stride, pad, dilation int) axis {
	a := axis{units: out, every: 1, step: stride, source: in, dest: out, lo: -pad, hi: (kernel-1)*dilation - pad}
	p := phase{count: out}
	for t := range kernel {
		p.taps = append(p.taps, tap{t, t*dilation - pad})
	}
	a.phases = []phase{p}
	return a
}

// backwardAxis is the transpose: element i of the forward input gathers from
// all o with o·stride + t·dilation − pad = i.
func backwardAxis(in, out, kernel, stride, pad, dilation int) axis {
	a := axis{units: (in + stride - 1) / stride, every: stride, step: 1, source: out, dest: in}
	for first := range min(stride, in) {
		p := phase{first: first, count: (in - first + stride - 1) / stride}
		for t := kernel - 1; t >= 0; t-- {
			if d := first + pad - t*dilation; d%stride == 0 {
				q := d / stride
				p.taps = append(p.taps, tap{t, q})
				a.lo, a.hi = min(a.lo, q), max(a.hi, q)
			}
		}
		a.phases = append(a.phases, p)
	}
	return a
}

// span is the source extent that n units read.
func (a axis) span(n int) int { return (n-1)*a.step + a.hi - a.lo + 1 }

// inside reports that no unit reads outside the source.
func (a axis) inside() bool { return a.lo >= 0 && a.lo+a.span(a.units) <= a.source }

// gather is a batch of gathering images: rows × columns, the source with c channels.
type gather struct {
	n, c       int
	rows, cols axis
	inPlace    bool // the source itself is read: no padding, nothing to apply
	images     int  // images in a piece
	units      int  // row units in a piece; fewer than rows.units only if images is 1
	width      int  // columns of the working image
}

// Pieces keep the working image and its outputs in a second-level cache, and
// are large enough that the last, partly used tile does not count.
const (
	piecePixels   = 768
	pieceElements = 64 << 10
)

// newGather cuts the work: small images are taken together, large ones are
// cut into bands of rows, as are few images for many threads.
func newGather(n, c int, rows, cols axis, inPlace bool, threads int) gather {
	g := gather{n: n, c: c, rows: rows, cols: cols}
	g.inPlace = inPlace && rows.inside() && cols.inside()
	g.width = cols.span(cols.units)
	if g.inPlace {
		g.width = cols.source
	}
	pixels := rows.units * cols.units
	g.images = min(max(1, piecePixels/pixels), (n+threads-1)/threads)
	g.units = rows.units
	if g.images == 1 {
		g.units = min(g.units, max(1, pieceElements/(rows.step*g.width*c)))
		if n < threads {
			g.units = min(g.units, (rows.units*n+threads-1)/threads)
		}
	}
	return g
}

// bands is the number of pieces of an image, or 1.
func (g *gather) bands() int { return (g.rows.units + g.units - 1) / g.units }

// pieces is the number of pieces of the batch.
func (g *gather) pieces() int { return (g.n + g.images - 1) / g.images * g.bands() }

// at says which images and row units a piece has.
func (g *gather) at(piece int) (image, images, unit, units int) {
	image = piece / g.bands() * g.images
	unit = piece % g.bands() * g.units
	return image, min(g.images, g.n-image), unit, min(g.units, g.rows.units-unit)
}

// imageLen is the distance between images of the working copy or the source.
func (g *gather) imageLen() int {
	if g.inPlace {
		return g.rows.source * g.cols.source * g.c
	}
	return g.rows.span(g.units) * g.width * g.c
}

// workLen is the length of a worker's working copy.
func (g *gather) workLen() int {
	if g.inPlace {
		return 0
	}
	return g.images * g.imageLen()
}

// entry is what happens to a source as it is copied: x·scale + shift in each
// channel, unless they are nil, then a ReLU if relu.
type entry[T Float] struct {
	relu         bool
	scale, shift []T
}

// apply makes y of x, whole pixels of c channels.
func (e entry[T]) apply(m *micro[T], y, x []T, c int) {
	switch {
	case e.scale != nil:
		m.affine(y, x, e.scale, e.shift, floorOf[T](e.relu), len(x)/c, c, c, false)
	case e.relu:
		m.relu(y, x)
	default:
		copy(y, x)
	}
}

// load makes a piece's working copy in work, with e applied, zeros around it,
// and returns where its reading starts: element 0 is what unit 0 of the piece
// reads at q = lo.
func load[T Float](g *gather, m *micro[T], piece int, x, work []T, e entry[T]) []T {
	image, images, unit, units := g.at(piece)
	top := unit*g.rows.step + g.rows.lo
	if g.inPlace {
		return x[((image*g.rows.source+top)*g.cols.source+g.cols.lo)*g.c:]
	}
	left := max(0, -g.cols.lo)                    // zero columns before the copied ones
	skip := max(0, g.cols.lo)                     // source columns left out
	cols := min(g.width-left, g.cols.source-skip) // copied columns
	for i := range images {
		for r := range g.rows.span(units) {
			dst := work[i*g.imageLen()+r*g.width*g.c:][:g.width*g.c]
			row := top + r
			if row < 0 || row >= g.rows.source || cols <= 0 {
				clear(dst)
				continue
			}
			src := x[(((image+i)*g.rows.source+row)*g.cols.source+skip)*g.c:][:cols*g.c]
			clear(dst[:left*g.c])
			e.apply(m, dst[left*g.c:][:len(src)], src, g.c)
			clear(dst[left*g.c+len(src):])
		}
	}
	return work
}

// padded is the gather from the working copy of whole images, with no padding
// of its own.
func (g gather) padded() gather {
	g.rows, g.cols = g.rows.padded(), g.cols.padded()
	return g
}

func (a axis) padded() axis {
	p := a
	p.source, p.lo, p.hi, p.phases = a.span(a.units), 0, a.hi-a.lo, nil
	for _, f := range a.phases {
		taps := make([]tap, len(f.taps))
		for i, t := range f.taps {
			taps[i] = tap{t.t, t.q - a.lo}
		}
		p.phases = append(p.phases, phase{f.first, f.count, taps})
	}
	return p
}

// segments are the distances of a phase pair's taps from an output's source
// position, in the order rows, columns. With merge, columns that follow one
// another become one run; length is the elements of each.
func (g *gather) segments(rp, cp phase, merge bool) (segs []int, length int) {
	length = g.c
	merge = merge && len(cp.taps) > 0
	for i := range cp.taps {
		merge = merge && cp.taps[i].q == cp.taps[0].q+i
	}
	if merge {
		length = len(cp.taps) * g.c
	}
	for _, r := range rp.taps {
		for j, c := range cp.taps {
			if merge && j > 0 {
				break
			}
			segs = append(segs, ((r.q-g.rows.lo)*g.width+c.q-g.cols.lo)*g.c)
		}
	}
	return segs, length
}

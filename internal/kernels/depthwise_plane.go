// SPDX-License-Identifier: Apache-2.0

package kernels

// plane is an image of a depthwise convolution, read as it lies in memory:
// outputs of c channels, cols in a row, whose source pixels are xRow and xCol
// apart. Each tap is a row of taps with a column of taps.
type plane struct {
	cols, c          int
	xRow, xCol       int
	rowTaps, colTaps []tapSpan
	slide            int // which of slides the columns of taps are, from 1 on, or 0
	inside           int // columns of the image from the first output's first tap on
	row              int // distance of rows in the image
}

// tapSpan is a row or a column of taps. Outputs first ≤ i < end have it, for
// the others it lies outside of the image. x and w are how far it is from the
// output's source pixel, and from the first weight.
type tapSpan struct{ first, end, x, w int }

// window is the taps that column i of output row o has.
func (p *plane) window(o, i int) window {
	r, q := having(p.rowTaps, o), having(p.colTaps, i)
	if len(r) == 0 || len(q) == 0 {
		return window{}
	}
	w := window{rows: len(r), cols: len(q), first: o*p.xRow + r[0].x + i*p.xCol + q[0].x, number: r[0].w + q[0].w}
	if len(r) > 1 {
		w.row, w.numberRow = r[1].x-r[0].x, r[1].w-r[0].w
	}
	if len(q) > 1 {
		w.col, w.numberCol = q[1].x-q[0].x, q[1].w-q[0].w
	}
	return w
}

// having is those taps, next to each other, that output i has.
func having(taps []tapSpan, i int) []tapSpan {
	for len(taps) > 0 && (i < taps[0].first || i >= taps[0].end) {
		taps = taps[1:]
	}
	for n := len(taps); n > 0 && (i < taps[n-1].first || i >= taps[n-1].end); n-- {
		taps = taps[:n-1]
	}
	return taps
}

// spans are the taps of an axis that has one phase; x and w are the distances
// of neighbours in the source and in the weights.
func (a axis) spans(x, w int) (taps []tapSpan) {
	for _, t := range a.phases[0].taps {
		s := tapSpan{first: max(0, (a.step-1-t.q)/a.step), x: t.q * x, w: t.t * w}
		if last := a.source - 1 - t.q; last >= 0 {
			s.end = min(a.units, last/a.step+1)
		}
		taps = append(taps, s)
	}
	return taps
}

// planeOf is the images of a gather, or nil if its rows or columns have
// several phases, no taps, or there are no loops for it.
func planeOf[T Float](g gather, kernel int) *plane {
	m := loops[T]()
	if m.depthPlane == nil || len(g.rows.phases) > 1 || len(g.cols.phases) > 1 || len(g.cols.phases[0].taps) == 0 {
		return nil
	}
	if p := newPlane(g, kernel); p.fits(m.slideStep) {
		return p
	}
	return nil
}

// fits reports that loops with such a micro.slideStep take p.
func (p *plane) fits(slideStep int) bool {
	return slideStep == 0 || p.slide > 0 && p.c%slideStep == 0
}

func newPlane(g gather, kernel int) *plane {
	row := g.cols.source * g.c
	p := &plane{cols: g.cols.units, c: g.c, inside: g.cols.source - g.cols.phases[0].taps[0].q,
		row: row, xRow: g.rows.step * row, xCol: g.cols.step * g.c, rowTaps: g.rows.spans(row,
			kernel*g.c), colTaps: g.cols.spans(g.c, g.c)}
	for i, s := range slides {
		if g.cols.slides(s.taps, s.apart) {
			p.slide = i + 1
		}
	}
	return p
}

// slides are the columns of taps that assembly has loops for.
var slides = []struct{ taps, apart int }{{3, 1}, {5, 1}, {3, 2}, {5, 2}}

// slides reports that neighbouring outputs have neighbouring windows of so many
// taps so far apart, and that no window lies wholly outside of the image.
func (a axis) slides(taps, apart int) bool {
	t := a.phases[0].taps
	if a.step != 1 || len(t) != taps || t[0].q > 0 || t[0].q+(taps-1)*apart < 0 || a.units+t[0].q > a.source {
		return false
	}
	for i := range taps {
		if t[i].q != t[0].q+i*apart {
			return false
		}
	}
	return true
}

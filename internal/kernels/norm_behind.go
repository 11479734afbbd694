// SPDX-License-Identifier: Apache-2.0

package kernels

// behindNorm is the gradient of a backward kernel's output Y: DY itself, or, if A
// is not nil, the gradient that a batch norm after Y passes on for its own
// gradient DY: DY·A + Y·B + D, channel by channel.
type behindNorm[T Float] struct{ dy, y, a, b, d []T }

// check panics if a slice is too short for an output of n elements in c channels.
func (g behindNorm[T]) check(kernel string, n, c int) {
	need(kernel, "DY", g.dy, n)
	if g.a != nil {
		need(kernel, "A", g.a, c)
		need(kernel, "B", g.b, c)
		need(kernel, "D", g.d, c)
		need(kernel, "Y", g.y, n)
	}
}

// rows returns the gradient of pixels pixels of c channels from element at on.
// It is a part of DY where that is possible; otherwise, and if wide > c, rows
// computes it in block, whose pixels have wide channels.
func (g behindNorm[T]) rows(m *micro[T], block []T, wide, at, pixels, c int) []T {
	dy, y := g.dy[at:], tail(g.y, at)
	switch {
	case wide == c && g.a == nil:
		return dy[:pixels*c]
	case wide == c:
		m.affine2(block, dy, y, g.a, g.b, g.d, pixels, c, c, false)
	default:
		for i := range pixels {
			to := block[i*wide:][:c]
			copy(to, dy[i*c:])
			if g.a != nil {
				m.affine2(to, to, y[i*c:], g.a, g.b, g.d, 1, c, c, false)
			}
		}
	}
	return block[:pixels*wide]
}

// ahead prefetches what rows will read for n elements from element at on. The
// loops take some channels of all pixels at a time, an order that no processor
// predicts.
func (g behindNorm[T]) ahead(at, n int) {
	prefetch(ahead(g.dy, at, n))
	if g.a != nil {
		prefetch(ahead(g.y, at, n))
	}
}

// SPDX-License-Identifier: Apache-2.0

package dataset

// A Pass walks once through images, in order, normalised and not augmented.
type Pass struct {
	view    view
	indices []int
	done    int
}

// NewPass returns a pass through the images of p, a part of s, that indices
// name; nil means all. It keeps indices.
func NewPass(s *Set, p *Part, indices []int) *Pass {
	return &Pass{view: newView(s, p), indices: all(p, indices)}
}

// Len returns the number of images of the whole pass.
func (p *Pass) Len() int { return len(p.indices) }

// Next fills x and y like Loader.Next with the next len(y) images, or with those
// that are left, and returns how many. What lies behind them in x and y is
// untouched. It returns 0 at the end. It does not allocate.
func (p *Pass) Next(x []float32, y []int32) int {
	p.view.check(x, y)
	n := min(len(y), len(p.indices)-p.done)
	for i := range n {
		y[i] = p.view.vary(x, i, p.indices[p.done+i], variation{})
	}
	p.done += n
	return n
}

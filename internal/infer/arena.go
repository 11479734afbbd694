// SPDX-License-Identifier: Apache-2.0

package infer

import (
	"cmp"
	"slices"

	"github.com/edgenas/edgenas/ops"
)

// life is a buffer of len elements that holds something from step first to
// step last.
type life struct{ len, first, last int }

// align is the multiple to which buffers' lengths are rounded up: a cache line of
// float32.
const align = 16

// place gives each buffer an offset such that no two that live at the same
// time overlap, and the length of the arena. It takes the largest buffer first
// and puts it into the smallest gap that fits.
// Source: Pisarchyk and Lee, Efficient Memory Management for Deep Neural Net
// Inference, 2020, §4.
func place(lives []life) (offsets []int, total int) {
	offsets = make([]int, len(lives))
	order := make([]int, len(lives))
	for i := range order {
		order[i] = i
	}
	size := func(b int) int { return (lives[b].len + align - 1) / align * align }
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(lives[b].len, lives[a].len) })
	var placed []int // by offset
	for _, b := range order {
		best, gap, end := -1, 0, 0
		for _, p := range placed {
			if lives[p].last < lives[b].first || lives[b].last < lives[p].first {
				continue
			}
			if free := offsets[p] - end; free >= size(b) && (best < 0 || free < gap) {
				best, gap = end, free
			}
			end = max(end, offsets[p]+size(p))
		}
		if best < 0 {
			best = end
		}
		offsets[b], total = best, max(total, best+size(b))
		at, _ := slices.BinarySearchFunc(placed, offsets[b],
			func(p, offset int) int { return cmp.Compare(offsets[p], offset) })
		placed = slices.Insert(placed, at, b)
	}
	return offsets, total
}

// buffers says which buffer each node writes, and how long each lives.
type buffers struct {
	of    []int // by node
	lives []life
}

// planBuffers gives each node a buffer: a new one, or that of an input that no
// later node reads and that this node may write over. Inputs are never written
// over, so that a program can run again on what they hold.
func planBuffers(g *ops.Graph) buffers {
	last := make([]int, len(g.Nodes)) // reader of each node
	for i, n := range g.Nodes {
		if n.Kind == ops.Input {
			last[i] = len(g.Nodes)
		}
		for _, v := range n.In {
			last[v] = max(last[v], i)
		}
	}
	last[g.Out] = len(g.Nodes)
	b := buffers{of: make([]int, len(g.Nodes))}
	for i, n := range g.Nodes {
		if v, ok := overwrites(g, n); ok && last[v] == i {
			b.of[i] = b.of[v]
			b.lives[b.of[i]].last = last[i]
			continue
		}
		first := i
		if n.Kind == ops.Input {
			first = 0
		}
		b.of[i] = b.add(life{n.Shape.Len(), first, last[i]})
	}
	return b
}

func (b *buffers) add(l life) int {
	b.lives = append(b.lives, l)
	return len(b.lives) - 1
}

// overwrites returns the input that node n can write over while it reads it.
func overwrites(g *ops.Graph, n ops.Node) (v ops.Value, ok bool) {
	switch {
	case n.Accumulate:
		v = n.In[len(n.In)-1]
	case n.Kind == ops.Add, n.Kind == ops.ReLU, n.Kind == ops.BatchNorm:
		v = n.In[0]
	default:
		return 0, false
	}
	reads := 0
	for _, w := range n.In {
		if w == v {
			reads++
		}
	}
	return v, reads == 1
}

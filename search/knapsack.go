// SPDX-License-Identifier: Apache-2.0

package search

import (
	"cmp"
	"container/heap"
	"iter"
	"math"
	"slices"
)

// item is an option of a group in a multiple-choice knapsack.
type item struct{ time, score float64 }

// best yields the ways to take one item of each group whose times add up to
// low…high, in descending order of their scores' sum: the index of the item in
// each group (valid until the next), and the sum.
//
// It is a best-first branch and bound over the groups in their order. A table
// bounds what the groups that are left can add in the time that is left: their
// knapsack on a grid of times. There each time is rounded down, so that the
// bound is never too low; the times of the ways themselves are not rounded, so
// that what is yielded is exact.
func best(groups [][]item, low, high float64) iter.Seq2[[]int, float64] {
	return func(yield func([]int, float64) bool) {
		k := newKnapsack(groups, low, high)
		k.open = ways{&way{}}
		for options := make([]int, len(groups)); len(k.open) > 0; {
			w := heap.Pop(&k.open).(*way)
			if w.before != nil {
				k.push(w.before, w.rank+1)
			}
			if w.depth < len(groups) {
				k.decide(w)
				k.push(w, 0)
				continue
			}
			for at := w; at.before != nil; at = at.before {
				options[at.depth-1] = at.before.next[at.rank].item
			}
			if !yield(options, w.score) {
				return
			}
		}
	}
}

// knapsack is the state of the search for the best ways.
type knapsack struct {
	groups    [][]item
	low, high float64   // less the shortest of all groups
	shortest  []float64 // time of each group's fastest item
	cell      float64   // of the grid
	rest      [][]float64
	open      ways
	made      int // ways so far
}

// way is a choice of one item for each of the first groups.
type way struct {
	before      *way
	rank        int     // in before.next
	depth       int     // groups decided
	time, score float64 // time beyond the shortest
	bound       float64 // no way that begins with this one scores more
	next        []branch
	number      int
}

// branch is an item of the next group for a way, and the bound with it.
type branch struct {
	item  int
	bound float64
}

// cells is the size of the grid: more make the bounds tighter, and the table
// slower to make.
const cells = 4096

// newKnapsack makes the table: rest[i][c], for i ≥ 1, is the greatest score that
// the groups from i on can add if c cells of time are left.
func newKnapsack(groups [][]item, low, high float64) *knapsack {
	n := len(groups)
	k := &knapsack{groups: groups, low: low, high: high, shortest: make([]float64, n), rest: make([][]float64, n+1)}
	for i, g := range groups {
		k.shortest[i] = slices.MinFunc(g, func(a, b item) int { return cmp.Compare(a.time, b.time) }).time
		k.low -= k.shortest[i]
		k.high -= k.shortest[i]
	}
	k.cell = max(k.high, math.SmallestNonzeroFloat32) / cells
	for i := 1; i <= n; i++ {
		k.rest[i] = make([]float64, cells+1)
	}
	// At the end the time left is within the window; rounding down each group's
	// time may make it seem longer.
	window := (k.high-k.low)/k.cell + float64(n) + 1
	for c := range k.rest[n] {
		if float64(c) > window {
			k.rest[n][c] = math.Inf(-1)
		}
	}
	for i := n - 1; i >= 1; i-- {
		for c := range k.rest[i] {
			k.rest[i][c] = math.Inf(-1)
		}
		for _, it := range groups[i] {
			if t := it.time - k.shortest[i]; t <= k.high {
				used := int(t / k.cell)
				for c := used; c <= cells; c++ {
					k.rest[i][c] = max(k.rest[i][c], it.score+k.rest[i+1][c-used])
				}
			}
		}
	}
	return k
}

// decide lists the branches of a way that can end within the window, the one
// with the highest bound first.
func (k *knapsack) decide(w *way) {
	i := w.depth
	for j, it := range k.groups[i] {
		t := w.time + it.time - k.shortest[i]
		if t > k.high || i == len(k.groups)-1 && t < k.low {
			continue
		}
		bound := w.score + it.score + k.rest[i+1][min(cells, int((k.high-t)/k.cell))]
		if !math.IsInf(bound, -1) {
			w.next = append(w.next, branch{j, bound})
		}
	}
	slices.SortStableFunc(w.next, func(a, b branch) int { return cmp.Compare(b.bound, a.bound) })
}

// push opens the branch of a way that has this rank. The next one is opened when
// this one is taken from the heap.
func (k *knapsack) push(w *way, rank int) {
	if rank == len(w.next) {
		return
	}
	b := w.next[rank]
	it := k.groups[w.depth][b.item]
	k.made++
	heap.Push(&k.open, &way{before: w, rank: rank, depth: w.depth + 1, time: w.time + it.time - k.shortest[w.depth],
		score: w.score + it.score, bound: b.bound, number: k.made})
}

// ways is a heap, the way of the highest bound on top; of equal ones the
// deepest, then the oldest.
type ways []*way

func (h ways) Len() int      { return len(h) }
func (h ways) Swap(i, j int) { h[i], h[j] = h[j], h[i] }
func (h ways) Less(i, j int) bool {
	a, b := h[i], h[j]
	return cmp.Or(cmp.Compare(b.bound, a.bound), cmp.Compare(b.depth, a.depth), cmp.Compare(a.number, b.number)) < 0
}
func (h *ways) Push(w any) { *h = append(*h, w.(*way)) }
func (h *ways) Pop() any {
	last := len(*h) - 1
	w := (*h)[last]
	*h = (*h)[:last]
	return w
}

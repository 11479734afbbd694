// SPDX-License-Identifier: Apache-2.0

// Package arena plans memory: it gives buffers, each of which is used from one
// step of a computation to another, their places in one piece of memory.
package arena

import (
	"cmp"
	"slices"
)

// Span is a buffer of Len elements that holds something from step First to step
// Last.
type Span struct{ Len, First, Last int }

// Align is the number of elements that offsets are multiples of: a cache line
// of float32.
const Align = 16

// Place returns an offset for each span and the length of the arena. Spans
// whose steps overlap do not share memory, unless exclusive, if it is not nil,
// says that the two, given by index, are never in use in the same run. Place
// takes the largest span first and puts it as low as it fits.
// Source: Pisarchyk and Lee, Efficient Memory Management for Deep Neural Net
// Inference, 2020, §4, with the lowest gap instead of the smallest.
func Place(spans []Span, exclusive func(a, b int) bool) (offsets []int, total int) {
	offsets = make([]int, len(spans))
	order := make([]int, len(spans))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(spans[b].Len, spans[a].Len) })
	var placed []int // by offset
	for _, s := range order {
		size := spans[s].size()
		lowest := 0
		for _, p := range placed {
			if !spans[p].overlaps(spans[s]) || exclusive != nil && exclusive(p, s) {
				continue
			}
			if lowest+size <= offsets[p] {
				break
			}
			lowest = max(lowest, offsets[p]+spans[p].size())
		}
		offsets[s], total = lowest, max(total, lowest+size)
		at, _ := slices.BinarySearchFunc(placed, lowest, func(p, at int) int { return cmp.Compare(offsets[p], at) })
		placed = slices.Insert(placed, at, s)
	}
	return offsets, total
}

// size is the length rounded up to Align.
func (s Span) size() int { return (s.Len + Align - 1) / Align * Align }

// overlaps reports whether s and o hold something in the same step.
func (s Span) overlaps(o Span) bool { return s.First <= o.Last && o.First <= s.Last }

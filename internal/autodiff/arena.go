// SPDX-License-Identifier: Apache-2.0

package autodiff

import (
	"cmp"
	"slices"

	"github.com/edgenas/edgenas/internal/kernels"
)

// lines is the number of elements that places in the arena are multiples of:
// 64 bytes of float32, a cache line.
const lines = 16

// span is how long a value is used, by index of instruction, and by what.
type span struct {
	value
	first, last int
	owner       *gate // nil, or all of its users run only while this is open
	offset      int
}

// exclusive says whether two values are never there in the same step: their
// gates are of one row, of which a sampled path opens one.
func (a span) exclusive(b span) bool {
	return a.owner != nil && b.owner != nil && a.owner != b.owner && a.owner.row == b.owner.row
}

// plan gives every value without memory its place in one arena, and the arena's
// size. Values whose times overlap get different places; with paths, those of
// different gates of a row may share one. It places the largest first, each as
// low as it fits.
func (p *program[T]) plan(paths bool) (placed []span, total int) {
	spans := p.spans(paths)
	slices.SortStableFunc(spans, func(a, b span) int { return cmp.Compare(p.values[b.value].size, p.values[a.value].size) })
	size := func(s span) int { return (p.values[s.value].size + lines - 1) / lines * lines }
	for _, s := range spans {
		for _, o := range placed {
			if o.first > s.last || s.first > o.last || s.exclusive(o) || o.offset+size(o) <= s.offset {
				continue
			}
			if s.offset+size(s) <= o.offset {
				break
			}
			s.offset = o.offset + size(o)
		}
		at, _ := slices.BinarySearchFunc(placed, s.offset, func(o span, offset int) int { return cmp.Compare(o.offset, offset) })
		placed = slices.Insert(placed, at, s)
		total = max(total, s.offset+size(s))
	}
	return placed, total
}

// allocate makes the arena and gives values their memory.
func (p *program[T]) allocate(placed []span, total int) (arena []T) {
	arena = make([]T, total)
	kernels.LargePages(arena)
	for _, s := range placed {
		v := &p.values[s.value]
		v.mem = arena[s.offset : s.offset+v.size : s.offset+v.size]
	}
	for v, under := range p.over {
		p.values[v].mem = p.values[under].mem
	}
	return arena
}

// spans lists the values that need a place.
func (p *program[T]) spans(paths bool) []span {
	all := make([]span, len(p.values))
	for i := range all {
		all[i] = span{value: value(i), first: -1}
	}
	for i, x := range p.ins {
		for _, o := range slices.Concat(x.in, x.out) {
			s := &all[o.value]
			if s.first < 0 {
				s.first = i
			}
			s.last = i
		}
	}
	if paths {
		for i, o := range p.owners() {
			all[i].owner = o
		}
	}
	for v, under := range p.over { // one place, as long as either is used
		of := &all[under]
		of.last = max(of.last, all[v].last)
		if of.owner != all[v].owner {
			of.owner = nil
		}
		all[v].first = -1
	}
	return slices.DeleteFunc(all, func(s span) bool { return s.first < 0 || p.values[s.value].mem != nil })
}

// ownership is what is known of who uses something: nobody yet, one gate, or
// several or none.
type ownership struct {
	known bool
	gate  *gate
}

func (a *ownership) meet(b ownership) {
	switch {
	case !a.known:
		*a = b
	case b.known && a.gate != b.gate:
		a.gate = nil
	}
}

// owners finds, for each value, the gate without which no instruction that uses
// it runs. An instruction runs only if there is a gradient for it to carry
// further, and only if something wants an output of it.
func (p *program[T]) owners() []*gate {
	present := make([]ownership, len(p.values)) // who brings a gradient
	for _, x := range p.ins {
		by := ownership{known: true}
		if x.seed != none {
			by = present[x.seed]
		}
		for _, o := range x.out {
			present[o.value].meet(o.under(by))
		}
	}
	wanted := make([]ownership, len(p.values))
	used := make([]ownership, len(p.values))
	for i := range p.values {
		if p.values[i].mem != nil { // wanted from outside
			wanted[i] = ownership{known: true}
		}
	}
	for _, x := range slices.Backward(p.ins) {
		var by ownership
		for _, o := range x.out {
			by.meet(o.under(wanted[o.value]))
		}
		if x.seed != none && present[x.seed].gate != nil {
			by = present[x.seed]
		}
		for _, o := range x.in {
			wanted[o.value].meet(o.under(by))
			used[o.value].meet(o.under(by))
		}
		for _, o := range x.out {
			used[o.value].meet(o.under(by))
		}
	}
	owners := make([]*gate, len(p.values))
	for i, u := range used {
		owners[i] = u.gate
	}
	return owners
}

// under is who uses an operand of an instruction that by uses.
func (o *operand[T]) under(by ownership) ownership {
	if o.gate != nil {
		return ownership{known: true, gate: o.gate}
	}
	return by
}

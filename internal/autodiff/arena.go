// SPDX-License-Identifier: Apache-2.0

package autodiff

import (
	"slices"

	"github.com/edgenas/edgenas/internal/arena"
	"github.com/edgenas/edgenas/internal/kernels"
)

// lifetime is how long a value is used, by index of instruction, and by what.
type lifetime struct {
	value
	first, last int
	owner       *gate // nil, or all of its users run only while this is open
}

// exclusive reports whether two values are never there in the same step: their
// gates are of one row, of which a sampled path opens one.
func (a lifetime) exclusive(b lifetime) bool {
	return a.owner != nil && b.owner != nil && a.owner != b.owner && a.owner.row == b.owner.row
}

// place is where a value lies in the arena.
type place struct {
	value
	offset int
}

// plan gives every value without memory its place in one arena, and the arena's
// size. Values whose times overlap get different places; with paths, those of
// different gates of a row may share one.
func (p *program[T]) plan(paths bool) (places []place, total int) {
	lives := p.lifetimes(paths)
	spans := make([]arena.Span, len(lives))
	for i, l := range lives {
		spans[i] = arena.Span{Len: p.values[l.value].size, First: l.first, Last: l.last}
	}
	offsets, total := arena.Place(spans, func(a, b int) bool { return lives[a].exclusive(lives[b]) })
	for i, l := range lives {
		places = append(places, place{l.value, offsets[i]})
	}
	return places, total
}

// allocate makes the arena and gives values their memory.
func (p *program[T]) allocate(places []place, total int) (memory []T) {
	memory = make([]T, total)
	kernels.LargePages(memory)
	for _, at := range places {
		v := &p.values[at.value]
		v.mem = memory[at.offset : at.offset+v.size : at.offset+v.size]
	}
	for v, under := range p.over {
		p.values[v].mem = p.values[under].mem
	}
	return memory
}

// lifetimes lists the values that need a place.
func (p *program[T]) lifetimes(paths bool) []lifetime {
	all := make([]lifetime, len(p.values))
	for i := range all {
		all[i] = lifetime{value: value(i), first: -1}
	}
	for i, x := range p.ins {
		for _, o := range slices.Concat(x.in, x.out) {
			l := &all[o.value]
			if l.first < 0 {
				l.first = i
			}
			l.last = i
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
	return slices.DeleteFunc(all, func(l lifetime) bool { return l.first < 0 || p.values[l.value].mem != nil })
}

// ownership says under which gate something is used: it is not known yet, one
// gate, or (nil) several gates or none.
type ownership struct {
	known bool
	gate  *gate
}

// meet adds another use.
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

// under returns the ownership of an operand of an instruction that has ownership
// by.
func (o *operand[T]) under(by ownership) ownership {
	if o.gate != nil {
		return ownership{known: true, gate: o.gate}
	}
	return by
}

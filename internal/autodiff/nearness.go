// SPDX-License-Identifier: Apache-2.0

package autodiff

import "slices"

// schedule moves instructions to places where their operands are still in a
// cache. Where paths are sampled, few instructions read a map: those that do
// run one after the other, and so do those that add to its gradient.
func (t *translation[T]) schedule(paths bool) {
	for i, x := range t.ins {
		switch {
		case x.near == producers:
			t.move(i, t.earliest(i))
		case paths && x.seed == none && len(x.in) > 0:
			for j, first := i, t.earliest(i); j > first; j-- {
				if t.ins[j-1].reads(x.in[0].value) {
					t.move(i, j)
					break
				}
			}
		}
	}
	for i, x := range slices.Backward(slices.Clone(t.ins)) {
		if x.near == readers || paths && x.sums() {
			t.move(i, t.latest(i))
		}
	}
}

// sums reports whether x adds to the gradient of a map.
func (x *instruction[T]) sums() bool {
	return slices.ContainsFunc(x.out, func(o operand[T]) bool { return o.add != nil && x.c.values[o.value].mem == nil })
}

// move takes instruction i to place j.
func (t *translation[T]) move(i, j int) {
	x := t.ins[i]
	t.ins = slices.Insert(slices.Delete(t.ins, i, i+1), j, x)
}

// earliest returns the first place where instruction i can be.
func (t *translation[T]) earliest(i int) int {
	x := t.ins[i]
	for i > 0 && !x.after(t.ins[i-1]) {
		i--
	}
	return i
}

// latest returns the last place where instruction i can be.
func (t *translation[T]) latest(i int) int {
	x := t.ins[i]
	for i < len(t.ins)-1 && !x.before(t.ins[i+1]) {
		i++
	}
	return i
}

// after reports whether x must stay after y: y writes what x reads or writes.
func (x *instruction[T]) after(y *instruction[T]) bool {
	for _, o := range y.out {
		if x.reads(o.value) || x.writes(o.value) {
			return true
		}
	}
	return false
}

// before reports whether x must stay before y: y touches what x writes, or adds to
// what x reads. Several may add to a gradient of the mixture weights, in any order.
func (x *instruction[T]) before(y *instruction[T]) bool {
	for _, o := range x.out {
		if t := x.c.values[o.value]; t.mem == nil && (y.reads(o.value) || y.writes(o.value)) {
			return true
		}
	}
	return slices.ContainsFunc(x.in, func(o operand[T]) bool { return y.writes(o.value) })
}

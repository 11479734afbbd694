// SPDX-License-Identifier: Apache-2.0

package autodiff

import "slices"

// schedule moves the instructions that may move to where what they read or
// write is still in a cache.
func (t *translation[T]) schedule() {
	for i, x := range t.ins {
		if x.near == producers {
			j := i
			for j > 0 && !x.after(t.ins[j-1]) {
				j--
			}
			copy(t.ins[j+1:i+1], t.ins[j:i])
			t.ins[j] = x
		}
	}
	for i, x := range slices.Backward(slices.Clone(t.ins)) {
		if x.near == readers {
			j := i
			for j < len(t.ins)-1 && !x.before(t.ins[j+1]) {
				j++
			}
			copy(t.ins[i:j], t.ins[i+1:j+1])
			t.ins[j] = x
		}
	}
}

// after says whether x must stay behind y: y writes what x reads or writes.
func (x *instruction[T]) after(y *instruction[T]) bool {
	for _, o := range y.out {
		if x.reads(o.value) || x.writes(o.value) {
			return true
		}
	}
	return false
}

// before says whether x must stay before y: y touches what x writes. Several
// may add to a gradient of the mixture weights, in any order.
func (x *instruction[T]) before(y *instruction[T]) bool {
	for _, o := range x.out {
		if t := x.c.values[o.value]; t.mem == nil && (y.reads(o.value) || y.writes(o.value)) {
			return true
		}
	}
	return false
}

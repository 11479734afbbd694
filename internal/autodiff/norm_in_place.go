// SPDX-License-Identifier: Apache-2.0

package autodiff

import "github.com/edgenas/edgenas/internal/kernels"

// normInPlace is a batch norm, and the value whose place its output takes.
type normInPlace[T kernels.Float] struct {
	norm *batchNormForward[T]
	x, y value
}

// normsInPlace lets batch norms without affine write over what they read, where
// nothing else needs that: it is known from what becomes of it. A map is
// neither kept nor moved then.
//
// A norm of the output of one that is in place is not: the first one's gradient
// reads that.
func (t *translation[T]) normsInPlace() {
	for i, x := range t.ins {
		k, ok := x.kernel.(*batchNormForward[T])
		if !ok || slotted(x.in, &k.Gamma) >= 0 {
			continue
		}
		n := normInPlace[T]{k, x.in[slotted(x.in, &k.X)].value, x.out[slotted(x.out, &k.Y)].value}
		_, normalised := t.over[n.x]
		if normalised || t.values[n.x].mem != nil || t.values[n.y].mem != nil || !t.onlyNormNeeds(n, i) {
			continue
		}
		t.over[n.y] = n.x
		for _, r := range t.ins[i+1:] {
			if r.reads(n.x) {
				r.readNormalised(n)
			}
		}
	}
}

// onlyNormNeeds says whether norm n, instruction i, alone reads its input, but
// for gradients that can do with its output.
func (t *translation[T]) onlyNormNeeds(n normInPlace[T], i int) bool {
	writers := 0
	for j, x := range t.ins {
		if x.writes(n.x) {
			writers++
		}
		if x.writes(n.y) && j != i || x.reads(n.x) && j != i && x.normalisable(n.x) == nil {
			return false
		}
	}
	return writers == 1
}

// normalisable is the slot of v in a gradient that can do with what a batch
// norm made of it; nil if there is none, or v is read otherwise too.
func (x *instruction[T]) normalisable(v value) (slot *[]T) {
	switch k := x.kernel.(type) {
	case *kernels.BatchNormBackward[T]:
		slot = &k.X
	case taker[T]:
		slot = k.taken().y
	}
	for _, o := range x.in {
		if o.value == v && o.slot != slot {
			return nil
		}
	}
	return slot
}

// readNormalised lets a gradient read norm n's output where it read its input.
func (x *instruction[T]) readNormalised(n normInPlace[T]) {
	slot := x.normalisable(n.x)
	x.in[slotted(x.in, slot)].value = n.y
	switch k := x.kernel.(type) {
	case *kernels.BatchNormBackward[T]:
		k.Normalised = true
	case *maxPoolBackward[T]:
		var all []T
		x.read(&all, n.norm.statistics).then(func() { k.Mean, k.InvStd = n.norm.Mean, n.norm.InvStd })
	}
}

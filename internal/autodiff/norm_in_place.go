// SPDX-License-Identifier: Apache-2.0

package autodiff

import "github.com/edgenas/edgenas/internal/kernels"

// normInPlace is a batch norm whose output y takes the place of its input x.
type normInPlace[T kernels.Float] struct {
	norm *batchNormForward[T]
	x, y value
}

// normsInPlace makes batch norms without scale and shift overwrite their input
// when nothing else reads it: gradients can recompute the input from the output,
// so neither a second copy nor a move is needed. A norm whose input is itself
// the output of an in-place norm stays out of place, because the gradient of
// the first norm still reads that output.
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

// onlyNormNeeds reports whether norm n, instruction i, is the only reader of its
// input, apart from gradients that can use its output instead.
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

// normalisable returns the slot in which a gradient reads v and could use the
// normalised v instead. It returns nil if x is no such gradient, or reads v in
// another slot too.
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

// readNormalised makes a gradient read norm n's output where it read its input.
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

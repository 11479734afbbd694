// SPDX-License-Identifier: Apache-2.0

package autodiff

import (
	"slices"

	"github.com/edgenas/edgenas/internal/kernels"
)

// taker is a kernel that can make the gradient of its output itself, of a
// gradient behind a batch norm: a separable or pointwise convolution, a
// factorized reduce, a pooling.
type taker[T kernels.Float] interface {
	kernels.Kernel
	// output is the value of its output, and the slots of that and of its gradient.
	output() (y value, slot, gradient *[]T)
	// coefficients gives it a, b and d of DY·a + Y·b + d, one after the other.
	coefficients(all []T)
}

// fuseNorms lets convolutions and poolings take their gradient from the batch norm, or the
// mixture with one, behind them: it is DY·a + Y·b + d, channel by channel, and
// the operation makes it of DY and of its own output as it reads. So the
// gradients of a node's terms are never there at once.
func (t *translation[T]) fuseNorms() {
	writers, readers := make([]int, len(t.values)), make([][]*instruction[T], len(t.values))
	for _, x := range t.ins {
		for _, o := range x.out {
			writers[o.value]++
		}
		for _, o := range x.in {
			readers[o.value] = append(readers[o.value], x)
		}
	}
	for _, x := range t.ins {
		var in, slot, coefs *[]T // what the kernel normalises, its gradient, the coefficients of that
		var channels int
		switch k := x.kernel.(type) {
		case *mixBackward[T]:
			in, slot, coefs, channels = &k.Terms[0].X, &k.Terms[0].DX, &k.Terms[0].Coefs, k.C
		case *kernels.BatchNormBackward[T]:
			in, slot, coefs, channels = &k.X, &k.DX, &k.Coefs, k.C
		default:
			continue
		}
		at := slices.IndexFunc(x.out, func(o operand[T]) bool { return o.slot == slot })
		if at < 0 {
			continue
		}
		dx, of := x.out[at], x.in[slices.IndexFunc(x.in, func(o operand[T]) bool { return o.slot == in })]
		if writers[dx.value] != 1 || len(readers[dx.value]) != 1 || t.values[dx.value].mem != nil {
			continue
		}
		y := readers[dx.value][0]
		k, ok := y.kernel.(taker[T])
		if !ok || y.seed != dx.value {
			continue
		}
		if made, _, _ := k.output(); made == of.value {
			all := t.alloc(3 * channels)
			x.out[at] = operand[T]{value: all, slot: coefs, gate: dx.gate, drop: true}
			y.take(k, x.seed, all)
		}
	}
}

// take makes the gradient of an operation's output that of a batch norm's, dy,
// by coefficients.
func (x *instruction[T]) take(k taker[T], dy, coefficients value) {
	y, slot, gradient := k.output()
	i := slices.IndexFunc(x.in, func(o operand[T]) bool { return o.slot == gradient })
	x.in[i].value, x.seed = dy, coefficients
	var all []T
	x.read(&all, coefficients).read(slot, y)
	ready := x.ready
	x.ready = func() {
		if ready != nil {
			ready()
		}
		k.coefficients(all)
	}
}

func (k *separableBackward[T]) output() (value, *[]T, *[]T) {
	s := &k.Stages[len(k.Stages)-1]
	return k.y, &s.Y, &s.DY
}

func (k *separableBackward[T]) coefficients(all []T) {
	s := &k.Stages[len(k.Stages)-1]
	s.A, s.B, s.D = all[:s.Out], all[s.Out:][:s.Out], all[2*s.Out:][:s.Out]
}

func (k *avgPoolBackward[T]) output() (value, *[]T, *[]T) { return k.y, &k.Y, &k.DY }

func (k *avgPoolBackward[T]) coefficients(all []T) {
	k.A, k.B, k.D = all[:k.C], all[k.C:][:k.C], all[2*k.C:][:k.C]
}

func (k *maxPoolBackward[T]) output() (value, *[]T, *[]T) { return k.y, &k.Y, &k.DY }

func (k *maxPoolBackward[T]) coefficients(all []T) {
	k.A, k.B, k.D = all[:k.C], all[k.C:][:k.C], all[2*k.C:][:k.C]
}

func (k *pointwiseBackward[T]) output() (value, *[]T, *[]T) { return k.y, &k.Y, &k.DY }

func (k *pointwiseBackward[T]) coefficients(all []T) {
	k.A, k.B, k.D = all[:k.Out], all[k.Out:][:k.Out], all[2*k.Out:][:k.Out]
}

func (k *factorizedReduceBackward[T]) output() (value, *[]T, *[]T) { return k.y, &k.Y, &k.DY }

func (k *factorizedReduceBackward[T]) coefficients(all []T) {
	c := k.Out()
	k.A, k.B, k.D = all[:c], all[c:][:c], all[2*c:][:c]
}

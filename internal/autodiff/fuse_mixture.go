// SPDX-License-Identifier: Apache-2.0

package autodiff

import "slices"

// fuseMixtures lets the backward pass of separable convolutions take their
// gradient from the mixture behind them: a term's gradient is DY·a + X·b + d,
// channel by channel, and the convolution makes it of DY and of its own output
// as it reads. So the gradients of a node's terms are never there at once.
func (t *translation[T]) fuseMixtures() {
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
		mixture, ok := x.kernel.(*mixBackward[T])
		if !ok {
			continue
		}
		term := &mixture.Terms[0]
		at := slices.IndexFunc(x.out, func(o operand[T]) bool { return o.slot == &term.DX })
		if at < 0 {
			continue
		}
		dx := x.out[at]
		if writers[dx.value] != 1 || len(readers[dx.value]) != 1 || t.values[dx.value].mem != nil {
			continue
		}
		y := readers[dx.value][0]
		if k, ok := y.kernel.(*separableBackward[T]); ok && y.seed == dx.value {
			coefficients := t.alloc(3 * mixture.C)
			x.out[at] = operand[T]{value: coefficients, slot: &term.Coefs, gate: dx.gate}
			k.take(y, x.seed, coefficients)
		}
	}
}

// take makes the gradient of the last stage's output that of a mixture, dy, by
// the coefficients.
func (k *separableBackward[T]) take(x *instruction[T], dy, coefficients value) {
	s := &k.Stages[len(k.Stages)-1]
	i := slices.IndexFunc(x.in, func(o operand[T]) bool { return o.slot == &s.DY })
	x.in[i].value, x.seed = dy, coefficients
	var all []T
	x.read(&all, coefficients).read(&s.Y, k.y)
	ready := x.ready
	x.ready = func() {
		ready()
		s.A, s.B, s.D = all[:s.Out], all[s.Out:][:s.Out], all[2*s.Out:][:s.Out]
	}
}

// SPDX-License-Identifier: Apache-2.0

package autodiff

import "github.com/edgenas/edgenas/internal/kernels"

// taker is a kernel that can make the gradient of its output itself, of a
// gradient behind a batch norm: a separable or pointwise convolution, a
// factorized reduce, a pooling.
type taker[T kernels.Float] interface {
	kernels.Kernel
	// taken is what it takes then.
	taken() taken[T]
}

// taken is the value of a kernel's output, the slots of that and of its
// gradient, and those of a, b and d in DY·a + Y·b + d.
type taken[T kernels.Float] struct {
	output               value
	y, gradient, a, b, d *[]T
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
		at := slotted(x.out, slot)
		if at < 0 {
			continue
		}
		dx, of := x.out[at], x.in[slotted(x.in, in)]
		if writers[dx.value] != 1 || len(readers[dx.value]) != 1 || t.values[dx.value].mem != nil {
			continue
		}
		y := readers[dx.value][0]
		k, ok := y.kernel.(taker[T])
		if !ok || y.seed != dx.value {
			continue
		}
		if to := k.taken(); to.output == of.value {
			all := t.alloc(3 * channels)
			x.out[at] = operand[T]{value: all, slot: coefs, gate: dx.gate, drop: true}
			y.take(to, x.seed, all, channels)
		}
	}
}

// take makes the gradient of an operation's output that of a batch norm's, dy,
// by coefficients of so many channels.
func (x *instruction[T]) take(to taken[T], dy, coefficients value, channels int) {
	i := slotted(x.in, to.gradient)
	x.in[i].value, x.seed = dy, coefficients
	var all []T
	x.read(&all, coefficients).read(to.y, to.output).then(func() {
		*to.a, *to.b, *to.d = all[:channels], all[channels:][:channels], all[2*channels:][:channels]
	})
}

func (k *separableBackward[T]) taken() taken[T] {
	s := &k.Stages[len(k.Stages)-1]
	return taken[T]{k.y, &s.Y, &s.DY, &s.A, &s.B, &s.D}
}

func (k *avgPoolBackward[T]) taken() taken[T] {
	return taken[T]{k.y, &k.Y, &k.DY, &k.A, &k.B, &k.D}
}

func (k *maxPoolBackward[T]) taken() taken[T] {
	return taken[T]{k.y, &k.Y, &k.DY, &k.A, &k.B, &k.D}
}

func (k *pointwiseBackward[T]) taken() taken[T] {
	return taken[T]{k.y, &k.Y, &k.DY, &k.A, &k.B, &k.D}
}

func (k *factorizedReduceBackward[T]) taken() taken[T] {
	return taken[T]{k.y, &k.Y, &k.DY, &k.A, &k.B, &k.D}
}

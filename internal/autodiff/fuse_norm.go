// SPDX-License-Identifier: Apache-2.0

package autodiff

import "github.com/edgenas/edgenas/internal/kernels"

// taker is the backward kernel of an operation that a batch norm follows. It can
// compute the gradient of the operation's output itself, from the gradient of
// the batch norm's output.
type taker[T kernels.Float] interface {
	kernels.Kernel
	// taken returns where the kernel reads what it needs for that.
	taken() taken[T]
}

// taken is the value of an operation's output, the slots for that output and for
// the gradient DY, and those for the coefficients a, b and d of DY·a + Y·b + d.
type taken[T kernels.Float] struct {
	output               value
	y, gradient, a, b, d *[]T
}

// fuseNorms makes convolutions and poolings compute their gradient from that of
// the batch norm, or of the mixture with one, that follows them. It is
// DY·a + Y·b + d, channel by channel; the operation computes it from DY and its
// own output as it reads them. The gradients of the terms of a mixture are then
// never in memory at the same time.
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
		var in, slot, coefs *[]T // of the normalised map, its gradient, the coefficients of the gradient
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

// take makes instruction x compute the gradient of its operation's output from
// dy, that of the batch norm's output, and the coefficients of each channel.
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

// SPDX-License-Identifier: Apache-2.0

package autodiff

import (
	"slices"

	"github.com/edgenas/edgenas/internal/kernels"
)

// value identifies a piece of memory that instructions read and write.
type value int

// none stands for no value: an output that nothing reads.
const none value = -1

// storage is where a value lives: memory that outlasts the step (parameters,
// images, results), or a place in the arena.
type storage[T kernels.Float] struct {
	size int
	mem  []T // nil until the arena is planned
}

// instruction is one kernel with the values that it works on.
type instruction[T kernels.Float] struct {
	kernel  kernels.Kernel
	effect  kernels.Kernel // runs right after it in steps that train weights; may be nil
	in, out []operand[T]
	seed    value  // the gradient that is carried further; none in the forward pass
	ready   func() // called once all slots are set; may be nil
	near    nearness
	c       *compiler[T]
	on      bool // runs in this step
}

// nearness is the place that suits an instruction best, if it may move.
type nearness uint8

const (
	stays     nearness = iota
	producers          // right after the instructions that write its inputs
	readers            // right before the instructions that read its outputs
)

// operand connects a slot, a field of a kernel that holds a slice, with a value.
type operand[T kernels.Float] struct {
	value
	slot *[]T
	gate *gate // nil, or used only while it is open
	add  *bool // nil, or the kernel's switch from writing to adding
	drop bool  // the kernel accepts nil, and then does not compute this output
}

// slotted returns the index of the operand for this slot, or −1.
func slotted[T kernels.Float](operands []operand[T], slot *[]T) int {
	return slices.IndexFunc(operands, func(o operand[T]) bool { return o.slot == slot })
}

// gate switches the terms of mixtures that one element of an α weights.
type gate struct {
	open *bool
	row  int // of all rows of all αs; with sampled paths one gate of a row is open
}

// compiler collects values and instructions.
type compiler[T kernels.Float] struct {
	pool   *kernels.Workers
	values []storage[T]
	ins    []*instruction[T]
}

// pin makes a value of memory that is not the arena's.
func (c *compiler[T]) pin(mem []T) value {
	c.values = append(c.values, storage[T]{len(mem), mem})
	return value(len(c.values) - 1)
}

// alloc makes a value that will live in the arena.
func (c *compiler[T]) alloc(size int) value {
	c.values = append(c.values, storage[T]{size: size})
	return value(len(c.values) - 1)
}

// add appends an instruction.
func (c *compiler[T]) add(k kernels.Kernel) *instruction[T] {
	x := &instruction[T]{kernel: k, seed: none, c: c}
	c.ins = append(c.ins, x)
	return x
}

// bind hands the kernels their memory.
func (c *compiler[T]) bind() {
	for _, x := range c.ins {
		for _, o := range x.in {
			*o.slot = c.values[o.value].mem
		}
		for _, o := range x.out {
			*o.slot = c.values[o.value].mem
		}
		if x.ready != nil {
			x.ready()
		}
	}
}

// read makes v an input.
func (x *instruction[T]) read(slot *[]T, v value) *instruction[T] {
	x.in = append(x.in, operand[T]{value: v, slot: slot})
	return x
}

// grad makes v an input, and the gradient that the instruction carries further.
func (x *instruction[T]) grad(slot *[]T, v value) *instruction[T] {
	x.seed = v
	return x.read(slot, v)
}

// readIf makes v an input while g is open.
func (x *instruction[T]) readIf(g *gate, slot *[]T, v value) *instruction[T] {
	x.in = append(x.in, operand[T]{value: v, slot: slot, gate: g})
	return x
}

// write makes v an output that the kernel insists on.
func (x *instruction[T]) write(slot *[]T, v value, size int) *instruction[T] {
	if v == none {
		v = x.c.alloc(size)
	}
	x.out = append(x.out, operand[T]{value: v, slot: slot})
	return x
}

// offer makes v an output that the kernel does not compute when nothing needs it.
// add, if not nil, is the kernel's switch from writing to adding.
func (x *instruction[T]) offer(slot *[]T, v value, add *bool) *instruction[T] {
	return x.offerIf(nil, slot, v, add)
}

// offerIf is offer while g is open.
func (x *instruction[T]) offerIf(g *gate, slot *[]T, v value, add *bool) *instruction[T] {
	if v != none {
		x.out = append(x.out, operand[T]{value: v, slot: slot, gate: g, add: add, drop: true})
	}
	return x
}

// writeStatistics makes v an output: the means of c channels, then 1/deviation.
func (x *instruction[T]) writeStatistics(v value, c int, mean, invstd *[]T) *instruction[T] {
	var all []T
	x.write(&all, v, 2*c)
	return x.then(func() { *mean, *invstd = all[:c], all[c:] })
}

// then makes f run once the slots have their memory, after any function given
// before.
func (x *instruction[T]) then(f func()) *instruction[T] {
	if before := x.ready; before != nil {
		x.ready = func() { before(); f() }
	} else {
		x.ready = f
	}
	return x
}

// scratch gives the kernel n elements of its own.
func (x *instruction[T]) scratch(slot *[]T, n int) *instruction[T] {
	return x.write(slot, none, n)
}

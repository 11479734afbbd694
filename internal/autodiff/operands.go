// SPDX-License-Identifier: Apache-2.0

package autodiff

// operands hands out the inputs or outputs of an operation, in the order in
// which its comment lists them. Whoever compiles an operation takes all of
// them, so that one that is new cannot be mistaken for another.
type operands []value

// next takes one.
func (o *operands) next() value { return o.take(1)[0] }

// take takes the next n.
func (o *operands) take(n int) []value {
	taken := (*o)[:n]
	*o = (*o)[n:]
	return taken
}

// compile writes the instructions of an operation.
func (c *compiler[T]) compile(d definition[T], in, out []value) {
	inputs, outputs := operands(in), operands(out)
	d.compile(c, &inputs, &outputs)
	if len(inputs)+len(outputs) > 0 {
		panic("autodiff: " + d.String() + ": not all operands are compiled")
	}
}

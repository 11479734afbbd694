// SPDX-License-Identifier: Apache-2.0

package autodiff

// choose finds the instructions that this step runs: those that compute something
// wanted and, in the backward pass, have a gradient that came through open gates.
// The wanted results are marked before.
func (p *program[T]) choose() {
	clear(p.live)
	for _, x := range p.ins {
		x.on = x.seed == none || p.live[x.seed]
		if !x.on {
			continue
		}
		for i := range x.out {
			o := &x.out[i]
			if !o.open() {
				continue
			}
			if o.add != nil {
				*o.add = p.live[o.value]
			}
			p.live[o.value] = true
		}
	}
	for i := len(p.ins) - 1; i >= 0; i-- {
		x := p.ins[i]
		if !x.on {
			continue
		}
		x.on = false
		for j := range x.out {
			o := &x.out[j]
			wanted := p.wanted[o.value] && o.open()
			x.on = x.on || wanted
			if !o.drop {
				continue
			}
			*o.slot = nil
			if wanted {
				*o.slot = p.values[o.value].mem
			}
		}
		if !x.on {
			continue
		}
		for j := range x.in {
			if o := &x.in[j]; o.open() {
				p.wanted[o.value] = true
			}
		}
	}
}

func (o *operand[T]) open() bool { return o.gate == nil || *o.gate.open }

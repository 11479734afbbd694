// SPDX-License-Identifier: Apache-2.0

package autodiff

import (
	"fmt"

	"github.com/edgenas/edgenas/internal/kernels"
	"github.com/edgenas/edgenas/ops"
	"gorgonia.org/gorgonia"
)

// mix is a supernet's weighted sum with the batch norms of its terms in it.
// Inputs: the terms, the mixture weights p (rows×columns), and the statistics of
// each term with a batch norm whose statistics are given. Outputs: y, and those
// of the other terms with a batch norm (2·c each, as of batchNorm).
type mix[T kernels.Float] struct {
	name  string
	m, c  int
	terms []mixTerm
	paths bool // one gate of a row is open at a time
}

// mixTerm is what a term needs besides its input.
type mixTerm struct {
	norm  bool
	given bool  // its statistics are an input
	p     int   // index in p
	gate  *gate // shared by all mixtures of this α
	stats int   // where its statistics begin, in that input or in the output
}

func (d mix[T]) String() string { return fmt.Sprintf("mix %s %d×%d", d.name, d.m, d.c) }

// statistics is the length of the second output.
func (d mix[T]) statistics() int {
	n := 0
	for _, t := range d.terms {
		if t.norm && !t.given {
			n += 2 * d.c
		}
	}
	return n
}

// hand sets the weight and the statistics of a kernel's term.
func (d mix[T]) hand(to *kernels.MixTerm[T], t mixTerm, p, statistics []T) {
	to.P = &p[t.p]
	if t.norm {
		to.Mean, to.InvStd = statistics[t.stats:][:d.c], statistics[t.stats+d.c:][:d.c]
	}
}

// mixInputs are the inputs of mix.
type mixInputs struct {
	terms []value
	p     value
	given map[int]value // statistics of terms, by their index
}

func (d mix[T]) inputs(in *operands) mixInputs {
	m := mixInputs{in.take(len(d.terms)), in.next(), map[int]value{}}
	for i, t := range d.terms {
		if t.given {
			m.given[i] = in.next()
		}
	}
	return m
}

// statistics is where term i finds its own: among those given, or in the
// mixture's.
func (m mixInputs) statistics(i int, mixture value) value {
	if v, ok := m.given[i]; ok {
		return v
	}
	return mixture
}

// compile writes an instruction for the terms of each row of α, each adding to
// the output and placed behind the operations that it reads: their outputs are
// still in a cache. Where paths are sampled a row has one output, and a single
// instruction, which does not go over the sum again for each, moves less.
func (d mix[T]) compile(c *compiler[T], in, out *operands) {
	inputs, y, own := d.inputs(in), out.next(), out.next()
	if own == none {
		own = c.alloc(max(1, d.statistics()))
	}
	for first := 0; first < len(d.terms); {
		n := 1
		for first+n < len(d.terms) && (d.paths || d.terms[first+n].gate.row == d.terms[first].gate.row) {
			n++
		}
		d.part(c, inputs, y, own, first, n)
		first += n
	}
}

// part writes the instruction for n terms from first on.
func (d mix[T]) part(c *compiler[T], in mixInputs, y, own value, first, n int) {
	k := &kernels.Mix[T]{
		M: d.m, C: d.c, Epsilon: ops.BatchNormEpsilon, Add: first > 0, Terms: make([]kernels.MixTerm[T], n),
	}
	var p, all []T
	given := make([][]T, n)
	x := c.add(k).read(&p, in.p)
	x.near = producers
	for i := range k.Terms {
		t := d.terms[first+i]
		k.Terms[i].Norm, k.Terms[i].Given, k.Terms[i].Open = t.norm, t.given, t.gate.open
		x.readIf(t.gate, &k.Terms[i].X, in.terms[first+i])
		if t.given {
			x.readIf(t.gate, &given[i], in.given[first+i])
		}
	}
	x.write(&k.Y, y, d.m*d.c).write(&all, own, 0).scratch(&k.Scratch, k.ScratchLen(c.pool.Threads()))
	x.ready = func() {
		for i := range k.Terms {
			statistics := all
			if d.terms[first+i].given {
				statistics = given[i]
			}
			d.hand(&k.Terms[i], d.terms[first+i], p, statistics)
		}
	}
}

func (d mix[T]) differentiate(b *grapher[T], in gorgonia.Nodes, out, grad *gorgonia.Node, want []bool) gorgonia.Nodes {
	return b.gradients(mixGrad[T](d), in, len(d.terms)+1, want, b.pick(out, 1), grad)
}

// mixGrad gives the gradients of the terms and of the mixture weights. Inputs:
// those of mix, its statistics, dy.
type mixGrad[T kernels.Float] mix[T]

func (d mixGrad[T]) String() string { return mix[T](d).String() + " backward" }
func (d mixGrad[T]) adds(int) bool  { return true }

// compile writes an instruction for each term, placed before the one that
// carries its gradient further: what both read is still in a cache.
func (d mixGrad[T]) compile(c *compiler[T], in, out *operands) {
	inputs, own, dy := mix[T](d).inputs(in), in.next(), in.next()
	dterms, dp := out.take(len(d.terms)), out.next()
	for i, t := range d.terms {
		k := &mixBackward[T]{at: t.p}
		k.M, k.C, k.Terms = d.m, d.c, []kernels.MixTerm[T]{{Norm: t.norm, Open: t.gate.open, DP: &k.own}}
		term := &k.Terms[0]
		var p, statistics []T
		x := c.add(k).read(&p, inputs.p).readIf(t.gate, &statistics, inputs.statistics(i, own)).grad(&k.DY, dy)
		x.near = readers
		x.readIf(t.gate, &term.X, inputs.terms[i]).offerIf(t.gate, &term.DX, dterms[i], &term.AddDX)
		x.offerIf(t.gate, &k.dp, dp, &k.add).scratch(&k.Scratch, k.ScratchLen(c.pool.Threads()))
		x.ready = func() { mix[T](d).hand(term, t, p, statistics) }
	}
}

// mixBackward puts the gradient of a mixture weight into the matrix of them
// all. It is a kernel.
type mixBackward[T kernels.Float] struct {
	kernels.MixBackward[T]
	own T   // the term's
	at  int // where it goes
	dp  []T // nil: not wanted
	add bool
}

func (k *mixBackward[T]) Run(p *kernels.Workers) {
	k.MixBackward.Run(p)
	if k.dp == nil {
		return
	}
	if !k.add {
		clear(k.dp)
	}
	k.dp[k.at] += k.own
}

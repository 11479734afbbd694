// SPDX-License-Identifier: Apache-2.0

package autodiff

import (
	"fmt"

	"github.com/edgenas/edgenas/internal/kernels"
	"github.com/edgenas/edgenas/ops"
	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// mix is a supernet's weighted sum with the batch norms of its terms in it.
// Inputs: the terms, then the mixture weights p (rows×columns). Outputs: y, and
// the statistics of the terms with a batch norm (2·c each, as of batchNorm).
type mix[T kernels.Float] struct {
	name  string
	m, c  int
	terms []mixTerm
}

// mixTerm is what a term needs besides its input.
type mixTerm struct {
	norm  bool
	p     int   // index in p
	gate  *gate // shared by all mixtures of this α
	stats int   // where its statistics begin
}

func (d mix[T]) String() string { return fmt.Sprintf("mix %s %d×%d", d.name, d.m, d.c) }

// statistics is the length of the second output.
func (d mix[T]) statistics() int {
	n := 0
	for _, t := range d.terms {
		if t.norm {
			n += 2 * d.c
		}
	}
	return n
}

// hand gives kernel terms their weights and statistics.
func (d mix[T]) hand(terms []kernels.MixTerm[T], p, statistics []T) {
	for i, t := range d.terms {
		terms[i].P = &p[t.p]
		if t.norm {
			terms[i].Mean, terms[i].InvStd = statistics[t.stats:][:d.c], statistics[t.stats+d.c:][:d.c]
		}
	}
}

func (d mix[T]) kernelTerms() []kernels.MixTerm[T] {
	terms := make([]kernels.MixTerm[T], len(d.terms))
	for i, t := range d.terms {
		terms[i].Norm, terms[i].Open = t.norm, t.gate.open
	}
	return terms
}

func (d mix[T]) compile(c *compiler[T], in, out []value) {
	k := &kernels.Mix[T]{M: d.m, C: d.c, Epsilon: ops.BatchNormEpsilon, Terms: d.kernelTerms()}
	var p, statistics []T
	x := c.add(k)
	for i, t := range d.terms {
		x.readIf(t.gate, &k.Terms[i].X, in[i])
	}
	x.read(&p, in[len(d.terms)]).write(&k.Y, out[0], d.m*d.c).write(&statistics, out[1], max(1, d.statistics()))
	x.scratch(&k.Scratch, k.ScratchLen(c.pool.Threads()))
	x.ready = func() { d.hand(k.Terms, p, statistics) }
}

func (d mix[T]) differentiate(b *grapher[T], in gorgonia.Nodes, out, grad *gorgonia.Node, want []bool) gorgonia.Nodes {
	shapes := make([]tensor.Shape, len(in))
	for i, n := range in {
		shapes[i] = n.Shape()
	}
	all := b.apply(mixGrad[T](d), shapes, append(in[:len(in):len(in)], b.pick(out, 1), grad)...)
	g := make(gorgonia.Nodes, len(in))
	for i := range in {
		if want[i] {
			g[i] = b.pick(all, i)
		}
	}
	return g
}

// mixGrad gives the gradients of all inputs of mix. Inputs: those of mix, the
// statistics, dy.
type mixGrad[T kernels.Float] mix[T]

func (d mixGrad[T]) String() string { return mix[T](d).String() + " backward" }
func (d mixGrad[T]) adds(int) bool  { return true }

func (d mixGrad[T]) compile(c *compiler[T], in, out []value) {
	n := len(d.terms)
	k := &mixBackward[T]{MixBackward: kernels.MixBackward[T]{M: d.m, C: d.c, Terms: mix[T](d).kernelTerms()}, own: make([]T, n)}
	var p, statistics []T
	x := c.add(k).read(&p, in[n]).read(&statistics, in[n+1]).grad(&k.DY, in[n+2])
	for i, t := range d.terms {
		term := &k.Terms[i]
		x.readIf(t.gate, &term.X, in[i]).offerIf(t.gate, &term.DX, out[i], &term.AddDX)
		term.DP = &k.own[i]
		k.at = append(k.at, t.p)
	}
	x.offer(&k.dp, out[n], &k.add).scratch(&k.Scratch, k.ScratchLen(c.pool.Threads()))
	x.ready = func() { mix[T](d).hand(k.Terms, p, statistics) }
}

// mixBackward gathers the gradients of single mixture weights in the matrix of
// them all. It is a kernel.
type mixBackward[T kernels.Float] struct {
	kernels.MixBackward[T]
	own []T   // of each term
	at  []int // where it goes
	dp  []T   // nil: not wanted
	add bool
}

func (k *mixBackward[T]) Run(p *kernels.Pool) {
	k.MixBackward.Run(p)
	if k.dp == nil {
		return
	}
	if !k.add {
		clear(k.dp)
	}
	for i, g := range k.own {
		k.dp[k.at[i]] += g
	}
}

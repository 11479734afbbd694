// SPDX-License-Identifier: Apache-2.0

package autodiff

import (
	"fmt"
	"slices"
	"strings"

	"github.com/edgenas/edgenas/internal/kernels"
	"gorgonia.org/gorgonia"
)

// program is a differentiated graph as instructions, in an order in which they
// can be run. A sum that Gorgonia made of gradient contributions costs nothing
// where the instructions that compute them can add to one place themselves.
type program[T kernels.Float] struct {
	compiler[T]
	// over maps a value to the earlier value whose memory it reuses. Nothing
	// reads the earlier value once the later one is written.
	over   map[value]value
	loss   value
	grads  []value // of the leaves
	live   []bool  // by value: this step contributes to the gradient
	wanted []bool  // by value: this step needs it
}

// translation is the state of making a program.
type translation[T kernels.Float] struct {
	*program[T]
	order []*gorgonia.Node // what the roots need, inputs first
	uses  map[*gorgonia.Node]int
	picks map[*gorgonia.Node]map[int]*gorgonia.Node
	sums  map[*gorgonia.Node]*gorgonia.Node // contribution → sum to which it is added in place
	at    map[*gorgonia.Node]value
}

// children are n's inputs, in order.
func children(n *gorgonia.Node) (nodes gorgonia.Nodes) {
	for it := n.Graph().From(n.ID()); it.Next(); {
		nodes = append(nodes, it.Node().(*gorgonia.Node))
	}
	return nodes
}

// isSum reports whether n is one of Gorgonia's sums of gradients.
func isSum(n *gorgonia.Node) bool {
	op, ok := n.Op().(gorgonia.BinaryOp)
	return ok && op.IsBinary() && strings.HasPrefix(op.String(), "+")
}

// translate makes a program of what loss and grads need. inputs are the
// graph's inputs, pinned the results that have memory of their own.
func translate[T kernels.Float](
	pool *kernels.Workers, loss *gorgonia.Node, grads gorgonia.Nodes, inputs, pinned map[*gorgonia.Node][]T,
	running map[*gorgonia.Node][]runningSource[T], paths bool,
) (*program[T], error) {
	t := &translation[T]{
		program: &program[T]{compiler: compiler[T]{pool: pool}, over: map[value]value{}},
		uses:    map[*gorgonia.Node]int{}, picks: map[*gorgonia.Node]map[int]*gorgonia.Node{},
		sums: map[*gorgonia.Node]*gorgonia.Node{}, at: map[*gorgonia.Node]value{},
	}
	t.reach(append(gorgonia.Nodes{loss}, grads...))
	for n, data := range inputs {
		t.at[n] = t.pin(data)
	}
	for n, data := range pinned {
		t.at[n] = t.pin(data)
		t.uses[n]++ // the caller's
	}
	for _, n := range t.order {
		if isSum(n) {
			t.sum(n)
		}
	}
	for _, n := range t.order {
		if err := t.node(n, running[n]); err != nil {
			return nil, err
		}
	}
	t.takeOver()
	t.fuseNorms()
	t.schedule(paths)
	t.normsInPlace()
	p := t.program
	p.loss = t.at[loss]
	for _, g := range grads {
		p.grads = append(p.grads, t.at[g])
	}
	p.live, p.wanted = make([]bool, len(p.values)), make([]bool, len(p.values))
	return p, nil
}

// reach lists the nodes that the roots need. Gorgonia numbers nodes as they are made,
// inputs before what reads them.
func (t *translation[T]) reach(roots gorgonia.Nodes) {
	seen := map[*gorgonia.Node]bool{}
	var visit func(n *gorgonia.Node)
	visit = func(n *gorgonia.Node) {
		if seen[n] {
			return
		}
		seen[n] = true
		for _, c := range children(n) {
			t.uses[c]++
			visit(c)
		}
		if p, ok := n.Op().(*pick[T]); ok {
			of := children(n)[0]
			if t.picks[of] == nil {
				t.picks[of] = map[int]*gorgonia.Node{}
			}
			t.picks[of][p.output] = n
		}
	}
	for _, n := range roots {
		visit(n)
	}
	for _, n := range roots[0].Graph().AllNodes() {
		if seen[n] {
			t.order = append(t.order, n)
		}
	}
}

// sum finds the contributions to n that can be added in place. Inner sums, read
// by one other sum alone, are part of that.
func (t *translation[T]) sum(n *gorgonia.Node) {
	for _, c := range children(n) {
		if t.uses[c] == 1 && (isSum(c) || adds[T](c)) {
			t.sums[c] = n
		}
	}
}

// adds reports whether the operation that computes n can add it to something.
func adds[T kernels.Float](n *gorgonia.Node) bool {
	output := 0
	if p, ok := n.Op().(*pick[T]); ok {
		n, output = children(n)[0], p.output
	}
	o, ok := n.Op().(*op[T])
	if !ok {
		return false
	}
	a, ok := o.definition.(adder)
	return ok && a.adds(output)
}

// place returns the value of result n: the sum's, if n is added to a sum in place.
func (t *translation[T]) place(n *gorgonia.Node) value {
	if v, ok := t.at[n]; ok {
		return v
	}
	if s, ok := t.sums[n]; ok {
		t.at[n] = t.place(s)
	} else {
		t.at[n] = t.alloc(size(n.Shape()))
	}
	return t.at[n]
}

// node writes the instructions of n.
func (t *translation[T]) node(n *gorgonia.Node, running []runningSource[T]) error {
	switch o := n.Op().(type) {
	case nil:
		if _, ok := t.at[n]; !ok {
			return fmt.Errorf("autodiff: %s: an input without memory", n.Name())
		}
	case *pick[T]:
	case *op[T]:
		var in, out []value
		for _, c := range children(n) {
			in = append(in, t.at[c])
		}
		if len(o.out) == 1 {
			out = []value{t.place(n)}
		} else {
			for k := range o.out {
				v := none
				if p := t.picks[n][k]; p != nil {
					v = t.place(p)
				}
				out = append(out, v)
			}
		}
		t.compile(o.definition, in, out)
		if len(running) > 0 {
			t.follow(out[1], running)
		}
	default:
		if !isSum(n) {
			return fmt.Errorf("autodiff: %s: an operation that is not ours", o)
		}
		for _, c := range children(n) {
			if _, ok := t.sums[c]; !ok {
				t.fanIn(t.at[c], t.place(n))
			}
		}
	}
	return nil
}

// follow lets running statistics follow value v, which the last instruction writes.
func (t *translation[T]) follow(v value, sources []runningSource[T]) {
	x, c := t.ins[len(t.ins)-1], &t.compiler
	all := make(runningAll[T], len(sources))
	x.effect = all
	x.then(func() {
		for i, s := range sources {
			all[i] = s.runningStatistics
			of := c.values[v].mem[s.at:]
			all[i].mean, all[i].invstd = of[:s.c], of[s.c:2*s.c]
		}
	})
}

// runningAll is a kernel: all the running statistics of an instruction.
type runningAll[T kernels.Float] []runningStatistics[T]

func (r runningAll[T]) Run(p *kernels.Workers) {
	for i := range r {
		r[i].Run(p)
	}
}

// takeOver removes copies. Where a contribution is copied to the place of a sum,
// and everything else that reads it has run before anything else is added, the
// sum takes the contribution's place.
func (t *translation[T]) takeOver() {
	for i := 0; i < len(t.ins); {
		x := t.ins[i]
		if _, ok := x.kernel.(*fanIn[T]); !ok || !t.supersedes(i, x.out[0].value, x.in[0].value) {
			i++
			continue
		}
		sum, part := x.out[0].value, x.in[0].value
		t.ins = append(t.ins[:i], t.ins[i+1:]...)
		for _, x := range t.ins {
			x.rename(sum, part)
		}
	}
}

// supersedes reports whether sum can take the place of part once instruction i,
// which copies part to sum, is left out.
func (t *translation[T]) supersedes(i int, sum, part value) bool {
	if t.values[sum].mem != nil || t.values[part].mem != nil {
		return false
	}
	added := false
	for j, x := range t.ins {
		if j == i {
			continue
		}
		added = added || x.writes(sum)
		if added && (x.reads(part) || x.writes(part)) {
			return false
		}
	}
	return true
}

func (x *instruction[T]) reads(v value) bool {
	return slices.ContainsFunc(x.in, func(o operand[T]) bool { return o.value == v })
}

func (x *instruction[T]) writes(v value) bool {
	return slices.ContainsFunc(x.out, func(o operand[T]) bool { return o.value == v })
}

func (x *instruction[T]) rename(from, to value) {
	for i := range x.in {
		if x.in[i].value == from {
			x.in[i].value = to
		}
	}
	for i := range x.out {
		if x.out[i].value == from {
			x.out[i].value = to
		}
	}
	if x.seed == from {
		x.seed = to
	}
}

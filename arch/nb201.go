// SPDX-License-Identifier: Apache-2.0

package arch

import (
	"fmt"
	"slices"
	"strings"

	"github.com/edgenas/edgenas/ops"
)

// nb201 is the space of NAS-Bench-201: one cell of 4 nodes and 6 edges, each
// edge one of five operations, in a skeleton of three stages with C, 2C and 4C
// channels and a residual block of stride 2 before the second and the third.
// Source: Dong and Yang, NAS-Bench-201, 2020, §2.1.
type nb201 struct{ size Size }

const nb201Out = 3 // the cell's output node

var (
	nb201Edges = []Edge{{0, 1}, {0, 2}, {1, 2}, {0, 3}, {1, 3}, {2, 3}}
	nb201Ops   = []string{ops.None, ops.SkipConnect, "nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3"}
)

func newNB201(s Size) (Space, error) {
	if err := s.check(1, 8); err != nil {
		return nil, err
	}
	if s.Image%4 != 0 { // both branches of a residual block must halve it alike
		return nil, fmt.Errorf("arch: nb201: image %d: want a multiple of 4", s.Image)
	}
	return nb201{s}, nil
}

func (nb201) Name() string  { return "nb201" }
func (s nb201) Size() Size  { return s.size }
func (nb201) Cells() []Cell { return []Cell{{Edges: nb201Edges, Inputs: 1}} }

func (nb201) Alphas() []Alpha {
	a := Alpha{Name: "cell", Ops: nb201Ops}
	for _, e := range nb201Edges {
		a.Rows = append(a.Rows, fmt.Sprintf("%d<-%d", e.To, e.From))
	}
	return []Alpha{a}
}

// skeleton records everything but the cells; cell builds one cell on x.
func (s nb201) skeleton(batch int, cell func(b ops.Builder, x ops.Value) ops.Value) (*ops.Graph, error) {
	b, x := ops.NewBuilder(s.size.input(batch))
	c := s.size.Channels
	stem := b.Scope("stem")
	x = stem.BatchNorm("bn", stem.Conv("conv", x, c, ops.Same(3, 1, 1), 1, false), true)
	for stage := range 3 {
		if stage > 0 {
			c *= 2
			x = residual(b.Scope(fmt.Sprintf("reduce%d", stage)), x, c)
		}
		for i := range s.size.Cells {
			x = cell(b.Scope(fmt.Sprintf("stage%d.cell%d", stage, i)), x)
		}
	}
	head := b.Scope("head")
	x = head.ReLU("relu", head.BatchNorm("bn", x, true))
	return b.Finish(head.Linear("linear", head.GlobalAvgPool("pool", x), s.size.Classes))
}

// residual halves the image: two ReLU-3×3-BN, the first of stride 2, beside a
// 2×2 average pool and a 1×1 convolution without batch norm.
func residual(b ops.Builder, x ops.Value, c int) ops.Value {
	y := ops.ReLUConvBN(b.Scope("a"), x, 3, ops.Config{Channels: c, Stride: 2, Affine: true})
	y = ops.ReLUConvBN(b.Scope("b"), y, 3, ops.Config{Channels: c, Stride: 1, Affine: true})
	x = b.AvgPool("pool", x, ops.Window{Kernel: 2, Stride: 2, Dilation: 1})
	return b.Add("add", b.Conv("shortcut", x, c, ops.Same(1, 1, 1), 1, false), y)
}

// edge records one operation on an edge of a cell.
func (s nb201) edge(b ops.Builder, e Edge, op string, x ops.Value, affine bool) ops.Value {
	b = b.Scope(fmt.Sprintf("edge%d-%d", e.From, e.To)).Scope(op)
	return ops.ByName(op).Build(b, x, ops.Config{Channels: b.Shape(x).C, Stride: 1, Affine: affine})
}

func (s nb201) Supernet(batch int) (*ops.Graph, error) {
	return s.skeleton(batch, func(b ops.Builder, x ops.Value) ops.Value {
		nodes := []ops.Value{x}
		for to := 1; to <= nb201Out; to++ {
			var xs []ops.Value
			var gates []ops.Gate
			for row, e := range nb201Edges {
				if e.To != to {
					continue
				}
				for col, op := range nb201Ops {
					if op != ops.None { // no term: weight without work
						xs = append(xs, s.edge(b, e, op, nodes[e.From], false))
						gates = append(gates, ops.Gate{Row: row, Col: col})
					}
				}
			}
			nodes = append(nodes, b.Mix(fmt.Sprintf("node%d", to), 0, xs, gates))
		}
		return nodes[nb201Out]
	})
}

func (s nb201) Network(c Choice, batch int) (*ops.Graph, error) {
	if err := checkChoice(s.Alphas(), c); err != nil {
		return nil, err
	}
	live := s.live(c)
	if !live[3] && !live[4] && !live[5] {
		return nil, fmt.Errorf("%w: %s", ErrDead, s.Notation(c))
	}
	return s.skeleton(batch, func(b ops.Builder, x ops.Value) ops.Value {
		nodes := [4]ops.Value{x}
		for to := 1; to <= nb201Out; to++ {
			var xs []ops.Value
			for row, e := range nb201Edges {
				if e.To == to && live[row] {
					xs = append(xs, s.edge(b, e, nb201Ops[c[0][row]], nodes[e.From], true))
				}
			}
			if len(xs) > 0 {
				nodes[to] = b.Add(fmt.Sprintf("node%d", to), xs...)
			}
		}
		return nodes[nb201Out]
	})
}

// Training returns Network: nothing is added for training.
func (s nb201) Training(c Choice, batch int) (*ops.Graph, error) { return s.Network(c, batch) }

func (nb201) live(c Choice) []bool {
	present := make([]bool, len(nb201Edges))
	for i := range present {
		present[i] = nb201Ops[c[0][i]] != ops.None
	}
	return Live(nb201Edges, nb201Out, present)
}

func (s nb201) Canonical(c Choice) Choice {
	d := c.Clone()
	for i, live := range s.live(c) {
		if !live {
			d[0][i] = 0
		}
	}
	return d
}

// Groups returns the whole cell as one group: what an edge costs depends on
// which others are alive.
func (nb201) Groups() []Group {
	g := Group{Rows: []int{0, 1, 2, 3, 4, 5}}
	n := len(nb201Ops)
	for i := range n * n * n * n * n * n {
		option := make([]int, len(g.Rows))
		for row := len(option) - 1; row >= 0; row, i = row-1, i/n {
			option[row] = i % n
		}
		g.Options = append(g.Options, option)
	}
	return []Group{g}
}

// Derive takes the operation of greatest weight on each edge.
func (nb201) Derive(p [][]float64) Choice {
	c := Choice{make([]int, len(nb201Edges))}
	n := len(nb201Ops)
	for row := range c[0] {
		weights := p[0][row*n:][:n]
		c[0][row] = slices.Index(weights, slices.Max(weights))
	}
	return c
}

// Notation returns NAS-Bench-201's string: |op~0|+|op~0|op~1|+|op~0|op~1|op~2|,
// a group for each node, an operation for each earlier node.
func (nb201) Notation(c Choice) string {
	var b strings.Builder
	for i, e := range nb201Edges {
		if e.From == 0 && i > 0 {
			b.WriteString("|+")
		}
		fmt.Fprintf(&b, "|%s~%d", nb201Ops[c[0][i]], e.From)
	}
	return b.String() + "|"
}

func (s nb201) Parse(text string) (Choice, error) {
	c := Choice{make([]int, len(nb201Edges))}
	fields := strings.FieldsFunc(text, func(r rune) bool { return r == '|' || r == '+' })
	if len(fields) == len(nb201Edges) {
		for i, f := range fields {
			name, _, _ := strings.Cut(f, "~")
			for col, op := range nb201Ops {
				if op == name {
					c[0][i] = col
				}
			}
		}
	}
	if s.Notation(c) != text { // also catches every malformed text
		return nil, fmt.Errorf("arch: nb201 %.200q: want |op~0|+|op~0|op~1|+|op~0|op~1|op~2| with op one of %q",
			text, nb201Ops)
	}
	return c, nil
}

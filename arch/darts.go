// SPDX-License-Identifier: Apache-2.0

package arch

import (
	"cmp"
	"errors"
	"fmt"
	"slices"

	"github.com/edgenas/edgenas/ops"
)

// ErrEdges says that an inner node of a cell does not keep as many incoming
// edges as its space demands (see [Cell]).
var ErrEdges = errors.New("arch: a node keeps too few or too many edges")

// darts is the cell space of DARTS: a chain of cells that read the outputs of
// the two cells before them. Of a cell's four inner nodes, each sums two
// operations on earlier nodes; the cell's output is the channels of all four.
// The cells at a third and at two thirds of the chain are reduction cells:
// they share a choice of their own, halve the image on the edges from their
// inputs, and double the channels.
//
// Supernet and derived network are those of the code published with Liu et
// al., DARTS, 2019: in the supernet, batch norms inside cells are not affine,
// and poolings have one after them.
type darts struct{ size Size }

const (
	dartsInputs = 2 // nodes 0 and 1
	dartsNodes  = 6 // with the inputs
	dartsKeep   = 2 // edges into each inner node
)

// The α, and with them the kinds of cells.
const (
	dartsNormal = iota
	dartsReduce
)

var (
	dartsAlphas = []string{dartsNormal: "normal", dartsReduce: "reduce"}
	dartsOps    = []string{ops.None, "max_pool_3x3", "avg_pool_3x3", ops.SkipConnect,
		"sep_conv_3x3", "sep_conv_5x5", "dil_conv_3x3", "dil_conv_5x5"}
	dartsEdges = func() (edges []Edge) {
		for to := dartsInputs; to < dartsNodes; to++ {
			for from := range to {
				edges = append(edges, Edge{from, to})
			}
		}
		return edges
	}()
)

func newDARTS(s Size) (Space, error) {
	if err := s.check(3, 8); err != nil { // fewer cells: the reduction cells leave no normal one
		return nil, err
	}
	if s.Image%4 != 0 { // a factorised reduce takes even extents
		return nil, fmt.Errorf("arch: darts: image %d: want a multiple of 4", s.Image)
	}
	return darts{s}, nil
}

func (darts) Name() string { return "darts" }
func (s darts) Size() Size { return s.size }

func (darts) Cells() []Cell {
	c := Cell{Edges: dartsEdges, Inputs: dartsInputs, Keep: dartsKeep}
	return []Cell{c, c}
}

func (darts) Alphas() []Alpha {
	var rows []string
	for _, e := range dartsEdges {
		rows = append(rows, fmt.Sprintf("%d<-%d", e.To, e.From))
	}
	var alphas []Alpha
	for _, name := range dartsAlphas {
		alphas = append(alphas, Alpha{Name: name, Rows: rows, Ops: dartsOps})
	}
	return alphas
}

var dartsIncoming = Cell{Edges: dartsEdges}.Incoming()

// incoming returns the rows of the edges into node to.
func incoming(to int) []int { return slices.Clone(dartsIncoming[to-dartsInputs]) }

// dartsCell is a cell while it is recorded.
type dartsCell struct {
	ops.Builder
	alpha    int // the kind of cell
	channels int
	affine   bool // batch norms are
}

// edge records one operation on an edge.
func (c dartsCell) edge(e Edge, op string, x ops.Value) ops.Value {
	b := c.Scope(fmt.Sprintf("edge%d-%d", e.From, e.To)).Scope(op)
	stride := 1
	if c.alpha == dartsReduce && e.From < dartsInputs {
		stride = 2
	}
	y := ops.ByName(op).Build(b, x, ops.Config{Channels: c.channels, Stride: stride, Affine: c.affine})
	if !c.affine && (op == "max_pool_3x3" || op == "avg_pool_3x3") {
		y = b.BatchNorm("bn", y, false)
	}
	return y
}

// inputs records what a cell does with the outputs of the two cells before it;
// halved says that the last of them has halved the image.
func (c dartsCell) inputs(before, last ops.Value, halved bool) []ops.Value {
	same := ops.Config{Channels: c.channels, Stride: 1, Affine: c.affine}
	half := same
	half.Stride = 2
	if b := c.Scope("pre0"); halved {
		before = ops.FactorizedReduce(b, before, half)
	} else {
		before = ops.ReLUConvBN(b, before, 1, same)
	}
	return []ops.Value{before, ops.ReLUConvBN(c.Scope("pre1"), last, 1, same)}
}

// skeleton records everything but the inner nodes; node records one, given all
// before it in the cell. With auxiliary, the last reduction cell gets an
// auxiliary head if its map is large enough.
func (s darts) skeleton(batch int, affine, auxiliary bool,
	node func(c dartsCell, to int, nodes []ops.Value) ops.Value) (*ops.Graph, error) {
	b, x := ops.NewBuilder(s.size.input(batch))
	stem := b.Scope("stem")
	x = stem.BatchNorm("bn", stem.Conv("conv", x, 3*s.size.Channels, ops.Same(3, 1, 1), 1, false), true)
	before, last, halved, aux := x, x, false, ops.Value(0)
	first, second := s.size.Cells/3, 2*s.size.Cells/3
	channels := s.size.Channels
	for i := range s.size.Cells {
		cell := dartsCell{Builder: b.Scope(fmt.Sprintf("cell%d", i)), alpha: dartsNormal, affine: affine}
		if i == first || i == second {
			cell.alpha = dartsReduce
			channels *= 2
		}
		cell.channels = channels
		nodes := cell.inputs(before, last, halved)
		for to := dartsInputs; to < dartsNodes; to++ {
			nodes = append(nodes, node(cell, to, nodes))
		}
		before, last, halved = last, cell.Concat("out", nodes[dartsInputs:]...), cell.alpha == dartsReduce
		if auxiliary && i == second && b.Shape(last).H > auxiliaryPool {
			aux = auxiliaryHead(b.Scope("auxiliary"), last, s.size.Classes)
		}
	}
	head := b.Scope("head")
	return b.FinishTraining(head.Linear("linear", head.GlobalAvgPool("pool", last), s.size.Classes), aux)
}

// auxiliaryPool is the kernel of the auxiliary head's pooling where the map has
// 6 to 10 rows: 8 for images of 32 rows, 7 for 28.
const auxiliaryPool = 5

// auxiliaryHead classifies a map in the middle of the network: ReLU, average
// pool to 2×2, 1×1 to 128 channels, 2×2 to 768, each with batch norm and ReLU,
// linear. Its loss is added to the network's while that is trained.
func auxiliaryHead(b ops.Builder, x ops.Value, classes int) ops.Value {
	h := b.Shape(x).H
	pool := ops.Window{Kernel: auxiliaryPool, Stride: h - auxiliaryPool, Dilation: 1}
	if h > 2*auxiliaryPool { // pixels would be left out: take quarters
		pool.Stride = h / 2
		pool.Kernel = h - pool.Stride
	}
	x = b.AvgPool("pool", b.ReLU("relu1", x), pool)
	x = b.BatchNorm("bn1", b.Conv("conv1", x, 128, ops.Same(1, 1, 1), 1, false), true)
	x = b.Conv("conv2", b.ReLU("relu2", x), 768, ops.Window{Kernel: 2, Stride: 1, Dilation: 1}, 1, false)
	return b.Linear("linear", b.ReLU("relu3", b.BatchNorm("bn2", x, true)), classes)
}

func (s darts) Supernet(batch int) (*ops.Graph, error) {
	return s.skeleton(batch, false, false, func(cell dartsCell, to int, nodes []ops.Value) ops.Value {
		var xs []ops.Value
		var gates []ops.Gate
		for _, row := range incoming(to) {
			e := dartsEdges[row]
			for col, op := range dartsOps {
				if op != ops.None { // no term: weight without work
					xs = append(xs, cell.edge(e, op, nodes[e.From]))
					gates = append(gates, ops.Gate{Row: row, Col: col})
				}
			}
		}
		return cell.Mix(fmt.Sprintf("node%d", to), cell.alpha, xs, gates)
	})
}

// Network returns ErrEdges unless each inner node has exactly two edges that
// are not none.
func (s darts) Network(c Choice, batch int) (*ops.Graph, error) { return s.network(c, batch, false) }

// Training adds the auxiliary head after the last reduction cell, if that
// cell's map is larger than 5×5.
func (s darts) Training(c Choice, batch int) (*ops.Graph, error) { return s.network(c, batch, true) }

func (s darts) network(c Choice, batch int, auxiliary bool) (*ops.Graph, error) {
	if err := checkChoice(s.Alphas(), c); err != nil {
		return nil, err
	}
	for alpha, name := range dartsAlphas {
		for to := dartsInputs; to < dartsNodes; to++ {
			if n := len(kept(c[alpha], to)); n != dartsKeep {
				return nil, fmt.Errorf("%w: darts: %s cell, node %d keeps %d: want %d", ErrEdges, name, to, n, dartsKeep)
			}
		}
	}
	return s.skeleton(batch, true, auxiliary, func(cell dartsCell, to int, nodes []ops.Value) ops.Value {
		var xs []ops.Value
		for _, row := range kept(c[cell.alpha], to) {
			e := dartsEdges[row]
			xs = append(xs, cell.edge(e, dartsOps[c[cell.alpha][row]], nodes[e.From]))
		}
		return cell.Add(fmt.Sprintf("node%d", to), xs...)
	})
}

// kept returns the rows of the edges into node to that are not none.
func kept(columns []int, to int) []int {
	return slices.DeleteFunc(incoming(to), func(row int) bool { return dartsOps[columns[row]] == ops.None })
}

// Canonical returns a copy of c: every inner node is an output, so no edge is dead.
func (darts) Canonical(c Choice) Choice { return c.Clone() }

// Groups returns one group for each inner node of each kind of cell: which two
// edges it keeps, and their operations.
func (darts) Groups() (groups []Group) {
	n := len(dartsOps)
	for alpha := range dartsAlphas {
		for to := dartsInputs; to < dartsNodes; to++ {
			g := Group{Alpha: alpha, Rows: incoming(to)}
			for b := range g.Rows { // edges a < b
				for a := range b {
					for pair := range n * n {
						option := make([]int, len(g.Rows))
						option[a], option[b] = pair/n, pair%n
						if dartsOps[option[a]] != ops.None && dartsOps[option[b]] != ops.None {
							g.Options = append(g.Options, option)
						}
					}
				}
			}
			groups = append(groups, g)
		}
	}
	return groups
}

// Derive keeps, into each inner node, the two edges on which the greatest
// weight of an operation other than none is greatest, and on each edge that
// operation. The first of equal ones counts.
// Source: Liu et al., DARTS, 2019, §2.4.
func (darts) Derive(p [][]float64) Choice {
	n, none := len(dartsOps), slices.Index(dartsOps, ops.None)
	c := make(Choice, len(dartsAlphas))
	for alpha := range c {
		c[alpha] = make([]int, len(dartsEdges))
		weight := make([]float64, len(dartsEdges))
		for row := range dartsEdges {
			best := -1
			for col, v := range p[alpha][row*n:][:n] {
				if col != none && (best < 0 || v > weight[row]) {
					best, weight[row] = col, v
				}
			}
			c[alpha][row] = best
		}
		for to := dartsInputs; to < dartsNodes; to++ {
			rows := incoming(to)
			slices.SortStableFunc(rows, func(a, b int) int { return cmp.Compare(weight[b], weight[a]) })
			for _, row := range rows[dartsKeep:] {
				c[alpha][row] = none
			}
		}
	}
	return c
}

// SPDX-License-Identifier: Apache-2.0

package report

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strconv"

	"github.com/edgenas/edgenas/arch"
	"github.com/edgenas/edgenas/ops"
)

// cell is the picture of one cell: nodes from top to bottom, an edge to the
// next node straight, longer ones as arcs on either side.
type cell struct {
	ID, Title, Desc string
	W, H            float64
	Nodes           []node
	Edges           []edge
	Note            string // what is not drawn
}

type node struct {
	X, Y, R float64
	Label   string
}

type edge struct {
	Op, Class  string
	Path, Head string  // line and arrow head
	X, Y, W, H float64 // box of the operation's name, from its middle
}

// Left and Top are the corner of the box of an edge's name.
func (e edge) Left() float64 { return -e.W / 2 }
func (e edge) Top() float64  { return -e.H / 2 }

// Pixels of the picture.
const (
	nodeRadius  = 17
	nodeStep    = 92  // from a node to the next
	labelWidth  = 92  // of an operation's name
	labelHeight = 22  // of the box around it
	firstLane   = 104 // from the middle to the labels of the nearest arcs
	laneStep    = 98  // to those of the next
	margin      = 6   // around it all
	headLength  = 9   // of an arrow
	headWidth   = 4.5 // half of it
)

// drawCells draws the cells of an architecture, one for each α, without the
// edges that are dead or carry nothing.
func drawCells(a *arch.Architecture) []cell {
	var cells []cell
	choice := a.Space.Canonical(a.Choice)
	for i, alpha := range a.Space.Alphas() {
		shape := a.Space.Cells()[i]
		var live []edgeOp
		for row, e := range shape.Edges {
			if col := choice[i][row]; alpha.Ops[col] != ops.None {
				live = append(live, edgeOp{e, col, alpha.Ops[col]})
			}
		}
		names := nodeNames(shape)
		c := drawCell(names, live)
		c.ID, c.Title = fmt.Sprintf("cell%d", i), alpha.Name
		switch dead := len(alpha.Rows) - len(live); {
		case shape.Keep > 0:
			c.Note = fmt.Sprintf("%s and %s: outputs of the cells before. Each node adds up its edges; "+
				"the output is the channels of nodes %s to %s.",
				names[0], names[shape.Inputs-1], names[shape.Inputs], names[len(names)-1])
		case dead > 0:
			c.Note = fmt.Sprintf("Not drawn: edges that are dead or carry nothing (%d).", dead)
		}
		cells = append(cells, c)
	}
	return cells
}

// nodeNames names the nodes of a cell. Where all inner nodes are outputs, they
// have the numbers of the literature, and the inputs the cells' that they come
// from, k being this one.
func nodeNames(c arch.Cell) []string {
	out := 0
	for _, e := range c.Edges {
		out = max(out, e.To)
	}
	names := make([]string, out+1)
	for n := range names {
		names[n] = strconv.Itoa(n)
		if c.Keep > 0 && n < c.Inputs {
			names[n] = fmt.Sprintf("k−%d", c.Inputs-n)
		}
	}
	if c.Keep == 0 {
		names[0], names[out] = "in", "out"
	}
	return names
}

type edgeOp struct {
	arch.Edge
	col int
	op  string
}

// drawCell draws a cell of nodes with these names. The first and the last are
// always there, others if an edge is at them.
func drawCell(names []string, edges []edgeOp) cell {
	out := len(names) - 1
	lanes := placeArcs(edges)
	var left, right float64 = labelWidth / 2, labelWidth / 2 // from the middle
	for _, at := range lanes {
		left, right = math.Max(left, labelWidth/2-at), math.Max(right, labelWidth/2+at)
	}
	x := left + margin
	y := func(n int) float64 { return margin + nodeRadius + 1 + float64(n)*nodeStep }
	c := cell{W: x + right + margin, H: y(out) + nodeRadius + 1 + margin}
	used := map[int]bool{0: true, out: true}
	for i, e := range edges {
		used[e.From], used[e.To] = true, true
		c.Edges = append(c.Edges, drawEdge(x, y(e.From), y(e.To), lanes[i], e))
		c.Desc += fmt.Sprintf("%s from %s to %s. ", e.op, names[e.From], names[e.To])
	}
	for n := range out + 1 {
		if used[n] {
			c.Nodes = append(c.Nodes, node{X: x, Y: y(n), R: nodeRadius, Label: names[n]})
		}
	}
	return c
}

// placeArcs gives each edge the distance of its label from the middle: 0 for a
// straight one, negative on the left. Arcs that run beside one another get
// lanes of their own, the shorter ones further in.
func placeArcs(edges []edgeOp) []float64 {
	order := make([]int, len(edges))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(i, j int) int {
		return cmp.Compare(edges[i].To-edges[i].From, edges[j].To-edges[j].From)
	})
	at := make([]float64, len(edges))
	var taken [][]arch.Edge // lanes: right, left, right, …
	for _, i := range order {
		e := edges[i].Edge
		if e.To-e.From < 2 {
			continue
		}
		lane := slices.IndexFunc(taken, func(l []arch.Edge) bool {
			return !slices.ContainsFunc(l, func(o arch.Edge) bool { return e.From < o.To && o.From < e.To })
		})
		if lane < 0 {
			lane, taken = len(taken), append(taken, nil)
		}
		taken[lane] = append(taken[lane], e)
		at[i] = firstLane + float64(lane/2)*laneStep
		if lane%2 == 1 {
			at[i] = -at[i]
		}
	}
	return at
}

// drawEdge draws an edge from (x, from) to (x, to) past x+at.
func drawEdge(x, from, to, at float64, e edgeOp) edge {
	d := edge{Op: e.op, Class: colour(e.col), X: x + at, Y: (from + to) / 2, W: labelWidth, H: labelHeight}
	if at == 0 {
		end := to - nodeRadius - 2
		d.Path = path("M", x, from+nodeRadius, "L", x, end-headLength+1)
		d.Head = head(x, end, 0, 1)
		return d
	}
	// A cubic reaches three quarters of the way to its control points.
	side := math.Copysign(1, at)
	bulge, pull := x+(at-side*nodeRadius/4)/0.75, float64((to-from)*0.12)
	startX, startY := x+side*nodeRadius*0.9, from+nodeRadius*0.45
	endX, endY := x+side*(nodeRadius+2)*0.9, to-(nodeRadius+2)*0.45
	dx, dy := endX-bulge, endY-(to-pull)
	n := math.Hypot(dx, dy)
	dx, dy = dx/n, dy/n
	d.Path = path("M", startX, startY, "C", bulge, from+pull, bulge, to-pull,
		endX-dx*(headLength-1), endY-dy*(headLength-1))
	d.Head = head(endX, endY, dx, dy)
	return d
}

// head is an arrow head at (x, y) in direction (dx, dy).
func head(x, y, dx, dy float64) string {
	bx, by := x-dx*headLength, y-dy*headLength
	return path("M", x, y, "L", bx-dy*headWidth, by+dx*headWidth, "L", bx+dy*headWidth, by-dx*headWidth, "Z")
}

// path joins letters and coordinates, rounded to a tenth.
func path(parts ...any) string {
	s := ""
	for _, p := range parts {
		switch p := p.(type) {
		case string:
			s += p
		case float64:
			s += " " + number(tenth(p))
		}
	}
	return s
}

// colour is the class of the operation in column col of an α: the same in the
// cell and in the curves of α.
func colour(col int) string { return "c" + strconv.Itoa(col%colours) }

// colours is how many the page's style has.
const colours = 8

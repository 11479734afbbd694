// SPDX-License-Identifier: Apache-2.0

package search

// keptCell is a cell whose inner nodes each keep two of their edges. With
//
//	m_e = max_{o≠none} p_{e,o}       the edge's strength,
//	β_e = m_e / Σ m                  its weight among the node's edges,
//	q_e = β_e·(1 + Σ_{j≠e} β_j/(1−β_j))
//	p̃_{e,o} = p_{e,o} / Σ_{o≠none} p_{e,o}
//
// q_e is the probability that e is among two edges drawn by β without
// replacement, so that Σ_e q_e = 2 for each node, and
//
//	E = Σ_e q_e·Σ_{o≠none} p̃_{e,o}·t_{e,o}
//
// The gradient takes the maximum's at its first greatest weight.
type keptCell struct {
	nodes [][]int     // rows of each inner node
	t     [][]float64 // row, column
	none  int         // column
}

// least keeps weights that have vanished from being divided by.
const least = 1e-30

func (c *keptCell) value(p, grad []float64, scale float64) float64 {
	total := 0.0
	for _, rows := range c.nodes {
		total += c.node(rows, p, grad, scale)
	}
	return total
}

// maxKeptEdges bounds the edges of one node.
const maxKeptEdges = 32

func (c *keptCell) node(rows []int, p, grad []float64, scale float64) float64 {
	cols := len(c.t[0])
	var strength, weight, time [maxKeptEdges]float64 // m, Σ p, and Σ p̃·t of each edge
	var best [maxKeptEdges]int                       // arg max
	all := 0.0                                       // Σ m
	for e, row := range rows {
		strength[e], best[e] = least, -1
		for col, s := range c.t[row] {
			if col == c.none {
				continue
			}
			v := p[row*cols+col]
			weight[e] += v
			time[e] += v * s
			if v > strength[e] {
				strength[e], best[e] = v, row*cols+col
			}
		}
		weight[e] = max(weight[e], least)
		time[e] /= weight[e]
		all += strength[e]
	}
	// Σ of the others' strengths, never by subtraction: one β may be near 1.
	var others [maxKeptEdges]float64
	for e := range rows {
		for j := range rows {
			if j != e {
				others[e] += strength[j]
			}
		}
	}
	total := 0.0
	for e, row := range rows {
		rest := 1.0 // 1 + Σ_{j≠e} β_j/(1−β_j)
		for j := range rows {
			if j != e {
				rest += strength[j] / others[j]
			}
		}
		q := strength[e] / all * rest
		total += q * time[e]
		if grad == nil {
			continue
		}
		for col, s := range c.t[row] {
			if col != c.none {
				grad[row*cols+col] += scale * q * (s - time[e]) / weight[e]
			}
		}
		// dq_e/dm_i of every edge i of the node
		for i := range rows {
			if best[i] < 0 {
				continue
			}
			d := -q / all
			if i == e {
				d += rest / all
			}
			for j := range rows {
				switch {
				case j == e:
				case j == i:
					d += strength[e] / all / others[j]
				default:
					d -= strength[e] / all * strength[j] / others[j] / others[j]
				}
			}
			grad[best[i]] += scale * d * time[e]
		}
	}
	return total
}

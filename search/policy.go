// SPDX-License-Identifier: Apache-2.0

package search

import (
	"math"
	"math/rand/v2"
	"slices"

	"github.com/edgenas/edgenas/arch"
	"github.com/edgenas/edgenas/internal/stats"
)

// policy is the distribution that α gives to a list of networks:
//
//	π(n) = exp(Σ_e α_{e,n(e)}) / Σ_m exp(Σ_e α_{e,m(e)})
//
// n(e) the operation of network n on edge e, none where the edge is dead. A
// network that is not on the list is never drawn. With P(o|e), the share of π
// that has operation o on edge e, the score function is
//
//	∂ ln π(n) / ∂α_{e,o} = 1[n(e) = o] − P(o|e)
//
// so that what an operation gains is relative to the others of its edge.
type policy struct {
	networks []arch.Choice
	columns  []int       // of each α
	pi       []float64   // of each network
	shares   [][]float64 // P(o|e): α, row·columns+column
}

func newPolicy(alphas []arch.Alpha, networks []arch.Choice) *policy {
	p := &policy{networks: networks, pi: make([]float64, len(networks))}
	for _, a := range alphas {
		p.columns = append(p.columns, len(a.Ops))
		p.shares = append(p.shares, make([]float64, len(a.Rows)*len(a.Ops)))
	}
	return p
}

// score is Σ_e w_{e,n(e)} of network n.
func (p *policy) score(w [][]float64, n int) float64 {
	total := 0.0
	for i, rows := range p.networks[n] {
		for row, col := range rows {
			total += w[i][row*p.columns[i]+col]
		}
	}
	return total
}

// add adds v to the entry of w of each operation of network n.
func (p *policy) add(w [][]float64, n int, v float64) {
	for i, rows := range p.networks[n] {
		for row, col := range rows {
			w[i][row*p.columns[i]+col] += v
		}
	}
}

// set makes π that of α.
func (p *policy) set(alpha [][]float64) {
	for n := range p.pi {
		p.pi[n] = p.score(alpha, n)
	}
	softmax(p.pi, p.pi, len(p.pi), 1)
	for _, s := range p.shares {
		clear(s)
	}
	for n, v := range p.pi {
		p.add(p.shares, n, v)
	}
}

// draw draws a network by π.
func (p *policy) draw(rng *rand.Rand) int {
	left := rng.Float64()
	for n, v := range p.pi {
		if left -= v; left < 0 {
			return n
		}
	}
	return len(p.pi) - 1 // what rounding left
}

// scoreFunction adds scale times the gradient of ln π(n) to grad.
func (p *policy) scoreFunction(grad [][]float64, n int, scale float64) {
	p.add(grad, n, scale)
	for i, s := range p.shares {
		for j, v := range s {
			grad[i][j] -= scale * v
		}
	}
}

// expect returns the expectation of v, a figure of each network.
func (p *policy) expect(v []float64) float64 {
	total := 0.0
	for n, x := range v {
		total += p.pi[n] * x
	}
	return total
}

// expectGradient adds scale times the gradient of expect(v) to grad.
func (p *policy) expectGradient(grad [][]float64, v []float64, scale float64) {
	mean := p.expect(v)
	for n, x := range v {
		p.add(grad, n, scale*p.pi[n]*(x-mean))
	}
}

// occurs reports for each entry of α whether a network of the list has the
// operation there. The others are never compared with anything.
func (p *policy) occurs() [][]bool {
	there := make([][]bool, len(p.shares))
	for i := range there {
		there[i] = make([]bool, len(p.shares[i]))
	}
	for _, c := range p.networks {
		for i, rows := range c {
			for row, col := range rows {
				there[i][row*p.columns[i]+col] = true
			}
		}
	}
	return there
}

// logOdds turns a prior, a score of each network of which more is better, into
// log-odds: entry (e,o) is ln(r/(1−r)), r the probability that a network with
// operation o on edge e stands above one drawn from the whole list.
func (p *policy) logOdds(prior []float64) [][]float64 {
	ranks := midRanks(prior)
	odds, counts := make([][]float64, len(p.shares)), make([][]float64, len(p.shares))
	for i, s := range p.shares {
		odds[i], counts[i] = make([]float64, len(s)), make([]float64, len(s))
	}
	for n, r := range ranks {
		p.add(odds, n, r)
		p.add(counts, n, 1)
	}
	for i := range odds {
		for j, total := range odds[i] {
			r := (total + 0.5) / (counts[i][j] + 1) // as if one more network stood in the middle
			odds[i][j] = math.Log(r / (1 - r))
		}
	}
	return odds
}

// midRanks returns the share of all values that are below each, those equal to
// it and itself counted half.
func midRanks(v []float64) []float64 {
	ranks := stats.Ranks(v)
	for i := range ranks {
		ranks[i] = (ranks[i] - 0.5) / float64(len(v))
	}
	return ranks
}

// maskedEntropy is the entropy of the rows of p over the entries that are there,
// as a share of the greatest possible: 1 is undecided, 0 decided.
func maskedEntropy(p [][]float64, there [][]bool, columns []int) float64 {
	total, most := 0.0, 0.0
	for i, cols := range columns {
		for at := 0; at < len(p[i]); at += cols {
			count := 0
			for j := at; j < at+cols; j++ {
				if there[i][j] {
					count++
				}
				if v := p[i][j]; v > 0 {
					total -= v * math.Log(v)
				}
			}
			most += math.Log(float64(count))
		}
	}
	if most == 0 {
		return 0 // nothing to decide
	}
	return total / most
}

// centred returns a copy of w with the mean of each row's entries that are there
// taken off them.
func centred(w [][]float64, there [][]bool, columns []int) [][]float64 {
	c := make([][]float64, len(w))
	for i, cols := range columns {
		c[i] = slices.Clone(w[i])
		for at := 0; at < len(w[i]); at += cols {
			mean, count := 0.0, 0.0
			for j := at; j < at+cols; j++ {
				if there[i][j] {
					mean, count = mean+w[i][j], count+1
				}
			}
			for j := at; j < at+cols; j++ {
				c[i][j] -= mean / count
			}
		}
	}
	return c
}

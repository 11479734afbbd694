// SPDX-License-Identifier: Apache-2.0

package predict

import (
	"cmp"
	"math"
	"slices"

	"github.com/edgenas/edgenas/ops"
)

// Design chooses n of the candidates, given by the counts of their keys, to be
// measured whole so that a calibration learns most: the smallest, the largest
// and for each kind of operation the one that has the greatest share of it;
// then, one at a time, the one that takes most from the uncertainty of all
// candidates' predictions. It returns their indices in that order, fewer than n
// where there are fewer candidates. A thousand candidates are a good sample;
// time and memory grow with their square.
//
// The cost of a key is that of [Table.Operation] where it is known, and [Rough]
// before anything is measured.
func Design(cost func(ops.Key) float64, candidates []map[ops.Key]int, n int) []int {
	d := newDesign(cost, candidates)
	n = min(n, len(d.open))
	for _, score := range d.scores() {
		best := -1
		for i := range candidates {
			if s := score(i); s > 0 && (best < 0 || s > score(best)) {
				best = i
			}
		}
		if best >= 0 && len(d.chosen) < n {
			d.choose(best)
		}
	}
	for len(d.chosen) < n {
		best, most := -1, -1.0
		for i := range candidates {
			if gain := d.gain(i); gain > most && !slices.Contains(d.chosen, i) {
				best, most = i, gain
			}
		}
		d.choose(best)
	}
	return d.chosen
}

// Rough guesses what an operation takes, in seconds, on a small processor: it
// computes, moves its maps and weights, and has to be called. Only ratios matter.
func Rough(k ops.Key) float64 {
	const (
		macsPerSecond   = 10e9
		floatsPerSecond = 1e9
		call            = 1e-6
	)
	in := float64(k.N) * float64(k.H) * float64(k.W) * float64(k.In) * float64(max(1, k.Inputs))
	out := float64(k.N) * float64(k.H) * float64(k.W) * float64(k.Out)
	return call + macs(k)/macsPerSecond + (in+out)/floatsPerSecond
}

// designNoise is how far a measured network is from what any factors explain.
const designNoise = 0.02

// design is the choice so far. Its covariance is the prior's of [ByOperation],
// relative to each network's cost.
type design struct {
	shares [][]share // of each candidate, by key
	kinds  [][kinds]float64
	sum    []float64
	least  float64     // smallest sum
	open   [][]float64 // covariance of the candidates' predictions, when the chosen are known
	chosen []int
}

type share struct {
	key   int // in the order of texts
	share float64
}

func newDesign(cost func(ops.Key) float64, candidates []map[ops.Key]int) *design {
	d := &design{least: math.Inf(1)}
	texts := map[ops.Key]string{}
	for _, c := range candidates {
		for k := range c {
			texts[k] = ""
		}
	}
	keys := make([]ops.Key, 0, len(texts))
	for k := range texts {
		texts[k] = k.String()
		keys = append(keys, k)
	}
	slices.SortFunc(keys, func(a, b ops.Key) int { return cmp.Compare(texts[a], texts[b]) })
	for _, c := range candidates {
		var shares []share
		var ofKind [kinds]float64
		sum := 0.0
		for i, k := range keys {
			if s := float64(c[k]) * cost(k); s > 0 {
				shares = append(shares, share{i, s})
				ofKind[kindOf(k)] += s
				sum += s
			}
		}
		for i := range shares {
			shares[i].share /= sum
		}
		for k := range ofKind {
			ofKind[k] /= max(sum, math.SmallestNonzeroFloat64)
		}
		d.shares, d.kinds, d.sum = append(d.shares, shares), append(d.kinds, ofKind), append(d.sum, sum)
		if sum > 0 {
			d.least = min(d.least, sum)
		}
	}
	d.open = make([][]float64, len(candidates))
	for i := range d.open {
		d.open[i] = make([]float64, len(candidates))
		for j := range i + 1 {
			v := d.prior(i, j)
			d.open[i][j], d.open[j][i] = v, v
		}
	}
	return d
}

// scores are what the first networks have the most of.
func (d *design) scores() []func(i int) float64 {
	scores := []func(i int) float64{
		func(i int) float64 {
			if d.sum[i] == 0 {
				return 0 // nothing to measure
			}
			return 1 / d.sum[i]
		},
		func(i int) float64 { return d.sum[i] },
	}
	for k := range kinds {
		scores = append(scores, func(i int) float64 { return d.kinds[i][k] })
	}
	return scores
}

// prior is the covariance of two candidates' relative predictions by the prior.
func (d *design) prior(i, j int) float64 {
	if d.sum[i] == 0 || d.sum[j] == 0 {
		return 0
	}
	v := allDeviation*allDeviation + constantDeviation*constantDeviation*(d.least/d.sum[i])*(d.least/d.sum[j])
	for k := range kinds {
		v += kindDeviation * kindDeviation * d.kinds[i][k] * d.kinds[j][k]
	}
	for a, b := d.shares[i], d.shares[j]; len(a) > 0 && len(b) > 0; {
		switch {
		case a[0].key < b[0].key:
			a = a[1:]
		case a[0].key > b[0].key:
			b = b[1:]
		default:
			v += operationDeviation * operationDeviation * a[0].share * b[0].share
			a, b = a[1:], b[1:]
		}
	}
	return v
}

// choose takes a candidate in, unless it is: its measurement makes predictions
// of the others surer.
func (d *design) choose(c int) {
	if slices.Contains(d.chosen, c) {
		return
	}
	d.chosen = append(d.chosen, c)
	column, pivot := slices.Clone(d.open[c]), d.open[c][c]+designNoise*designNoise
	for i, row := range d.open {
		for j := range row {
			row[j] -= column[i] * column[j] / pivot
		}
	}
}

// gain is by how much the variance of all predictions falls once c is measured.
func (d *design) gain(c int) float64 {
	sum := 0.0
	for _, v := range d.open[c] {
		sum += v * v
	}
	return sum / (d.open[c][c] + designNoise*designNoise)
}

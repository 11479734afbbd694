// SPDX-License-Identifier: Apache-2.0

package predict

import (
	"cmp"
	"fmt"
	"math"
	"slices"

	"github.com/edgenas/edgenas/internal/stats"
	"github.com/edgenas/edgenas/ops"
	"github.com/edgenas/edgenas/profiles"
)

// Table predicts the latency of networks from a profile:
//
//	latency = constant + Σ over keys of count · time
//
// The constant is the profile's constant_s, or else the median over its
// networks of (measured − sum), or else 0. A fitted one is no lower than a tenth
// of the smallest sum below 0: what is beyond that is no constant, but operations
// that were slower alone than in networks, and shows in the residuals.
type Table struct {
	device    string
	at        map[ops.Key]int // index into costs
	costs     []cost          // sorted by key, which fixes the order of sums
	constant  float64
	residuals []float64 // relative, measured / predicted − 1, of each network
	networks  []Case
}

type cost struct {
	key       ops.Key
	text      string
	seconds   float64
	deviation float64 // standard deviation of seconds
	failure   string  // reason; seconds is then not valid
}

// Estimate is a predicted latency.
type Estimate struct {
	Seconds   float64
	Deviation float64 // standard deviation of Seconds by that of the entries alone: √Σ(count·σ)²
}

// NewTable makes a table of the profile as it is now. Entries with keys that
// this version does not know are left out: no network of this version needs them.
func NewTable(p *profiles.Profile) *Table {
	t := &Table{device: p.Device.Name(), at: map[ops.Key]int{}}
	for _, e := range p.Entries {
		k, err := ops.ParseKey(e.Key)
		if err != nil {
			continue
		}
		c := cost{key: k, text: e.Key, failure: e.Reason}
		if e.Status == profiles.OK {
			c.seconds, c.deviation = e.MedianS, (e.HiS-e.LoS)/(2*stats.Z(0.5+confidence/2))
		}
		t.costs = append(t.costs, c)
	}
	slices.SortFunc(t.costs, func(a, b cost) int { return cmp.Compare(a.text, b.text) })
	for i, c := range t.costs {
		t.at[c.key] = i
	}
	t.fit(p)
	return t
}

// confidence is that of the bounds of every median in a profile.
const confidence = 0.95

// vague is the width of a network's bounds, relative to its median, beyond
// which it says nothing of a prediction.
const vague = 0.10

// fit finds the constant and how far the measured networks are from it.
func (t *Table) fit(p *profiles.Profile) {
	var sums, beyond []float64
	var measured []profiles.Network
	for _, n := range p.Networks {
		if n.Status != profiles.OK || (n.HiS-n.LoS)/n.MedianS > vague {
			continue
		}
		counts, known := map[ops.Key]int{}, len(n.Counts) > 0
		for text, c := range n.Counts {
			k, err := ops.ParseKey(text)
			known = known && err == nil
			counts[k] = c
		}
		if sum, err := t.sum(counts); known && err == nil {
			measured = append(measured, n)
			sums, beyond = append(sums, sum.Seconds), append(beyond, n.MedianS-sum.Seconds)
		}
	}
	fit := func(beyond []float64) float64 { return max(stats.Median(beyond), -0.1*slices.Min(sums)) }
	switch {
	case p.ConstantS != nil:
		t.constant = *p.ConstantS
	case len(beyond) > 0:
		t.constant = fit(beyond)
	}
	for i, n := range measured {
		constant := t.constant
		if p.ConstantS == nil && len(beyond) > 1 { // fitted without the network that it is to predict
			constant = fit(slices.Concat(beyond[:i], beyond[i+1:]))
		}
		if predicted := sums[i] + constant; predicted > 0 {
			t.residuals = append(t.residuals, n.MedianS/predicted-1)
			t.networks = append(t.networks, Case{Arch: n.Arch, PredictedS: predicted, MeasuredS: n.MedianS})
		}
	}
}

// Constant is what a network takes beyond the sum of its operations, in seconds.
func (t *Table) Constant() float64 { return t.constant }

// Networks are the profile's own networks, each predicted with a constant that
// was fitted to the others (see [Validate]).
func (t *Table) Networks() []Case { return slices.Clone(t.networks) }

// Operation is the cost of one key, without the constant. Errors as Estimate.
func (t *Table) Operation(k ops.Key) (Estimate, error) { return t.sum(map[ops.Key]int{k: 1}) }

// Estimate predicts a fused network. It returns a *profiles.MissingError with
// all keys that the table lacks, or a *profiles.FailedError for a key whose
// measurement failed.
func (t *Table) Estimate(fused *ops.Graph) (Estimate, error) {
	return t.EstimateCounts(ops.Keys(fused))
}

// EstimateCounts is Estimate for a network of which only the counts of its
// keys are known.
func (t *Table) EstimateCounts(counts map[ops.Key]int) (Estimate, error) {
	e, err := t.sum(counts)
	if err != nil {
		return Estimate{}, err
	}
	e.Seconds += t.constant
	if !(e.Seconds > 0) {
		return Estimate{}, fmt.Errorf("predict: the constant %g s outweighs the operations of this network: measure networks of its size", t.constant)
	}
	return e, nil
}

// sum adds the operations up, in the order of their keys, so that equal counts
// give equal bits.
func (t *Table) sum(counts map[ops.Key]int) (Estimate, error) {
	var missing []string
	used := make([]int, 0, len(counts))
	for k := range counts {
		i, ok := t.at[k]
		if !ok {
			missing = append(missing, k.String())
			continue
		}
		used = append(used, i)
	}
	if missing != nil {
		slices.Sort(missing)
		return Estimate{}, &profiles.MissingError{Keys: missing, Device: t.device}
	}
	slices.Sort(used)
	var e Estimate
	variance := 0.0
	for _, i := range used {
		c := t.costs[i]
		if c.failure != "" {
			return Estimate{}, &profiles.FailedError{Key: c.text, Reason: c.failure}
		}
		n := float64(counts[c.key])
		e.Seconds += n * c.seconds
		variance += n * c.deviation * n * c.deviation // one entry has the same error each time
	}
	e.Deviation = math.Sqrt(variance)
	return e, nil
}

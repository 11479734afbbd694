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
//	latency = constant + Σ over keys of count · factor · time + cache pressure
//
// The factors, each for a kind of operation, the constant and what the weights of
// a network cost by being many ([Calibration.CachePressure]) are fitted to the
// networks that the profile has measured whole. Networks that the fit has not
// seen say whether that is better than the plain sum of times or a line through
// multiply-accumulates; [Table.Calibration] tells what was chosen. A profile
// that gives a constant_s is taken at its word: all factors are 1.
type Table struct {
	device      string
	at          map[ops.Key]int // index into costs
	costs       []cost          // sorted by key, which fixes the order of sums
	line        line
	calibration Calibration
	residuals   []float64 // relative, measured / predicted − 1, of each network, held out of the fit
	within      float64   // sum of the residuals' squares within the session; 0: nothing was fitted
	noise       float64   // standard deviation of a usual network, relative, by that of its entries
	networks    []Case
	references  []Reference
}

type cost struct {
	key       ops.Key
	text      string
	alone     float64 // seconds, as measured alone
	deviation float64 // standard deviation of alone
	sentinel  float64 // the sentinel's time meanwhile; 0: not recorded
	failure   string  // reason; alone is then not valid
}

// Estimate is a predicted latency.
type Estimate struct {
	Seconds   float64
	Deviation float64 // standard deviation of Seconds by that of the entries alone: √Σ(count·σ)²
}

// boundsWidth is how many standard deviations the bounds of a median are apart.
var boundsWidth = 2 * stats.Z(0.975)

// NewTable makes a table of the profile as it is now. Entries with keys that
// this version does not know are left out: no network of this version needs them.
func NewTable(p *profiles.Profile) *Table {
	t := &Table{device: p.Device.Name(), at: map[ops.Key]int{}}
	for _, e := range p.Entries {
		k, err := ops.ParseKey(e.Key)
		if err != nil {
			continue
		}
		c := cost{key: k, text: e.Key, sentinel: sentinel(e.Timing)}
		if e.Status == profiles.OK {
			c.alone, c.deviation = e.MedianS, (e.HiS-e.LoS)/boundsWidth
		} else {
			c.failure = cmp.Or(e.Reason, "no reason given")
		}
		t.costs = append(t.costs, c)
	}
	slices.SortFunc(t.costs, func(a, b cost) int { return cmp.Compare(a.text, b.text) })
	for i, c := range t.costs {
		t.at[c.key] = i
	}
	t.calibrate(p)
	return t
}

// Calibration returns how the table predicts and why.
func (t *Table) Calibration() Calibration {
	c := t.calibration
	c.Factors, c.HeldOut, c.LeftOut = slices.Clone(c.Factors), slices.Clone(c.HeldOut), slices.Clone(c.LeftOut)
	return c
}

// Constant returns what a network takes beyond its operations, in seconds.
func (t *Table) Constant() float64 { return t.line.constant }

// Networks returns the profile's own networks, each predicted by a model that was
// fitted to the others (see [Validate]).
func (t *Table) Networks() []Case { return slices.Clone(t.networks) }

// Operation returns the cost of one key in a network, without the constant and the
// cache pressure of a whole network. Errors as Estimate.
func (t *Table) Operation(k ops.Key) (Estimate, error) {
	terms, err := t.terms(map[ops.Key]int{k: 1})
	if err != nil {
		return Estimate{}, err
	}
	return Estimate{Seconds: t.line.seconds[terms[0].cost], Deviation: t.deviation(terms)}, nil
}

// Estimate predicts a fused network. It returns a *profiles.MissingError with
// all keys that the table lacks, or a *profiles.FailedError for a key whose
// measurement failed.
func (t *Table) Estimate(fused *ops.Graph) (Estimate, error) {
	return t.EstimateCounts(ops.Keys(fused))
}

// EstimateCounts does what Estimate does, for a network of which only the counts of its
// keys are known.
func (t *Table) EstimateCounts(counts map[ops.Key]int) (Estimate, error) {
	terms, err := t.terms(counts)
	if err != nil {
		return Estimate{}, err
	}
	e := Estimate{Seconds: t.line.predict(terms), Deviation: t.deviation(terms)}
	if !(e.Seconds > 0) {
		return Estimate{}, fmt.Errorf("predict: the constant %g s outweighs the operations of this network: "+
			"measure networks of its size", t.line.constant)
	}
	return e, nil
}

// terms looks the operations up, in the order of their keys, so that equal
// counts give equal bits.
func (t *Table) terms(counts map[ops.Key]int) ([]term, error) {
	var missing []string
	terms := make([]term, 0, len(counts))
	for k, n := range counts {
		i, ok := t.at[k]
		if !ok {
			missing = append(missing, k.String())
			continue
		}
		terms = append(terms, term{i, float64(n)})
	}
	if missing != nil {
		slices.Sort(missing)
		return nil, &profiles.MissingError{Keys: missing, Device: t.device}
	}
	slices.SortFunc(terms, func(a, b term) int { return cmp.Compare(a.cost, b.cost) })
	for _, term := range terms {
		if c := t.costs[term.cost]; c.failure != "" {
			return nil, &profiles.FailedError{Key: c.text, Reason: c.failure}
		}
	}
	return terms, nil
}

// deviation is that of the operations' sum by that of the entries.
func (t *Table) deviation(terms []term) float64 {
	variance := 0.0
	for _, term := range terms {
		c := t.costs[term.cost]
		d := term.count * c.deviation * t.line.seconds[term.cost] / c.alone // an entry has the same error each time
		variance += d * d
	}
	return math.Sqrt(variance)
}

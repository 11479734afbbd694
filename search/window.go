// SPDX-License-Identifier: Apache-2.0

package search

import (
	"math"
	"math/rand/v2"
	"slices"

	"github.com/edgenas/edgenas/arch"
)

// Shares are the shares of a limit from which a network counts as using it, the
// preferred one first. Accuracy grows with size, so that networks that waste the
// limit are no candidates beside those that use it.
var Shares = []float64{0.85, 0.7, 0.5, 0.25, 0}

// Fewest is how many different networks make a share worth keeping to.
const Fewest = 8

// A window of more than mostListed networks is a sample of mostDrawn.
const (
	mostListed = 8192
	mostDrawn  = 4096
)

// rounding is how far sums over groups may be from the latency of the whole
// network by rounding alone, relative to the limit.
const rounding = 1e-9

// use is what counts as using a limit.
type use struct {
	share  float64
	lowS   float64 // the share of the limit
	sumS   float64 // the limit of the groups' sum; without a limit, the greatest
	limitS float64
}

// uses lists the ways to use a limit, the preferred one first.
func (c *Catalogue) uses(limitS float64) []use {
	steps, sumS := Shares, limitS
	if math.IsInf(limitS, 1) {
		steps, sumS = Shares[len(Shares)-1:], 0
		for _, g := range c.groups {
			sumS += slices.Max(g.seconds)
		}
	}
	var uses []use
	for _, share := range steps {
		uses = append(uses, use{share, share * sumS, sumS, limitS})
	}
	return uses
}

// holds reports whether a network of this latency uses the limit.
func (u use) holds(latencyS float64) bool { return latencyS >= u.lowS && latencyS <= u.limitS }

// sums returns the groups' sums that networks which use the limit may have.
func (u use) sums() (low, high float64) {
	slack := rounding * u.sumS
	return u.lowS - slack, u.sumS + slack
}

// Window is the networks of a space that use a limit of the latency.
type Window struct {
	Networks []Candidate // each different network once; none is scored
	Share    float64     // each takes at least this share of the limit, which all keep; 0 without a limit
	Sample   bool        // there are more: these were drawn, each choice as likely as any other
}

// NewWindow lists the different networks of a space that are predicted to take
// 0.85 of the limit to all of it; where those are fewer than eight, it goes down
// to the first of 0.7, 0.5, 0.25 and 0 that has as many. A limit of +Inf is
// none: every network is in the window. Where there are too many to list, some
// are drawn with rng. NewWindow returns an *InfeasibleError if nothing keeps
// the limit.
func NewWindow(space arch.Space, costs Costs, limitS float64, rng *rand.Rand) (*Window, error) {
	c, err := NewCatalogue(space, costs)
	if err != nil {
		return nil, err
	}
	fastest, err := c.fastest(limitS)
	if err != nil {
		return nil, err
	}
	var groups [][]item
	for _, g := range c.groups {
		items := make([]item, len(g.seconds))
		for o, s := range g.seconds {
			items[o].time = s
		}
		groups = append(groups, items)
	}
	var w *Window
	for _, u := range c.uses(limitS) {
		low, high := u.sums()
		ways := countWays(groups, low, high)
		w = &Window{Share: u.share, Sample: ways.count() > mostListed}
		if w.Sample {
			w.Networks, err = c.draw(ways, u, rng)
		} else {
			w.Networks, err = c.best(groups, u, mostListed)
		}
		if err != nil {
			return nil, err
		}
		if len(w.Networks) >= Fewest {
			return w, nil
		}
	}
	if len(w.Networks) == 0 { // the groups' sums are over the limit, the network is not
		w.Networks = append(w.Networks, fastest)
	}
	return w, nil
}

// draw draws different networks that use a limit.
func (c *Catalogue) draw(ways *wayCounts, u use, rng *rand.Rand) ([]Candidate, error) {
	var drawn []Candidate
	seen := map[string]bool{}
	for range 4 * mostDrawn {
		network, err := c.network(ways.draw(rng))
		if err != nil {
			return nil, err
		}
		form := c.forms.of(network.Choice)
		if !u.holds(network.LatencyS) || seen[form] {
			continue
		}
		seen[form] = true
		if drawn = append(drawn, network); len(drawn) == mostDrawn {
			break
		}
	}
	return drawn, nil
}

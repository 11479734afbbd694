// SPDX-License-Identifier: Apache-2.0

package target

import (
	"context"
	"fmt"
	"time"

	"github.com/edgenas/edgenas/internal/event"
	"github.com/edgenas/edgenas/internal/inventory"
	"github.com/edgenas/edgenas/latency"
	"github.com/edgenas/edgenas/predict"
	"github.com/edgenas/edgenas/profiles"
)

// ValidateRequest asks what networks take that a profile predicts.
type ValidateRequest struct {
	Profile    *profiles.Profile
	Table      *predict.Table // of the profile
	Sizes      inventory.Sizes
	Networks   []inventory.Network // that the profile has not measured
	Confidence float64             // of the predictions' intervals
}

// Validated is what the networks took.
type Validated struct {
	Cases []predict.Case // in the order of the networks, with the drift of their session
	Drift *predict.Drift // nil: the profile has too few whole networks to tell
}

// references is how many networks of the profile are measured again.
const references = 6

// Validate measures the networks whole, and a few of the profile's own among
// them, in the same rounds: what these take now and took then is the device's
// drift, which is not an error of predictions. What is too much for the same
// rounds is measured in several sessions, each with the same references.
func (t *Targets) Validate(ctx context.Context, q ValidateRequest, o Options) (Validated, error) {
	if len(q.Networks) == 0 {
		return Validated{}, nil
	}
	estimates := make([]predict.Estimate, len(q.Networks))
	seconds := make([]float64, len(q.Networks))
	for i, n := range q.Networks {
		var err error
		if estimates[i], err = q.Table.Estimate(n.Graph); err != nil {
			return Validated{}, err
		}
		seconds[i] = estimates[i].Seconds
	}
	chosen, again := q.references(seconds)
	sessions := 1
	if room := latency.MaxOpen - len(again); len(again) > 0 {
		sessions = (len(q.Networks) + room - 1) / room
	}
	work := make([]Work, sessions)
	for s := range work {
		work[s].Networks = append(work[s].Networks, again...)
	}
	for i, n := range q.Networks { // dealt out, so that each session has networks of all sizes
		work[i%sessions].Networks = append(work[i%sessions].Networks, n)
	}
	took, err := t.sessions(ctx, work, q.Profile, o, len(q.Networks)+len(again))
	if err != nil {
		return Validated{}, err
	}
	var v Validated
	if len(chosen) > 0 {
		for _, s := range took {
			for i := range chosen {
				chosen[i].NowS = append(chosen[i].NowS, s[chosen[i].Arch])
			}
		}
		drift := predict.NewDrift(chosen)
		v.Drift = &drift
	}
	for i, n := range q.Networks {
		c := predict.Case{Arch: n.Arch, PredictedS: seconds[i], MeasuredS: took[i%sessions][n.Arch]}
		if v.Drift == nil {
			c.LoS, c.HiS = q.Table.Interval(estimates[i], q.Confidence)
		} else {
			c.Drift = v.Drift.In(i % sessions)
			c.LoS, c.HiS = q.Table.IntervalInSession(estimates[i], q.Confidence)
		}
		v.Cases = append(v.Cases, c)
	}
	return v, nil
}

// references chooses those of the profile's networks to measure again that are
// like the networks that take so many seconds.
func (q ValidateRequest) references(seconds []float64) (chosen []predict.Reference, again []inventory.Network) {
	found := map[string]inventory.Network{}
	for _, n := range q.Profile.Networks {
		if network, ok := q.Sizes.Find(n.Arch, n.Counts); ok {
			found[n.Arch] = network
		}
	}
	var known []predict.Reference
	for _, r := range q.Table.References() {
		if _, ok := found[r.Arch]; ok {
			known = append(known, r)
		}
	}
	chosen = predict.ChooseReferences(known, seconds, references)
	for _, r := range chosen {
		again = append(again, found[r.Arch])
	}
	return chosen, again
}

// sessions measures one session's work after another, as the profile was
// measured. It returns what each network took in each session, in seconds.
func (t *Targets) sessions(ctx context.Context, work []Work, p *profiles.Profile, o Options, networks int) (
	[]map[string]float64, error) {
	took := make([]map[string]float64, len(work))
	err := t.stage(event.Validate, event.Measured{Networks: networks}, func(tell Progress) error {
		for s, w := range work {
			measured := &profiles.Profile{Device: p.Device, Runtime: p.Runtime,
				Protocol: profiles.Protocol{Mode: p.Protocol.Mode}}
			err := t.Of(o).Measure(ctx, w, measured, nil, func(pr latency.Progress) { tell(ofSession(pr, s, len(work))) })
			if err != nil {
				return err
			}
			took[s] = map[string]float64{}
			for _, n := range measured.Networks {
				if n.Status != profiles.OK {
					return fmt.Errorf("validate: %s: %s", n.Arch, n.Reason)
				}
				took[s][n.Arch] = n.MedianS
			}
		}
		return nil
	})
	return took, err
}

// ofSession is the progress of session s within that of n, which take as long each.
func ofSession(p latency.Progress, s, n int) latency.Progress {
	whole := p.Elapsed + p.Remaining
	p.Elapsed += time.Duration(s) * whole
	p.Remaining += time.Duration(n-1-s) * whole
	return p
}

// SPDX-License-Identifier: Apache-2.0

package run

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"time"

	"github.com/edgenas/edgenas/arch"
	"github.com/edgenas/edgenas/internal/event"
	"github.com/edgenas/edgenas/internal/fault"
	"github.com/edgenas/edgenas/internal/runfile"
	"github.com/edgenas/edgenas/internal/units"
	"github.com/edgenas/edgenas/search"
)

// architecture is the network that the search finds, or found before it was
// interrupted.
func (j *job) architecture(ctx context.Context) (arch.Architecture, error) {
	if !j.dir.Has(runfile.ArchitectureName) {
		a, err := j.find(ctx)
		if err != nil {
			return a, err
		}
		err = j.written(runfile.ArchitectureName, a.WriteFile(j.dir.Path(runfile.ArchitectureName)))
		if err == nil {
			os.Remove(j.dir.Path(runfile.BestName))
		}
		return a, err
	}
	a, err := arch.ReadFile(j.dir.Path(runfile.ArchitectureName))
	if err == nil {
		_, err = j.sizeOf(a)
	}
	if err != nil {
		return a, j.dir.Broken(runfile.ArchitectureName, err)
	}
	return a, nil
}

// sizeOf is the size that the architecture has, among those of the run.
func (j *job) sizeOf(a arch.Architecture) (sized, error) {
	for _, s := range j.sizes {
		if a.Space.Name() == s.space.Name() && a.Space.Size() == s.space.Size() {
			return s, nil
		}
	}
	return sized{}, fmt.Errorf("it is of %s %+v, which the run does not search", a.Space.Name(), a.Space.Size())
}

// corrections is how often the choice is made again, after the network that was
// chosen turned out to be much faster than its prediction.
const corrections = 3

// find searches: the networks that use the budget are ordered by their
// structure and by α, the first of them compete in short trainings, and the best
// that keeps the budget when measured is it.
func (j *job) find(ctx context.Context) (best arch.Architecture, err error) {
	if j.request.Effort == "" {
		return best, fault.Usagef("--resume %s: the search was begun by an earlier version, and this one searches in another"+
			" way: search again, into another folder", j.dir)
	}
	effort, err := NewEffort(j.request.Effort)
	if err != nil {
		return best, fault.New(fault.Usage, err)
	}
	windows, err := j.windows()
	if err != nil {
		return best, err
	}
	c, err := j.newContest(effort)
	if err != nil {
		return best, err
	}
	defer c.trials.Close()
	for again := 0; ; again++ {
		lists := j.shortlist(windows, effort)
		list := slices.Concat(lists...)
		scores, err := j.learnAlpha(ctx, list, effort)
		if err != nil {
			return best, err
		}
		ranked, err := c.run(ctx, pool(lists, effort))
		if err != nil {
			return best, err
		}
		chosen, faster, err := c.choose(ctx, ranked)
		if err := errors.Join(err, c.tell(ranked)); err != nil {
			return best, err
		}
		if faster == 1 || again == corrections {
			told := c.choice(windows, list, ranked, chosen, scores)
			for _, text := range told.Notes {
				j.note("%s", text)
			}
			return chosen.architecture(), j.written(runfile.ChoiceName, j.dir.WriteChoice(&told))
		}
		j.note("it takes %.2f times its prediction: the predictions are corrected, and the choice made again", faster)
		j.correction *= faster
		if windows, err = j.windows(); err != nil {
			return best, err
		}
	}
}

// limit is the greatest prediction that keeps the budget, before predictions
// are corrected.
func (j *job) limit() float64 {
	return j.table.Limit(j.request.LatencyBudgetS, j.request.Confidence) / j.correction
}

// InfeasibleError says which budget could be kept.
type InfeasibleError struct {
	*search.InfeasibleError
	BudgetS float64
	Guard   float64 // relative, kept from the budget
}

func (e *InfeasibleError) Error() string {
	return fmt.Sprintf("no network keeps %s: the fastest possible is predicted at %s, which needs a budget of %s"+
		" with the guard band of %.1f %%", units.Seconds(e.BudgetS), units.Seconds(e.FastestS),
		units.Seconds(e.FastestS*(1+e.Guard)), 100*e.Guard)
}

func (e *InfeasibleError) Unwrap() error { return e.InfeasibleError }

// NoneUsesError says that no network takes as long as it should.
type NoneUsesError struct {
	LeastS, LongestS float64 // asked for; predicted of the slowest network that keeps the budget
}

func (e *NoneUsesError) Error() string {
	return fmt.Sprintf("no network takes %s or more: the slowest of these sizes that keeps the budget is predicted at %s;"+
		" --channels and --cells give larger ones", units.Seconds(e.LeastS), units.Seconds(e.LongestS))
}

// infeasible says of an infeasible search what could be done.
func (j *job) infeasible(err error) error {
	var none *search.InfeasibleError
	if errors.As(err, &none) {
		return &InfeasibleError{none, j.request.LatencyBudgetS, j.guard.Relative}
	}
	return err
}

// tries is how many contestants are measured before training one: when as many
// turn out slower than their upper end, the device is busy, not the network
// slow.
const tries = 5

// LeastUse is the share of a budget that a network which is to use it takes at
// least, and of its prediction below which a measurement says that the predictions
// are wrong.
const LeastUse = 0.8

// choose takes the first contestant whose predicted upper end keeps the budget
// and, where the device is at hand, whose measured median does, and does not take
// less than was asked for: latency does not depend on the weights, so nothing need
// be trained for it. If it takes much less than its prediction, faster says how
// much: measured / predicted; else that is 1.
func (c *contest) choose(ctx context.Context, ranked []*contestant) (best *contestant, faster float64, err error) {
	var failed error
	measured := 0
	for _, n := range ranked {
		if n.fate != "" {
			break // it lost
		}
		look := event.Candidate{Architecture: n.size.space.Notation(n.choice), PredictedS: n.predicted}
		faster := 1.0
		if c.options.Live() {
			s, err := c.measured(ctx, n)
			if err != nil {
				return nil, 0, err
			}
			n.measured, look.MeasuredS = &s, s
			if relative := s / (n.predicted * c.correction); relative < LeastUse {
				faster = relative
			} else if s < c.request.LatencyLeastS {
				n.fate, failed = "faster than the target when measured", c.missed(measured+1, "less", c.request.LatencyLeastS)
			}
			if s > c.request.LatencyBudgetS {
				n.fate, failed = "over the budget when measured", c.missed(measured+1, "longer", c.request.LatencyBudgetS)
			}
		}
		look.Chosen = n.fate == ""
		c.sink(look)
		if look.Chosen {
			for _, other := range ranked {
				if other.fate == "" {
					other.fate = lostIn + c.effort.Rungs[len(c.effort.Rungs)-1].name
				}
			}
			n.fate = "chosen"
			return n, faster, nil
		}
		if measured++; measured == tries {
			break
		}
	}
	if failed == nil {
		failed = errors.New("every network failed to train")
	}
	return nil, 0, fault.New(fault.Verify, failed)
}

// missed says that so many networks did not take the time that they should.
func (c *contest) missed(n int, how string, seconds float64) error {
	return fmt.Errorf("the %d best networks do not keep to the time that was asked for; the last took %s than %s when"+
		" measured: is something else running on the device?", n, how, units.Seconds(seconds))
}

// measured is the latency of an untrained network on the device, in seconds. A
// run that goes on does not measure it again.
func (c *contest) measured(ctx context.Context, n *contestant) (float64, error) {
	trial := runfile.Trial{Rung: "measured", Size: n.size.space.Size(), Architecture: n.size.space.Notation(n.choice)}
	if s, ok := c.trials.Measured(trial); ok {
		return s, nil
	}
	start := time.Now()
	v, err := Untrained(ctx, c.targets.Of(c.options), n.architecture(), c.profile.Protocol.InMode(), c.request.Seed)
	if err != nil {
		return 0, err
	}
	trial.LatencyS, trial.WallS = v.MedianS, time.Since(start).Seconds()
	return v.MedianS, c.trials.Add(trial)
}

// SPDX-License-Identifier: Apache-2.0

package run

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"

	"github.com/edgenas/edgenas/arch"
	"github.com/edgenas/edgenas/internal/dataset"
	"github.com/edgenas/edgenas/internal/event"
	"github.com/edgenas/edgenas/internal/fault"
	"github.com/edgenas/edgenas/internal/runfile"
	"github.com/edgenas/edgenas/internal/units"
	"github.com/edgenas/edgenas/latency"
	"github.com/edgenas/edgenas/ops"
	"github.com/edgenas/edgenas/search"
)

// architecture is the network that the search finds, or found before it was
// interrupted.
func (j *job) architecture(ctx context.Context) (arch.Architecture, error) {
	a := arch.Architecture{Space: j.space}
	if j.dir.Has(runfile.ArchitectureName) {
		found, err := arch.ReadFile(j.dir.Path(runfile.ArchitectureName))
		if err == nil && (found.Space.Name() != a.Space.Name() || found.Space.Size() != a.Space.Size()) {
			err = fmt.Errorf("it is of %s %+v, the run searches %s %+v",
				found.Space.Name(), found.Space.Size(), a.Space.Name(), a.Space.Size())
		}
		if err != nil {
			return a, j.dir.Broken(runfile.ArchitectureName, err)
		}
		return found, nil
	}
	s, err := j.newSearch()
	if err != nil {
		return a, err
	}
	ph, err := newPhase(j.dir, event.Search, runfile.SearchCheckpoint, s, j.CheckpointEvery)
	if err != nil {
		return a, err
	}
	j.sink(event.Begun{Stage: event.Search, Steps: s.Steps()})
	best, err := j.find(ctx, s, ph)
	j.sink(event.Ended{Stage: event.Search, Done: err == nil})
	if err != nil {
		return a, err
	}
	a.Choice = best.Choice
	return a, j.written(runfile.ArchitectureName, a.WriteFile(j.dir.Path(runfile.ArchitectureName)))
}

// maxPoints is how many lines of history a search leaves, roughly: one a step,
// unless it is long.
const maxPoints = 2000

// find searches and chooses the best of what was found.
func (j *job) find(ctx context.Context, s *search.Search, ph *phase) (best search.Candidate, err error) {
	var found []search.Candidate
	warning := ""
	if err := ph.run(ctx, func(ctx context.Context, point addPoint) (err error) {
		found, err = s.Run(ctx, func(p search.Point) {
			if every := 1 + p.Steps/maxPoints; p.Step%every == 0 || p.Step == p.Steps {
				point(p.Step, p.Steps, p)
			}
			j.sink(event.SearchPoint{Point: p})
			j.sink(event.Progress{Stage: event.Search, Done: p.Step, Steps: p.Steps})
			warning = p.Warning
		})
		return err
	}); err != nil {
		return best, err
	}
	if warning != "" {
		j.warn("%s", warning)
	}
	return j.choose(ctx, found)
}

// newSearch prepares the search. Weights and α learn from a half of the
// training images each.
func (j *job) newSearch() (*search.Search, error) {
	r := j.request
	supernet, err := arch.NewSpace(r.Space, r.Supernet())
	if err != nil {
		return nil, &runfile.BrokenError{Path: j.dir.Path(runfile.RequestName), Err: err}
	}
	config := r.Search
	config.BudgetS = j.costs.table.Limit(r.LatencyBudgetS, r.Confidence)
	large, err := j.large(config.BudgetS)
	if err != nil {
		return nil, j.infeasible(err)
	}
	note, err := checkMemory(supernet, config, large, j.Pool)
	if err != nil {
		return nil, err
	}
	j.note("%s", note)
	half := func(images []int, stream uint64) *dataset.Loader {
		varied := augment(j.set, float64(r.Search.Epochs), 0)
		return dataset.NewLoader(j.set, &j.set.Train, images, varied, rand.NewPCG(r.Seed, stream))
	}
	first, second := dataset.Split(&j.set.Train, 0.5, rand.New(rand.NewPCG(r.Seed, 3)))
	s, err := search.New(config, search.Problem{Proxy: supernet, Target: j.space, Costs: j.costs,
		Threads: j.Pool.Threads(), Weights: half(first, 4), Alpha: half(second, 5)})
	return s, j.infeasible(err)
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

// infeasible says of an infeasible search what could be done.
func (j *job) infeasible(err error) error {
	var none *search.InfeasibleError
	if errors.As(err, &none) {
		return &InfeasibleError{none, j.request.LatencyBudgetS, j.guard.Relative}
	}
	return err
}

// large is a network that the search may find and whose training takes much
// memory.
func (j *job) large(budgetS float64) (*ops.Graph, error) {
	catalogue, err := search.NewCatalogue(j.space, j.costs)
	if err != nil {
		return nil, err
	}
	c, err := catalogue.Large(budgetS)
	if err != nil {
		return nil, err
	}
	return j.space.Training(c.Choice, j.request.Train.Batch)
}

// tries is how many candidates are measured before training one: when as many
// turn out slower than their upper end, the device is busy, not the candidate
// slow.
const tries = 5

// choose takes the best candidate whose predicted upper end keeps the budget
// and, where the device is at hand, whose measured median does: latency does
// not depend on the weights, so nothing need be trained for it.
func (j *job) choose(ctx context.Context, candidates []search.Candidate) (search.Candidate, error) {
	var over error
	measured, budget := 0, j.request.LatencyBudgetS
	for _, c := range candidates {
		e, err := j.costs.estimate(c.Choice)
		if err != nil {
			return c, err
		}
		if j.costs.table.Upper(e, j.request.Confidence) > budget {
			continue
		}
		look := event.Candidate{Architecture: j.space.Notation(c.Choice), PredictedS: c.LatencyS}
		if j.options.Live() {
			v, err := j.measureUntrained(ctx, c.Choice)
			if err != nil {
				return c, err
			}
			look.MeasuredS = v.MedianS
		}
		look.Chosen = look.MeasuredS <= budget
		j.sink(look)
		if look.Chosen {
			return c, nil
		}
		over = fmt.Errorf("the %d best networks all take longer than the budget of %s when measured:"+
			" is something else running on the device?", measured+1, units.Seconds(budget))
		if measured++; measured == tries {
			break
		}
	}
	if over == nil {
		over = errors.New("no candidate keeps the budget at the upper end of its prediction")
	}
	return search.Candidate{}, fault.New(fault.Verify, over)
}

// measureUntrained measures a network of the space with random weights.
func (j *job) measureUntrained(ctx context.Context, c arch.Choice) (latency.Verification, error) {
	g, err := j.space.Network(c, 1)
	if err != nil {
		return latency.Verification{}, err
	}
	w := ops.InitWeights(g, rand.New(rand.NewPCG(j.request.Seed, 8)))
	file, err := Export(arch.Architecture{Space: j.space, Choice: c}, w, nil)
	if err != nil {
		return latency.Verification{}, err
	}
	f, err := os.CreateTemp("", "edgenas-*.onnx")
	if err != nil {
		return latency.Verification{}, err
	}
	defer os.Remove(f.Name())
	_, err = f.Write(file)
	if err := errors.Join(err, f.Close()); err != nil {
		return latency.Verification{}, err
	}
	return j.targets.Of(j.options).Verify(ctx, f.Name(), j.profile.Protocol.InMode())
}

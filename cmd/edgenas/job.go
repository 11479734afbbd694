// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime/debug"

	"github.com/edgenas/edgenas/arch"
	"github.com/edgenas/edgenas/internal/atomicfile"
	"github.com/edgenas/edgenas/internal/dataset"
	"github.com/edgenas/edgenas/internal/memory"
	"github.com/edgenas/edgenas/ops"
	"github.com/edgenas/edgenas/predict"
	"github.com/edgenas/edgenas/profiles"
	"github.com/edgenas/edgenas/report"
	"github.com/edgenas/edgenas/search"
)

// job is a run in progress.
type job struct {
	*app
	dir     runDir
	request request
	set     *dataset.Set
	space   arch.Space
	profile *profiles.Profile
	costs   priced
	guard   predict.Guard
	live    bool
	target  target // where live
}

// search does the whole job, from wherever the folder says it is.
func (a *app) search(ctx context.Context, dir runDir, r request, set *dataset.Set) (err error) {
	defer func() {
		switch code := exitCode(err); {
		case code == exitInterrupted:
			a.note("interrupted; go on with: edgenas search --resume %s", quote(string(dir)))
		case code == exitUnexpected && dir.has(requestFile):
			a.note("what was done is kept; go on with: edgenas search --resume %s", quote(string(dir)))
		}
	}()
	j := &job{app: a, dir: dir, request: r, set: set}
	if j.space, err = arch.NewSpace(r.Space, r.Size); err != nil {
		return dataError{fmt.Errorf("%s: %w", dir.path(requestFile), err)}
	}
	nets, err := a.networks(j.space)
	if err != nil {
		return err
	}
	target := r.target(dir)
	if j.live = target.live(); j.live {
		j.target = a.target(target)
	}
	if j.profile, err = a.loadProfile(ctx, target); err != nil {
		return err
	}
	table, err := a.table(ctx, j.profile, nets, target, dir.path(profileFile))
	if err != nil {
		return err
	}
	j.leave()
	j.costs, j.guard = priced{nets, table}, table.Guard(r.Confidence)
	a.note("%s, %s runtime, %d thread(s): guard band %.1f %% (%s)", j.profile.Device.Name(), j.profile.Runtime.Name, j.profile.Runtime.Threads,
		100*j.guard.Relative, j.guard.Basis)

	defer debug.SetGCPercent(debug.SetGCPercent(memory.GarbagePercent))
	architecture, err := j.architecture(ctx)
	if err != nil {
		return err
	}
	j.leave()
	debug.FreeOSMemory() // the supernet's, before training takes as much again
	if !dir.has(weightsFile) {
		g, err := j.space.Training(architecture.Choice, r.Train.Batch)
		if err != nil {
			return err
		}
		use, err := a.trainingUse(g)
		if err != nil {
			return err
		}
		a.note("training takes about %v", use)
	}
	weights, err := a.train(ctx, dir, architecture, set, r.Train, r.Cutout)
	if err != nil {
		return err
	}
	debug.FreeOSMemory()
	res, err := j.finish(ctx, architecture, weights)
	if err != nil {
		return err
	}
	return a.tell(dir, res)
}

// leave gives the device back while this machine works alone.
func (j *job) leave() {
	if !j.live {
		return
	}
	if err := j.target.leave(); err != nil {
		j.note("warning: %s", oneLine(err))
	}
}

// architecture is the network that the search finds, or found before it was
// interrupted.
func (j *job) architecture(ctx context.Context) (arch.Architecture, error) {
	a := arch.Architecture{Space: j.space}
	if j.dir.has(architectureFile) {
		found, err := arch.ReadFile(j.dir.path(architectureFile))
		if err == nil && (found.Space.Name() != a.Space.Name() || found.Space.Size() != a.Space.Size()) {
			err = fmt.Errorf("it is of %s %+v, the run searches %s %+v", found.Space.Name(), found.Space.Size(), a.Space.Name(), a.Space.Size())
		}
		if err != nil {
			return a, j.dir.broken(architectureFile, err)
		}
		return found, nil
	}
	s, err := j.newSearch()
	if err != nil {
		return a, err
	}
	ph, err := j.phase(j.dir, "search", searchCheckpoint, searcher{s})
	if err != nil {
		return a, err
	}
	bar := j.stage("search", s.Steps())
	defer bar.stop()
	var found []search.Candidate
	warning := ""
	if err := ph.run(ctx, func(ctx context.Context, point func(any)) (err error) {
		found, err = s.Run(ctx, func(p search.Point) {
			if every := 1 + p.Steps/maxPoints; p.Step%every == 0 || p.Step == p.Steps {
				point(p)
			}
			bar.update(p.Step, fmt.Sprintf("epoch %d  loss %.3f  α entropy %.2f  expected %s  derived %s", p.Epoch, p.LossTrain, p.AlphaEntropy,
				milliseconds(p.ExpectedLatencyS), milliseconds(p.DerivedLatencyS)))
			warning = p.Warning
		})
		return err
	}); err != nil {
		return a, err
	}
	if warning != "" {
		j.note("warning: %s", warning)
	}
	best, err := j.choose(ctx, found)
	if err != nil {
		return a, err
	}
	a.Choice = best.Choice
	bar.end(fmt.Sprintf("%s, predicted %s", a.Space.Notation(a.Choice), milliseconds(best.LatencyS)))
	return a, a.WriteFile(j.dir.path(architectureFile))
}

// maxPoints is how many lines of history a search leaves, roughly: one a step,
// unless it is long.
const maxPoints = 2000

// newSearch prepares the search. Weights and α learn from a half of the
// training images each.
func (j *job) newSearch() (*search.Search, error) {
	r := j.request
	supernet, err := arch.NewSpace(r.Space, r.supernet())
	if err != nil {
		return nil, dataError{fmt.Errorf("%s: %w", j.dir.path(requestFile), err)}
	}
	config := r.Search
	config.BudgetS = r.LatencyBudgetS / (1 + j.guard.Relative)
	large, err := j.large(config.BudgetS)
	if err != nil {
		return nil, err
	}
	if err := j.checkMemory(supernet, config, large); err != nil {
		return nil, err
	}
	half := func(images []int, stream uint64) source {
		return source{dataset.NewLoader(j.set, &j.set.Train, images, augment(j.set, float64(r.Search.Epochs), 0), rand.NewPCG(r.Seed, stream))}
	}
	first, second := dataset.Split(&j.set.Train, 0.5, rand.New(rand.NewPCG(r.Seed, 3)))
	s, err := search.New(config, search.Problem{Proxy: supernet, Target: j.space, Costs: j.costs, Pool: j.workers(),
		Weights: half(first, 4), Alpha: half(second, 5)})
	var none *search.InfeasibleError
	if errors.As(err, &none) {
		return nil, infeasibleError{none, fmt.Sprintf("no network keeps %s: the fastest possible is predicted at %s, which needs a budget of %s with the guard band of %.1f %%",
			milliseconds(r.LatencyBudgetS), milliseconds(none.FastestS), milliseconds(none.FastestS*(1+j.guard.Relative)), 100*j.guard.Relative)}
	}
	return s, err
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

// tries is how many candidates are measured before training one.
const tries = 5

// choose takes the best candidate whose predicted upper end keeps the budget
// and, where the device is at hand, whose measured median does: latency does
// not depend on the weights, so nothing need be trained for it.
func (j *job) choose(ctx context.Context, candidates []search.Candidate) (search.Candidate, error) {
	var over error
	measured := 0
	for _, c := range candidates {
		e, err := j.costs.estimate(c.Choice)
		if err != nil {
			return c, err
		}
		if j.costs.table.Upper(e, j.request.Confidence) > j.request.LatencyBudgetS {
			continue
		}
		if !j.live {
			return c, nil
		}
		v, err := j.measureUntrained(ctx, c.Choice)
		if err != nil {
			return c, err
		}
		if v.MedianS <= j.request.LatencyBudgetS {
			return c, nil
		}
		j.note("%s takes %s when measured, over the budget: next", j.space.Notation(c.Choice), milliseconds(v.MedianS))
		over = fmt.Errorf("the %d best networks all take longer than the budget of %s when measured: is something else running on the device?",
			measured+1, milliseconds(j.request.LatencyBudgetS))
		if measured++; measured == tries {
			break
		}
	}
	if over == nil {
		over = errors.New("no candidate keeps the budget at the upper end of its prediction")
	}
	return search.Candidate{}, verifyError{over}
}

// finish exports the trained network, checks and verifies it, and writes the
// result and the report.
func (j *job) finish(ctx context.Context, a arch.Architecture, weights ops.Weights) (*result, error) {
	r, profile := j.request, j.profile
	g, err := a.Network(1)
	if err != nil {
		return nil, err
	}
	e, err := j.costs.estimate(a.Choice)
	if err != nil {
		return nil, err
	}
	count := g.Count()
	res := &result{Command: r.Command, Space: r.Space, Size: r.Size, Method: r.Method, Seed: r.Seed, Dataset: r.Dataset,
		Device: profile.Device.Name(), Runtime: profile.Runtime.Name,
		LatencyBudgetS: r.LatencyBudgetS, LatencyPredictedS: e.Seconds, LatencyPredictedHiS: j.costs.table.Upper(e, r.Confidence),
		Confidence: r.Confidence, GuardBand: j.guard.Relative, GuardBasis: j.guard.Basis,
		Params: count.Params, MACs: count.MACs, Architecture: a.Space.Notation(a.Choice), ONNX: modelFile,
		TestImages: j.set.Test.Len(), SearchWallS: j.dir.wall(searchCheckpoint), TrainWallS: j.dir.wall(trainCheckpoint), Warnings: []string{}}
	if res.TrainEpochs, err = trainEpochs(r.Train, a, j.set.Train.Len()); err != nil {
		return nil, err
	}
	res.Warnings = append(res.Warnings, profile.Warnings...)

	digest, err := profile.Digest()
	if err != nil {
		return nil, err
	}
	meta := modelMeta(a, j.set)
	meta["profile"] = digest
	meta["device"], meta["runtime"] = res.Device, res.Runtime
	meta["latency_budget_s"], meta["latency_predicted_s"] = fmt.Sprint(r.LatencyBudgetS), fmt.Sprint(e.Seconds)
	data, diff, err := j.exportChecked(a, weights, j.set, meta)
	if err != nil {
		return nil, err
	}
	res.ONNXMaxDifference = diff
	if err := atomicfile.Write(j.dir.path(modelFile), data); err != nil {
		return nil, err
	}
	if res.TestAccuracy, err = j.accuracy(ctx, a, weights, j.set); err != nil {
		return nil, err
	}
	if j.live {
		v, err := j.target.verify(ctx, j.dir.path(modelFile), j.profile.Protocol.InMode())
		if err != nil {
			return nil, err
		}
		res.LatencyMeasuredS = &v.MedianS
		if v.P90S > 0 {
			res.LatencyMeasuredP90S = &v.P90S
		}
		if v.P99S > 0 {
			res.LatencyMeasuredP99S = &v.P99S
		}
		res.Warnings = append(res.Warnings, v.Warnings...)
	}
	res.judge()
	if err := j.dir.writeJSON(resultFile, res); err != nil {
		return nil, err
	}
	return res, report.WriteFile(string(j.dir))
}

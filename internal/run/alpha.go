// SPDX-License-Identifier: Apache-2.0

package run

import (
	"cmp"
	"context"
	"fmt"
	"math/rand/v2"
	"runtime/debug"
	"slices"

	"github.com/edgenas/edgenas/arch"
	"github.com/edgenas/edgenas/internal/dataset"
	"github.com/edgenas/edgenas/internal/event"
	"github.com/edgenas/edgenas/internal/runfile"
	"github.com/edgenas/edgenas/search"
	"github.com/edgenas/edgenas/train"
)

// learnAlpha lets α learn which of the networks are good, gives each its score,
// and returns what α came to.
func (j *job) learnAlpha(ctx context.Context, list []*contestant, e Effort) (scores search.Scores, err error) {
	debug.FreeOSMemory() // the windows', before the supernet takes more
	s, of, err := j.newStage(list, e)
	if err != nil {
		return scores, err
	}
	ph, err := newPhase(j.dir, event.Search, runfile.SearchCheckpoint, s, j.CheckpointEvery)
	if err != nil {
		return scores, err
	}
	j.sink(event.Begun{Stage: event.Search, Steps: s.Steps()})
	err = ph.run(ctx, func(ctx context.Context, point addPoint) (err error) {
		scores, err = s.Run(ctx, func(p search.Point) {
			if every := 1 + p.Steps/maxPoints; p.Step%every == 0 || p.Step == p.Steps {
				point(p.Step, p.Steps, p)
			}
			j.sink(event.SearchPoint{Point: p})
			j.sink(event.Progress{Stage: event.Search, Done: p.Step, Steps: p.Steps})
		})
		return err
	})
	j.sink(event.Ended{Stage: event.Search, Done: err == nil})
	if err != nil {
		return scores, err
	}
	for i, n := range list {
		n.alpha = scores.Alpha[of[i]]
	}
	return scores, nil
}

// maxPoints is how many lines of history a search leaves, roughly: one a step,
// unless it is long.
const maxPoints = 2000

// newStage prepares the stage in which α learns: a supernet as small as the
// networks of the first rung, and images as small. Networks of different sizes
// with the same cells are one path of it; of is the path of each.
func (j *job) newStage(list []*contestant, e Effort) (s *search.Stage, of []int, err error) {
	r := j.request
	first := e.Rungs[0]
	size := first.size(j.sizes[len(j.sizes)/2].space.Size(), j.side(first))
	proxy, err := arch.NewSpace(r.Space, size)
	if err != nil {
		return nil, nil, err
	}
	problem := search.StageProblem{Proxy: proxy, LimitS: j.limit(), Threads: j.Pool.Threads()}
	paths := map[string]int{}
	for _, n := range list {
		name := proxy.Notation(n.choice)
		if _, ok := paths[name]; !ok {
			paths[name] = len(problem.Networks)
			problem.Networks = append(problem.Networks, n.choice)
			problem.LatencyS = append(problem.LatencyS, n.predicted)
			problem.Prior = append(problem.Prior, n.prior)
		}
		of = append(of, paths[name])
	}
	config := r.Search
	steps, err := stageSteps(e.Policy, problem.Networks, proxy, config.Batch)
	if err != nil {
		return nil, nil, err
	}
	note, err := j.memory(list, proxy)
	if err != nil {
		return nil, nil, err
	}
	j.note("%s", note)
	set, err := j.reduced(j.side(first))
	if err != nil {
		return nil, nil, err
	}
	judge, learn := heldOut(&set.Train, r.Train.Batch, r.Seed)
	most := int(cmp.Or(r.Train.Epochs, 50) * float64(len(learn))) // images
	config.Steps = max(4, min(steps, most/config.Batch))
	images := func(indices []int, stream uint64) search.Source {
		epochs := float64(config.Steps*config.Batch) / float64(len(indices))
		return dataset.NewLoader(set, &set.Train, indices, set.Augment.For(epochs), rand.NewPCG(r.Seed, stream))
	}
	problem.Weights, problem.Alpha = images(learn, 4), images(judge, 5)
	s, err = search.NewStage(config, problem)
	return s, of, err
}

// memory says how much the search and the training of the largest network take.
func (j *job) memory(list []*contestant, proxy arch.Space) (note string, err error) {
	largest := slices.MaxFunc(list, byParams)
	g, err := largest.size.space.Training(largest.choice, j.request.Train.Batch)
	if err != nil {
		return "", err
	}
	return checkMemory(proxy, j.request.Method, j.request.Search.Batch, g, j.Pool)
}

// stageSteps is how many steps the work is enough for.
func stageSteps(work float64, networks []arch.Choice, proxy arch.Space, batch int) (int, error) {
	const looked = 32
	total, n := 0.0, 0
	for i := 0; i < len(networks); i += 1 + len(networks)/looked {
		g, err := proxy.Network(networks[i], 1)
		if err != nil {
			return 0, fmt.Errorf("search: %w", err)
		}
		total += train.Operations(g)
		n++
	}
	return search.StageSteps(work, total/float64(n), batch), nil
}

// SPDX-License-Identifier: Apache-2.0

package oracle

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"

	"github.com/edgenas/edgenas/arch"
	"github.com/edgenas/edgenas/internal/dataset"
	"github.com/edgenas/edgenas/search"
	"github.com/edgenas/edgenas/train"
)

// AlphaWork is the operations from which α learns under each budget: as many as
// with --effort standard.
const AlphaWork = 1.3e13

// alphaSize is the size of the supernet, but for what the images say.
var alphaSize = arch.Size{Cells: 5, Channels: 16, Image: 16}

// alphaStreams are the streams of the seed that the images are drawn by from
// which the weights and α learn.
var alphaStreams = [2]uint64{4, 5}

// stage scores the networks of a window beside one another, by what a supernet
// and α learn of them in a search.Stage. It records two scores of each: that of
// α, and less its loss with the supernet's weights, whose name has "supernet".
type stage struct {
	name   string
	method string // one of search.Methods
	flat   bool   // without a prior: α begins as if all networks were alike
	work   float64
	size   arch.Size // of the supernet
	images
}

// stages lists the ways in which α learns.
var stages = []stage{
	{name: "alpha", method: search.Reinforce},
	{name: "alpha flat", method: search.Reinforce, flat: true},
	{name: "alpha darts", method: "darts"},
	{name: "alpha gdas", method: "gdas"},
}

func (s stage) Name() string { return s.name }

func (s stage) Record(ctx context.Context, r *Record, t *Table, budgets []Budget, networks []int, told Told) error {
	for _, b := range budgets {
		drawn, err := t.among(b, networks)
		if err != nil {
			return err
		}
		if len(t.Missing(r.Scores, s.name, b, drawn)) == 0 {
			continue
		}
		scores, err := s.scores(ctx, t, b, drawn)
		if err != nil {
			return fmt.Errorf("%s: %w", b, err)
		}
		for i, score := range scores {
			if _, ok := r.Of(score.Evaluator, score.Architecture, b); ok {
				continue // of a window that was interrupted while it was written
			}
			if err := r.Add(score); err != nil {
				return err
			}
			told(i+1, len(scores), score)
		}
	}
	return nil
}

// scores lets α learn which of the networks are good under a budget.
func (s stage) scores(ctx context.Context, t *Table, b Budget, networks []int) (all []Score, err error) {
	before := cpuSeconds()
	space, err := arch.NewSpace("nb201", s.size)
	if err != nil {
		return nil, err
	}
	problem := search.StageProblem{Proxy: space, LimitS: math.Inf(1), Prior: t.prior(networks),
		Threads: s.pool.Threads()}
	device := slices.Index(t.Devices, b.Device)
	if device >= 0 {
		problem.LimitS = b.LimitS
	}
	operations := 0.0
	for i, n := range networks {
		network := t.Networks[n]
		g, err := space.Network(network.Choice, 1)
		if err != nil {
			return nil, err
		}
		operations += train.Operations(g) / float64(len(networks))
		seconds := 1.0
		if device >= 0 {
			seconds = network.latencyS[device]
		}
		problem.Networks = append(problem.Networks, network.Choice)
		problem.LatencyS = append(problem.LatencyS, seconds)
		if s.flat {
			problem.Prior[i] = 0
		}
	}
	config := search.DefaultStageConfig(0)
	config.Method, config.Seed, config.Judged = s.method, s.seed, len(networks)
	config.Steps = search.StageSteps(s.work, operations, config.Batch)
	source := func(indices []int, stream uint64) search.Source {
		epochs := float64(config.Steps*config.Batch) / float64(len(indices))
		return dataset.NewLoader(s.set, &s.set.Train, indices, s.set.Augment.For(epochs), rand.NewPCG(s.seed, stream))
	}
	problem.Weights, problem.Alpha = source(s.learn, alphaStreams[0]), source(s.judge, alphaStreams[1])
	st, err := search.NewStage(config, problem)
	if err != nil {
		return nil, err
	}
	found, err := st.Run(ctx, nil)
	if err != nil {
		return nil, err
	}
	score := Score{Budget: b.String(), CPUS: (cpuSeconds() - before) / float64(len(networks)),
		Images: config.Steps * config.Batch, Seed: s.seed}
	add := func(evaluator string, of func(i int) float64) {
		score.Evaluator = evaluator
		for i, n := range networks {
			score.Architecture, score.Score = t.Networks[n].Notation, of(i)
			all = append(all, score)
		}
	}
	// Whether a window is done, the last scores tell.
	add(s.name+" supernet", func(i int) float64 { return -found.Loss[i] })
	add(s.name, func(i int) float64 { return found.Alpha[i] })
	return all, nil
}

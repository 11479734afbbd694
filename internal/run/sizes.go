// SPDX-License-Identifier: Apache-2.0

package run

import (
	"cmp"
	"context"
	"errors"
	"math"
	"slices"

	"github.com/edgenas/edgenas/arch"
	"github.com/edgenas/edgenas/internal/runfile"
	"github.com/edgenas/edgenas/internal/target"
	"github.com/edgenas/edgenas/internal/wording"
	"github.com/edgenas/edgenas/train"
)

// sizes are those that a run searches: sizes.json.
type sizes struct {
	target.Sizes               // that suit the budget
	Trained      []trainedSize `json:"trained"` // that suit the training
	Beyond       *arch.Size    `json:"beyond"`  // that suits the budget, but would hardly train; null: none
}

// trainedSize is a size that suits the training.
type trainedSize struct {
	arch.Size
	Operations float64 `json:"operations"` // that an image may cost its networks in training
}

func (s sizes) all() []arch.Size {
	all := slices.Clone(s.Sizes.Sizes)
	for _, t := range s.Trained {
		all = append(all, t.Size)
	}
	return all
}

// operations is what an image may cost networks of a size in training; 0: anything.
func (s sizes) operations(i int) float64 {
	if i -= len(s.Sizes.Sizes); i >= 0 {
		return s.Trained[i].Operations
	}
	return 0
}

// chooseSizes gives the sizes in which the run looks for networks: the one that
// was asked for, or those that suit the budget and some that suit the training.
func (j *job) chooseSizes(ctx context.Context) (chosen sizes, err error) {
	if s := j.request.Size; s.Cells > 0 && s.Channels > 0 {
		chosen.Sizes.Sizes = []arch.Size{s}
		return chosen, nil
	}
	if j.dir.Has(runfile.SizesName) {
		err := j.dir.ReadSizes(&chosen)
		if err == nil && len(chosen.all()) == 0 {
			err = errors.New("it has no size")
		}
		if err != nil {
			return chosen, j.dir.Broken(runfile.SizesName, err)
		}
		return chosen, nil
	}
	if chosen.Sizes, err = j.targets.ChooseSizes(ctx, j.profile, j.sizeRequest(), j.options); err != nil {
		return chosen, err
	}
	if j.request.LatencyLeastS == 0 {
		if err := j.addTrained(&chosen); err != nil {
			return chosen, err
		}
	}
	j.note("sizes: %s", target.Sizes{Sizes: chosen.all()})
	return chosen, j.written(runfile.SizesName, j.dir.WriteSizes(chosen))
}

func (j *job) sizeRequest() target.SizeRequest {
	r := j.request
	return target.SizeRequest{Space: r.Space, Base: r.Size, BudgetS: r.LatencyBudgetS, Confidence: r.Confidence,
		Inventories: j.Inventories, Threads: j.Pool.Threads()}
}

// How many epochs the training should be enough for: about there networks of
// different sizes come to the same, and are better than with many fewer
// (docs/SEARCH.md has the trainings that say so). What gets less than hardlyTrained
// would not even get the few batches that a contest is about.
const (
	wellTrained   = 8
	hardlyTrained = 0.25
)

// trainable is how many operations an image may cost a network in training so that
// it gets these epochs; infinite if its epochs are given.
func (j *job) trainable(epochs float64) float64 {
	if j.request.Train.Epochs > 0 {
		return math.Inf(1)
	}
	return cmp.Or(j.request.Train.Work, train.DefaultWork) / (epochs * float64(j.set.Train.Len()))
}

// addTrained replaces all sizes but the largest, if the training is not enough for
// that, by a smaller one which it is enough for, and even that if it would hardly
// train.
func (j *job) addTrained(chosen *sizes) error {
	largest := chosen.Sizes.Sizes[0]
	top, err := j.referenceCost(largest)
	if err != nil {
		return err
	}
	limit := j.trainable(wellTrained)
	if top <= limit {
		return nil
	}
	budget := chosen.Sizes.Sizes[:1]
	if top > j.trainable(hardlyTrained) {
		budget = nil
	}
	ladder, err := j.referenceCosts()
	if err != nil {
		return err
	}
	size := affordable(ladder, limit)
	if size == (arch.Size{}) {
		return nil
	}
	n, err := j.Inventories.Sizes(j.request.Space, []arch.Size{size}, j.Pool.Threads())
	if err != nil {
		return err
	}
	if lacks := target.Lacks(j.profile, n, j.options); lacks != nil && !j.options.Live() {
		j.note("the training is hardly enough for the sizes of the profile; for a smaller one: %s", wording.OneLine(lacks))
		return nil
	}
	chosen.Trained = []trainedSize{{size, limit}}
	if chosen.Sizes.Sizes = budget; budget == nil {
		chosen.Beyond = &largest
	}
	return nil
}

// trainedCost is a size with what training its reference network costs for each
// image, in operations.
type trainedCost struct {
	size arch.Size
	cost float64
}

// referenceCosts are those of the ladder's sizes.
func (j *job) referenceCosts() (all []trainedCost, err error) {
	ladder, err := arch.Ladder(j.request.Space, j.request.Size)
	if err != nil {
		return nil, err
	}
	for _, size := range ladder {
		cost, err := j.referenceCost(size)
		if err != nil {
			return nil, err
		}
		all = append(all, trainedCost{size, cost})
	}
	return all, nil
}

// affordable is the largest size of the ladder whose reference network costs less
// than so many operations; where some cost more than half of that, one with
// channels that fill the longest vectors if there is any. It is a size of zeros if
// there is none.
func affordable(ladder []trainedCost, limit float64) (best arch.Size) {
	for _, lanes := range []int{16, 8, 1} {
		most := limit / 2
		for _, r := range ladder {
			if r.size.Channels%lanes == 0 && r.cost < limit && r.cost > most {
				best, most = r.size, r.cost
			}
		}
		if best.Channels > 0 {
			break
		}
	}
	return best
}

// referenceCost is what training the reference network of a size costs for each
// image, in operations.
func (j *job) referenceCost(size arch.Size) (float64, error) {
	space, err := arch.NewSpace(j.request.Space, size)
	if err != nil {
		return 0, err
	}
	g, err := space.Network(arch.Reference(space), 1)
	if err != nil {
		return 0, err
	}
	return train.Operations(g), nil
}

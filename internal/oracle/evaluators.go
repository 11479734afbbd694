// SPDX-License-Identifier: Apache-2.0

package oracle

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"

	"github.com/edgenas/edgenas/internal/dataset"
	"github.com/edgenas/edgenas/internal/kernels"
)

// Evaluator scores networks of the space nb201 without the table.
type Evaluator interface {
	// Name is what scores are recorded under: an evaluator that changes gets
	// another one.
	Name() string
	// Record scores those of the networks, which are from the windows of the
	// budgets, that have no score in r, and adds each score to it as soon as it is
	// there.
	Record(ctx context.Context, r *Record, t *Table, budgets []Budget, networks []int, told Told) error
}

// Told hears of each score that was recorded: the how manieth of how many.
type Told func(done, of int, s Score)

// images are what evaluators learn from, and judge on.
type images struct {
	set          *dataset.Set // reduced to what an evaluator looks at
	learn, judge []int        // training images
	seed         uint64
	pool         *kernels.Workers
}

// judged is how many training images networks are judged on.
const judged = 2000

// judgeStream is the stream of the seed that the judging images are drawn by.
const judgeStream = 3

// EvaluatorNames lists the evaluators.
func EvaluatorNames() []string {
	var names []string
	for _, r := range rungs {
		names = append(names, r.name)
	}
	for _, s := range stages {
		names = append(names, s.name)
	}
	return names
}

// Evaluators returns the evaluators with these names, separated by commas, on
// the training images of a set. All of them draw by the seed.
func Evaluators(names string, set *dataset.Set, seed uint64, pool *kernels.Workers) ([]Evaluator, error) {
	if set.Train.Len() < 2*judged {
		return nil, fmt.Errorf("oracle: %s: %d training images: want at least %d", set.Name, set.Train.Len(), 2*judged)
	}
	share := float64(judged) / float64(set.Train.Len())
	judge, learn := dataset.Split(&set.Train, share, rand.New(rand.NewPCG(seed, judgeStream)))
	all := images{set, learn, judge, seed, pool}
	var chosen []Evaluator
	for name := range strings.SplitSeq(names, ",") {
		e, err := all.evaluator(name)
		if err != nil {
			return nil, err
		}
		chosen = append(chosen, e)
	}
	return chosen, nil
}

// evaluator returns the one with this name.
func (i images) evaluator(name string) (Evaluator, error) {
	for _, r := range rungs {
		if r.name == name {
			reduced, err := i.reduced(name, r.image)
			if err != nil {
				return nil, err
			}
			return newTraining(r, reduced)
		}
	}
	for _, s := range stages {
		if s.name == name {
			var err error
			s.work, s.size = AlphaWork, alphaSize
			s.size.Colours, s.size.Classes = i.set.C, len(i.set.Classes)
			s.images, err = i.reduced(name, alphaSize.Image)
			return s, err
		}
	}
	return nil, fmt.Errorf("oracle: evaluator %q: want some of %s", name, strings.Join(EvaluatorNames(), ", "))
}

// reduced is the same images with so many rows, for an evaluator.
func (i images) reduced(name string, side int) (images, error) {
	if i.set.H == side && i.set.W == side {
		return i, nil
	}
	if i.set.H != i.set.W || i.set.H < side {
		return i, fmt.Errorf("oracle: %s: images of %d×%d: %s trains on %d×%d", i.set.Name, i.set.W, i.set.H, name, side,
			side)
	}
	var err error
	i.set, err = i.set.Reduced(side)
	return i, err
}

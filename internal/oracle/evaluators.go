// SPDX-License-Identifier: Apache-2.0

package oracle

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"

	"github.com/edgenas/edgenas/arch"
	"github.com/edgenas/edgenas/internal/dataset"
	"github.com/edgenas/edgenas/internal/evaluate"
	"github.com/edgenas/edgenas/internal/kernels"
	"github.com/edgenas/edgenas/train"
)

// Evaluator scores networks without the table.
type Evaluator interface {
	// Name is what scores are recorded under: an evaluator that changes gets
	// another one.
	Name() string
	// Score judges a network of the space nb201.
	Score(ctx context.Context, c arch.Choice) (Score, error)
}

// A rung is a short training of a network of some size.
type rung struct {
	name            string
	cells, channels int
	image           int // rows
	images          int // that are learned from
}

// rungs lists the short trainings, the cheapest first.
var rungs = []rung{
	{"rung0", 3, 8, 16, 4000},
	{"rung1", 5, 16, 16, 8000},
	{"rung2", 5, 16, 32, 6000},
}

// judged is how many training images networks are judged on.
const judged = 2000

// Evaluators returns the evaluators with these names, separated by commas, on
// the training images of a set. All of them draw by the seed.
func Evaluators(names string, set *dataset.Set, seed uint64, pool *kernels.Workers) ([]Evaluator, error) {
	var chosen []Evaluator
	if set.Train.Len() < 2*judged {
		return nil, fmt.Errorf("oracle: %s: %d training images: want at least %d", set.Name, set.Train.Len(), 2*judged)
	}
	share := float64(judged) / float64(set.Train.Len())
	judge, learn := dataset.Split(&set.Train, share, rand.New(rand.NewPCG(seed, judgeStream)))
	for name := range strings.SplitSeq(names, ",") {
		r, err := rungNamed(name)
		if err != nil {
			return nil, err
		}
		t := training{rung: r, short: evaluate.Short{Set: set, Learn: learn, Judge: judge, Recipe: train.DefaultConfig(),
			Pool: pool}}
		if set.H != r.image {
			if set.H != set.W || set.H < r.image {
				return nil, fmt.Errorf("oracle: %s: images of %d×%d: %s trains on %d×%d", set.Name, set.W, set.H, name,
					r.image, r.image)
			}
			if t.short.Set, err = set.Reduced(r.image); err != nil {
				return nil, err
			}
		}
		t.short.Augment = dataset.Augment{Flip: set.Augment.Flip} // crops slow a short training down
		t.short.Recipe.Epochs, t.short.Recipe.Seed = t.short.Epochs(r.images), seed
		t.space, err = arch.NewSpace("nb201", arch.Size{Cells: r.cells, Channels: r.channels, Image: r.image,
			Colours: set.C, Classes: len(set.Classes)})
		if err != nil {
			return nil, err
		}
		chosen = append(chosen, t)
	}
	return chosen, nil
}

// judgeStream is the stream of the seed that the judging images are drawn by.
const judgeStream = 3

// rungNamed returns the rung with this name.
func rungNamed(name string) (rung, error) {
	var names []string
	for _, r := range rungs {
		if r.name == name {
			return r, nil
		}
		names = append(names, r.name)
	}
	return rung{}, fmt.Errorf("oracle: evaluator %q: want some of %s", name, strings.Join(names, ", "))
}

// training scores networks by a short training: less the loss on images that it
// has not learned from.
type training struct {
	rung  rung
	short evaluate.Short
	space arch.Space
}

func (t training) Name() string { return t.rung.name }

func (t training) Score(ctx context.Context, c arch.Choice) (Score, error) {
	before := cpuSeconds()
	r, err := t.short.Train(ctx, arch.Architecture{Space: t.space, Choice: c})
	if err != nil {
		return Score{}, err
	}
	return Score{Evaluator: t.rung.name, Architecture: t.space.Notation(c), Score: -r.Loss, Error: r.Error, Tail: -r.Tail,
		Accuracy: r.Accuracy, CPUS: cpuSeconds() - before, Images: t.rung.images, Seed: t.short.Recipe.Seed}, nil
}

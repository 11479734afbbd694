// SPDX-License-Identifier: Apache-2.0

package oracle

import (
	"context"

	"github.com/edgenas/edgenas/arch"
	"github.com/edgenas/edgenas/internal/dataset"
	"github.com/edgenas/edgenas/internal/evaluate"
	"github.com/edgenas/edgenas/train"
)

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

// training scores networks by a short training: less the loss on images that it
// has not learned from.
type training struct {
	rung  rung
	short evaluate.Short
	space arch.Space
}

// newTraining prepares the trainings of a rung.
func newTraining(r rung, i images) (Evaluator, error) {
	t := training{rung: r, short: evaluate.Short{Set: i.set, Learn: i.learn, Judge: i.judge,
		Recipe: train.DefaultConfig(), Pool: i.pool}}
	t.short.Augment = dataset.Augment{Flip: i.set.Augment.Flip} // crops slow a short training down
	t.short.Recipe.Epochs, t.short.Recipe.Seed = t.short.Epochs(r.images), i.seed
	var err error
	t.space, err = arch.NewSpace("nb201", arch.Size{Cells: r.cells, Channels: r.channels, Image: r.image,
		Colours: i.set.C, Classes: len(i.set.Classes)})
	return t, err
}

func (t training) Name() string { return t.rung.name }

func (t training) Record(ctx context.Context, r *Record, table *Table, _ []Budget, networks []int, told Told) error {
	missing := table.Missing(r.Scores, t.rung.name, Budget{}, networks)
	for i, n := range missing {
		s, err := t.score(ctx, table.Networks[n].Choice)
		if err != nil {
			return err
		}
		if err := r.Add(s); err != nil {
			return err
		}
		told(i+1, len(missing), s)
	}
	return nil
}

// score trains a network.
func (t training) score(ctx context.Context, c arch.Choice) (Score, error) {
	before := cpuSeconds()
	r, err := t.short.Train(ctx, arch.Architecture{Space: t.space, Choice: c})
	if err != nil {
		return Score{}, err
	}
	return Score{Evaluator: t.rung.name, Architecture: t.space.Notation(c), Score: -r.Loss, Error: r.Error, Tail: -r.Tail,
		Accuracy: r.Accuracy, CPUS: cpuSeconds() - before, Images: t.rung.images, Seed: t.short.Recipe.Seed}, nil
}

// SPDX-License-Identifier: Apache-2.0

package run

import (
	"context"
	"math/rand/v2"

	"github.com/edgenas/edgenas/arch"
	"github.com/edgenas/edgenas/internal/dataset"
	"github.com/edgenas/edgenas/internal/event"
	"github.com/edgenas/edgenas/internal/runfile"
	"github.com/edgenas/edgenas/internal/safetensors"
	"github.com/edgenas/edgenas/ops"
	"github.com/edgenas/edgenas/train"
)

// Training is the training of an architecture in a folder.
type Training struct {
	Dir          runfile.Dir
	Architecture arch.Architecture
	Images       *dataset.Set
	Recipe       train.Config
	Cutout       int
	Locked       bool // the folder is locked already
	Host
}

// Run gives the weights of the architecture: it trains it, unless the folder
// says that it has been trained.
func (t Training) Run(ctx context.Context, events event.Sink) (ops.Weights, error) {
	if t.Dir.Has(runfile.WeightsName) {
		f, err := safetensors.ReadFile(t.Dir.Path(runfile.WeightsName))
		if err == nil {
			err = Fits(f.Weights, t.Architecture)
		}
		if err != nil {
			return nil, t.Dir.Broken(runfile.WeightsName, err)
		}
		return f.Weights, nil
	}
	if !t.Locked {
		unlock, err := t.Dir.Lock()
		if err != nil {
			return nil, err
		}
		defer unlock()
	}
	epochs, err := TrainEpochs(t.Recipe, t.Architecture, t.Images.Train.Len())
	if err != nil {
		return nil, err
	}
	trainer, err := t.trainer(epochs)
	if err != nil {
		return nil, err
	}
	ph, err := newPhase(t.Dir, event.Train, runfile.TrainCheckpoint, trainer, t.CheckpointEvery)
	if err != nil {
		return nil, err
	}
	events(event.Begun{Stage: event.Train, Steps: trainer.Steps()})
	var weights ops.Weights
	err = ph.run(ctx, func(ctx context.Context, point addPoint) (err error) {
		weights, err = trainer.Run(ctx, func(p train.Point) {
			point(p.Step, p.Steps, p)
			events(event.TrainPoint{Point: p, Epochs: epochs})
			events(event.Progress{Stage: event.Train, Done: p.Step, Steps: p.Steps})
		})
		return err
	})
	events(event.Ended{Stage: event.Train, Done: err == nil})
	if err != nil {
		return nil, err
	}
	path := t.Dir.Path(runfile.WeightsName)
	if err := safetensors.WriteFile(path, safetensors.File{Weights: weights}); err != nil {
		return nil, err
	}
	events(event.Written{Path: path})
	return weights, nil
}

// trainer prepares training on all training images, varied as suits them.
func (t Training) trainer(epochs float64) (*train.Trainer, error) {
	recipe, set := t.Recipe, t.Images
	recipe.Epochs = epochs
	varied := set.Augment.For(epochs)
	varied.Cutout = t.Cutout
	loader := dataset.NewLoader(set, &set.Train, nil, varied, rand.NewPCG(recipe.Seed, 6))
	return train.New(recipe, t.Architecture, loader, t.Pool.Threads())
}

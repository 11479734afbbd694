// SPDX-License-Identifier: Apache-2.0

// Package evaluate judges networks by short real trainings and by images that
// they have not seen.
//
// A [Short] is what all networks of a comparison go through: the same images in
// the same order, the same recipe, and weights drawn by the same seed. What it
// gives is the same for any number of threads.
package evaluate

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"

	"github.com/edgenas/edgenas/arch"
	"github.com/edgenas/edgenas/internal/dataset"
	"github.com/edgenas/edgenas/internal/kernels"
	"github.com/edgenas/edgenas/ops"
	"github.com/edgenas/edgenas/train"
)

// Short is a short training. Its seed is the recipe's.
type Short struct {
	Set     *dataset.Set // of the networks' image size
	Learn   []int        // training images that the networks learn from
	Judge   []int        // other training images, which they are judged on
	Augment dataset.Augment
	Recipe  train.Config // its epochs, which may be a fraction, are passes through Learn
	Pool    *kernels.Workers
}

// Epochs returns the epochs in which so many images are learned from. A shorter
// training so begins with the images of a longer one.
func (s Short) Epochs(images int) float64 { return float64(images) / float64(len(s.Learn)) }

// Result is what a training came to.
type Result struct {
	Judged          // on the images that it is judged on
	Step    int     // done so far
	Tail    float64 // mean training loss of the second half of the steps so far
	Weights ops.Weights
}

// Train trains a network to the end of the recipe and judges it.
func (s Short) Train(ctx context.Context, a arch.Architecture) (Result, error) {
	t, err := s.Begin(a)
	if err != nil {
		return Result{}, err
	}
	return t.Advance(ctx, t.Steps())
}

// Begin prepares the training of a network.
func (s Short) Begin(a arch.Architecture) (*Trainee, error) {
	if len(s.Learn) == 0 || len(s.Judge) == 0 {
		return nil, fmt.Errorf("evaluate: %d images to learn from, %d to judge on: want some of both",
			len(s.Learn), len(s.Judge))
	}
	loader := dataset.NewLoader(s.Set, &s.Set.Train, s.Learn, s.Augment, rand.NewPCG(s.Recipe.Seed, learnStream))
	trainer, err := train.New(s.Recipe, a, loader, s.Pool.Threads())
	if err != nil {
		return nil, err
	}
	return &Trainee{short: s, network: a, trainer: trainer}, nil
}

// learnStream is the stream of the seed that images are drawn by.
const learnStream = 7

// Trainee is a network in training, which can stop to be judged and go on.
type Trainee struct {
	// Told is called every few steps, unless it is nil; it may ask for the State.
	Told func()

	short   Short
	network arch.Architecture
	trainer *train.Trainer
	losses  []train.Point
}

// Steps returns the number of steps of the whole training.
func (t *Trainee) Steps() int { return t.trainer.Steps() }

// Advance trains until so many steps are done, at most to the end, and judges
// the network. Where it stops changes nothing of what is learned after it. It
// returns the error of ctx when that ends, after which it can be called again,
// and a *train.DivergedError where figures are not finite.
func (t *Trainee) Advance(ctx context.Context, step int) (Result, error) {
	if step < 1 || step < t.trainer.Step() {
		panic(fmt.Sprintf("evaluate: %d steps are done: advance to %d", t.trainer.Step(), step))
	}
	w, err := t.trainer.RunTo(ctx, step, func(p train.Point) {
		t.losses = append(t.losses, p)
		if t.Told != nil {
			t.Told()
		}
	})
	if err != nil {
		return Result{}, err
	}
	judged, err := Judge(ctx, t.network, w, t.short.Set, &t.short.Set.Train, t.short.Judge, t.short.Pool)
	if err != nil {
		return Result{}, err
	}
	return Result{Judged: judged, Step: t.trainer.Step(), Tail: tail(t.losses), Weights: w}, nil
}

// state is what a trainee has learned so far, but for tensors.
type state struct {
	Trainer json.RawMessage `json:"trainer"`
	Losses  []train.Point   `json:"losses"`
}

// State returns everything that the trainee has learned so far, as
// [train.Trainer.State] does.
func (t *Trainee) State() (json.RawMessage, ops.Weights, error) {
	text, tensors, err := t.trainer.State()
	if err != nil {
		return nil, nil, err
	}
	text, err = json.Marshal(state{text, t.losses})
	return text, tensors, err
}

// Restore puts the trainee where the one was whose State it is given. After an
// error it must not be used.
func (t *Trainee) Restore(text json.RawMessage, tensors ops.Weights) error {
	var st state
	if err := json.Unmarshal(text, &st); err != nil {
		return fmt.Errorf("evaluate: state: %w", err)
	}
	t.losses = st.Losses
	return t.trainer.Restore(st.Trainer, tensors)
}

// tail is the mean training loss of the second half of the steps that points
// cover, as far as they tell it: each holds the mean of several steps.
// Source: Ru et al., Speedy performance estimation for NAS, 2021, §3.
func tail(points []train.Point) float64 {
	last := points[len(points)-1].Step
	half, from, sum := last/2, 0, 0.0
	for _, p := range points {
		sum += float64(float64(max(0, p.Step-max(from, half))) * p.LossTrain) // no fused multiply-add
		from = p.Step
	}
	return sum / float64(last-half)
}

// SPDX-License-Identifier: Apache-2.0

// Package train trains a derived architecture from scratch.
//
// The recipe is stochastic gradient descent with Nesterov momentum and a
// cosine schedule after a short linear warm-up. Where the space has an
// auxiliary head, its loss is learned from too, and its weights are dropped at
// the end. Augmentation is the image source's business. Nothing here sees a
// test image.
package train

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"

	"github.com/edgenas/edgenas/arch"
	"github.com/edgenas/edgenas/internal/autodiff"
	"github.com/edgenas/edgenas/internal/kernels"
	"github.com/edgenas/edgenas/ops"
)

// Source hands out training batches, each image once an epoch. Its JSON is
// its position, so that training can go on where it stopped.
type Source interface {
	// Next fills x (N,H,W,C, normalised) and y (class indices) with one batch.
	Next(x []float32, y []int32)
	// Len is the number of images of an epoch.
	Len() int
	json.Marshaler
	json.Unmarshaler
}

// Config is the recipe. Zero fields are not filled in: start from DefaultConfig.
type Config struct {
	Epochs      float64 `json:"epochs"` // may be a fraction
	Batch       int     `json:"batch"`
	LR          float64 `json:"lr"`     // at its greatest; it ends near 0
	Warmup      float64 `json:"warmup"` // share of the steps over which the rate rises
	Momentum    float64 `json:"momentum"`
	WeightDecay float64 `json:"weight_decay"`
	Clip        float64 `json:"clip"`      // greatest norm of the gradient
	Smoothing   float64 `json:"smoothing"` // label smoothing, 0…1
	Seed        uint64  `json:"seed"`
}

// DefaultConfig is the main job's recipe: minutes on two cores. Epochs are
// chosen by DefaultEpochs.
func DefaultConfig() Config {
	return Config{Batch: 32, LR: 0.05, Warmup: 0.15, Momentum: 0.9, WeightDecay: 5e-4, Clip: 5}
}

// defaultWork is the arithmetic that the main job's training spends on a small
// network, and defaultEpochs the least that a large one gets: two to three
// minutes on two cores for a network of 2 ms.
const (
	defaultWork   = 4e13
	defaultEpochs = 3
)

// DefaultEpochs is how long to train a network of so many multiply-accumulates
// an image (forward and backward are six operations for each): the smaller,
// the longer, within 3 to 20 epochs. It depends on nothing else, so that the
// same flags give the same network on every machine.
func DefaultEpochs(macs int64, images int) float64 {
	epochs := defaultWork / (6 * float64(macs) * float64(images))
	return math.Round(10*min(20, max(defaultEpochs, epochs))) / 10
}

// State is everything that training has learned so far: written out and read
// again, it goes on as if it had never stopped.
type State struct {
	Step    int                     `json:"step"`  // the next one
	Since   Sums                    `json:"since"` // the last Point
	Data    json.RawMessage         `json:"data"`  // position in the images
	Weights ops.Weights             `json:"-"`     // kept as tensors beside the JSON
	SGD     autodiff.State[float32] `json:"-"`
}

// Sums are what a Point is the mean of.
type Sums struct {
	Steps   int     `json:"steps"`
	Loss    float64 `json:"loss"`
	Correct int     `json:"correct"` // images
}

// Point is a line of history: training after a step. Loss and accuracy are
// means since the last line.
type Point struct {
	Phase         string  `json:"phase"` // "train"
	Epoch         int     `json:"epoch"` // begun, from 0
	Step          int     `json:"step"`
	Steps         int     `json:"steps"`
	LossTrain     float64 `json:"loss_train"`
	AccuracyTrain float64 `json:"accuracy_train"`
	LR            float64 `json:"lr"`
}

// Trainer is a training in progress.
type Trainer struct {
	config  Config
	data    Source
	network *ops.Graph               // what is trained
	model   *autodiff.Model[float32] // it, and what only its training reads
	sgd     *autodiff.SGD[float32]
	step    int
	since   Sums // the last point
}

// New prepares the training of a from weights drawn by the seed.
func New(c Config, a arch.Architecture, data Source, pool *kernels.Workers) (*Trainer, error) {
	if c.Batch < 1 || !(c.Epochs > 0) || data.Len() < c.Batch {
		return nil, fmt.Errorf("train: %g epochs of %d images in batches of %d: want at least one batch", c.Epochs, data.Len(), c.Batch)
	}
	network, err := a.Network(c.Batch)
	if err != nil {
		return nil, err
	}
	graph, err := a.Space.Training(a.Choice, c.Batch)
	if err != nil {
		return nil, err
	}
	model, err := autodiff.Compile[float32](graph, autodiff.Options{Pool: pool, Smoothing: c.Smoothing, AuxWeight: auxWeight})
	if err != nil {
		return nil, err
	}
	if err := model.Load(ops.InitWeights(graph, rand.New(rand.NewPCG(c.Seed, 1)))); err != nil {
		return nil, err
	}
	return &Trainer{config: c, data: data, network: network, model: model,
		sgd: &autodiff.SGD[float32]{Momentum: c.Momentum, WeightDecay: c.WeightDecay, Nesterov: true, Pool: pool}}, nil
}

// Steps is the number of steps of the whole training.
func (t *Trainer) Steps() int {
	return max(1, int(math.Round(t.config.Epochs*float64(t.data.Len())/float64(t.config.Batch))))
}

// rate is the learning rate of a step: linear from 0, then a half cosine to 0.
func (t *Trainer) rate(step int) float64 {
	rise := max(1, int(t.config.Warmup*float64(t.Steps())))
	if step < rise {
		return t.config.LR * float64(step+1) / float64(rise)
	}
	return autodiff.CosineLR(t.config.LR, 0, step-rise, t.Steps()-rise)
}

// State is a copy of everything learned so far.
func (t *Trainer) State() (State, error) {
	data, err := t.data.MarshalJSON()
	return State{Step: t.step, Since: t.since, Data: data, Weights: t.model.Weights(), SGD: t.sgd.State.Clone()}, err
}

// Restore puts a trainer with the same recipe, architecture and images where
// the one that gave st was.
func (t *Trainer) Restore(st State) error {
	if st.Step < 0 || st.Step > t.Steps() {
		return fmt.Errorf("train: state: step %d of %d", st.Step, t.Steps())
	}
	if err := t.data.UnmarshalJSON(st.Data); err != nil {
		return fmt.Errorf("train: state: %w", err)
	}
	if err := t.model.Load(st.Weights); err != nil {
		return fmt.Errorf("train: state: %w", err)
	}
	t.step, t.since, t.sgd.State = st.Step, st.Since, st.SGD.Clone()
	return nil
}

// auxWeight is the weight of the auxiliary head's loss.
// Source: Liu et al., DARTS, 2019, §3.2, and the code published with it.
const auxWeight = 0.4

// pointSteps is how many steps a line of history covers.
const pointSteps = 10

// Run does the remaining steps and returns the network's weights. It calls
// progress every few steps, and stops between two steps when ctx ends.
func (t *Trainer) Run(ctx context.Context, progress func(Point)) (ops.Weights, error) {
	for t.step < t.Steps() {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		t.data.Next(t.model.Input(), t.model.Labels())
		l, n := t.model.Step(autodiff.Weights)
		if math.IsNaN(l) || math.IsInf(l, 0) {
			return nil, fmt.Errorf("train: step %d: loss is %v: try a lower learning rate than %g", t.step+1, l, t.config.LR)
		}
		if _, err := autodiff.ClipGradNorm[float32](t.model.Learnables(), t.config.Clip); err != nil {
			return nil, err
		}
		t.sgd.LR = t.rate(t.step)
		if err := t.sgd.Step(t.model.Learnables()); err != nil {
			return nil, err
		}
		t.step++
		t.since = Sums{t.since.Steps + 1, t.since.Loss + l, t.since.Correct + n}
		if m := t.since; m.Steps == pointSteps || t.step == t.Steps() {
			t.since = Sums{}
			progress(Point{Phase: "train", Step: t.step, Steps: t.Steps(),
				Epoch:     (t.step - 1) * t.config.Batch / t.data.Len(),
				LossTrain: m.Loss / float64(m.Steps), AccuracyTrain: float64(m.Correct) / float64(m.Steps*t.config.Batch), LR: t.sgd.LR})
		}
	}
	return t.weights(), nil
}

// weights are those of the network, without what only its training reads.
func (t *Trainer) weights() ops.Weights {
	all, own := t.model.Weights(), ops.Weights{}
	for _, n := range t.network.Nodes {
		for _, p := range t.network.Params(n) {
			own[p.Name] = all[p.Name]
		}
	}
	return own
}

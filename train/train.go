// SPDX-License-Identifier: Apache-2.0

// Package train trains a derived architecture from scratch.
//
// The weights of convolutions learn by Muon, everything else by stochastic
// gradient descent with Nesterov momentum, both by a cosine schedule after a
// short linear warm-up. Where the space has an auxiliary head, its loss is
// learned from too, and its weights are dropped at the end. Augmentation is the
// image source's business. Nothing here sees a test image.
package train

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
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
	Work        float64 `json:"work"`   // operations to spend where epochs are not given; 0: DefaultWork
	Batch       int     `json:"batch"`
	LR          float64 `json:"lr"`      // at its greatest; it ends near 0
	MuonLR      float64 `json:"muon_lr"` // the same of the weights that [autodiff.Muon] moves; 0: SGD moves all
	Warmup      float64 `json:"warmup"`  // share of the steps over which the rate rises
	Momentum    float64 `json:"momentum"`
	WeightDecay float64 `json:"weight_decay"` // of what SGD moves
	MuonDecay   float64 `json:"muon_decay"`   // of what Muon moves
	Clip        float64 `json:"clip"`         // greatest norm of the gradient
	Smoothing   float64 `json:"smoothing"`    // of labels, 0…1
	Seed        uint64  `json:"seed"`
}

// DefaultConfig returns the main job's recipe: minutes on two cores.
// [Epochs] chooses the epochs.
func DefaultConfig() Config {
	return Config{Batch: 32, LR: 0.05, MuonLR: 0.01, Warmup: 0.15, Momentum: 0.9, WeightDecay: 5e-4, MuonDecay: 0.1,
		Clip: 5}
}

// DefaultWork is what a training spends, in [Operations]: a server with two cores
// does 1e11 to 4e11 a second.
const DefaultWork = 2.8e13

// What training on an image costs: of each multiply-accumulate, two operations
// forward and four backward; of each value between two layers, as much as the
// arithmetic that could be done while it goes to memory and comes back.
const (
	operationsPerMAC   = 6
	operationsPerValue = 96
)

// Operations is what training a network, of a batch of one image, costs for each
// image. Networks train as fast by this count whether they are wide or narrow,
// and whether they convolve or pool, within a factor of two.
func Operations(g *ops.Graph) float64 {
	values := 0.0
	for _, n := range g.Nodes {
		values += float64(n.Shape.Len())
	}
	return operationsPerMAC*float64(g.Count().MACs) + operationsPerValue*values
}

// A network gets at least fewestEpochs, whatever they cost, and a small one no
// more than mostEpochs.
const (
	fewestEpochs = 1
	mostEpochs   = 50
)

// Epochs returns how long to train a network whose images cost so many
// [Operations] so that it takes this work (0: DefaultWork): the smaller, the
// longer, within 1 to 50 epochs. It depends on nothing else, so that the same
// flags give the same network on every machine.
func Epochs(work, operations float64, images int) float64 {
	epochs := cmp.Or(work, DefaultWork) / (operations * float64(images))
	return math.Round(10*min(mostEpochs, max(fewestEpochs, epochs))) / 10
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
	threads int
	network *ops.Graph               // what is trained
	model   *autodiff.Model[float32] // it, and what only its training reads
	muon    *autodiff.Muon[float32]
	step    int
	since   sums // the last point
}

// New prepares the training of a from weights drawn by the seed. It runs on so
// many threads (0: one for each CPU), which never change a result.
func New(c Config, a arch.Architecture, data Source, threads int) (*Trainer, error) {
	if c.Batch < 1 || !(c.Epochs > 0) || data.Len() < c.Batch {
		return nil, fmt.Errorf("train: %g epochs of %d images in batches of %d: want at least one batch",
			c.Epochs, data.Len(), c.Batch)
	}
	network, err := a.Network(c.Batch)
	if err != nil {
		return nil, err
	}
	graph, err := a.Space.Training(a.Choice, c.Batch)
	if err != nil {
		return nil, err
	}
	pool := kernels.NewWorkers(threads)
	defer pool.Close()
	model, err := autodiff.Compile[float32](graph, autodiff.Options{
		Pool: pool, Smoothing: c.Smoothing, AuxWeight: auxWeight,
	})
	if err != nil {
		return nil, err
	}
	if err := model.Load(ops.InitWeights(graph, rand.New(rand.NewPCG(c.Seed, 1)))); err != nil {
		return nil, err
	}
	muon := &autodiff.Muon[float32]{Momentum: c.Momentum, WeightDecay: c.MuonDecay,
		SGD: autodiff.SGD[float32]{Momentum: c.Momentum, WeightDecay: c.WeightDecay, Nesterov: true}}
	return &Trainer{config: c, data: data, threads: threads, network: network, model: model, muon: muon}, nil
}

// Step returns the number of steps done so far.
func (t *Trainer) Step() int { return t.step }

// Steps returns the number of steps of the whole training.
func (t *Trainer) Steps() int {
	return max(1, int(math.Round(t.config.Epochs*float64(t.data.Len())/float64(t.config.Batch))))
}

// rate is a learning rate in a step: linear from 0 to its greatest, then a half
// cosine to 0.
func (t *Trainer) rate(greatest float64, step int) float64 {
	rise := max(1, int(t.config.Warmup*float64(t.Steps())))
	if step < rise {
		return greatest * float64(step+1) / float64(rise)
	}
	return autodiff.CosineLR(greatest, 0, step-rise, t.Steps()-rise)
}

// auxWeight is the weight of the auxiliary head's loss.
// Source: Liu et al., DARTS, 2019, §3.2, and the code published with it.
const auxWeight = 0.4

// A line of history covers leastPointSteps, or more where a training would have
// more than maxPoints lines otherwise.
const (
	leastPointSteps = 10
	maxPoints       = 2000
)

// pointSteps is how many steps a line of history covers.
func (t *Trainer) pointSteps() int { return max(leastPointSteps, (t.Steps()+maxPoints-1)/maxPoints) }

// Run does the remaining steps and returns the network's weights. It calls
// progress, unless that is nil, every few steps. It stops between two steps
// when ctx ends and returns its error, and returns a *DivergedError for a step
// whose figures are not finite.
func (t *Trainer) Run(ctx context.Context, progress func(Point)) (ops.Weights, error) {
	return t.RunTo(ctx, t.Steps(), progress)
}

// RunTo does what Run does until so many steps are done in all, or the training
// ends. The steps after it learn what they would have without the stop.
func (t *Trainer) RunTo(ctx context.Context, step int, progress func(Point)) (ops.Weights, error) {
	pool := kernels.NewWorkers(t.threads)
	defer pool.Close()
	t.model.SetPool(pool)
	t.muon.SGD.Pool = pool
	last := min(step, t.Steps())
	for t.step < last {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		if err := t.oneStep(); err != nil {
			return nil, err
		}
		if t.since.Steps < t.pointSteps() && t.step < last {
			continue
		}
		p := t.point()
		t.since = sums{} // before progress, which may ask for the State
		if progress != nil {
			progress(p)
		}
	}
	return t.weights(), nil
}

// oneStep learns from one batch.
func (t *Trainer) oneStep() error {
	t.data.Next(t.model.Input(), t.model.Labels())
	loss, correct := t.model.Step(autodiff.Weights)
	if !isFinite(loss) {
		return t.diverged("the training loss", loss)
	}
	norm, err := autodiff.ClipGradNorm[float32](t.model.Learnables(), t.config.Clip)
	if errors.Is(err, autodiff.ErrNotFinite) {
		return t.diverged("the norm of the gradient", norm)
	}
	if err != nil {
		return err
	}
	t.muon.LR, t.muon.SGD.LR = t.rate(t.config.MuonLR, t.step), t.rate(t.config.LR, t.step)
	if err := t.muon.Step(t.model.Learnables()); err != nil {
		return err
	}
	t.step++
	t.since = sums{t.since.Steps + 1, t.since.Loss + loss, t.since.Correct + correct}
	return nil
}

// point is the line of history for the steps since the last one.
func (t *Trainer) point() Point {
	steps, batch := t.since.Steps, t.config.Batch
	return Point{
		Phase: "train", Step: t.step, Steps: t.Steps(), Epoch: (t.step - 1) * batch / t.data.Len(),
		LossTrain:     t.since.Loss / float64(steps),
		AccuracyTrain: float64(t.since.Correct) / float64(steps*batch),
		LR:            t.muon.SGD.LR,
	}
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

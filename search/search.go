// SPDX-License-Identifier: Apache-2.0

package search

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"

	"github.com/edgenas/edgenas/arch"
	"github.com/edgenas/edgenas/internal/autodiff"
	"github.com/edgenas/edgenas/internal/kernels"
	"github.com/edgenas/edgenas/ops"
)

// Source hands out training batches, each image once an epoch. Its JSON is
// its position, so that a search can go on where it stopped.
type Source interface {
	// Next fills x (N,H,W,C, normalised) and y (class indices) with one batch.
	Next(x []float32, y []int32)
	// Len is the number of images of an epoch.
	Len() int
	json.Marshaler
	json.Unmarshaler
}

// Point is a line of history: the search after a step. What is not known then
// is nil.
type Point struct {
	Phase            string        `json:"phase"` // "search"
	Epoch            int           `json:"epoch"`
	Step             int           `json:"step"`
	Steps            int           `json:"steps"` // of the whole search
	LossTrain        float64       `json:"loss_train"`
	GradNorm         *float64      `json:"grad_norm,omitempty"`    // of the weights, before it is clipped
	Path             string        `json:"path,omitempty"`         // network that the weights learned with, if it is one
	LossVal          *float64      `json:"loss_val,omitempty"`     // of α's step; nil during the warm-up
	AccuracyVal      *float64      `json:"accuracy_val,omitempty"` // likewise, 0…1
	Alpha            [][][]float64 `json:"alpha"`                  // softmax, α, row, column
	AlphaEntropy     float64       `json:"alpha_entropy"`
	SkipShare        float64       `json:"skip_share"`
	Lambda           float64       `json:"lambda"`
	Temperature      *float64      `json:"temperature,omitempty"` // of the last sample; nil where the relaxation has none
	ExpectedLatencyS float64       `json:"expected_latency_s"`
	DerivedLatencyS  *float64      `json:"derived_latency_s,omitempty"` // nil: the derived cell is no network
	Derived          string        `json:"derived"`
	Warning          string        `json:"warning,omitempty"`
}

// Problem is what a search works on: a supernet, and the networks that it stands
// for.
type Problem struct {
	Proxy  arch.Space // of the supernet; may have fewer cells than Target
	Target arch.Space // of the derived network; the same α
	Costs  Costs      // of Target's networks
	// Weights and Alpha are the two halves of the training images.
	Weights, Alpha Source
	// Threads is how many threads the search runs on; 0: one for each CPU. It
	// never changes a result.
	Threads int
}

// Search is a search in progress.
type Search struct {
	config      Config
	problem     Problem
	relaxations []Relaxation // of each α: they remember their last Forward
	model       *autodiff.Model[float32]
	sgd         *autodiff.SGD[float32]
	adam        *autodiff.Adam[float64]
	pcg         *rand.PCG
	rng         *rand.Rand
	catalogue   *Catalogue
	expected    *Expected

	alphas     []arch.Alpha
	alpha      []*autodiff.Param[float64] // α and its gradient
	learn      []autodiff.Learnable       // the same, for the solver
	p          [][]float64                // softmax(α)
	multiplier Multiplier
	step       int

	derived  arch.Choice // from α
	derivedS float64     // what it costs: nothing if it is dead
	dead     bool        // it is no network
}

// New prepares a search. It returns an *InfeasibleError if no network keeps the
// budget: nothing is trained then.
func New(c Config, pr Problem) (*Search, error) {
	relaxation, err := NewRelaxation(c.Method)
	if err != nil {
		return nil, err
	}
	if err := c.check(); err != nil {
		return nil, err
	}
	s := &Search{config: c, problem: pr, alphas: pr.Target.Alphas()}
	if proxy := pr.Proxy.Alphas(); !reflect.DeepEqual(proxy, s.alphas) {
		return nil, fmt.Errorf("search: the supernet decides %v: want %v, which the network does", proxy, s.alphas)
	}
	if s.catalogue, err = NewCatalogue(pr.Target, pr.Costs); err != nil {
		return nil, err
	}
	s.pcg = rand.NewPCG(c.Seed, 0)
	s.rng = rand.New(s.pcg)
	for _, a := range s.alphas {
		n := len(a.Rows) * len(a.Ops)
		p := autodiff.NewParam(a.Name, make([]float64, n), make([]float64, n))
		for i := range p.W {
			p.W[i] = 1e-3 * s.rng.NormFloat64()
		}
		s.alpha, s.learn = append(s.alpha, p), append(s.learn, p)
		s.p, s.relaxations = append(s.p, make([]float64, n)), append(s.relaxations, relaxation.New())
	}
	s.relax()
	if _, err := s.catalogue.Discretise(s.p, c.limit(), 1); err != nil { // before any work
		return nil, err
	}
	matrix, err := NewMatrix(pr.Target, pr.Costs)
	if err != nil {
		return nil, err
	}
	if s.expected, err = NewExpected(pr.Target, matrix); err != nil {
		return nil, err
	}
	if s.model, err = newSupernet(pr.Proxy, c.Batch, pr.Threads, relaxation.Paths(), s.rng); err != nil {
		return nil, err
	}
	s.sgd = &autodiff.SGD[float32]{LR: c.LR, Momentum: c.Momentum, WeightDecay: c.WeightDecay, Nesterov: true}
	s.adam = &autodiff.Adam[float64]{
		LR: c.AlphaLR, Beta1: 0.5, Beta2: 0.999, Epsilon: 1e-8, WeightDecay: c.AlphaWeightDecay,
	}
	// λ can reach the size of the loss within a tenth of the steps.
	s.multiplier.Rate = 10 / float64(max(1, s.Steps()-s.warmup()))
	return s, s.derive()
}

// newSupernet compiles a supernet for the threads that Run will have, and draws
// its weights. With paths, one operation of each row is open at a time.
func newSupernet(space arch.Space, batch, threads int, paths bool, rng *rand.Rand) (*autodiff.Model[float32], error) {
	graph, err := space.Supernet(batch)
	if err != nil {
		return nil, err
	}
	pool := kernels.NewWorkers(threads)
	defer pool.Close()
	options := autodiff.Options{Pool: pool, Paths: paths}
	for _, a := range space.Alphas() {
		options.Alphas = append(options.Alphas, [2]int{len(a.Rows), len(a.Ops)})
	}
	model, err := autodiff.Compile[float32](graph, options)
	if err != nil {
		return nil, err
	}
	return model, model.Load(ops.InitWeights(graph, rng))
}

func (s *Search) perEpoch() int {
	return max(1, min(s.problem.Weights.Len(), s.problem.Alpha.Len())/s.config.Batch)
}

// Step returns the number of steps done so far.
func (s *Search) Step() int { return s.step }

// Steps returns the number of steps of the whole search.
func (s *Search) Steps() int { return s.config.Epochs * s.perEpoch() }

func (s *Search) warmup() int { return s.config.WarmupEpochs * s.perEpoch() }

// Run does the remaining steps and returns the networks that keep the budget,
// best first. It calls progress, unless that is nil, after each step; a Point
// holds slices of its own. It stops between two steps when ctx ends and returns
// its error, and returns a *DivergedError for a step whose figures are not
// finite.
func (s *Search) Run(ctx context.Context, progress func(Point)) ([]Candidate, error) {
	pool := kernels.NewWorkers(s.problem.Threads)
	defer pool.Close()
	s.model.SetPool(pool)
	s.sgd.Pool = pool
	for s.step < s.Steps() {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		pt, err := s.oneStep()
		if err != nil {
			return nil, err
		}
		if progress != nil {
			progress(pt)
		}
	}
	best, err := s.catalogue.Discretise(s.p, s.config.limit(), s.config.Candidates)
	if err != nil {
		return nil, err
	}
	return s.rerank(ctx, best)
}

// oneStep lets the weights learn from one batch, and after the warm-up α from
// one of its own.
func (s *Search) oneStep() (Point, error) {
	pt := Point{Phase: "search", Step: s.step + 1, Steps: s.Steps(), Epoch: s.step / s.perEpoch()}
	loss, norm, err := s.weightStep()
	if err != nil {
		return pt, err
	}
	pt.LossTrain, pt.GradNorm = loss, &norm
	if s.step >= s.warmup() {
		loss, accuracy, err := s.alphaStep()
		if err != nil {
			return pt, err
		}
		pt.LossVal, pt.AccuracyVal = &loss, &accuracy
	}
	s.step++
	s.describe(&pt)
	return pt, nil
}

// weightStep moves the weights. It returns the loss before, and the norm of the
// gradient before it is clipped.
func (s *Search) weightStep() (loss, norm float64, err error) {
	s.sample()
	s.problem.Weights.Next(s.model.Input(), s.model.Labels())
	loss, _ = s.model.Step(autodiff.Weights)
	if err := s.diverged("the training loss", loss); err != nil {
		return 0, 0, err
	}
	norm, err = autodiff.ClipGradNorm[float32](s.model.Learnables(), s.config.Clip)
	if errors.Is(err, autodiff.ErrNotFinite) {
		return 0, 0, s.diverged("the norm of the weights' gradient", norm)
	}
	if err != nil {
		return 0, 0, err
	}
	s.sgd.LR = autodiff.CosineLR(s.config.LR, s.config.LRMin, s.step, s.Steps())
	return loss, norm, s.sgd.Step(s.model.Learnables())
}

// alphaStep moves α and λ, and returns what the supernet made of the batch
// before.
func (s *Search) alphaStep() (loss, accuracy float64, err error) {
	s.sample()
	s.problem.Alpha.Next(s.model.Input(), s.model.Labels())
	loss, correct := s.model.Step(autodiff.Alpha)
	if err := s.diverged("the validation loss", loss); err != nil {
		return 0, 0, err
	}
	s.alphaGradient(s.mixtureGradient())
	if err := s.adam.Step(s.learn); err != nil {
		return 0, 0, err
	}
	if err := s.alphaDiverged(); err != nil {
		return 0, 0, err
	}
	s.relax()
	if err := s.derive(); err != nil {
		return 0, 0, err
	}
	if s.config.BudgetS > 0 {
		expectedS := s.expected.Value(s.p, nil, 0)
		if s.dead {
			expectedS = 0
		}
		s.multiplier.Update(expectedS, s.config.BudgetS)
	}
	return loss, float64(correct) / float64(s.config.Batch), nil
}

// describe adds to a point where α stands.
func (s *Search) describe(pt *Point) {
	pt.AlphaEntropy = entropy(s.p, s.alphas)
	pt.SkipShare = skipShare(s.derived, s.alphas, s.problem.Target.Cells())
	pt.Lambda = s.multiplier.Lambda
	pt.Temperature = temperature(s.relaxations[0])
	pt.ExpectedLatencyS = s.expected.Value(s.p, nil, 0)
	if !s.dead {
		seconds := s.derivedS
		pt.DerivedLatencyS = &seconds
	}
	pt.Derived = s.problem.Target.Notation(s.derived)
	pt.Warning = collapse(pt.SkipShare, pt.AlphaEntropy)
	pt.Alpha = byRow(s.p, s.alphas)
}

// byRow copies the mixture weights of each α row by row.
func byRow(p [][]float64, alphas []arch.Alpha) (all [][][]float64) {
	for i, a := range alphas {
		rows := make([][]float64, len(a.Rows))
		for r := range rows {
			rows[r] = slices.Clone(p[i][r*len(a.Ops) : (r+1)*len(a.Ops)])
		}
		all = append(all, rows)
	}
	return all
}

// relax sets p = softmax(α).
func (s *Search) relax() {
	for i, a := range s.alpha {
		softmax(s.p[i], a.W, len(s.alphas[i].Ops), 1)
	}
}

// sample sets the supernet's mixture weights and gates by the relaxation.
func (s *Search) sample() {
	progress := float64(max(0, s.step-s.warmup())) / float64(max(1, s.Steps()-s.warmup()))
	for i, a := range s.alpha {
		openRelaxed(s.model.Alpha(i), s.relaxations[i], a.W, progress, s.rng)
	}
}

// openRelaxed sets mixture weights and gates by a relaxation of α.
func openRelaxed(m autodiff.Mixture[float32], r Relaxation, alpha []float64, progress float64, rng *rand.Rand) {
	p := make([]float64, len(alpha))
	r.Forward(alpha, p, m.Open, m.Cols, progress, rng)
	for j, v := range p {
		m.P[j] = float32(v)
	}
}

// mixtureGradient returns the gradient of the images' loss by the mixture
// weights, after a supernet step.
func (s *Search) mixtureGradient() (dp [][]float64) {
	for i := range s.alpha {
		dp = append(dp, float64s(s.model.Alpha(i).DP))
	}
	return dp
}

func float64s(v []float32) []float64 {
	wide := make([]float64, len(v))
	for i, x := range v {
		wide[i] = float64(x)
	}
	return wide
}

// alphaGradient sets the gradient of α's whole loss, given that of the images'
// loss by the mixture weights.
func (s *Search) alphaGradient(dp [][]float64) {
	c := s.config
	progress := float64(s.step) / float64(s.Steps())
	latency := make([][]float64, len(s.alpha))
	for i, a := range s.alpha {
		clear(a.G)
		cols := len(s.alphas[i].Ops)
		s.relaxations[i].Backward(dp[i], a.G, cols)
		betaDecay(s.p[i], a.G, cols, c.BetaDecay*progress)
		latency[i] = make([]float64, len(dp[i]))
	}
	if s.multiplier.Lambda > 0 {
		s.expected.Value(s.p, latency, s.multiplier.Lambda/c.BudgetS)
		for i, a := range s.alpha {
			softmaxGradient(a.G, s.p[i], latency[i], len(s.alphas[i].Ops), 1)
		}
	}
	for i, a := range s.alpha {
		centre(a.G, len(s.alphas[i].Ops))
	}
}

// centre takes each row's mean off. A row of α that shifts as a whole changes
// no mixture weight; only β-decay has such a part, and Adam, which scales
// steps by the size of the gradient, would spend them on it.
func centre(grad []float64, cols int) {
	for at := 0; at < len(grad); at += cols {
		mean := 0.0
		for _, g := range grad[at : at+cols] {
			mean += g / float64(cols)
		}
		for i := at; i < at+cols; i++ {
			grad[i] -= mean
		}
	}
}

// derive updates the choice that the space derives from α, and its latency. A
// cell that is no network takes no time.
func (s *Search) derive() error {
	d := s.problem.Target.Derive(s.p)
	if d.Equal(s.derived) {
		return nil
	}
	seconds, err := s.problem.Costs.Latency(d)
	s.dead = errors.Is(err, arch.ErrDead)
	if err != nil && !s.dead {
		return fmt.Errorf("search: step %d: the derived network: %w", s.step+1, err)
	}
	s.derived, s.derivedS = d, seconds
	return nil
}

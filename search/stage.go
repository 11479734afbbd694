// SPDX-License-Identifier: Apache-2.0

package search

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"

	"github.com/edgenas/edgenas/arch"
	"github.com/edgenas/edgenas/internal/autodiff"
	"github.com/edgenas/edgenas/internal/kernels"
)

// StageConfig is how a Stage learns. Zero fields are not filled in: start from
// DefaultStageConfig.
type StageConfig struct {
	Method string `json:"method"` // one of Methods
	Seed   uint64 `json:"seed"`
	Steps  int    `json:"steps"` // of the weights; α learns beside them after the first quarter
	Batch  int    `json:"batch"`
	// Judged is how many networks, the first by α, are judged with the
	// supernet's weights at the end.
	Judged int `json:"judged"`

	LR          float64 `json:"lr"`     // of the weights, once warmed up; they learn by SGD with Nesterov momentum
	LRMin       float64 `json:"lr_min"` // at the end of its cosine schedule
	Momentum    float64 `json:"momentum"`
	WeightDecay float64 `json:"weight_decay"`
	Clip        float64 `json:"clip"`     // greatest norm of the weights' gradient
	AlphaLR     float64 `json:"alpha_lr"` // of α, which learns by Adam with betas 0.9 and 0.99
}

// DefaultStageConfig returns the configuration of a stage of this many steps.
func DefaultStageConfig(steps int) StageConfig {
	return StageConfig{
		Method: Reinforce, Steps: steps, Batch: 64, Judged: 64,
		LR: 0.05, LRMin: 0.001, Momentum: 0.9, WeightDecay: 5e-4, Clip: 5, AlphaLR: 0.01,
	}
}

const (
	warmupShare = 0.05 // of the steps, in which the weights' rate rises to LR
	alphaFrom   = 0.25 // share of the steps before α begins to learn
	alphaPaths  = 4    // networks that an α step compares on one batch
	judgeImages = 1024 // on which networks are judged at the end
	kappa       = 0.05 // a loss that is lower by κ makes a network e times as likely as the prior does
)

// alphaCost is what α adds to a step, on average over a stage, relative to what the
// weights' learning costs: the forward passes of the networks that it compares, a
// third of that each.
const alphaCost = alphaPaths * (1 - alphaFrom) / 3

// StageSteps is how many steps the work is enough for, where learning from an
// image costs the networks so many operations on average: one of the weights
// each, and α's comparisons beside it.
func StageSteps(work, operations float64, batch int) int {
	return max(1, int(work/((1+alphaCost)*operations*float64(batch))))
}

// check returns an error that names the first field that makes no sense.
func (c *StageConfig) check() error {
	switch {
	case c.Steps < 1:
		return fmt.Errorf("search: %d steps: want at least 1", c.Steps)
	case c.Batch < 1:
		return fmt.Errorf("search: batch of %d: want at least 1", c.Batch)
	case c.Judged < 0:
		return fmt.Errorf("search: %d networks to be judged: want at least 0", c.Judged)
	}
	return nil
}

// StageProblem is what a Stage works on.
type StageProblem struct {
	Proxy arch.Space // of the supernet; has the α of the networks
	// Networks are the different networks to choose from, in canonical form:
	// no other path is ever trained or compared.
	Networks []arch.Choice
	LatencyS []float64 // predicted latency of each
	Prior    []float64 // what is thought of each before: more is better
	LimitS   float64   // of the expected latency; +Inf: none
	// Weights and Alpha are the images that the weights and α learn from.
	Weights, Alpha Source
	// Threads is how many threads the stage runs on; 0: one for each CPU. It
	// never changes a result.
	Threads int
}

// check returns an error that names the first thing that makes no sense.
func (pr *StageProblem) check() error {
	n := len(pr.Networks)
	switch {
	case n == 0:
		return errors.New("search: no networks to choose from")
	case len(pr.LatencyS) != n || len(pr.Prior) != n:
		return fmt.Errorf("search: %d latencies and %d priors of %d networks", len(pr.LatencyS), len(pr.Prior), n)
	case !(pr.LimitS > 0):
		return fmt.Errorf("search: limit of %g s: want a positive number", pr.LimitS)
	}
	for i := range n {
		if !(pr.LatencyS[i] > 0) || math.IsInf(pr.LatencyS[i], 1) || !isFinite(pr.Prior[i]) {
			return fmt.Errorf("search: network %d: latency of %g s and prior %g: want finite numbers", i,
				pr.LatencyS[i], pr.Prior[i])
		}
	}
	return nil
}

// Stage is the differentiable stage of a search. A supernet of low resolution
// learns one path a step, the paths drawn evenly from a list of different
// networks. After a quarter of the steps α learns as well, by Adam on
//
//	E_π[L_val] + λ·(E_π[latency]/limit − 1) + κ·KL(π‖π₀)
//
// π is the distribution that α gives to the networks of the list, π₀ that of
// the prior, in which α begins. The first term's gradient is estimated by the
// score function: a step draws a few networks by π and compares their losses on
// one held-out batch. The other terms are sums over the list. At the minimum π
// is near π₀·exp(−L_val/κ): as long as the supernet does not tell networks
// apart, α stays with the prior.
//
// That is the method [Reinforce]. With a [Relaxation] in its place, the first
// term is the loss of the relaxed supernet, and its gradient the relaxation's;
// one that mixes all operations trains them all in each step.
//
// Source: Williams, Simple statistical gradient-following algorithms, 1992
// (REINFORCE); the baseline of each network is the mean of the others' losses:
// Kool, van Hoof and Welling, Buy 4 REINFORCE samples, get a baseline for free,
// 2019.
type Stage struct {
	config  StageConfig
	problem StageProblem
	alphas  []arch.Alpha
	model   *autodiff.Model[float32]
	sgd     *autodiff.SGD[float32]
	adam    *autodiff.Adam[float64]
	pcg     *rand.PCG
	rng     *rand.Rand
	policy  *policy
	occurs  [][]bool     // entries of α that networks of the list have
	relaxed []Relaxation // of each α; nil for Reinforce
	paths   bool         // whether the weights learn one network at a time

	alpha      []*autodiff.Param[float64] // α and its gradient
	learn      []autodiff.Learnable       // the same, for the solver
	w, g       [][]float64                // the same, by α
	w0         [][]float64                // α at first
	p          [][]float64                // softmax(α)
	multiplier Multiplier
	step       int

	cycle int   // of the weights' paths: each network once
	order []int // in it
}

// Scores is what a stage found out about each network of its list.
type Scores struct {
	// Alpha is Σ over the edges of α, each row's mean taken off: more is better.
	Alpha []float64
	// Loss is the loss with the supernet's weights on held-out images, the same
	// for all; NaN for a network that was not judged.
	Loss []float64
	// Preferred is the operation with the greatest α on each edge.
	Preferred arch.Choice
	// Entropy of α, as a share of the greatest possible.
	Entropy float64
	// Undecided says that α is no more decided than the prior was.
	Undecided bool
}

// NewStage prepares a stage.
func NewStage(c StageConfig, pr StageProblem) (*Stage, error) {
	if err := errors.Join(c.check(), pr.check()); err != nil {
		return nil, err
	}
	s := &Stage{config: c, problem: pr, alphas: pr.Proxy.Alphas(), cycle: -1, paths: true}
	for i, n := range pr.Networks {
		if err := fits(s.alphas, n); err != nil {
			return nil, fmt.Errorf("search: network %d: %w", i, err)
		}
	}
	s.pcg = rand.NewPCG(c.Seed, 0)
	s.rng = rand.New(s.pcg)
	s.policy = newPolicy(s.alphas, pr.Networks)
	s.occurs = s.policy.occurs()
	for i, start := range s.start() {
		p := autodiff.NewParam(s.alphas[i].Name, slices.Clone(start), make([]float64, len(start)))
		s.w0 = append(s.w0, start)
		s.alpha, s.learn = append(s.alpha, p), append(s.learn, p)
		s.w, s.g, s.p = append(s.w, p.W), append(s.g, p.G), append(s.p, make([]float64, len(start)))
	}
	s.relax()
	if c.Method != Reinforce {
		for range s.alphas {
			r, err := NewRelaxation(c.Method)
			if err != nil {
				return nil, err
			}
			s.relaxed, s.paths = append(s.relaxed, r), r.Paths()
		}
	}
	var err error
	if s.model, err = newSupernet(pr.Proxy, c.Batch, pr.Threads, s.paths, s.rng); err != nil {
		return nil, err
	}
	s.sgd = &autodiff.SGD[float32]{LR: c.LR, Momentum: c.Momentum, WeightDecay: c.WeightDecay, Nesterov: true}
	s.adam = &autodiff.Adam[float64]{LR: c.AlphaLR, Beta1: 0.9, Beta2: 0.99, Epsilon: 1e-8}
	// λ can reach the size of the loss within a tenth of α's steps.
	s.multiplier.Rate = 10 / float64(max(1, c.Steps-s.alphaStart()))
	return s, nil
}

// fits returns an error unless c has one column for each row of the α.
func fits(alphas []arch.Alpha, c arch.Choice) error {
	ok := len(c) == len(alphas)
	for i := 0; ok && i < len(c); i++ {
		ok = len(c[i]) == len(alphas[i].Rows) &&
			!slices.ContainsFunc(c[i], func(col int) bool { return col < 0 || col >= len(alphas[i].Ops) })
	}
	if !ok {
		return fmt.Errorf("%v is no choice of the supernet", c)
	}
	return nil
}

// start is α at first: the prior's log-odds, made so sharp that the entropy of
// α is that of a decided one and no less. Operations that no network has on an
// edge have no weight there.
func (s *Stage) start() [][]float64 {
	odds := s.policy.logOdds(s.problem.Prior)
	scaled := make([][]float64, len(odds))
	p := make([][]float64, len(odds))
	for i := range odds {
		scaled[i], p[i] = make([]float64, len(odds[i])), make([]float64, len(odds[i]))
	}
	sharpen := func(scale float64) float64 {
		for i := range odds {
			for j, v := range odds[i] {
				scaled[i][j] = scale * v
				if !s.occurs[i][j] {
					scaled[i][j] = absent
				}
			}
			softmax(p[i], scaled[i], s.policy.columns[i], 1)
		}
		return maskedEntropy(p, s.occurs, s.policy.columns)
	}
	low, high := 0.0, sharpest
	for range 50 {
		if middle := (low + high) / 2; sharpen(middle) > decided {
			low = middle
		} else {
			high = middle
		}
	}
	sharpen(low)
	return scaled
}

// sharpest bounds the factor on the prior's log-odds: a prior that hardly
// tells operations apart leaves α near uniform.
const sharpest = 10.0

// absent is the α of an operation that no network has: exp(absent) is 0.
const absent = -1e3

// alphaStart is the number of steps in which α stays as it is.
func (s *Stage) alphaStart() int { return int(alphaFrom * float64(s.config.Steps)) }

// Step returns the number of steps done so far.
func (s *Stage) Step() int { return s.step }

// Steps returns the number of steps of the whole stage.
func (s *Stage) Steps() int { return s.config.Steps }

// Run does the remaining steps and returns what was found out about each
// network. It calls progress, unless that is nil, after each step; a Point
// holds slices of its own. It stops between two steps when ctx ends and returns
// its error, and returns a *DivergedError for a step whose figures are not
// finite.
func (s *Stage) Run(ctx context.Context, progress func(Point)) (Scores, error) {
	pool := kernels.NewWorkers(s.problem.Threads)
	defer pool.Close()
	s.model.SetPool(pool)
	s.sgd.Pool = pool
	for s.step < s.config.Steps {
		if err := ctx.Err(); err != nil {
			return Scores{}, err
		}
		pt, err := s.oneStep()
		if err != nil {
			return Scores{}, err
		}
		if progress != nil {
			progress(pt)
		}
	}
	return s.scores(ctx)
}

// oneStep lets the weights learn from one batch, and after the first quarter α
// from one of its own.
func (s *Stage) oneStep() (Point, error) {
	perEpoch := max(1, s.problem.Weights.Len()/s.config.Batch)
	pt := Point{Phase: "search", Step: s.step + 1, Steps: s.config.Steps, Epoch: s.step / perEpoch}
	if s.paths {
		n := s.problem.Networks[s.path(s.step)]
		pt.Path = s.problem.Proxy.Notation(n)
		openOnly(s.model, n)
	} else {
		s.open()
	}
	loss, norm, err := s.weightStep()
	if err != nil {
		return pt, err
	}
	pt.LossTrain, pt.GradNorm = loss, &norm
	if s.step >= s.alphaStart() {
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

// path is the network that the weights learn with in a step: each of the list
// once before any comes again.
func (s *Stage) path(step int) int {
	n := len(s.problem.Networks)
	if cycle := step / n; cycle != s.cycle {
		s.cycle, s.order = cycle, rand.New(rand.NewPCG(s.config.Seed, uint64(1+cycle))).Perm(n)
	}
	return s.order[step%n]
}

// open sets the supernet's mixture weights and gates by the relaxation.
func (s *Stage) open() {
	from := s.alphaStart()
	progress := float64(max(0, s.step-from)) / float64(max(1, s.config.Steps-from))
	for i, w := range s.w {
		openRelaxed(s.model.Alpha(i), s.relaxed[i], w, progress, s.rng)
	}
}

// weightStep moves the weights of what is open. It returns the loss before and
// the norm of the gradient before it is clipped.
func (s *Stage) weightStep() (loss, norm float64, err error) {
	c := s.config
	s.problem.Weights.Next(s.model.Input(), s.model.Labels())
	loss, _ = s.model.Step(autodiff.Weights)
	if err := s.finite("the training loss", loss); err != nil {
		return 0, 0, err
	}
	norm, err = autodiff.ClipGradNorm[float32](s.model.Learnables(), c.Clip)
	if errors.Is(err, autodiff.ErrNotFinite) {
		return 0, 0, s.finite("the norm of the weights' gradient", norm)
	}
	if err != nil {
		return 0, 0, err
	}
	s.sgd.LR = autodiff.CosineLR(c.LR, c.LRMin, s.step, c.Steps)
	s.sgd.LR *= min(1, float64(s.step+1)/(warmupShare*float64(c.Steps)))
	return loss, norm, s.sgd.Step(s.model.Learnables())
}

// alphaStep moves α and λ, and returns what the supernet made of the batch; of
// several networks, the mean.
func (s *Stage) alphaStep() (loss, accuracy float64, err error) {
	s.problem.Alpha.Next(s.model.Input(), s.model.Labels())
	for _, g := range s.g {
		clear(g)
	}
	correct := 0.0
	if s.relaxed == nil {
		loss, correct = s.compare()
	} else {
		loss, correct = s.differentiate()
	}
	if err := s.finite("the validation loss", loss); err != nil {
		return 0, 0, err
	}
	return loss, correct / float64(s.config.Batch), s.moveAlpha()
}

// compare adds the score function's gradient of the batch's loss to that of α.
func (s *Stage) compare() (loss, correct float64) {
	var drawn [alphaPaths]int
	var losses [alphaPaths]float64
	for k := range drawn {
		drawn[k] = s.policy.draw(s.rng)
		openOnly(s.model, s.problem.Networks[drawn[k]])
		l, right := s.model.Forward()
		losses[k] = l
		loss, correct = loss+l/alphaPaths, correct+float64(right)/alphaPaths
	}
	scoreGradient(s.policy, s.g, drawn[:], losses[:])
	return loss, correct
}

// differentiate adds the relaxation's gradient of the batch's loss to that of α.
func (s *Stage) differentiate() (loss, correct float64) {
	s.open()
	loss, right := s.model.Step(autodiff.Alpha)
	for i, r := range s.relaxed {
		r.Backward(float64s(s.model.Alpha(i).DP), s.g[i], s.policy.columns[i])
	}
	return loss, float64(right)
}

// moveAlpha moves α and λ, given the gradient of the images' loss.
func (s *Stage) moveAlpha() error {
	s.knownGradient()
	if err := s.adam.Step(s.learn); err != nil {
		return err
	}
	for _, w := range s.w {
		for _, v := range w {
			if !isFinite(v) {
				return &DivergedError{s.step + 1, "α", v, s.config.AlphaLR, alphaLRFlag}
			}
		}
	}
	s.relax()
	if !math.IsInf(s.problem.LimitS, 1) {
		s.multiplier.Update(s.policy.expect(s.problem.LatencyS), s.problem.LimitS)
	}
	return nil
}

// knownGradient adds the gradient of what needs no images to that of α: the
// expected latency, and the distance from the prior.
func (s *Stage) knownGradient() {
	known := make([]float64, len(s.problem.Networks))
	for n, t := range s.problem.LatencyS {
		known[n] = s.multiplier.Lambda*t/s.problem.LimitS + kappa*(s.policy.score(s.w, n)-s.policy.score(s.w0, n))
	}
	s.policy.expectGradient(s.g, known, 1)
}

// scoreGradient adds the score function's estimate of the gradient of the
// policy's expected loss, given the losses of some networks drawn by it. The
// baseline of each is the mean loss of the others, which does not depend on it.
func scoreGradient(p *policy, grad [][]float64, drawn []int, losses []float64) {
	mean := 0.0
	for _, l := range losses {
		mean += l / float64(len(losses))
	}
	for k, n := range drawn {
		p.scoreFunction(grad, n, (losses[k]-mean)/float64(len(losses)-1))
	}
}

// relax makes p and the policy those of α.
func (s *Stage) relax() {
	for i, w := range s.w {
		softmax(s.p[i], w, s.policy.columns[i], 1)
	}
	s.policy.set(s.w)
}

// preferred is the operation with the greatest α on each edge, among those that
// occur.
func (s *Stage) preferred() arch.Choice {
	c := make(arch.Choice, len(s.alphas))
	for i, a := range s.alphas {
		for row := range a.Rows {
			weights := s.p[i][row*len(a.Ops):][:len(a.Ops)]
			c[i] = append(c[i], slices.Index(weights, slices.Max(weights)))
		}
	}
	return c
}

// describe adds to a point where α stands.
func (s *Stage) describe(pt *Point) {
	pt.AlphaEntropy = maskedEntropy(s.p, s.occurs, s.policy.columns)
	pt.Lambda = s.multiplier.Lambda
	if s.relaxed != nil && pt.LossVal != nil {
		pt.Temperature = temperature(s.relaxed[0])
	}
	pt.ExpectedLatencyS = s.policy.expect(s.problem.LatencyS)
	best := slices.Index(s.policy.pi, slices.Max(s.policy.pi))
	derived := s.problem.Networks[best]
	seconds := s.problem.LatencyS[best]
	pt.DerivedLatencyS, pt.Derived = &seconds, s.problem.Proxy.Notation(derived)
	pt.SkipShare = skipShare(derived, s.alphas, s.problem.Proxy.Cells())
	pt.Warning = collapse(pt.SkipShare, pt.AlphaEntropy)
	pt.Alpha = byRow(s.p, s.alphas)
}

// scores judges networks and returns what is known of each.
func (s *Stage) scores(ctx context.Context) (Scores, error) {
	w := centred(s.w, s.occurs, s.policy.columns)
	r := Scores{Preferred: s.preferred(), Entropy: maskedEntropy(s.p, s.occurs, s.policy.columns)}
	r.Undecided = r.Entropy >= decided
	order := make([]int, len(s.problem.Networks))
	for n := range order {
		order[n] = n
		r.Alpha, r.Loss = append(r.Alpha, s.policy.score(w, n)), append(r.Loss, math.NaN())
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(r.Alpha[b], r.Alpha[a]) })
	return r, s.judge(ctx, order[:min(len(order), s.config.Judged)], r.Loss)
}

// judge sets the loss of some networks with the supernet's weights on images of
// α's, batch norms using each batch's own statistics. It leaves the state as it
// was, so that doing it again gives the same.
func (s *Stage) judge(ctx context.Context, networks []int, losses []float64) (err error) {
	position, err := s.problem.Alpha.MarshalJSON()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.problem.Alpha.UnmarshalJSON(position)) }()
	batches := max(1, min(judgeImages, s.problem.Alpha.Len())/s.config.Batch)
	for _, n := range networks {
		losses[n] = 0
	}
	for range batches {
		s.problem.Alpha.Next(s.model.Input(), s.model.Labels())
		for _, n := range networks {
			if err := ctx.Err(); err != nil {
				return err
			}
			openOnly(s.model, s.problem.Networks[n])
			loss, _ := s.model.Forward()
			if !isFinite(loss) {
				return &DivergedError{s.step, "a network's loss", loss, s.config.LR, searchLRFlag}
			}
			losses[n] += loss / float64(batches)
		}
	}
	return nil
}

// finite returns a *DivergedError of the current step, which advises a lower
// learning rate of the weights, unless v is finite.
func (s *Stage) finite(quantity string, v float64) error {
	if isFinite(v) {
		return nil
	}
	return &DivergedError{s.step + 1, quantity, v, s.config.LR, searchLRFlag}
}

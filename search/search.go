// SPDX-License-Identifier: Apache-2.0

package search

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
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

// Config is what a search is asked for. Zero fields are not filled in: start
// from DefaultConfig.
type Config struct {
	Method       string  `json:"method"`
	Seed         uint64  `json:"seed"`
	Epochs       int     `json:"epochs"`
	WarmupEpochs int     `json:"warmup_epochs"` // α stays as it is
	Batch        int     `json:"batch"`
	BudgetS      float64 `json:"budget_s"`   // less its guard band; +Inf cannot be written: 0 is no budget
	Candidates   int     `json:"candidates"` // re-ranked with shared weights

	LR, LRMin, Momentum, WeightDecay, Clip float64 // of the weights: SGD with Nesterov momentum, cosine schedule
	AlphaLR                                float64 // of α: Adam with betas 0.5 and 0.999
	AlphaWeightDecay                       float64
	BetaDecay                              float64 // λ of β-decay at the end; it grows linearly from 0
}

// DefaultConfig is the main job's: minutes on two cores.
func DefaultConfig() Config {
	return Config{Method: DefaultMethod, Epochs: 2, WarmupEpochs: 1, Batch: 64, Candidates: 100,
		LR: 0.05, LRMin: 0.001, Momentum: 0.9, WeightDecay: 5e-4, Clip: 5,
		AlphaLR: 0.02, BetaDecay: 1}
}

// State is everything that a search has learned so far: written out and read
// again, the search goes on as if it had never stopped.
type State struct {
	Step       int                     `json:"step"` // the next one
	Alpha      [][]float64             `json:"alpha"`
	Adam       autodiff.State[float64] `json:"adam"` // of α
	Multiplier Multiplier              `json:"multiplier"`
	RNG        []byte                  `json:"rng"`         // PCG
	WeightData json.RawMessage         `json:"weight_data"` // positions in the two halves
	AlphaData  json.RawMessage         `json:"alpha_data"`
	Supernet   ops.Weights             `json:"-"` // kept as tensors beside the JSON
	SGD        autodiff.State[float32] `json:"-"`
}

// Point is a line of history: the search after a step.
type Point struct {
	Phase            string        `json:"phase"` // "search"
	Epoch            int           `json:"epoch"`
	Step             int           `json:"step"`
	Steps            int           `json:"steps"` // of the whole search
	LossTrain        float64       `json:"loss_train"`
	LossVal          float64       `json:"loss_val,omitempty"` // of α's step: none during the warm-up
	AccuracyVal      float64       `json:"accuracy_val,omitempty"`
	Alpha            [][][]float64 `json:"alpha"` // softmax, α, row, column
	AlphaEntropy     float64       `json:"alpha_entropy"`
	SkipShare        float64       `json:"skip_share"`
	Lambda           float64       `json:"lambda"`
	ExpectedLatencyS float64       `json:"expected_latency_s"`
	DerivedLatencyS  float64       `json:"derived_latency_s"` // 0: the derived cell is no network
	Derived          string        `json:"derived"`
	Warning          string        `json:"warning,omitempty"`
}

// Problem is what is searched: a supernet, and the networks that it stands for.
type Problem struct {
	Proxy  arch.Space // of the supernet; may have fewer cells than Target
	Target arch.Space // of the derived network; the same α
	Costs  Costs      // of Target's networks
	// Weights and Alpha are the two halves of the training images.
	Weights, Alpha Source
	Pool           *kernels.Workers
}

// Search is a search in progress.
type Search struct {
	config    Config
	problem   Problem
	methods   []Method // of each α: they remember their last Forward
	model     *autodiff.Model[float32]
	sgd       *autodiff.SGD[float32]
	adam      *autodiff.Adam[float64]
	pcg       *rand.PCG
	rng       *rand.Rand
	catalogue *Catalogue
	expected  *Expected

	alphas     []arch.Alpha
	alpha      []*autodiff.Param[float64] // α and its gradient
	learn      []autodiff.Learnable       // the same, for the solver
	p          [][]float64                // softmax(α)
	multiplier Multiplier
	step       int

	derived  arch.Choice // from α, and what it costs
	derivedS float64
}

// New prepares a search. It is an *InfeasibleError if no network keeps the
// budget: nothing is trained then.
func New(c Config, pr Problem) (*Search, error) {
	method, err := NewMethod(c.Method)
	if err != nil {
		return nil, err
	}
	if c.Epochs < 1 || c.Batch < 1 || c.WarmupEpochs < 0 || c.Candidates < 1 || !(c.BudgetS > 0) {
		return nil, fmt.Errorf("search: %d epochs (%d of them warm-up), batch %d, %d candidates, budget %g s: want positive numbers",
			c.Epochs, c.WarmupEpochs, c.Batch, c.Candidates, c.BudgetS)
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
		s.p, s.methods = append(s.p, make([]float64, n)), append(s.methods, method.New())
	}
	s.relax()
	if _, err := s.catalogue.Discretise(s.p, c.BudgetS, 1); err != nil { // before any work
		return nil, err
	}
	matrix, err := NewMatrix(pr.Target, pr.Costs)
	if err != nil {
		return nil, err
	}
	s.expected = NewExpected(pr.Target, matrix)
	graph, err := pr.Proxy.Supernet(c.Batch)
	if err != nil {
		return nil, err
	}
	var sizes [][2]int
	for _, a := range s.alphas {
		sizes = append(sizes, [2]int{len(a.Rows), len(a.Ops)})
	}
	if s.model, err = autodiff.Compile[float32](graph, autodiff.Options{Pool: pr.Pool, Paths: method.Paths(), Alphas: sizes}); err != nil {
		return nil, err
	}
	if err := s.model.Load(ops.InitWeights(graph, s.rng)); err != nil {
		return nil, err
	}
	s.sgd = &autodiff.SGD[float32]{LR: c.LR, Momentum: c.Momentum, WeightDecay: c.WeightDecay, Nesterov: true, Pool: pr.Pool}
	s.adam = &autodiff.Adam[float64]{LR: c.AlphaLR, Beta1: 0.5, Beta2: 0.999, Epsilon: 1e-8, WeightDecay: c.AlphaWeightDecay}
	s.multiplier.Rate = 10 / float64(max(1, s.Steps()-s.warmup())) // λ can reach the size of the loss within a tenth of the steps
	s.derive()
	return s, nil
}

func (s *Search) perEpoch() int {
	return max(1, min(s.problem.Weights.Len(), s.problem.Alpha.Len())/s.config.Batch)
}

// Steps is the number of steps of the whole search.
func (s *Search) Steps() int { return s.config.Epochs * s.perEpoch() }

func (s *Search) warmup() int { return s.config.WarmupEpochs * s.perEpoch() }

// State is a copy of everything learned so far.
func (s *Search) State() (State, error) {
	st := State{Step: s.step, Multiplier: s.multiplier, Supernet: s.model.Weights(), Adam: s.adam.State.Clone(), SGD: s.sgd.State.Clone()}
	for _, a := range s.alpha {
		st.Alpha = append(st.Alpha, slices.Clone(a.W))
	}
	var err error
	if st.RNG, err = s.pcg.MarshalBinary(); err != nil {
		return State{}, err
	}
	if st.WeightData, err = s.problem.Weights.MarshalJSON(); err != nil {
		return State{}, err
	}
	st.AlphaData, err = s.problem.Alpha.MarshalJSON()
	return st, err
}

// Restore puts a search with the same configuration and problem where the one
// that gave st was.
func (s *Search) Restore(st State) error {
	if len(st.Alpha) != len(s.alpha) || st.Step < 0 || st.Step > s.Steps() {
		return fmt.Errorf("search: state: step %d, %d α: want a step of %d and %d α", st.Step, len(st.Alpha), s.Steps(), len(s.alpha))
	}
	for i, a := range s.alpha {
		if copy(a.W, st.Alpha[i]) != len(a.W) || len(st.Alpha[i]) != len(a.W) {
			return fmt.Errorf("search: state: α %s has %d weights: want %d", a.Name, len(st.Alpha[i]), len(a.W))
		}
	}
	if err := s.pcg.UnmarshalBinary(st.RNG); err != nil {
		return fmt.Errorf("search: state: %w", err)
	}
	if err := s.problem.Weights.UnmarshalJSON(st.WeightData); err != nil {
		return fmt.Errorf("search: state: %w", err)
	}
	if err := s.problem.Alpha.UnmarshalJSON(st.AlphaData); err != nil {
		return fmt.Errorf("search: state: %w", err)
	}
	if err := s.model.Load(st.Supernet); err != nil {
		return fmt.Errorf("search: state: %w", err)
	}
	s.step, s.multiplier, s.adam.State, s.sgd.State = st.Step, st.Multiplier, st.Adam.Clone(), st.SGD.Clone()
	s.relax()
	s.derive()
	return nil
}

// Run does the remaining steps and returns the networks that keep the budget,
// best first. It calls progress after each step; a Point holds slices of its own. It stops between two steps when ctx ends and returns its error.
func (s *Search) Run(ctx context.Context, progress func(Point)) ([]Candidate, error) {
	for s.step < s.Steps() {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		pt, err := s.oneStep()
		if err != nil {
			return nil, err
		}
		if math.IsNaN(pt.LossTrain) || math.IsInf(pt.LossTrain, 0) {
			return nil, fmt.Errorf("search: step %d: loss is %v: try a lower learning rate than %g", pt.Step, pt.LossTrain, s.config.LR)
		}
		progress(pt)
	}
	best, err := s.catalogue.Discretise(s.p, s.config.BudgetS, s.config.Candidates)
	if err != nil {
		return nil, err
	}
	return s.rerank(ctx, best)
}

// oneStep lets the weights learn from one batch, and after the warm-up α from
// one of its own.
func (s *Search) oneStep() (Point, error) {
	c := s.config
	pt := Point{Phase: "search", Step: s.step + 1, Steps: s.Steps(), Epoch: s.step / s.perEpoch()}

	s.sample()
	s.problem.Weights.Next(s.model.Input(), s.model.Labels())
	pt.LossTrain, _ = s.model.Step(autodiff.Weights)
	s.sgd.LR = autodiff.CosineLR(c.LR, c.LRMin, s.step, s.Steps())
	if _, err := autodiff.ClipGradNorm[float32](s.model.Learnables(), c.Clip); err != nil {
		return pt, err
	}
	if err := s.sgd.Step(s.model.Learnables()); err != nil {
		return pt, err
	}

	if s.step >= s.warmup() {
		var correct int
		s.sample()
		s.problem.Alpha.Next(s.model.Input(), s.model.Labels())
		pt.LossVal, correct = s.model.Step(autodiff.Alpha)
		pt.AccuracyVal = float64(correct) / float64(c.Batch)
		s.alphaGradient(s.mixtureGradient())
		if err := s.adam.Step(s.learn); err != nil {
			return pt, err
		}
		s.relax()
		s.derive()
		if s.derivedS > 0 {
			s.multiplier.Update(s.derivedS, c.BudgetS)
		}
	}
	s.step++

	pt.AlphaEntropy, pt.SkipShare = entropy(s.p, s.alphas), skipShare(s.derived, s.alphas, s.problem.Target.Cells())
	pt.Lambda, pt.DerivedLatencyS = s.multiplier.Lambda, s.derivedS
	pt.ExpectedLatencyS = s.expected.Value(s.p, nil, 0)
	pt.Derived = s.problem.Target.Notation(s.derived)
	if pt.SkipShare >= collapsed && pt.AlphaEntropy < decided {
		pt.Warning = fmt.Sprintf("%.0f %% of the edges are skip connections: the search may be collapsing", 100*pt.SkipShare)
	}
	for i, a := range s.alphas {
		rows := make([][]float64, len(a.Rows))
		for r := range rows {
			rows[r] = slices.Clone(s.p[i][r*len(a.Ops) : (r+1)*len(a.Ops)])
		}
		pt.Alpha = append(pt.Alpha, rows)
	}
	return pt, nil
}

// relax sets p = softmax(α).
func (s *Search) relax() {
	for i, a := range s.alpha {
		softmax(s.p[i], a.W, len(s.alphas[i].Ops), 1)
	}
}

// sample sets the supernet's mixture weights and gates by the method.
func (s *Search) sample() {
	progress := float64(max(0, s.step-s.warmup())) / float64(max(1, s.Steps()-s.warmup()))
	for i, a := range s.alpha {
		m := s.model.Alpha(i)
		p := make([]float64, len(a.W))
		s.methods[i].Forward(a.W, p, m.Open, len(s.alphas[i].Ops), progress, s.rng)
		for j, v := range p {
			m.P[j] = float32(v)
		}
	}
}

// mixtureGradient is the gradient of the images' loss by the mixture weights,
// after a supernet step.
func (s *Search) mixtureGradient() [][]float64 {
	dp := make([][]float64, len(s.alpha))
	for i := range dp {
		m := s.model.Alpha(i)
		dp[i] = make([]float64, len(m.DP))
		for j, v := range m.DP {
			dp[i][j] = float64(v)
		}
	}
	return dp
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
		s.methods[i].Backward(dp[i], a.G, cols)
		betaDecay(a.W, s.p[i], a.G, cols, c.BetaDecay*progress)
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

// derive updates the choice that the space derives from α, and its latency (0
// if it is no network).
func (s *Search) derive() {
	d := s.problem.Target.Derive(s.p)
	if d.Equal(s.derived) {
		return
	}
	s.derived, s.derivedS = d, 0
	if lat, err := s.problem.Costs.Latency(d); err == nil {
		s.derivedS = lat
	}
}

// The re-ranking: each survivor is judged on so many images of α's half, if
// there are as many.
const (
	rerankImages = 512
	survivors    = 10
)

// rerank orders candidates by their accuracy with the supernet's weights on
// images of α's half, batch norms using each batch's own statistics. It halves
// successively: after each batch the worse half goes, until survivors are
// left, so that many candidates cost little. Those that went stand behind, in
// the order in which they went. It leaves the state as it was, so that doing it
// again gives the same.
func (s *Search) rerank(ctx context.Context, best []Candidate) (ranked []Candidate, err error) {
	position, err := s.problem.Alpha.MarshalJSON()
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, s.problem.Alpha.UnmarshalJSON(position)) }()
	b := s.config.Batch
	alive := len(best)
	for i := range best {
		best[i].Loss, best[i].Accuracy = 0, 0
	}
	for batch := 1; batch <= max(1, min(rerankImages, s.problem.Alpha.Len())/b); batch++ {
		s.problem.Alpha.Next(s.model.Input(), s.model.Labels())
		for i := range best[:alive] {
			if err := ctx.Err(); err != nil {
				return nil, err
			}
			c := &best[i]
			s.openOnly(c.Choice)
			loss, correct := s.model.Forward()
			c.Loss += (loss - c.Loss) / float64(batch) // running means
			c.Accuracy += (float64(correct)/float64(b) - c.Accuracy) / float64(batch)
		}
		slices.SortStableFunc(best[:alive], func(x, y Candidate) int {
			return cmp.Or(cmp.Compare(y.Accuracy, x.Accuracy), cmp.Compare(x.Loss, y.Loss))
		})
		alive = max(min(alive, survivors), (alive+1)/2)
	}
	return best, nil
}

// openOnly makes the supernet the network of one choice.
func (s *Search) openOnly(c arch.Choice) {
	for i, rows := range c {
		m, cols := s.model.Alpha(i), len(s.alphas[i].Ops)
		clear(m.P)
		clear(m.Open)
		for row, col := range rows {
			m.P[row*cols+col], m.Open[row*cols+col] = 1, true
		}
	}
}

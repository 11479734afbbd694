// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/edgenas/edgenas/arch"
	"github.com/edgenas/edgenas/internal/autodiff"
	"github.com/edgenas/edgenas/internal/kernels"
	"github.com/edgenas/edgenas/internal/stats"
	"github.com/edgenas/edgenas/internal/version"
	"github.com/edgenas/edgenas/ops"
)

// The paths that a step can take.
const (
	Mixture = "mixture" // the supernet with all operations
	GDAS    = "gdas"    // the supernet with one operation an edge
	Retrain = "retrain" // a derived network with what only training needs
)

// What the peers train with.
const (
	classes     = 10
	colours     = 3
	auxWeight   = 0.4
	clipNorm    = 5
	rate        = 0.025
	momentum    = 0.9
	weightDecay = 3e-4
)

// benched is what is known of a space: the extents that the literature trains
// it with, a network, and how a sampled path visits its operations.
type benched struct {
	space                                          string
	channels, cells, retrainChannels, retrainCells int
	network                                        string // in the space's notation
	networkName                                    string // of its peer
	firstColumn, columnsAStep                      int
}

// spaces is in the order of arch.Spaces.
var spaces = []benched{
	{space: "nb201", channels: 16, cells: 5, retrainChannels: 16, retrainCells: 5, columnsAStep: 1,
		networkName: "retrain-nb201",
		network:     "|nor_conv_3x3~0|+|skip_connect~0|nor_conv_3x3~1|+|skip_connect~0|skip_connect~1|nor_conv_3x3~2|"},
	{space: "darts", channels: 16, cells: 8, retrainChannels: 36, retrainCells: 20, firstColumn: 1, columnsAStep: 3,
		networkName: "retrain-darts-v2",
		network:     dartsV2},
	{space: "mbconv", channels: 16, cells: 4, retrainChannels: 16, retrainCells: 4, columnsAStep: 1,
		networkName: "retrain-proxyless-mobile",
		network:     proxylessMobile},
}

// dartsV2 is the genotype that the second-order search of DARTS found.
// Source: the code published with Liu et al., DARTS, 2019.
const dartsV2 = "Genotype(normal=[('sep_conv_3x3', 0), ('sep_conv_3x3', 1), " +
	"('sep_conv_3x3', 0), ('sep_conv_3x3', 1), " +
	"('sep_conv_3x3', 1), ('skip_connect', 0), ('skip_connect', 0), ('dil_conv_3x3', 2)], normal_concat=range(2, 6), " +
	"reduce=[('max_pool_3x3', 0), ('max_pool_3x3', 1), ('skip_connect', 2), ('max_pool_3x3', 1), " +
	"('max_pool_3x3', 0), ('skip_connect', 2), ('skip_connect', 2), ('max_pool_3x3', 1)], reduce_concat=range(2, 6))"

// proxylessMobile is the network that ProxylessNAS found for phones.
// Source: the code published with Cai et al., ProxylessNAS, 2019.
const proxylessMobile = "mbconv_5x5_e3 | mbconv_3x3_e3 | skip_connect | skip_connect | " +
	"mbconv_7x7_e3 | mbconv_3x3_e3 | mbconv_5x5_e3 | mbconv_5x5_e3 | " +
	"mbconv_7x7_e6 | mbconv_5x5_e3 | mbconv_5x5_e3 | mbconv_5x5_e3 | " +
	"mbconv_5x5_e6 | mbconv_5x5_e3 | mbconv_5x5_e3 | mbconv_5x5_e3 | " +
	"mbconv_7x7_e6 | mbconv_7x7_e6 | mbconv_7x7_e3 | mbconv_7x7_e3 | mbconv_7x7_e6"

// Step describes a training step: forward, loss, backward, clipping, SGD.
type Step struct {
	Space string // nb201, darts or mbconv
	Path  string // Mixture, GDAS or Retrain
	Arch  string // Retrain: the network in the space's notation; "": the published one
	Batch int    // images
	// Channels and Cells are those of [arch.Size]; 0: as in the literature.
	Channels, Cells int
	Image           int // rows and columns
	Steps           int // that are timed, after one that is not
	// Paths, if not 0, is the number of steps of GDAS, each with a path drawn
	// uniformly, in the place of Steps.
	Paths int
	Seed  uint64
}

// StepResult is a timed step, in the fields of the peers.
type StepResult struct {
	Peer       string    `json:"peer"`
	Version    string    `json:"edgenas"`
	Mode       string    `json:"mode"`
	Path       string    `json:"path"`
	Batch      int       `json:"batch"`
	Channels   int       `json:"channels"`
	Cells      int       `json:"cells"`
	Image      int       `json:"image"`
	Threads    int       `json:"threads"`
	Params     int64     `json:"params"` // learned, without α
	Loss       float64   `json:"loss"`   // of the last step
	MedianS    float64   `json:"median_s"`
	MinS       float64   `json:"min_s"`
	MeanS      float64   `json:"mean_s"`
	StepsS     []float64 `json:"steps_s"`
	ImagesPerS float64   `json:"images_per_s"`
	MaxRSS     int64     `json:"max_rss_bytes"` // of the whole process; 0: unknown
	Arena      int       `json:"arena_bytes"`   // of it, what a step works in
	MACs       int64     `json:"macs"`          // multiply-adds forward, of a timed step on average
	Paths      int       `json:"paths,omitempty"`
}

// Benchmark is the result in Go's benchmark format: a line for each step.
func (r StepResult) Benchmark() string {
	var b strings.Builder
	for _, s := range r.StepsS {
		fmt.Fprintf(&b, "BenchmarkStep/space=%s/path=%s/batch=%d/channels=%d/cells=%d/image=%d-%d\t1"+
			"\t%.0f ns/op\t%.1f images/s\t%d arena-B\t%d max-rss-B\n",
			r.Peer, r.Path, r.Batch, r.Channels, r.Cells, r.Image, r.Threads, s*1e9, float64(r.Batch)/s, r.Arena, r.MaxRSS)
	}
	return b.String()
}

// resolve checks s and fills in what the literature says.
func (s Step) resolve() (Step, benched, error) {
	i := slices.IndexFunc(spaces, func(b benched) bool { return b.space == s.Space })
	if i < 0 {
		return s, benched{}, specf("space %q: want nb201, darts or mbconv", s.Space)
	}
	b := spaces[i]
	channels, cells := b.channels, b.cells
	switch s.Path {
	case Mixture, GDAS:
	case Retrain:
		channels, cells = b.retrainChannels, b.retrainCells
	default:
		return s, b, specf("path %q: want %s, %s or %s", s.Path, Mixture, GDAS, Retrain)
	}
	for _, n := range []struct {
		name string
		n    int
	}{{"batch", s.Batch}, {"steps", s.Steps}} {
		if n.n < 1 || n.n > 1<<16 {
			return s, b, specf("%s %d: want 1 to %d", n.name, n.n, 1<<16)
		}
	}
	switch {
	case s.Paths < 0 || s.Paths > 1<<16:
		return s, b, specf("%d paths: want 0 to %d", s.Paths, 1<<16)
	case s.Paths > 0 && s.Path != GDAS:
		return s, b, specf("%d paths of the %s: only %s draws paths", s.Paths, s.Path, GDAS)
	case s.Arch != "" && s.Path != Retrain:
		return s, b, specf("a network for the %s: only %s has one", s.Path, Retrain)
	}
	if s.Paths > 0 {
		s.Steps = s.Paths
	}
	if s.Channels == 0 {
		s.Channels = channels
	}
	if s.Cells == 0 {
		s.Cells = cells
	}
	if s.Path == Retrain && s.Arch == "" {
		s.Arch = b.network
	} else if s.Path == Retrain {
		b.networkName = "retrain-" + b.space
	}
	return s, b, nil
}

// graph records what is trained.
func (s Step) graph() (*ops.Graph, arch.Space, error) {
	size := arch.Size{Cells: s.Cells, Channels: s.Channels, Image: s.Image, Colours: colours, Classes: classes}
	space, err := arch.NewSpace(s.Space, size)
	if err != nil {
		return nil, nil, &SpecError{err}
	}
	var g *ops.Graph
	if s.Path == Retrain {
		c, err := space.Parse(s.Arch)
		if err != nil {
			return nil, nil, &SpecError{err}
		}
		g, err = space.Training(c, s.Batch)
		if err != nil {
			return nil, nil, &SpecError{err}
		}
		return g, space, nil
	}
	g, err = space.Supernet(s.Batch)
	return g, space, err
}

// Run times the steps on the pool's threads. What cannot be timed is a *SpecError.
func (s Step) Run(ctx context.Context, pool *kernels.Workers) (StepResult, error) {
	s, b, err := s.resolve()
	if err != nil {
		return StepResult{}, err
	}
	g, space, err := s.graph()
	if err != nil {
		return StepResult{}, err
	}
	options := autodiff.Options{Pool: pool, AuxWeight: auxWeight, Paths: s.Path == GDAS}
	if s.Path != Retrain {
		for _, a := range space.Alphas() {
			options.Alphas = append(options.Alphas, [2]int{len(a.Rows), len(a.Ops)})
		}
	}
	m, err := autodiff.Compile[float32](g, options)
	if err != nil {
		return StepResult{}, err
	}
	rng := rand.New(rand.NewPCG(s.Seed, 0))
	if err := m.Load(ops.InitWeights(g, rng)); err != nil {
		return StepResult{}, err
	}
	for i, x := 0, m.Input(); i < len(x); i++ {
		x[i] = float32(rng.NormFloat64())
	}
	for i, y := 0, m.Labels(); i < len(y); i++ {
		y[i] = rng.Int32N(classes)
	}
	count := g.Count()
	r := StepResult{Peer: b.space, Version: version.String(), Mode: Mode, Path: s.Path, Batch: s.Batch,
		Channels: s.Channels, Cells: s.Cells, Image: s.Image, Threads: pool.Threads(), Params: count.Params,
		MACs: count.MACs, Arena: m.ArenaBytes(), Paths: s.Paths}
	if s.Path == Retrain {
		r.Peer = b.networkName
	}
	sgd := autodiff.SGD[float32]{LR: rate, Momentum: momentum, WeightDecay: weightDecay, Pool: pool}
	var macs int64
	for step := range s.Steps + 1 {
		if err := ctx.Err(); err != nil {
			return StepResult{}, err
		}
		if s.Path == GDAS {
			choose := b.visit(step)
			if s.Paths > 0 {
				choose = draw(rng)
			}
			open(m, choose)
			if step > 0 {
				macs += reached(g, m).Count().MACs
			}
		}
		start := time.Now()
		r.Loss, _ = m.Step(autodiff.Weights)
		if _, err := autodiff.ClipGradNorm[float32](m.Learnables(), clipNorm); err != nil {
			return StepResult{}, fmt.Errorf("bench: step: %w", err)
		}
		if err := sgd.Step(m.Learnables()); err != nil {
			return StepResult{}, err
		}
		if step > 0 {
			r.StepsS = append(r.StepsS, time.Since(start).Seconds())
		}
	}
	if math.IsNaN(r.Loss) || math.IsInf(r.Loss, 0) {
		return StepResult{}, fmt.Errorf("bench: step: loss %v", r.Loss)
	}
	if s.Path == GDAS {
		r.MACs = macs / int64(s.Steps)
	}
	for _, t := range r.StepsS {
		r.MeanS += t / float64(len(r.StepsS))
	}
	r.MedianS, r.MinS = stats.Median(r.StepsS), slices.Min(r.StepsS)
	r.ImagesPerS = float64(s.Batch) / r.MedianS
	r.MaxRSS = maxRSS()
	return r, nil
}

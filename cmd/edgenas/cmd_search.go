// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/edgenas/edgenas/arch"
	"github.com/edgenas/edgenas/internal/atomicfile"
	"github.com/edgenas/edgenas/internal/dataset"
	"github.com/edgenas/edgenas/internal/safetensors"
	"github.com/edgenas/edgenas/latency"
	"github.com/edgenas/edgenas/profiles"
	"github.com/edgenas/edgenas/report"
	"github.com/edgenas/edgenas/search"
	"github.com/edgenas/edgenas/train"
)

func (a *app) searchCommand() *cobra.Command {
	var (
		budget    latencyFlag
		space     spaceFlags
		target    targetFlags
		out, data string
		resume    string
		r         = request{Confidence: 0.95, SearchCells: 1, Search: search.DefaultConfig(), Train: train.DefaultConfig()}
	)
	var methods []string
	for _, m := range search.Methods {
		methods = append(methods, m.Name())
	}
	c := &cobra.Command{
		Use:   "search --latency-budget TIME",
		Short: "Find, train, export and verify a network within a latency budget",
		Long: `search does the whole job: it measures what the latency table lacks, searches,
derives the best network that keeps the budget, trains it, writes ONNX,
measures that on the device, and leaves a report.

With --profile alone the profile's device is the target: nothing is measured,
and the command that verifies the result there is printed.`,
		Example: `  edgenas search --latency-budget 2ms
  edgenas search --latency-budget 20ms --profile pi5.json --data images:flowers --out out/pi5
  edgenas search --resume out/pi5`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if resume != "" {
				if c.Flags().NFlag() > countGlobal(c)+1 {
					return usagef("--resume takes no other flag: the run goes on as it was asked for")
				}
				return a.resumeSearch(c.Context(), runDir(resume))
			}
			if budget.Duration == 0 {
				return usagef("search: --latency-budget is needed, such as --latency-budget 20ms")
			}
			if err := target.check(); err != nil {
				return err
			}
			if _, err := search.NewMethod(r.Method); err != nil {
				return usageError{err}
			}
			set, err := a.openData(data, 0)
			if err != nil {
				return err
			}
			if r.Size, err = fit(space.size, set); err != nil {
				return err
			}
			r.Command = "edgenas " + strings.Join(quote(os.Args[1:]), " ")
			r.Version, r.Date, r.Seed = buildVersion(), time.Now().UTC().Truncate(time.Second), a.seed
			r.LatencyBudgetS, r.Space = budget.Seconds(), space.name
			r.Search.Method, r.Search.Seed, r.Train.Seed = r.Method, a.seed, a.seed
			r.Dataset, r.DataDigest = data, set.Digest
			r.Device, r.Runtime, r.InferThreads, r.AllowEmulated = target.device, target.runtime, target.inferThreads, target.allowEmulated
			if len(target.profiles) > 0 {
				r.Profile = target.profiles[0]
			}
			dir, err := newRunDir(out)
			if err != nil {
				return err
			}
			if err := dir.writeJSON(requestFile, r); err != nil {
				return err
			}
			return a.search(c.Context(), dir, r, set)
		},
	}
	f := c.Flags()
	f.Var(&budget, "latency-budget", "most time that one inference may take, with its unit, such as 20ms")
	f.StringVar(&out, "out", "edgenas-out", "folder for everything that the run leaves")
	f.StringVar(&resume, "resume", "", "folder of a run that was interrupted: go on with it")
	f.StringVar(&r.Method, "method", search.DefaultMethod, "search method: "+strings.Join(methods, ", "))
	space.add(c)
	target.add(c)
	target.addProfile(c)
	dataFlag(c, &data)
	f.IntVar(&r.SearchCells, "search-cells", r.SearchCells, "cells a stage of the supernet; the derived network has --cells")
	f.IntVar(&r.Search.Epochs, "search-epochs", r.Search.Epochs, "epochs of the search")
	f.Float64Var(&r.Search.BetaDecay, "beta-decay", r.Search.BetaDecay, "strength of β-decay at the end of the search; 0 turns it off")
	trainFlags(c, &r.Train, &r.Cutout)
	return c
}

// countGlobal counts the global flags that were given: they go with --resume.
func countGlobal(c *cobra.Command) int {
	n := 0
	for _, name := range []string{"json", "quiet", "threads", "seed"} {
		if c.Flags().Changed(name) {
			n++
		}
	}
	return n
}

// quote makes words safe to paste into a shell.
func quote(words []string) []string {
	out := make([]string, len(words))
	for i, w := range words {
		if out[i] = w; w == "" || strings.ContainsAny(w, " \t\n'\"\\|&;<>()$`*?[#~!{}") {
			out[i] = "'" + strings.ReplaceAll(w, "'", `'\''`) + "'"
		}
	}
	return out
}

func (a *app) resumeSearch(ctx context.Context, dir runDir) error {
	var r request
	if err := dir.readJSON(requestFile, &r); err != nil {
		if errors.Is(err, os.ErrNotExist) {
			return usagef("--resume %s: holds no run (no %s)", dir, requestFile)
		}
		return err
	}
	if dir.has(resultFile) {
		a.note("the run in %s is finished", dir)
		var res result
		if err := dir.readJSON(resultFile, &res); err != nil {
			return err
		}
		return a.result(res, func(w io.Writer) { summary(w, dir, &res) })
	}
	a.seed = r.Seed
	set, err := a.openData(r.Dataset, 0)
	if err != nil {
		return err
	}
	if set.Digest != r.DataDigest {
		return dataError{fmt.Errorf("--resume %s: the images of %s have changed since the run began", dir, r.Dataset)}
	}
	return a.search(ctx, dir, r, set)
}

// search does the whole job, from wherever the folder says it is.
func (a *app) search(ctx context.Context, dir runDir, r request, set *dataset.Set) (err error) {
	defer func() {
		if errors.Is(err, context.Canceled) {
			a.note("interrupted; go on with: edgenas search --resume %s", quote([]string{string(dir)})[0])
		}
	}()
	space, err := arch.NewSpace(r.Space, r.Size)
	if err != nil {
		return usageError{err}
	}
	nets, err := newNetworks(space)
	if err != nil {
		return err
	}
	target := r.target()
	if dir.has(profileFile) { // of this run, before it was interrupted
		target.profiles = []string{dir.path(profileFile)}
		if target.device == "" && r.Profile == "" {
			target.device = "local"
		}
	}
	profile, table, err := a.table(ctx, nets, target, dir.path(profileFile))
	if err != nil {
		return err
	}
	guard := table.Guard(r.Confidence)
	a.note("%s, %s runtime, %d thread(s): guard band %.1f %% (%s)", profile.Device.Name(), profile.Runtime.Name, profile.Runtime.Threads, 100*guard.Relative, guard.Basis)
	costs := priced{nets, table}

	job := &job{app: a, dir: dir, request: r, set: set, space: space, costs: costs, guard: guard, live: target.live()}
	architecture, err := job.architecture(ctx)
	if err != nil {
		return err
	}
	if err := job.train(ctx, architecture); err != nil {
		return err
	}
	res, err := job.finish(ctx, architecture, profile)
	if err != nil {
		return err
	}
	if err := a.result(res, func(w io.Writer) { summary(w, dir, res) }); err != nil {
		return err
	}
	if !res.WithinBudget {
		return verifyError{fmt.Errorf("the network takes %s when measured, over the budget of %s: search again with --latency-budget %s", milliseconds(*res.LatencyMeasuredS),
			milliseconds(res.LatencyBudgetS), milliseconds(res.LatencyBudgetS*res.LatencyBudgetS / *res.LatencyMeasuredS))}
	}
	return nil
}

// job is a run in progress.
type job struct {
	*app
	dir     runDir
	request request
	set     *dataset.Set
	space   arch.Space
	costs   priced
	guard   latency.Guard
	live    bool
}

// architecture is the network that the search finds, or found before it was
// interrupted.
func (j *job) architecture(ctx context.Context) (arch.Architecture, error) {
	if j.dir.has(architectureFile) {
		a, err := arch.ReadFile(j.dir.path(architectureFile))
		if err != nil {
			return a, dataError{err}
		}
		return a, nil
	}
	r := j.request
	proxy := r.Size
	proxy.Cells = min(r.SearchCells, r.Size.Cells)
	proxySpace, err := arch.NewSpace(r.Space, proxy)
	if err != nil {
		return arch.Architecture{}, usageError{err}
	}
	first, second := dataset.Split(&j.set.Train, 0.5, rand.New(rand.NewPCG(r.Seed, 3)))
	augment := j.set.Augment
	config := r.Search
	config.BudgetS = r.LatencyBudgetS / (1 + j.guard.Relative)
	s, err := search.New(config, search.Problem{Proxy: proxySpace, Target: j.space, Costs: j.costs, Pool: j.workers(),
		Weights: source{dataset.NewLoader(j.set, &j.set.Train, first, augment, rand.NewPCG(r.Seed, 4))},
		Alpha:   source{dataset.NewLoader(j.set, &j.set.Train, second, augment, rand.NewPCG(r.Seed, 5))}})
	var infeasible *search.InfeasibleError
	if errors.As(err, &infeasible) {
		return arch.Architecture{}, fmt.Errorf("no network keeps %s: the fastest possible is predicted at %s, and needs a budget of %s with the guard band of %.1f %%: %w",
			milliseconds(r.LatencyBudgetS), milliseconds(infeasible.FastestS), milliseconds(infeasible.FastestS*(1+j.guard.Relative)), 100*j.guard.Relative, err)
	}
	if err != nil {
		return arch.Architecture{}, err
	}
	var before time.Duration
	step := 0
	if j.dir.has(searchCheckpoint) {
		c, err := j.dir.readCheckpoint(searchCheckpoint)
		if err != nil {
			return arch.Architecture{}, err
		}
		st := search.State{Supernet: c.weights, SGD: c.sgd}
		if err := json.Unmarshal(c.state, &st); err != nil {
			return arch.Architecture{}, dataError{fmt.Errorf("%s: %w", j.dir.path(searchCheckpoint), err)}
		}
		if err := s.Restore(st); err != nil {
			return arch.Architecture{}, dataError{err}
		}
		before, step = c.wall, st.Step
	}
	h, err := j.dir.openHistory(func(phase string, at int) bool { return phase == "search" && at <= step })
	if err != nil {
		return arch.Architecture{}, err
	}
	start, saved := time.Now(), time.Now()
	save := func() error {
		saved = time.Now()
		h.flush()
		st, err := s.State()
		if err != nil {
			return err
		}
		return j.dir.writeCheckpoint(searchCheckpoint, st, before+time.Since(start), st.Supernet, st.SGD)
	}
	bar := j.stage("search", s.Steps())
	warned := ""
	var failed error
	found, err := s.Run(ctx, func(p search.Point) {
		h.add(p)
		bar.update(p.Step, fmt.Sprintf("epoch %d  loss %.3f  α entropy %.2f  expected %s  derived %s", p.Epoch, p.LossTrain, p.AlphaEntropy,
			milliseconds(p.ExpectedLatencyS), milliseconds(p.DerivedLatencyS)))
		if p.Warning != "" && p.Step == p.Steps {
			warned = p.Warning
		}
		if time.Since(saved) > checkpointEvery && failed == nil {
			failed = save()
		}
	})
	err = errors.Join(err, failed)
	if err == nil || errors.Is(err, context.Canceled) {
		err = errors.Join(err, save())
	}
	if err := errors.Join(err, h.close()); err != nil {
		bar.end("stopped")
		return arch.Architecture{}, err
	}
	if warned != "" {
		j.note("warning: %s", warned)
	}
	best, err := j.choose(ctx, found.Candidates)
	if err != nil {
		bar.end("stopped")
		return arch.Architecture{}, err
	}
	a := arch.Architecture{Space: j.space, Choice: best.Choice}
	bar.end(fmt.Sprintf("%s, predicted %s", j.space.Notation(best.Choice), milliseconds(best.LatencyS)))
	return a, j.dir.writeJSON(architectureFile, a)
}

// tries is how many candidates are measured before training one.
const tries = 5

// choose takes the best candidate whose predicted upper end keeps the budget
// and, where the device is at hand, whose measured median does: latency does
// not depend on the weights, so nothing need be trained for it.
func (j *job) choose(ctx context.Context, candidates []search.Candidate) (search.Candidate, error) {
	var over error
	measured := 0
	for _, c := range candidates {
		e, err := j.costs.estimate(c.Choice)
		if err != nil {
			return c, err
		}
		if j.costs.table.Upper(e, j.request.Confidence) > j.request.LatencyBudgetS {
			continue
		}
		if !j.live {
			return c, nil
		}
		v, err := j.measureUntrained(ctx, c.Choice)
		if err != nil {
			return c, err
		}
		if v.MedianS <= j.request.LatencyBudgetS {
			return c, nil
		}
		j.note("%s takes %s when measured, over the budget: next", j.space.Notation(c.Choice), milliseconds(v.MedianS))
		over = fmt.Errorf("the %d best networks all take longer than the budget of %s when measured: is something else running on the device?",
			measured+1, milliseconds(j.request.LatencyBudgetS))
		if measured++; measured == tries {
			break
		}
	}
	if over == nil {
		over = errors.New("no candidate keeps the budget at the upper end of its prediction")
	}
	return search.Candidate{}, verifyError{over}
}

// train trains the architecture, unless it has been trained.
func (j *job) train(ctx context.Context, a arch.Architecture) error {
	if j.dir.has(weightsFile) {
		return nil
	}
	loader := trainLoader(j.set, j.request.Train, j.request.Cutout)
	t, epochs, err := j.newTrainer(j.request.Train, a, loader)
	if err != nil {
		return err
	}
	var before time.Duration
	step := 0
	if j.dir.has(trainCheckpoint) {
		c, err := j.dir.readCheckpoint(trainCheckpoint)
		if err != nil {
			return err
		}
		st := train.State{Weights: c.weights, SGD: c.sgd}
		if err := json.Unmarshal(c.state, &st); err != nil {
			return dataError{fmt.Errorf("%s: %w", j.dir.path(trainCheckpoint), err)}
		}
		if err := t.Restore(st); err != nil {
			return dataError{err}
		}
		before, step = c.wall, st.Step
	}
	h, err := j.dir.openHistory(func(phase string, at int) bool { return phase == "search" || at <= step })
	if err != nil {
		return err
	}
	start, saved := time.Now(), time.Now()
	save := func() error {
		saved = time.Now()
		h.flush()
		st, err := t.State()
		if err != nil {
			return err
		}
		return j.dir.writeCheckpoint(trainCheckpoint, st, before+time.Since(start), st.Weights, st.SGD)
	}
	var failed error
	weights, err := j.runTrainer(ctx, t, epochs, func(p train.Point) {
		h.add(p)
		if time.Since(saved) > checkpointEvery && failed == nil {
			failed = save()
		}
	})
	err = errors.Join(err, failed)
	if err == nil || errors.Is(err, context.Canceled) {
		err = errors.Join(err, save())
	}
	if err := errors.Join(err, h.close()); err != nil {
		return err
	}
	return safetensors.WriteFile(j.dir.path(weightsFile), safetensors.File{Weights: weights})
}

// finish exports the trained network, checks and verifies it, and writes the
// result and the report.
func (j *job) finish(ctx context.Context, a arch.Architecture, profile *profiles.Profile) (*result, error) {
	r := j.request
	weights, err := safetensors.ReadFile(j.dir.path(weightsFile))
	if err != nil {
		return nil, dataError{err}
	}
	g, err := a.Network(1)
	if err != nil {
		return nil, err
	}
	e, err := j.costs.estimate(a.Choice)
	if err != nil {
		return nil, err
	}
	count := g.Count()
	res := &result{Command: r.Command, Space: r.Space, Size: r.Size, Method: r.Method, Seed: r.Seed, Dataset: r.Dataset,
		Device: profile.Device.Name(), Runtime: profile.Runtime.Name,
		LatencyBudgetS: r.LatencyBudgetS, LatencyPredictedS: e.Seconds, LatencyPredictedHiS: j.costs.table.Upper(e, r.Confidence),
		Confidence: r.Confidence, GuardBand: j.guard.Relative, GuardBasis: j.guard.Basis,
		Params: count.Params, MACs: count.MACs, Architecture: a.Space.Notation(a.Choice), ONNX: modelFile,
		TestImages: j.set.Test.Len(), Warnings: []string{}}
	for name, wall := range map[string]*float64{searchCheckpoint: &res.SearchWallS, trainCheckpoint: &res.TrainWallS} {
		if c, err := j.dir.readCheckpoint(name); err == nil {
			*wall = c.wall.Seconds()
		}
	}
	res.TrainEpochs = trainEpochs(r.Train, a, j.set)
	res.Warnings = append(res.Warnings, profile.Warnings...)

	digest, err := profile.Digest()
	if err != nil {
		return nil, err
	}
	meta := modelMeta(a, j.set)
	meta["profile"] = digest
	meta["device"], meta["runtime"] = res.Device, res.Runtime
	meta["latency_budget_s"], meta["latency_predicted_s"] = fmt.Sprint(r.LatencyBudgetS), fmt.Sprint(e.Seconds)
	data, diff, err := j.exportChecked(a, weights.Weights, j.set, meta)
	if err != nil {
		return nil, err
	}
	res.ONNXMaxDifference = diff
	if err := atomicfile.Write(j.dir.path(modelFile), data); err != nil {
		return nil, err
	}
	if res.TestAccuracy, err = j.accuracy(a, weights.Weights, j.set); err != nil {
		return nil, err
	}
	if j.live {
		v, err := j.verifyElsewhere(ctx, j.dir.path(modelFile), r.InferThreads)
		if err != nil {
			return nil, err
		}
		res.LatencyMeasuredS, res.LatencyMeasuredP90S, res.LatencyMeasuredP99S = &v.MedianS, &v.P90S, &v.P99S
		res.Warnings = append(res.Warnings, v.Warnings...)
	}
	res.judge()
	if err := j.dir.writeJSON(resultFile, res); err != nil {
		return nil, err
	}
	return res, report.WriteFile(string(j.dir))
}

// summary tells a person what was found and where it is.
func summary(w io.Writer, dir runDir, r *result) {
	fmt.Fprintf(w, "budget     %s on %s, %s runtime\n", milliseconds(r.LatencyBudgetS), r.Device, r.Runtime)
	fmt.Fprintf(w, "predicted  %s, at most %s with %.0f %% confidence\n", milliseconds(r.LatencyPredictedS), milliseconds(r.LatencyPredictedHiS), 100*r.Confidence)
	if r.LatencyMeasuredS != nil {
		kept := "within the budget"
		if !r.WithinBudget {
			kept = "OVER the budget"
		}
		fmt.Fprintf(w, "measured   %s median, %s p90, %s p99: %s\n", milliseconds(*r.LatencyMeasuredS), milliseconds(*r.LatencyMeasuredP90S), milliseconds(*r.LatencyMeasuredP99S), kept)
	} else {
		fmt.Fprintf(w, "measured   not yet; on the device: edgenas verify %s --latency-budget %gms\n", quote([]string{dir.path(modelFile)})[0], 1e3*r.LatencyBudgetS)
	}
	fmt.Fprintf(w, "accuracy   %.2f %% on %d test images\n", 100*r.TestAccuracy, r.TestImages)
	fmt.Fprintf(w, "network    %s: %d parameters, %.1f M multiply-accumulates\n", r.Architecture, r.Params, float64(r.MACs)/1e6)
	fmt.Fprintf(w, "files      %s, %s\n", dir.path(modelFile), dir.path(reportFile))
	for _, text := range r.Warnings {
		fmt.Fprintf(w, "warning    %s\n", text)
	}
}

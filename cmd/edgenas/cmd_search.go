// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"reflect"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/edgenas/edgenas/arch"
	"github.com/edgenas/edgenas/internal/dataset"
	"github.com/edgenas/edgenas/internal/version"
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
		r         = request{Confidence: 0.95, Search: search.DefaultConfig(), Train: train.DefaultConfig()}
	)
	var methods []string
	for _, m := range search.Relaxations {
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
		Args: arguments(0, 0),
		RunE: func(c *cobra.Command, _ []string) error {
			if resume != "" {
				if c.Flags().NFlag() > countGlobal(c)+1 {
					return usagef("--resume takes no other flag: the run goes on as it was asked for")
				}
				return a.resumeSearch(c.Context(), runDir(resume))
			}
			if budget.Duration == 0 {
				return usagef("--latency-budget is needed, such as --latency-budget 20ms; see %s -h", c.CommandPath())
			}
			if err := target.check(); err != nil {
				return err
			}
			supernet := supernetOf(usualSize(space.name))
			if !c.Flags().Changed("search-cells") {
				r.SearchCells = supernet.Cells
			}
			if !c.Flags().Changed("search-channels") {
				r.SearchChannels = supernet.Channels
			}
			if err := r.check(); err != nil {
				return err
			}
			set, err := a.openData(data)
			if err != nil {
				return err
			}
			s, err := spaceFor(space.name, space.sized(), set)
			if err != nil {
				return err
			}
			r.Version, r.Date, r.Seed = version.String(), time.Now().UTC().Truncate(time.Second), a.seed
			r.Command, r.LatencyBudgetS, r.Space, r.Size = a.commandLine(), budget.Seconds(), space.name, s.Size()
			super, err := arch.NewSpace(r.Space, r.supernet())
			if err != nil {
				return usageError{fmt.Errorf("supernet: %w", err)}
			}
			if !reflect.DeepEqual(super.Alphas(), s.Alphas()) { // where cells do not share a choice
				if c.Flags().Changed("search-cells") {
					return usagef("--search-cells %d: the cells of %s are decided one by one: want %d, as --cells", r.SearchCells, r.Space, s.Size().Cells)
				}
				r.SearchCells = s.Size().Cells
			}
			r.Search.Method, r.Search.Seed, r.Train.Seed = r.Method, a.seed, a.seed
			r.Search.WarmupEpochs = min(r.Search.WarmupEpochs, r.Search.Epochs-1)
			r.Dataset, r.DataDigest = data, set.Digest
			r.Device, r.Runtime, r.InferThreads, r.Rounds = target.device, target.runtime, target.inferThreads, target.rounds
			r.Cluster, r.DeviceDir, r.Keep, r.MaxTemp = target.cluster, target.dir, target.keep, target.maxTemp
			r.Mode, r.Profile, r.AllowEmulated = target.mode, target.profile(), target.allowEmulated
			if r.Folder, err = os.Getwd(); err != nil {
				return err
			}
			return a.newSearch(c.Context(), runDir(out), r, set, s, &target)
		},
	}
	f := c.Flags()
	f.Var(&budget, "latency-budget", "most time that one inference may take, with its unit, such as 20ms")
	f.StringVar(&out, "out", "edgenas-out", "folder for everything that the run leaves")
	f.StringVar(&resume, "resume", "", "folder of a run that was interrupted: go on with it")
	f.StringVar(&r.Method, "method", search.DefaultRelaxation, "search method: "+strings.Join(methods, ", "))
	space.add(c)
	target.add(c)
	target.addRounds(c)
	target.addMode(c)
	target.addProfile(c)
	dataFlag(c, &data)
	f.IntVar(&r.SearchCells, "search-cells", 0, "cells of the supernet, counted as --cells, which are the derived network's"+eachDefault(func(s arch.Size) int { return supernetOf(s).Cells }))
	f.IntVar(&r.SearchChannels, "search-channels", 0, "channels of the supernet's first stage; the derived network has --channels"+eachDefault(func(s arch.Size) int { return supernetOf(s).Channels }))
	f.IntVar(&r.Search.Epochs, "search-epochs", r.Search.Epochs, "epochs of the search")
	f.IntVar(&r.Search.Batch, "search-batch", r.Search.Batch, "images of a step of the search")
	f.Float64Var(&r.Search.LR, "search-lr", r.Search.LR, "learning rate of the supernet's weights, at first")
	f.Float64Var(&r.Search.AlphaLR, "alpha-lr", r.Search.AlphaLR, "learning rate of α; its steps are Adam's")
	f.Float64Var(&r.Search.BetaDecay, "beta-decay", r.Search.BetaDecay, "strength of β-decay at the end of the search; 0 turns it off")
	trainFlags(c, &r.Train, &r.Cutout)
	return c
}

// supernetOf is the default supernet for a space of this default size: as deep,
// since a shallow one cannot see how cells stack, but narrower.
func supernetOf(s arch.Size) arch.Size {
	s.Channels = s.Channels * 2 / 3
	return s
}

// countGlobal counts the flags that were given and go with --resume.
func countGlobal(c *cobra.Command) int {
	n := 0
	for _, name := range []string{"json", "quiet", "threads"} {
		if c.Flags().Changed(name) {
			n++
		}
	}
	return n
}

// newSearch begins a run in the folder, once nothing that can be known before
// speaks against it.
func (a *app) newSearch(ctx context.Context, dir runDir, r request, set *dataset.Set, space arch.Space, target *targetFlags) error {
	if err := enough(set, r.Train); err != nil {
		return err
	}
	p, err := a.loadProfile(ctx, target)
	if err != nil {
		return err
	}
	if !target.live() {
		nets, err := a.networks(space)
		if err != nil {
			return err
		}
		if err := lacks(p, nets, target); err != nil {
			return err
		}
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := dir.create(); err != nil {
		return err
	}
	if target.profile() != "" {
		if err := p.Save(dir.path(profileFile)); err != nil {
			return err
		}
	}
	if err := dir.writeJSON(requestFile, r); err != nil {
		return err
	}
	err = a.search(ctx, dir, r, set)
	if code := exitCode(err); (code == exitUsage || code == exitProfile || code == exitInfeasible || code == exitData) && !dir.has(historyFile) {
		if target.profile() != "" {
			os.Remove(dir.path(profileFile))
		}
		dir.forget()
	}
	return err
}

func (a *app) resumeSearch(ctx context.Context, dir runDir) error {
	var r request
	err := dir.readJSON(requestFile, &r)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return usagef("--resume %s: holds no run (no %s)", dir, requestFile)
	case err != nil:
		return err
	case r.Space == "":
		return usagef("--resume %s: its %s is not that of a search", dir, requestFile)
	}
	if dir.has(resultFile) {
		a.note("the run in %s is finished", dir)
		var res result
		if err := dir.readJSON(resultFile, &res); err != nil {
			return err
		}
		if !dir.has(reportFile) {
			if err := report.WriteFile(string(dir)); err != nil {
				return err
			}
		}
		return a.tell(dir, &res)
	}
	a.seed = r.Seed
	set, err := a.openData(r.data())
	if err != nil {
		return err
	}
	if set.Digest != r.DataDigest {
		return dataError{fmt.Errorf("--resume %s: the images of %s have changed since the run began", dir, r.Dataset)}
	}
	set.Name = r.Dataset
	return a.search(ctx, dir, r, set)
}

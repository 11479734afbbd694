// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/edgenas/edgenas/internal/bench"
	"github.com/edgenas/edgenas/internal/fault"
	"github.com/edgenas/edgenas/internal/kernels"
)

func (a *app) benchCommand() *cobra.Command {
	var list bool
	c := &cobra.Command{
		Use:   "bench",
		Short: "Time training steps, single operations and this machine's limits",
		Long: `bench times what training is made of, on synthetic images. Results are in Go's
benchmark format, which benchstat compares; with --json they are lines with the
fields of the PyTorch programs that edgenas is compared with.`,
		Example: "  edgenas bench step --space darts",
		Args:    subcommand,
		RunE: func(c *cobra.Command, args []string) error {
			if list {
				all := kernels.Variants()
				return a.result(all, func(w io.Writer) { bench.WriteLoops(w, all) })
			}
			return showHelp(c, args)
		},
	}
	c.Flags().BoolVar(&list, "list", false, "list the inner loops and what implements them on this machine")
	c.AddCommand(a.benchStepCommand(), a.benchOpsCommand(), a.benchLimitsCommand(), a.benchEvaluatorsCommand(),
		a.benchOracleCommand(), a.benchSearchCommand())
	return c
}

// benchStepOptions are those of timing training steps.
type benchStepOptions struct{ bench.Step }

func (a *app) benchStepCommand() *cobra.Command {
	var o benchStepOptions
	c := &cobra.Command{
		Use:   "step",
		Short: "Time a training step: forward, backward, clipping, SGD",
		Long: `step trains a supernet (--path mixture: all operations; gdas: one operation an
edge) or a derived network (retrain) on synthetic images and times each step but
the first.`,
		Example: `  edgenas bench step --space darts --path mixture --batch 64 --steps 5 --json
  edgenas bench step --space darts --path gdas --paths 50
  edgenas bench step --space nb201 --path retrain`,
		Args: arguments(0, 0),
		RunE: func(c *cobra.Command, _ []string) error { return a.runBenchStep(c.Context(), o) },
	}
	o.AddFlags(c.Flags())
	return c
}

// AddFlags adds the flags of the command.
func (o *benchStepOptions) AddFlags(f *pflag.FlagSet) {
	f.StringVar(&o.Space, "space", "darts", "search space: nb201, darts or mbconv")
	f.StringVar(&o.Path, "path", bench.Mixture, "what is trained: mixture, gdas or retrain")
	f.StringVar(&o.Arch, "arch", "",
		"network to retrain, in the space's notation (default the published DARTS_V2 and Proxyless-Mobile;"+
			" three 3×3 convolutions in nb201)")
	f.IntVar(&o.Batch, "batch", 64, "images a step")
	f.IntVar(&o.Channels, "channels", 0, "channels of the first stage; 0: as in the literature")
	f.IntVar(&o.Cells, "cells", 0, "cells (nb201, mbconv: of a stage); 0: as in the literature")
	f.IntVar(&o.Image, "image", 32, "rows and columns of an image")
	f.IntVar(&o.Steps, "steps", 5, "steps that are timed")
	f.IntVar(&o.Paths, "paths", 0, "gdas: time so many steps, each with a path drawn uniformly of all operations")
}

// runBenchStep times training steps.
func (a *app) runBenchStep(ctx context.Context, o benchStepOptions) error {
	o.Seed = a.seed
	return a.benchmarks(ctx, 1, func(ctx context.Context, _ int) (benchResult, error) {
		return o.Run(ctx, a.workers())
	})
}

// benchOpsOptions are those of timing operations.
type benchOpsOptions struct {
	match   string
	seconds float64
}

func (a *app) benchOpsCommand() *cobra.Command {
	var o benchOpsOptions
	c := &cobra.Command{
		Use:     "ops",
		Short:   "Time single operations, forward and forward with backward",
		Example: "  edgenas bench ops --match conv3x3/n=32 --json",
		Args:    arguments(0, 0),
		RunE:    func(c *cobra.Command, _ []string) error { return a.runBenchOps(c.Context(), o) },
	}
	o.AddFlags(c.Flags())
	return c
}

// AddFlags adds the flags of the command.
func (o *benchOpsOptions) AddFlags(f *pflag.FlagSet) {
	f.StringVar(&o.match, "match", "",
		"only operations with this in their name, which is like conv3x3/n=32/c=32/size=32")
	f.Float64Var(&o.seconds, "seconds", 1, "time for each measurement")
}

// runBenchOps times operations.
func (a *app) runBenchOps(ctx context.Context, o benchOpsOptions) error {
	during, err := benchTime(o.seconds)
	if err != nil {
		return err
	}
	chosen := bench.Match(bench.Ops(), o.match)
	if len(chosen) == 0 {
		return fault.Usagef("--match %q: there is no such operation", o.match)
	}
	return a.benchmarks(ctx, len(chosen), func(ctx context.Context, i int) (benchResult, error) {
		return chosen[i].Run(ctx, a.workers(), during)
	})
}

// benchLimitsOptions are those of measuring limits.
type benchLimitsOptions struct{ seconds float64 }

func (a *app) benchLimitsCommand() *cobra.Command {
	var o benchLimitsOptions
	c := &cobra.Command{
		Use:     "limits",
		Short:   "Measure what this machine can do at most: arithmetic and memory",
		Example: "  edgenas bench limits --threads 1",
		Args:    arguments(0, 0),
		RunE:    func(c *cobra.Command, _ []string) error { return a.runBenchLimits(c.Context(), o) },
	}
	o.AddFlags(c.Flags())
	return c
}

// AddFlags adds the flags of the command.
func (o *benchLimitsOptions) AddFlags(f *pflag.FlagSet) {
	f.Float64Var(&o.seconds, "seconds", 1, "time for each measurement")
}

// runBenchLimits measures what this machine can do at most.
func (a *app) runBenchLimits(ctx context.Context, o benchLimitsOptions) error {
	during, err := benchTime(o.seconds)
	if err != nil {
		return err
	}
	return a.benchmarks(ctx, 1, func(ctx context.Context, _ int) (benchResult, error) {
		return bench.MeasureLimits(ctx, a.workers(), during)
	})
}

// benchTime is how long a measurement takes.
func benchTime(seconds float64) (time.Duration, error) {
	if !(seconds > 0 && seconds <= 3600) {
		return 0, fault.Usagef("--seconds %v: want more than 0, up to 3600", seconds)
	}
	return time.Duration(seconds * float64(time.Second)), nil
}

// benchResult is what a benchmark gives.
type benchResult interface{ Benchmark() string }

// benchmarks runs n of them and writes each result as soon as it is there.
func (a *app) benchmarks(ctx context.Context, n int, run func(ctx context.Context, i int) (benchResult, error)) error {
	for i := range n {
		r, err := run(ctx, i)
		if spec := (*bench.SpecError)(nil); errors.As(err, &spec) {
			return fault.New(fault.Usage, err)
		}
		if err != nil {
			return err
		}
		switch {
		case a.json:
			err = json.NewEncoder(a.stdout).Encode(r)
		case i == 0:
			_, err = fmt.Fprint(a.stdout, bench.Header(), r.Benchmark())
		default:
			_, err = fmt.Fprint(a.stdout, r.Benchmark())
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/edgenas/edgenas/arch"
	"github.com/edgenas/edgenas/internal/compare"
	"github.com/edgenas/edgenas/internal/fault"
	"github.com/edgenas/edgenas/internal/run"
)

// benchSearchOptions are those of comparing whole searches with simple things.
type benchSearchOptions struct {
	budgets latenciesFlag
	seeds   int
	runs    string
	list    bool
	search  searchOptions // of every search, but for its budget
}

func (a *app) benchSearchCommand() *cobra.Command {
	o := benchSearchOptions{search: newSearchOptions()}
	c := &cobra.Command{
		Use:   "search --runs FILE",
		Short: "Run whole searches on this machine beside simple things",
		Long: `search runs the whole job on this machine under each budget with each seed, with a
fresh profile. Beside it it trains what could be taken without a search, for as
long: the empty cell, the residual cell and the cell with the most parameters, of
the largest size that keeps the budget and of the space's default size. It records
each run when it is over, so that it goes on where it was interrupted, and prints
what the searches have found beside the best simple thing under the same budget.`,
		Example: `  edgenas bench search --runs runs.jsonl
  edgenas bench search --runs runs.jsonl --budgets 1ms,2ms --seeds 2 --list`,
		Args: arguments(0, 0),
		RunE: func(c *cobra.Command, _ []string) error { return a.runBenchSearch(c.Context(), o) },
	}
	o.AddFlags(c.Flags())
	return c
}

// AddFlags adds the flags of the command. What a search could also be told is as
// without its flags.
func (o *benchSearchOptions) AddFlags(f *pflag.FlagSet) {
	o.search.AddFlags(pflag.NewFlagSet("search", pflag.ContinueOnError))
	for _, budget := range []time.Duration{500 * time.Microsecond, time.Millisecond, 2 * time.Millisecond,
		4 * time.Millisecond} {
		o.budgets = append(o.budgets, latencyFlag{budget})
	}
	f.Var(&o.budgets, "budgets", "most time that one inference may take, several separated by commas")
	f.IntVar(&o.seeds, "seeds", 3, "seeds for each budget, from --seed on")
	f.StringVar(&o.runs, "runs", "", "file of the runs, a line of JSON each")
	f.BoolVar(&o.list, "list", false, "list what is missing, and run nothing")
	f.StringVar(&o.search.space.name, "space", arch.Spaces[0].Name, "search space: nb201")
	f.StringVar(&o.search.effort, "effort", run.Efforts[0].Name, "how much work each search spends: as of edgenas search")
	dataFlag(f, &o.search.data)
}

// runBenchSearch does what is missing and prints the table.
func (a *app) runBenchSearch(ctx context.Context, o benchSearchOptions) error {
	switch {
	case o.runs == "":
		return fault.Usagef("--runs: want the file of runs")
	case o.seeds < 1:
		return fault.Usagef("--seeds %d: want at least 1", o.seeds)
	}
	o.search.budget = o.budgets[0] // each of them in its turn
	if err := o.search.check(); err != nil {
		return err
	}
	plan, here, err := o.plan(ctx, a)
	if err != nil {
		return err
	}
	var lines *compare.Lines
	if o.list {
		lines, err = compare.ReadLines(o.runs)
		if err != nil {
			return fault.New(fault.Data, err)
		}
	} else {
		r, err := compare.OpenRecord(o.runs)
		if err != nil {
			return fault.New(fault.Data, err)
		}
		defer r.Close()
		if err := plan.Run(ctx, r, here.Do, func(missing []compare.Step) {
			a.note("%d left: %s", len(missing), missing[0])
		}); err != nil {
			if fault.Code(err) == fault.Interrupted {
				a.note("interrupted; the same command goes on from there: %s", a.commandLine())
			}
			return err
		}
		lines = r.Lines
	}
	missing := append([]compare.Step{}, plan.Missing(lines)...)
	told := struct {
		Missing []compare.Step `json:"missing"`
		*compare.Table
	}{missing, plan.Table(lines)}
	return a.result(told, func(w io.Writer) {
		for _, s := range missing {
			fmt.Fprintf(w, "missing: %s\n", s)
		}
		told.Write(w)
	})
}

// plan is what to compare, and what does it.
func (o *benchSearchOptions) plan(ctx context.Context, a *app) (*compare.Plan, *compare.Here, error) {
	set, err := run.OpenImages(o.search.data, a.seed)
	if err != nil {
		return nil, nil, err
	}
	r, err := o.search.request(a, set)
	if err != nil {
		return nil, nil, err
	}
	device, err := a.targets().Of(r.Target).Report(ctx)
	if err != nil {
		return nil, nil, err
	}
	var seeds []uint64
	for i := range o.seeds {
		seeds = append(seeds, a.seed+uint64(i))
	}
	setting := compare.Setting{Space: r.Space, Effort: r.Effort, Data: r.Dataset, Device: device.Device.Name(),
		Runtime: r.Runtime}
	plan, err := compare.NewPlan(setting, r.Size, o.budgets.seconds(), seeds)
	if err != nil {
		return nil, nil, fault.New(fault.Usage, err)
	}
	return plan, &compare.Here{Request: r, Host: a.runHost(), Events: a.show}, nil
}

// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"io"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/edgenas/edgenas/internal/fault"
	"github.com/edgenas/edgenas/internal/oracle"
	"github.com/edgenas/edgenas/internal/run"
)

// oracleOptions are those of all commands that judge by a table of networks.
type oracleOptions struct{ table, scores, budgets string }

// AddFlags adds the flags of these commands.
func (o *oracleOptions) AddFlags(f *pflag.FlagSet) {
	f.StringVar(&o.table, "table", "", "table of NAS-Bench-201 by network, as comma-separated values, .gz or not")
	f.StringVar(&o.scores, "scores", "", "file of recorded scores, a line of JSON each")
	f.StringVar(&o.budgets, "budgets", oracle.Sets[0].Name,
		"budgets and accuracies to judge by: tuning, or held-out, on which nothing may be tuned")
}

// open reads the table.
func (o *oracleOptions) open() (*oracle.Table, oracle.Set, error) {
	set, err := oracle.NewSet(o.budgets)
	switch {
	case err != nil:
		return nil, set, fault.New(fault.Usage, err)
	case o.table == "":
		return nil, set, fault.Usagef("--table: want the table's file")
	}
	t, err := oracle.Open(o.table)
	return t, set, fault.New(fault.Data, err)
}

// looks is the file that says how often the held-out accuracies were looked at.
func (o *oracleOptions) looks() oracle.Looks {
	return oracle.Looks(strings.TrimSuffix(o.scores, filepath.Ext(o.scores)) + ".looks.jsonl")
}

// evaluatorOptions are those of comparing evaluators.
type evaluatorOptions struct {
	oracleOptions
	data, evaluators string
	n                int
}

func (a *app) benchEvaluatorsCommand() *cobra.Command {
	var o evaluatorOptions
	c := &cobra.Command{
		Use:   "evaluators",
		Short: "Compare what judges networks before they are trained to the end",
		Long: `evaluators draws networks from the windows of budgets in a table of networks that
others have trained, lets evaluators score those that have no score yet, and
compares all that have scores inside the windows: rank correlation, regret, time.
It records each score at once, so that it goes on where it was interrupted.`,
		Example: `  edgenas bench evaluators --table nb201.csv.gz --scores r.jsonl --data images:cifar10 --evaluators rung0
  edgenas bench evaluators --table nb201.csv.gz --scores r.jsonl`,
		Args: arguments(0, 0),
		RunE: func(c *cobra.Command, _ []string) error { return a.runBenchEvaluators(c.Context(), o) },
	}
	o.AddFlags(c.Flags())
	return c
}

// AddFlags adds the flags of the command.
func (o *evaluatorOptions) AddFlags(f *pflag.FlagSet) {
	o.oracleOptions.AddFlags(f)
	f.StringVar(&o.data, "data", "", "CIFAR-10, for evaluators that train: cifar10:DIR or images:DIR")
	f.StringVar(&o.evaluators, "evaluators", "",
		"let these score what has no score yet: "+strings.Join(oracle.EvaluatorNames(), ", ")+"; separated by commas")
	f.IntVar(&o.n, "n", 200, "networks to draw from all windows together")
}

// runBenchEvaluators records what scores are missing and prints the card.
func (a *app) runBenchEvaluators(ctx context.Context, o evaluatorOptions) error {
	switch {
	case o.scores == "":
		return fault.Usagef("--scores: want the file of scores")
	case o.n < 1:
		return fault.Usagef("--n %d: want at least 1", o.n)
	case (o.data == "") != (o.evaluators == ""):
		return fault.Usagef("--data and --evaluators: want both, or neither to compare what is recorded")
	}
	t, set, err := o.open()
	if err != nil {
		return err
	}
	networks, err := t.Draw(set.Budgets, o.n, a.seed)
	if err != nil {
		return fault.New(fault.Data, err)
	}
	if o.evaluators != "" {
		if err := a.record(ctx, o, t, set.Budgets, networks); err != nil {
			return err
		}
	}
	scores, err := oracle.OpenScores(o.scores)
	if err != nil {
		return fault.New(fault.Data, err)
	}
	for _, e := range scores.Evaluators() {
		missing, err := t.Lacking(scores, e, set.Budgets, networks)
		if err != nil {
			return fault.New(fault.Data, err)
		}
		if missing > 0 {
			a.note("%s: %d of %d networks have no score yet", e, missing, len(networks))
		}
	}
	var cards []*oracle.Card
	for _, m := range set.Measures {
		truth, err := t.Accuracy(m, o.looks(), "card of evaluators")
		if err != nil {
			return err
		}
		card, err := oracle.NewCard(t, set.Budgets, m, truth, append(t.Structures(networks), t.Recorded(scores, m)...))
		if err != nil {
			return fault.New(fault.Data, err)
		}
		cards = append(cards, card)
	}
	return a.result(map[string]any{"cards": cards}, func(w io.Writer) {
		for _, c := range cards {
			c.Write(w)
			fmt.Fprintln(w)
		}
	})
}

// record lets evaluators score the networks that have no score of them yet.
func (a *app) record(ctx context.Context, o evaluatorOptions, t *oracle.Table, budgets []oracle.Budget,
	networks []int) error {
	images, err := run.OpenImages(o.data, a.seed)
	if err != nil {
		return err
	}
	evaluators, err := oracle.Evaluators(o.evaluators, images, a.seed, a.workers())
	if err != nil {
		return fault.New(fault.Usage, err)
	}
	r, err := oracle.OpenRecord(o.scores)
	if err != nil {
		return fault.New(fault.Data, err)
	}
	defer r.Close()
	for _, e := range evaluators {
		err := e.Record(ctx, r, t, budgets, networks, func(done, of int, s oracle.Score) {
			a.note("%s: %d of %d: %s %.4f, %.1f s", s.Evaluator, done, of, s.Architecture, s.Score, s.CPUS)
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// replayOptions are those of replaying searches.
type replayOptions struct {
	oracleOptions
	rungs  string
	random int
	seeds  int
	noise  float64
}

func (a *app) benchOracleCommand() *cobra.Command {
	var o replayOptions
	c := &cobra.Command{
		Use:   "oracle",
		Short: "Replay whole searches from recorded scores beside simple things",
		Long: `oracle simulates searches under the budgets of a table of networks that others
have trained: networks of the window compete as in a search, but each training is
looked up among recorded scores. It prints how far what they choose is below the
best network that keeps the budget, beside what simple things choose. Without
scores, the table's validation accuracy after 12 epochs, val12, stands in for a
training.`,
		Example: `  edgenas bench oracle --table nb201.csv.gz
  edgenas bench oracle --table nb201.csv.gz --scores r.jsonl --rungs rung0:24,rung1:8`,
		Args: arguments(0, 0),
		RunE: func(c *cobra.Command, _ []string) error { return a.runBenchOracle(c.Context(), o) },
	}
	o.AddFlags(c.Flags())
	return c
}

// AddFlags adds the flags of the command.
func (o *replayOptions) AddFlags(f *pflag.FlagSet) {
	o.oracleOptions.AddFlags(f)
	f.StringVar(&o.rungs, "rungs", oracle.Val12+":24",
		"evaluators that networks train in, one after another, and how many begin in each")
	f.IntVar(&o.random, "random", 6, "of those that begin, how many are drawn at random")
	f.IntVar(&o.seeds, "seeds", 200, "searches under each budget")
	f.Float64Var(&o.noise, "table-noise", 0,
		"let each search see a table of latencies whose entries are wrong: 0.05 is 5 % each")
}

// stages reads --rungs.
func (o *replayOptions) stages() ([]oracle.Rung, error) {
	var rungs []oracle.Rung
	for text := range strings.SplitSeq(o.rungs, ",") {
		name, count, _ := strings.Cut(text, ":")
		n, err := strconv.Atoi(count)
		if name == "" || err != nil || n < 1 || len(rungs) > 0 && n > rungs[len(rungs)-1].Networks {
			return nil, fault.Usagef("--rungs %q: want NAME:NETWORKS, separated by commas, no more in a rung than before",
				o.rungs)
		}
		rungs = append(rungs, oracle.Rung{Evaluator: name, Networks: n})
	}
	return rungs, nil
}

// runBenchOracle replays searches.
func (a *app) runBenchOracle(ctx context.Context, o replayOptions) error {
	rungs, err := o.stages()
	switch {
	case err != nil:
		return err
	case o.random < 0:
		return fault.Usagef("--random %d: want at least 0", o.random)
	case o.seeds < 1:
		return fault.Usagef("--seeds %d: want at least 1", o.seeds)
	case !(o.noise >= 0 && o.noise <= 1):
		return fault.Usagef("--table-noise %g: want 0 to 1", o.noise)
	}
	t, set, err := o.open()
	if err != nil {
		return err
	}
	if o.scores == "" && set.Name != oracle.Sets[0].Name {
		return fault.Usagef("--budgets %s: want --scores, beside which each look is written down", set.Name)
	}
	scores, err := oracle.OpenScores(o.scores)
	if err != nil {
		return fault.New(fault.Data, err)
	}
	var results []*oracle.Result
	for _, m := range set.Measures {
		truth, err := t.Accuracy(m, o.looks(), "replay of searches")
		if err != nil {
			return err
		}
		replay := oracle.Replay{Table: t, Scores: scores, Rungs: rungs, Random: o.random, Budgets: set.Budgets, Measure: m,
			Truth: truth, Seeds: o.seeds, Noise: o.noise}
		res, err := replay.Run(ctx)
		if err != nil {
			return fault.New(fault.Data, err)
		}
		results = append(results, res)
	}
	return a.result(map[string]any{"replays": results}, func(w io.Writer) {
		for _, r := range results {
			r.Write(w)
			fmt.Fprintln(w)
		}
	})
}

// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"io"
	"path/filepath"
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
		Example: `  edgenas bench evaluators --table nb201.csv.gz --scores rungs.jsonl --data images:cifar10 --evaluators rung0
  edgenas bench evaluators --table nb201.csv.gz --scores rungs.jsonl`,
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
		"let these score what has no score yet: rung0, rung1, rung2, separated by commas")
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
		if err := a.record(ctx, o, t, networks); err != nil {
			return err
		}
	}
	scores, err := oracle.OpenScores(o.scores)
	if err != nil {
		return fault.New(fault.Data, err)
	}
	for _, e := range scores.Evaluators() {
		if missing := len(t.Missing(scores, e, networks)); missing > 0 {
			a.note("%s: %d of %d networks have no score yet", e, missing, len(networks))
		}
	}
	var cards []*oracle.Card
	for _, m := range set.Measures {
		truth, err := t.Accuracy(m, o.looks(), "card of evaluators")
		if err != nil {
			return err
		}
		card, err := oracle.NewCard(t, set.Budgets, m, truth, append(t.Structures(networks), t.Recorded(scores)...))
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
func (a *app) record(ctx context.Context, o evaluatorOptions, t *oracle.Table, networks []int) error {
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
		missing := t.Missing(r.Scores, e.Name(), networks)
		for i, n := range missing {
			s, err := e.Score(ctx, t.Networks[n].Choice)
			if err != nil {
				return err
			}
			if err := r.Add(s); err != nil {
				return err
			}
			a.note("%s: %d of %d: %s %.4f, %.1f s", e.Name(), i+1, len(missing), s.Architecture, s.Score, s.CPUS)
		}
	}
	return nil
}

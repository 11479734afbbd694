// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/edgenas/edgenas/internal/dataset"
	"github.com/edgenas/edgenas/internal/fault"
	"github.com/edgenas/edgenas/internal/run"
	"github.com/edgenas/edgenas/internal/runfile"
	"github.com/edgenas/edgenas/internal/target"
	"github.com/edgenas/edgenas/internal/units"
	"github.com/edgenas/edgenas/internal/version"
	"github.com/edgenas/edgenas/internal/wording"
	"github.com/edgenas/edgenas/search"
	"github.com/edgenas/edgenas/train"
)

// searchOptions are those of the main job.
type searchOptions struct {
	budget      latencyFlag
	aim         latencyFlag
	out, resume string
	data        string
	space       spaceOptions
	target      targetOptions
	effort      string
	method      string
	search      search.StageConfig
	recipe      recipeOptions
	flags       *pflag.FlagSet
}

// newSearchOptions are those that have no flag or whose flag asks for a default.
func newSearchOptions() searchOptions {
	return searchOptions{search: search.DefaultStageConfig(0), recipe: recipeOptions{Config: train.DefaultConfig()}}
}

func (a *app) searchCommand() *cobra.Command {
	o := newSearchOptions()
	c := &cobra.Command{
		Use:   "search --latency-budget TIME",
		Short: "Find, train, export and verify a network within a latency budget",
		Long: `search does the whole job. It measures what the latency table lacks, and lists
the networks that use the budget. α learns by gradient which of them are good;
they and what their structure promises compete in short trainings, and the best
is measured, trained to the end and written as ONNX. That is measured on the
device, and a report is left.

With --profile alone the profile's device is the target: nothing is measured,
and the command that verifies the result there is printed.`,
		Example: `  edgenas search --latency-budget 2ms
  edgenas search --latency-budget 20ms --profile pi5.json --data images:flowers --out out/pi5
  edgenas search --resume out/pi5`,
		Args: arguments(0, 0),
		RunE: func(c *cobra.Command, _ []string) error { return a.runSearch(c.Context(), o) },
	}
	o.AddFlags(c.Flags())
	return c
}

// AddFlags adds the flags of the command.
func (o *searchOptions) AddFlags(f *pflag.FlagSet) {
	var efforts []string
	for _, e := range run.Efforts {
		efforts = append(efforts, fmt.Sprintf("%s (%s on two cores)", e.Name, e.About))
	}
	o.flags = f
	f.Var(&o.budget, "latency-budget", "most time that one inference may take, with its unit, such as 20ms")
	f.Var(&o.aim, "latency-target", "time that one inference should take: a budget of which at least four fifths are used")
	f.StringVar(&o.out, "out", "edgenas-out", "folder for everything that the run leaves")
	f.StringVar(&o.resume, "resume", "", "folder of a run that was interrupted: go on with it")
	f.StringVar(&o.effort, "effort", run.Efforts[0].Name, "how much work to spend: "+strings.Join(efforts, ", "))
	f.StringVar(&o.method, "method", search.Reinforce, "how α learns: "+strings.Join(search.Methods(), ", "))
	o.space.AddFlags(f)
	o.target.AddFlags(f)
	o.target.addRounds(f)
	o.target.addMode(f)
	o.target.addProfile(f)
	dataFlag(f, &o.data)
	f.IntVar(&o.search.Batch, "search-batch", o.search.Batch, "images of a step of the supernet")
	f.Float64Var(&o.search.LR, "search-lr", o.search.LR, "greatest learning rate of the supernet's weights")
	f.Float64Var(&o.search.AlphaLR, "alpha-lr", o.search.AlphaLR, "learning rate of α; its steps are Adam's")
	o.recipe.AddFlags(f)
}

// maxBatch is more images than a step makes sense of.
const maxBatch = 1 << 16

// check is a usage error where a value makes no sense. It fills in the defaults
// that depend on others.
func (o *searchOptions) check() error {
	if o.aim.Duration != 0 {
		if o.budget.Duration != 0 {
			return fault.Usagef("--latency-budget and --latency-target: want one of them")
		}
		o.budget = o.aim
	}
	if o.budget.Duration == 0 {
		return fault.Usagef("--latency-budget is needed, such as --latency-budget 20ms; see edgenas search -h")
	}
	if err := o.target.check(); err != nil {
		return err
	}
	effort, err := run.NewEffort(o.effort)
	if err != nil {
		return fault.Usagef("--%w", err)
	}
	if !slices.Contains(search.Methods(), o.method) {
		return fault.Usagef("--method %q: want %s", o.method, strings.Join(search.Methods(), ", "))
	}
	if o.recipe.Epochs == 0 {
		o.recipe.Work = effort.Training
	}
	if o.target.Rounds == 0 {
		o.target.Rounds = effort.Rounds
	}
	s := o.search
	switch {
	case s.Batch < 1 || s.Batch > maxBatch:
		return fault.Usagef("--search-batch %d: want 1 to %d", s.Batch, maxBatch)
	case !(s.LR > 0 && s.LR <= maxRate):
		return fault.Usagef("--search-lr %g: want more than 0, at most %d", s.LR, maxRate)
	case !(s.AlphaLR > 0 && s.AlphaLR <= maxRate):
		return fault.Usagef("--alpha-lr %g: want more than 0, at most %d", s.AlphaLR, maxRate)
	}
	return o.recipe.check()
}

// confidence is how sure a prediction has to be that a budget is kept.
const confidence = 0.95

// request is the run that the options ask for.
func (o *searchOptions) request(a *app, set *dataset.Set) (r runfile.Request, err error) {
	s, err := spaceFor(o.space.name, o.space.sized(), set)
	if err != nil {
		return r, err
	}
	r = runfile.Request{Command: a.commandLine(), Version: version.String(), Date: time.Now().UTC().Truncate(time.Second),
		Seed: a.seed, LatencyBudgetS: o.budget.Seconds(), LatencyLeastS: run.LeastUse * o.aim.Seconds(),
		Confidence: confidence, Space: o.space.name, Size: s.Size(), Method: o.method, Dataset: o.data,
		DataDigest: set.Digest, Target: o.target.Options, Effort: o.effort, Search: o.search, Train: o.recipe.Config,
		Cutout: o.recipe.Cutout}
	r.Size.Cells, r.Size.Channels = o.space.open().Cells, o.space.open().Channels // 0: by the budget
	r.Search.Method, r.Search.Seed, r.Train.Seed = r.Method, a.seed, a.seed
	r.Folder, err = os.Getwd()
	return r, err
}

// runSearch begins a run or goes on with it, and prints its result.
func (a *app) runSearch(ctx context.Context, o searchOptions) error {
	if o.resume != "" {
		return a.resumeSearch(ctx, o)
	}
	if err := o.check(); err != nil {
		return err
	}
	set, err := run.OpenImages(o.data, a.seed)
	if err != nil {
		return err
	}
	r, err := o.request(a, set)
	if err != nil {
		return err
	}
	dir := runfile.Dir(o.out)
	res, err := run.Run(ctx, run.Request{Request: r, Dir: dir, Images: set, Host: a.runHost()}, a.show)
	return a.tell(dir, res, err)
}

func (a *app) resumeSearch(ctx context.Context, o searchOptions) error {
	others := 0
	o.flags.Visit(func(f *pflag.Flag) {
		switch f.Name {
		case "resume", "json", "quiet", "threads":
		default:
			others++
		}
	})
	if others > 0 {
		return fault.Usagef("--resume takes no other flag: the run goes on as it was asked for")
	}
	dir := runfile.Dir(o.resume)
	res, err := run.Resume(ctx, dir, a.runHost(), a.show)
	return a.tell(dir, res, err)
}

// tell prints the result of the run in the folder, or how to go on with it. A
// network that turned out to be over its budget is a verification error.
func (a *app) tell(dir runfile.Dir, r runfile.Result, err error) error {
	if err != nil {
		switch code := fault.Code(err); {
		case !dir.Has(runfile.RequestName), diverged(err): // there is nothing, or it would end so again
		case code == fault.Interrupted:
			a.note("interrupted; go on with: edgenas search --resume %s", wording.Quote(string(dir)))
		case code == fault.Unexpected:
			a.note("what was done is kept; go on with: edgenas search --resume %s", wording.Quote(string(dir)))
		}
		return err
	}
	if err := a.result(r, func(w io.Writer) { summarise(w, dir, r) }); err != nil || r.WithinBudget {
		return err
	}
	took, how := r.LatencyPredictedHiS, "at the upper end of its prediction"
	if r.LatencyMeasuredS != nil && *r.LatencyMeasuredS > r.LatencyBudgetS {
		took, how = *r.LatencyMeasuredS, "when measured"
	}
	return fault.Errorf(fault.Verify, "the network takes %s %s, over the budget of %s: search again with a budget of %s",
		units.Seconds(took), how, units.Seconds(r.LatencyBudgetS),
		units.Seconds(r.LatencyBudgetS*r.LatencyBudgetS/took))
}

// diverged says whether a search or a training left the finite numbers.
func diverged(err error) bool {
	var searching *search.DivergedError
	var training *train.DivergedError
	return errors.As(err, &searching) || errors.As(err, &training)
}

// quantile writes a quantile after the median, if it is known.
func quantile(name string, s *float64) string {
	if s == nil || *s == 0 {
		return ""
	}
	return ", " + units.Seconds(*s) + " " + name
}

// funnel says how many networks came to each stage of a choice.
func funnel(c runfile.Choice) string {
	var text strings.Builder
	for i, s := range c.Funnel {
		if i > 0 {
			text.WriteString(", ")
		}
		fmt.Fprintf(&text, "%s %d", s.Name, s.Networks)
	}
	fmt.Fprintf(&text, "; α's entropy %.2f", c.AlphaEntropy)
	return text.String()
}

// summarise tells a person what was found and where it is.
func summarise(w io.Writer, dir runfile.Dir, r runfile.Result) {
	fmt.Fprintf(w, "budget     %s on %s, %s runtime\n", units.Seconds(r.LatencyBudgetS), r.Device, r.Runtime)
	fmt.Fprintf(w, "predicted  %s, at most %s with %.0f %% confidence\n", units.Seconds(r.LatencyPredictedS),
		units.Seconds(r.LatencyPredictedHiS), 100*r.Confidence)
	if r.LatencyMeasuredS != nil {
		kept := "within the budget"
		if *r.LatencyMeasuredS > r.LatencyBudgetS {
			kept = "OVER the budget"
		}
		fmt.Fprintf(w, "measured   %s median%s%s: %s\n", units.Seconds(*r.LatencyMeasuredS),
			quantile("p90", r.LatencyMeasuredP90S), quantile("p99", r.LatencyMeasuredP99S), kept)
	} else {
		fmt.Fprintf(w, "measured   not yet; on the device: edgenas verify %s --latency-budget %v%s\n",
			wording.Quote(dir.Path(runfile.ModelName)), time.Duration(math.Round(1e9*r.LatencyBudgetS)),
			target.Flags(r.InferThreads, r.Cluster, r.Mode))
	}
	fmt.Fprintf(w, "accuracy   %.2f %% on %d test images\n", 100*r.TestAccuracy, r.TestImages)
	fmt.Fprintf(w, "network    %s: %d parameters, %.1f M multiply-accumulates\n", r.Architecture, r.Params,
		float64(r.MACs)/1e6)
	if choice, err := dir.ReadChoice(); err == nil { // a run of an older version has none
		fmt.Fprintf(w, "chosen     %s\n", funnel(choice))
	}
	fmt.Fprintf(w, "files      %s, %s\n", dir.Path(runfile.ModelName), dir.Path(runfile.ReportName))
	for _, text := range r.Warnings {
		fmt.Fprintf(w, "warning    %s\n", text)
	}
}

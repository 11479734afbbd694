// SPDX-License-Identifier: Apache-2.0

package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/edgenas/edgenas/devices"
	"github.com/edgenas/edgenas/internal/fault"
	"github.com/edgenas/edgenas/internal/onnx"
	"github.com/edgenas/edgenas/internal/run"
	"github.com/edgenas/edgenas/internal/target"
	"github.com/edgenas/edgenas/internal/units"
	"github.com/edgenas/edgenas/latency"
	"github.com/edgenas/edgenas/profiles"
)

// verifyOptions are those of measuring a model.
type verifyOptions struct {
	budget    latencyFlag
	tolerance string
	target    targetOptions
}

func (a *app) verifyCommand() *cobra.Command {
	var o verifyOptions
	c := &cobra.Command{
		Use:   "verify FILE.onnx",
		Short: "Measure a model on the device",
		Long: `verify measures a model in a process of its own. It fails (exit 6) if the median
is over --latency-budget, or further than --tolerance from what was predicted
when the model was made. A prediction for another device, runtime, number of
threads or mode is shown, but compared with nothing: --tolerance is refused
(exit 4).`,
		Example: "  edgenas verify out/first/model.onnx --latency-budget 2ms --tolerance 10%",
		Args:    arguments(1, 1),
		RunE:    func(c *cobra.Command, args []string) error { return a.runVerify(c.Context(), o, args[0]) },
	}
	o.AddFlags(c.Flags())
	return c
}

// AddFlags adds the flags of the command.
func (o *verifyOptions) AddFlags(f *pflag.FlagSet) {
	f.Var(&o.budget, "latency-budget", "fail if the median is over this time, such as 20ms")
	f.StringVar(&o.tolerance, "tolerance", "", "fail if measured and predicted differ by more than this, such as 5%")
	o.target.AddFlags(f)
	o.target.addMode(f)
}

// verified is what verify says.
type verified struct {
	latency.Verification
	PredictedS  *float64 `json:"latency_predicted_s"`    // null: the model does not say
	PredictedOn string   `json:"predicted_on,omitempty"` // what the prediction holds for, if it was not measured on that
	BudgetS     *float64 `json:"latency_budget_s"`       // null: none given
}

// runVerify measures the model in the file.
func (a *app) runVerify(ctx context.Context, o verifyOptions, file string) error {
	if err := o.target.check(); err != nil {
		return err
	}
	limit, err := parsePercent(o.tolerance)
	if err != nil {
		return fault.Usagef("--tolerance: %w", err)
	}
	m, err := onnx.ReadFile(file)
	if err != nil {
		return fault.New(fault.Data, err)
	}
	res, err := a.verify(ctx, o, m, file)
	if err != nil {
		return err
	}
	if limit > 0 && res.PredictedS == nil {
		return fault.Errorf(fault.Data, "%s: holds no predicted latency to compare with --tolerance", file)
	}
	if err := a.result(res, res.write); err != nil {
		return err
	}
	if res.BudgetS != nil && res.MedianS > *res.BudgetS {
		return fault.Errorf(fault.Verify, "%s takes %s: over the budget of %s", file, units.Seconds(res.MedianS),
			units.Seconds(*res.BudgetS))
	}
	if limit == 0 {
		return nil
	}
	if res.PredictedOn != "" {
		return fault.Errorf(fault.Profile, "%s: its latency was predicted on %s, not on what it was measured on:"+
			" leave --tolerance out, or measure there", file, res.PredictedOn)
	}
	if off := math.Abs(res.MedianS / *res.PredictedS - 1); off > limit {
		return fault.Errorf(fault.Verify, "%s takes %s, predicted %s: %.1f %% off, more than %s", file,
			units.Seconds(res.MedianS), units.Seconds(*res.PredictedS), 100*off, o.tolerance)
	}
	return nil
}

// verify measures the model and puts beside it what it says of itself.
func (a *app) verify(ctx context.Context, o verifyOptions, m *onnx.Model, file string) (res verified, err error) {
	on := o.target.Options
	if on.Device == "" || on.Device == string(devices.Local) { // here, in this process of its own
		res.Verification, err = verifyHere(ctx, m, on, a.seed)
	} else {
		res.Verification, err = a.targets().Of(on).Verify(ctx, file, cmp.Or(on.Mode, profiles.Burst))
	}
	if err != nil {
		return res, err
	}
	if p, ok := run.ReadPrediction(m.Metadata); ok {
		res.PredictedS = &p.Seconds
		res.PredictedOn = predictedOn(p, res.Verification, o.target.Cluster)
	}
	if o.budget.Duration > 0 {
		s := o.budget.Seconds()
		res.BudgetS = &s
	}
	return res, nil
}

// predictedOn is what the prediction holds for, if that was not measured.
func predictedOn(p run.Prediction, v latency.Verification, cluster string) string {
	if p.HoldsFor(v.Device.Name(), v.Runtime.Name, v.Runtime.Threads, cluster, v.Mode) {
		return ""
	}
	return p.Where()
}

// verifyHere measures the model in this process.
func verifyHere(ctx context.Context, m *onnx.Model, on target.Options, seed uint64) (
	v latency.Verification, err error) {
	g, w, err := m.Graph(1)
	if err != nil {
		return v, fault.New(fault.Data, err)
	}
	return target.VerifyHere(ctx, g, w, on, seed)
}

func (v verified) write(w io.Writer) {
	fmt.Fprintf(w, "measured   %s median (95 %%: %s to %s)%s%s%s on %s, %s runtime, %d thread(s), %s\n",
		units.Seconds(v.MedianS), units.Seconds(v.LoS), units.Seconds(v.HiS), quantile("p90", &v.P90S),
		quantile("p95", &v.P95S), quantile("p99", &v.P99S), v.Device.Name(), v.Runtime.Name, v.Runtime.Threads, v.Mode)
	switch {
	case v.PredictedOn != "":
		fmt.Fprintf(w, "predicted  %s on %s\n", units.Seconds(*v.PredictedS), v.PredictedOn)
	case v.PredictedS != nil:
		fmt.Fprintf(w, "predicted  %s: measured is %+.1f %%\n", units.Seconds(*v.PredictedS),
			100*(v.MedianS / *v.PredictedS - 1))
	}
	for _, text := range v.Warnings {
		fmt.Fprintf(w, "warning    %s\n", text)
	}
}

// parsePercent reads "5%"; an empty text is 0, no limit.
func parsePercent(text string) (float64, error) {
	if text == "" {
		return 0, nil
	}
	number, ok := strings.CutSuffix(text, "%")
	p, err := strconv.ParseFloat(number, 64)
	if !ok || err != nil || !(p > 0) || p > 1000 {
		return 0, fmt.Errorf("%q: want a percentage such as 5%%", text)
	}
	return p / 100, nil
}

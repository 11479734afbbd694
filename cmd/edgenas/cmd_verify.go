// SPDX-License-Identifier: Apache-2.0

package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/edgenas/edgenas/arch"
	"github.com/edgenas/edgenas/devices"
	"github.com/edgenas/edgenas/export"
	"github.com/edgenas/edgenas/internal/kernels"
	"github.com/edgenas/edgenas/internal/native"
	"github.com/edgenas/edgenas/internal/onnx"
	"github.com/edgenas/edgenas/latency"
	"github.com/edgenas/edgenas/ops"
	"github.com/edgenas/edgenas/profiles"
)

func (a *app) verifyCommand() *cobra.Command {
	var (
		budget    latencyFlag
		target    targetFlags
		tolerance string
	)
	c := &cobra.Command{
		Use:   "verify FILE.onnx",
		Short: "Measure a model on the device",
		Long: `verify measures a model in a process of its own. It fails (exit 6) if the median
is over --latency-budget, or further than --tolerance from what was predicted
when the model was made.`,
		Example: "  edgenas verify out/first/model.onnx --latency-budget 2ms --tolerance 10%",
		Args:    arguments(1, 1),
		RunE: func(c *cobra.Command, args []string) error {
			if err := target.check(); err != nil {
				return err
			}
			limit, err := parsePercent(tolerance)
			if err != nil {
				return usageError{fmt.Errorf("--tolerance: %w", err)}
			}
			m, err := onnx.ReadFile(args[0])
			if err != nil {
				return dataError{err}
			}
			verify := a.target(&target).verify
			if target.device == "" || target.device == string(devices.Local) { // here, in this process of its own
				verify = func(ctx context.Context, _, _ string) (latency.Verification, error) { return a.verify(ctx, m, &target) }
			}
			v, err := verify(c.Context(), args[0], cmp.Or(target.mode, profiles.Burst))
			if err != nil {
				return err
			}
			predicted, known := m.Metadata[export.Prefix+"latency_predicted_s"]
			res := struct {
				latency.Verification
				PredictedS *float64 `json:"latency_predicted_s"` // null: the model does not say
				BudgetS    *float64 `json:"latency_budget_s"`    // null: none given
			}{Verification: v}
			if p, err := strconv.ParseFloat(predicted, 64); known && err == nil && p > 0 {
				res.PredictedS = &p
			}
			if budget.Duration > 0 {
				s := budget.Seconds()
				res.BudgetS = &s
			}
			if limit > 0 && res.PredictedS == nil {
				return dataError{fmt.Errorf("%s: holds no predicted latency to compare with --tolerance", args[0])}
			}
			if err := a.result(res, func(w io.Writer) {
				fmt.Fprintf(w, "measured   %s median (95 %%: %s to %s), %s p90, %s p95, %s p99 on %s, %s runtime, %d thread(s), %s\n", milliseconds(v.MedianS),
					milliseconds(v.LoS), milliseconds(v.HiS), milliseconds(v.P90S), milliseconds(v.P95S), milliseconds(v.P99S), v.Device.Name(), v.Runtime.Name, v.Runtime.Threads, v.Mode)
				if res.PredictedS != nil {
					fmt.Fprintf(w, "predicted  %s: measured is %+.1f %%\n", milliseconds(*res.PredictedS), 100*(v.MedianS / *res.PredictedS - 1))
				}
				for _, text := range v.Warnings {
					fmt.Fprintf(w, "warning    %s\n", text)
				}
			}); err != nil {
				return err
			}
			if res.BudgetS != nil && v.MedianS > *res.BudgetS {
				return verifyError{fmt.Errorf("%s takes %s: over the budget of %s", args[0], milliseconds(v.MedianS), milliseconds(*res.BudgetS))}
			}
			if limit > 0 {
				if off := math.Abs(v.MedianS / *res.PredictedS - 1); off > limit {
					return verifyError{fmt.Errorf("%s takes %s, predicted %s: %.1f %% off, more than %s", args[0], milliseconds(v.MedianS), milliseconds(*res.PredictedS), 100*off, tolerance)}
				}
			}
			return nil
		},
	}
	c.Flags().Var(&budget, "latency-budget", "fail if the median is over this time, such as 20ms")
	c.Flags().StringVar(&tolerance, "tolerance", "", "fail if measured and predicted differ by more than this, such as 5%")
	target.add(c)
	target.addMode(c)
	return c
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

// verify measures a model in this process.
func (a *app) verify(ctx context.Context, m *onnx.Model, f *targetFlags) (latency.Verification, error) {
	g, w, err := m.Graph(1)
	if err != nil {
		return latency.Verification{}, dataError{err}
	}
	mode, err := latency.ParseMode(f.mode)
	if err != nil {
		return latency.Verification{}, usageError{err}
	}
	release, err := latency.Confine(f.cluster)
	if err != nil {
		return latency.Verification{}, usageError{err}
	}
	defer release()
	pool := kernels.NewWorkers(f.inferThreads)
	defer pool.Close()
	v, err := native.Runtime{Pool: pool}.Verify(ctx, g, w, mode, a.seed)
	if err != nil {
		return v, dataError{err}
	}
	return v, nil
}

// measureUntrained measures a network of the space with random weights.
func (j *job) measureUntrained(ctx context.Context, c arch.Choice) (latency.Verification, error) {
	g, err := j.space.Network(c, 1)
	if err != nil {
		return latency.Verification{}, err
	}
	w := ops.InitWeights(g, rand.New(rand.NewPCG(j.request.Seed, 8)))
	file, err := j.export(arch.Architecture{Space: j.space, Choice: c}, w, nil)
	if err != nil {
		return latency.Verification{}, err
	}
	f, err := os.CreateTemp("", "edgenas-*.onnx")
	if err != nil {
		return latency.Verification{}, err
	}
	defer os.Remove(f.Name())
	_, err = f.Write(file)
	if err := errors.Join(err, f.Close()); err != nil {
		return latency.Verification{}, err
	}
	return j.target.verify(ctx, f.Name(), j.profile.Protocol.InMode())
}

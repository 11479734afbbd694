// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"io"
	"math"
	"strconv"
	"time"

	"github.com/edgenas/edgenas/arch"
)

// result is what a run has found: result.json.
type result struct {
	Command             string    `json:"command"`
	Space               string    `json:"space"`
	Size                arch.Size `json:"size"`
	Method              string    `json:"method"`
	Seed                uint64    `json:"seed"`
	Dataset             string    `json:"dataset"`
	Device              string    `json:"device"`
	Runtime             string    `json:"runtime"`
	LatencyBudgetS      float64   `json:"latency_budget_s"`
	LatencyPredictedS   float64   `json:"latency_predicted_s"`
	LatencyPredictedHiS float64   `json:"latency_predicted_hi_s"` // upper end at the confidence
	Confidence          float64   `json:"confidence"`
	GuardBand           float64   `json:"guard_band"` // kept from the budget, relative
	GuardBasis          string    `json:"guard_basis"`
	LatencyMeasuredS    *float64  `json:"latency_measured_s"` // median of one verify session; null: nothing was measured
	LatencyMeasuredP90S *float64  `json:"latency_measured_p90_s"`
	LatencyMeasuredP99S *float64  `json:"latency_measured_p99_s"`
	WithinBudget        bool      `json:"within_budget"`
	TestAccuracy        float64   `json:"test_accuracy"`
	TestImages          int       `json:"test_images"`
	Params              int64     `json:"params"`
	MACs                int64     `json:"macs"`
	SearchWallS         float64   `json:"search_wall_s"`
	TrainWallS          float64   `json:"train_wall_s"`
	TrainEpochs         float64   `json:"train_epochs"`
	Architecture        string    `json:"architecture"`        // in the literature's notation
	ONNX                string    `json:"onnx"`                // file name in the run's folder
	ONNXMaxDifference   float64   `json:"onnx_max_difference"` // of the logits, read back by an independent reader
	Warnings            []string  `json:"warnings"`
}

// judge says whether the budget is kept: the prediction's upper end, and the
// measured median if there is one.
func (r *result) judge() {
	r.WithinBudget = r.LatencyPredictedHiS <= r.LatencyBudgetS &&
		(r.LatencyMeasuredS == nil || *r.LatencyMeasuredS <= r.LatencyBudgetS)
}

// tell prints the result of the run in the folder. A network that turned out
// to be over its budget is a verification error.
func (a *app) tell(dir runDir, r *result) error {
	if err := a.result(r, func(w io.Writer) { r.summary(w, dir) }); err != nil || r.WithinBudget {
		return err
	}
	took, how := r.LatencyPredictedHiS, "at the upper end of its prediction"
	if r.LatencyMeasuredS != nil && *r.LatencyMeasuredS > r.LatencyBudgetS {
		took, how = *r.LatencyMeasuredS, "when measured"
	}
	return verifyError{fmt.Errorf("the network takes %s %s, over the budget of %s: search again with a budget of %s", milliseconds(took), how,
		milliseconds(r.LatencyBudgetS), milliseconds(r.LatencyBudgetS*r.LatencyBudgetS/took))}
}

// summary tells a person what was found and where it is.
func (r *result) summary(w io.Writer, dir runDir) {
	fmt.Fprintf(w, "budget     %s on %s, %s runtime\n", milliseconds(r.LatencyBudgetS), r.Device, r.Runtime)
	fmt.Fprintf(w, "predicted  %s, at most %s with %.0f %% confidence\n", milliseconds(r.LatencyPredictedS), milliseconds(r.LatencyPredictedHiS), 100*r.Confidence)
	if r.LatencyMeasuredS != nil {
		kept := "within the budget"
		if *r.LatencyMeasuredS > r.LatencyBudgetS {
			kept = "OVER the budget"
		}
		fmt.Fprintf(w, "measured   %s median", milliseconds(*r.LatencyMeasuredS))
		if r.LatencyMeasuredP90S != nil {
			fmt.Fprintf(w, ", %s p90", milliseconds(*r.LatencyMeasuredP90S))
		}
		if r.LatencyMeasuredP99S != nil {
			fmt.Fprintf(w, ", %s p99", milliseconds(*r.LatencyMeasuredP99S))
		}
		fmt.Fprintf(w, ": %s\n", kept)
	} else {
		fmt.Fprintf(w, "measured   not yet; on the device: edgenas verify %s --latency-budget %v\n", quote(dir.path(modelFile)),
			time.Duration(math.Round(1e9*r.LatencyBudgetS)))
	}
	fmt.Fprintf(w, "accuracy   %.2f %% on %d test images\n", 100*r.TestAccuracy, r.TestImages)
	fmt.Fprintf(w, "network    %s: %d parameters, %.1f M multiply-accumulates\n", r.Architecture, r.Params, float64(r.MACs)/1e6)
	fmt.Fprintf(w, "files      %s, %s\n", dir.path(modelFile), dir.path(reportFile))
	for _, text := range r.Warnings {
		fmt.Fprintf(w, "warning    %s\n", text)
	}
}

// milliseconds prints seconds for people.
func milliseconds(s float64) string {
	if s < 1e-3 {
		return fmtNumber(s*1e6) + " µs"
	}
	return fmtNumber(s*1e3) + " ms"
}

// fmtNumber gives three significant digits.
func fmtNumber(x float64) string {
	digits := max(0, 2-int(math.Floor(math.Log10(max(math.Abs(x), 1e-9)))))
	return strconv.FormatFloat(x, 'f', digits, 64)
}

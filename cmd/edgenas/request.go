// SPDX-License-Identifier: Apache-2.0

package main

import (
	"math"
	"strconv"
	"time"

	"github.com/edgenas/edgenas/arch"
	"github.com/edgenas/edgenas/search"
	"github.com/edgenas/edgenas/train"
)

// request is everything that a run was asked for: request.json, from the first
// second on. With it a run goes on without any flag.
type request struct {
	Command        string    `json:"command"`
	Version        string    `json:"version"`
	Date           time.Time `json:"date"`
	Seed           uint64    `json:"seed"`
	LatencyBudgetS float64   `json:"latency_budget_s"`
	Confidence     float64   `json:"confidence"`

	Space       string    `json:"space"`
	Size        arch.Size `json:"size"`
	SearchCells int       `json:"search_cells"` // of the supernet
	Method      string    `json:"method"`
	Dataset     string    `json:"dataset"`
	DataDigest  string    `json:"dataset_digest"`

	Device        string `json:"device"` // as asked for; empty: none, or this machine without a profile
	Runtime       string `json:"runtime"`
	InferThreads  int    `json:"infer_threads"`
	Profile       string `json:"profile"`
	AllowEmulated bool   `json:"allow_emulated"`

	Search search.Config `json:"search"`
	Train  train.Config  `json:"train"`
	Cutout int           `json:"cutout"`
}

func (r request) target() *targetFlags {
	t := &targetFlags{device: r.Device, runtime: r.Runtime, inferThreads: r.InferThreads, allowEmulated: r.AllowEmulated}
	if r.Profile != "" {
		t.profiles = []string{r.Profile}
	}
	return t
}

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

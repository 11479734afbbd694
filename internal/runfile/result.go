// SPDX-License-Identifier: Apache-2.0

package runfile

import "github.com/edgenas/edgenas/arch"

// Result is what a run has found: result.json.
type Result struct {
	Command             string    `json:"command"`
	Space               string    `json:"space"`
	Size                arch.Size `json:"size"`
	Method              string    `json:"method"`
	Seed                uint64    `json:"seed"`
	Dataset             string    `json:"dataset"`
	Device              string    `json:"device"`
	Runtime             string    `json:"runtime"`
	InferThreads        int       `json:"infer_threads"` // of the runtime; 0: the file is from before it was written
	Cluster             string    `json:"cluster"`       // processors that were measured on; empty: the fastest
	Mode                string    `json:"mode"`          // of measurement
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
	AlphaEntropy        *float64  `json:"alpha_entropy"`     // at the end: 1 undecided, 0 decided; null: not known
	SmallerIsBetter     bool      `json:"smaller_is_better"` // larger networks lost to it, which uses little of the budget
	SearchWallS         float64   `json:"search_wall_s"`
	TrainWallS          float64   `json:"train_wall_s"`
	TrainEpochs         float64   `json:"train_epochs"`
	Architecture        string    `json:"architecture"`        // in the literature's notation
	ONNX                string    `json:"onnx"`                // file name in the run's folder
	ONNXMaxDifference   float64   `json:"onnx_max_difference"` // of the logits, read back by an independent reader
	Warnings            []string  `json:"warnings"`
}

// Judge sets WithinBudget: whether the prediction's upper end keeps the budget,
// and the measured median does if there is one.
func (r *Result) Judge() {
	r.WithinBudget = r.LatencyPredictedHiS <= r.LatencyBudgetS &&
		(r.LatencyMeasuredS == nil || *r.LatencyMeasuredS <= r.LatencyBudgetS)
}

// WriteResult writes result.json.
func (d Dir) WriteResult(r *Result) error { return d.write(ResultName, r) }

// ReadResult reads result.json. Errors are as those of ReadRequest.
func (d Dir) ReadResult() (Result, error) {
	var r Result
	_, err := d.read(ResultName, &r)
	return r, err
}

// Summary is what request.json and result.json say together, at any time of a
// run and of any command. Both use the same names; where both have a name,
// result.json wins. What neither says is nil or empty.
type Summary struct {
	Command string     `json:"command"`
	Version string     `json:"version"`
	Date    string     `json:"date"` // start, RFC 3339
	Space   string     `json:"space"`
	Size    *arch.Size `json:"size"`
	Method  string     `json:"method"`
	Dataset string     `json:"dataset"`
	Device  string     `json:"device"`
	Runtime string     `json:"runtime"`
	Seed    *uint64    `json:"seed"`

	LatencyBudgetS      *float64 `json:"latency_budget_s"`
	LatencyPredictedS   *float64 `json:"latency_predicted_s"`
	LatencyPredictedHiS *float64 `json:"latency_predicted_hi_s"`
	Confidence          *float64 `json:"confidence"`
	LatencyMeasuredS    *float64 `json:"latency_measured_s"`
	LatencyMeasuredP90S *float64 `json:"latency_measured_p90_s"`
	LatencyMeasuredP99S *float64 `json:"latency_measured_p99_s"`
	WithinBudget        *bool    `json:"within_budget"`

	GuardBand *float64 `json:"guard_band"`

	TestAccuracy      *float64 `json:"test_accuracy"`
	TestImages        int      `json:"test_images"`
	Params            *int64   `json:"params"`
	MACs              *int64   `json:"macs"`
	AlphaEntropy      *float64 `json:"alpha_entropy"`
	SearchWallS       *float64 `json:"search_wall_s"`
	TrainWallS        *float64 `json:"train_wall_s"`
	TrainEpochs       *float64 `json:"train_epochs"`
	ONNXMaxDifference *float64 `json:"onnx_max_difference"`
	Warnings          []string `json:"warnings"`
}

// Document is a file of a run as it stands.
type Document struct{ Name, Text string }

// Summarise reads request.json and result.json, as far as they are there, and
// returns the files beside what they say.
func (d Dir) Summarise() (Summary, []Document, error) {
	var s Summary
	var files []Document
	for _, name := range []string{RequestName, ResultName} {
		data, err := d.read(name, &s)
		if absent(err) {
			continue
		}
		if err != nil {
			return Summary{}, nil, err
		}
		files = append(files, Document{name, string(data)})
	}
	return s, files, nil
}

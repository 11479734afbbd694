// SPDX-License-Identifier: Apache-2.0

package report

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/edgenas/edgenas/arch"
	"github.com/edgenas/edgenas/profiles"
)

// Run is what a report shows: one search and the training of what it found.
// Parts that the run has not reached yet are zero.
type Run struct {
	Result       Result
	History      []Point
	Profile      *profiles.Profile
	Architecture *arch.Architecture
	Finished     bool // there is a result.json

	files []raw // request.json and result.json as they stand
}

// Result is what request.json and result.json say about a run. Both use the
// same names; where both have one, result.json wins. A field that neither has
// is nil or empty. Other fields are ignored.
type Result struct {
	Command string     `json:"command"` // the command line that made the run
	Version string     `json:"version"` // of edgenas
	Date    string     `json:"date"`    // start, RFC 3339
	Space   string     `json:"space"`
	Size    *arch.Size `json:"size"`
	Method  string     `json:"method"`
	Dataset string     `json:"dataset"`
	Device  string     `json:"device"`
	Runtime string     `json:"runtime"`
	Seed    *uint64    `json:"seed"`

	LatencyBudgetS      *float64 `json:"latency_budget_s"`
	LatencyPredictedS   *float64 `json:"latency_predicted_s"`
	LatencyPredictedHiS *float64 `json:"latency_predicted_hi_s"` // upper end at Confidence
	Confidence          *float64 `json:"confidence"`             // 0…1
	LatencyMeasuredS    *float64 `json:"latency_measured_s"`     // median of one verify session
	LatencyMeasuredP90S *float64 `json:"latency_measured_p90_s"`
	LatencyMeasuredP99S *float64 `json:"latency_measured_p99_s"`
	WithinBudget        *bool    `json:"within_budget"`

	GuardBand *float64 `json:"guard_band"` // kept from the budget, relative

	TestAccuracy      *float64 `json:"test_accuracy"` // 0…1
	TestImages        int      `json:"test_images"`
	Params            *int64   `json:"params"`
	MACs              *int64   `json:"macs"`
	SearchWallS       *float64 `json:"search_wall_s"`
	TrainWallS        *float64 `json:"train_wall_s"`
	TrainEpochs       *float64 `json:"train_epochs"`
	ONNXMaxDifference *float64 `json:"onnx_max_difference"` // of logits, read back by another reader
	Warnings          []string `json:"warnings"`
}

// ErrNoRun says that a folder holds no run at all.
var ErrNoRun = errors.New("holds none of request.json, history.jsonl, result.json")

// maxJSONBytes bounds request.json and result.json.
const maxJSONBytes = 1 << 20

// Read reads the folder of a run. Files that are not there yet are left out; a
// folder without any is ErrNoRun, a file that cannot be read is an error.
func Read(dir string) (Run, error) {
	var r Run
	requested, err := r.readResult(filepath.Join(dir, "request.json"))
	if err != nil {
		return Run{}, err
	}
	if r.Finished, err = r.readResult(filepath.Join(dir, "result.json")); err != nil {
		return Run{}, err
	}
	started, err := r.readHistory(filepath.Join(dir, "history.jsonl"))
	if err != nil {
		return Run{}, err
	}
	if !requested && !started && !r.Finished {
		return Run{}, fmt.Errorf("report: %s: %w", dir, ErrNoRun)
	}
	a, err := arch.ReadFile(filepath.Join(dir, "architecture.json"))
	switch {
	case err == nil:
		r.Architecture = &a
	case !errors.Is(err, fs.ErrNotExist):
		return Run{}, fmt.Errorf("report: %w", err)
	}
	p, err := profiles.Load(filepath.Join(dir, "profile.json"))
	switch {
	case err == nil:
		r.Profile = p
	case !errors.Is(err, fs.ErrNotExist):
		return Run{}, fmt.Errorf("report: %w", err)
	}
	return r, nil
}

// readResult puts the fields of a JSON file over those of r.Result. It is
// false where there is no such file.
func (r *Run) readResult(path string) (bool, error) {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("report: %w", err)
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxJSONBytes+1))
	if err != nil {
		return false, fmt.Errorf("report: %w", err)
	}
	if len(data) > maxJSONBytes {
		return false, fmt.Errorf("report: %s: larger than %d bytes", path, maxJSONBytes)
	}
	if err := json.Unmarshal(data, &r.Result); err != nil {
		return false, fmt.Errorf("report: %s: %w", path, err)
	}
	r.files = append(r.files, raw{filepath.Base(path), string(data)})
	return true, nil
}

// readHistory is false where there is no such file.
func (r *Run) readHistory(path string) (bool, error) {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("report: %w", err)
	}
	defer f.Close()
	if r.History, err = ReadHistory(f); err != nil {
		return false, fmt.Errorf("report: %s: %w", path, err)
	}
	return true, nil
}

// found is the run's architecture; before there is one, the one that the
// search would derive now.
func (r Run) found() *arch.Architecture {
	if r.Architecture != nil {
		return r.Architecture
	}
	space := r.space()
	for i := len(r.History) - 1; i >= 0 && space != nil; i-- {
		if c, err := space.Parse(r.History[i].Derived); err == nil {
			return &arch.Architecture{Space: space, Choice: c}
		}
	}
	return nil
}

// space is the run's search space, or nil if it is not known.
func (r Run) space() arch.Space {
	if r.Architecture != nil {
		return r.Architecture.Space
	}
	if r.Result.Size == nil {
		return nil
	}
	space, err := arch.NewSpace(r.Result.Space, *r.Result.Size)
	if err != nil {
		return nil
	}
	return space
}

// device names the device that the budget holds for. A request may only say
// where to look for it; a profile knows its name.
func (r Run) device() string {
	if !r.Finished && r.Profile != nil {
		return r.Profile.Device.Name()
	}
	return r.Result.Device
}

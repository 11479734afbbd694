// SPDX-License-Identifier: Apache-2.0

package runfile

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/edgenas/edgenas/arch"
	"github.com/edgenas/edgenas/search"
	"github.com/edgenas/edgenas/train"
)

// Target says where, with what and how networks are measured.
type Target struct {
	Device        string  `json:"device"` // as asked for; empty: the profile's, or this machine without a profile
	Runtime       string  `json:"runtime"`
	InferThreads  int     `json:"infer_threads"`
	Cluster       string  `json:"cluster"`          // processors to measure on; empty: the fastest
	DeviceDir     string  `json:"device_dir"`       // folder on the device; empty: the usual ones
	Keep          bool    `json:"keep"`             // the agent on the device
	MaxTemp       float64 `json:"max_temp_celsius"` // that measurements wait for; 0: none
	Mode          string  `json:"mode"`             // of measurement; empty: the profile's, or burst
	Rounds        int     `json:"rounds"`           // of measurement; 0: as many as usual
	Profile       string  `json:"profile"`          // as given: a run has its own copy; empty: none
	AllowEmulated bool    `json:"allow_emulated"`
}

// Live reports whether the target is at hand, so that it can be measured.
func (t Target) Live() bool { return t.Device != "" || t.Profile == "" }

// Request is everything that a search was asked for: request.json, from the
// first second on. With it a run goes on without any flag.
type Request struct {
	Command        string    `json:"command"`
	Version        string    `json:"version"`
	Date           time.Time `json:"date"`
	Seed           uint64    `json:"seed"`
	LatencyBudgetS float64   `json:"latency_budget_s"`
	LatencyLeastS  float64   `json:"latency_least_s"` // that the network must take; 0: anything
	Confidence     float64   `json:"confidence"`

	Space      string    `json:"space"`
	Size       arch.Size `json:"size"`
	Method     string    `json:"method"`
	Folder     string    `json:"folder"` // in which the command was given: relative paths begin there
	Dataset    string    `json:"dataset"`
	DataDigest string    `json:"dataset_digest"`

	Target

	Effort string             `json:"effort"` // name; empty: the run is from before there were any
	Search search.StageConfig `json:"search"`
	Train  train.Config       `json:"train"`
	Cutout int                `json:"cutout"`
}

// Measures is the target of the run in a folder: once there is a profile in
// the folder, the run goes by that profile.
func (r *Request) Measures(dir Dir) Target {
	t := r.Target
	if t.Device == "" && t.Profile == "" {
		t.Device = "local"
	}
	t.Profile = ""
	if dir.Has(ProfileName) {
		t.Profile = dir.Path(ProfileName)
	}
	return t
}

// Data is the spec of the images, good in any folder.
func (r *Request) Data() string {
	kind, path, ok := strings.Cut(r.Dataset, ":")
	if here, err := os.Getwd(); !ok || filepath.IsAbs(path) || err == nil && here == r.Folder {
		return r.Dataset
	}
	return kind + ":" + filepath.Join(r.Folder, path)
}

// WriteRequest writes request.json.
func (d Dir) WriteRequest(r *Request) error { return d.write(RequestName, r) }

// ReadRequest reads request.json. The error is fs.ErrNotExist where there is
// none, and a *BrokenError for a file that is no request of any command.
func (d Dir) ReadRequest() (Request, error) {
	var r Request
	_, err := d.read(RequestName, &r)
	return r, err
}

// Training is what a training by itself was asked for: its request.json.
type Training struct {
	Command string          `json:"command"`
	Version string          `json:"version"`
	Date    time.Time       `json:"date"`
	Dataset string          `json:"dataset"`
	Job     json.RawMessage `json:"job"` // a Job
}

// Job is what makes two trainings the same.
type Job struct {
	Architecture arch.Architecture `json:"architecture"`
	DataDigest   string            `json:"dataset_digest"`
	Train        train.Config      `json:"train"`
	Cutout       int               `json:"cutout"`
}

// BeginTraining makes the folder of a new training, or finds that it is the
// folder of the same one. A folder with another run is a *TakenError.
func (d Dir) BeginTraining(t Training, job Job) error {
	var err error
	if t.Job, err = json.Marshal(job); err != nil {
		return err
	}
	if !d.Has(RequestName) {
		if err := d.Create(); err != nil {
			return err
		}
		return d.write(RequestName, t)
	}
	var there Training
	if _, err := d.read(RequestName, &there); err != nil {
		return err
	}
	var have bytes.Buffer
	if err := json.Compact(&have, there.Job); err != nil || !bytes.Equal(have.Bytes(), t.Job) {
		return &TakenError{d, ""}
	}
	return nil
}

// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
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

	Space          string    `json:"space"`
	Size           arch.Size `json:"size"`
	SearchCells    int       `json:"search_cells"`    // of the supernet
	SearchChannels int       `json:"search_channels"` // of its first stage
	Method         string    `json:"method"`
	Folder         string    `json:"folder"` // in which the command was given: relative paths begin there
	Dataset        string    `json:"dataset"`
	DataDigest     string    `json:"dataset_digest"`

	Device        string  `json:"device"` // as asked for; empty: none, or this machine without a profile
	Runtime       string  `json:"runtime"`
	InferThreads  int     `json:"infer_threads"`
	Cluster       string  `json:"cluster"`          // processors to measure on; empty: the fastest
	DeviceDir     string  `json:"device_dir"`       // folder on the device; empty: the usual ones
	Keep          bool    `json:"keep"`             // the agent on the device
	MaxTemp       float64 `json:"max_temp_celsius"` // that measurements wait for; 0: none
	Mode          string  `json:"mode"`             // of measurement; empty: the profile's, or burst
	Rounds        int     `json:"rounds"`           // of measurement; 0: as many as usual
	Profile       string  `json:"profile"`          // as given: the run has its own copy
	AllowEmulated bool    `json:"allow_emulated"`

	Search search.Config `json:"search"`
	Train  train.Config  `json:"train"`
	Cutout int           `json:"cutout"`
}

// check is a usage error where a value makes no sense.
func (r *request) check() error {
	if _, err := search.NewRelaxation(r.Method); err != nil {
		return usageError{fmt.Errorf("--method: %w", err)}
	}
	switch {
	case r.SearchCells < 1:
		return usagef("--search-cells %d: want at least 1", r.SearchCells)
	case r.SearchChannels < 1:
		return usagef("--search-channels %d: want at least 1", r.SearchChannels)
	case r.Search.Epochs < 1 || r.Search.Epochs > maxEpochs:
		return usagef("--search-epochs %d: want 1 to %d", r.Search.Epochs, maxEpochs)
	case r.Search.Batch < 1 || r.Search.Batch > maxBatch:
		return usagef("--search-batch %d: want 1 to %d", r.Search.Batch, maxBatch)
	case !(r.Search.LR > 0 && r.Search.LR <= maxRate):
		return usagef("--search-lr %g: want more than 0, at most %d", r.Search.LR, maxRate)
	case !(r.Search.AlphaLR > 0 && r.Search.AlphaLR <= maxRate):
		return usagef("--alpha-lr %g: want more than 0, at most %d", r.Search.AlphaLR, maxRate)
	case !(r.Search.BetaDecay >= 0 && r.Search.BetaDecay <= 1e6):
		return usagef("--beta-decay %g: want 0 to 1e6", r.Search.BetaDecay)
	}
	return checkRecipe(r.Train, r.Cutout)
}

// supernet is the size of the space that is trained to search in: no larger
// than what is searched for.
func (r *request) supernet() arch.Size {
	size := r.Size
	size.Cells, size.Channels = min(r.SearchCells, size.Cells), min(r.SearchChannels, size.Channels)
	return size
}

// target is what the run searches for. Once there is a profile in its folder,
// that is the one.
func (r *request) target(dir runDir) *targetFlags {
	t := &targetFlags{device: r.Device, runtime: r.Runtime, inferThreads: r.InferThreads, cluster: r.Cluster, dir: r.DeviceDir, keep: r.Keep, maxTemp: r.MaxTemp, rounds: r.Rounds, mode: r.Mode, allowEmulated: r.AllowEmulated}
	if r.Device == "" && r.Profile == "" {
		t.device = "local"
	}
	if dir.has(profileFile) {
		t.profiles = []string{dir.path(profileFile)}
	}
	return t
}

// data is the spec of the images, good in any folder.
func (r *request) data() string {
	kind, path, ok := strings.Cut(r.Dataset, ":")
	if here, err := os.Getwd(); !ok || filepath.IsAbs(path) || err == nil && here == r.Folder {
		return r.Dataset
	}
	return kind + ":" + filepath.Join(r.Folder, path)
}

// SPDX-License-Identifier: Apache-2.0

package report

import (
	"errors"
	"fmt"
	"io/fs"

	"github.com/edgenas/edgenas/arch"
	"github.com/edgenas/edgenas/internal/runfile"
	"github.com/edgenas/edgenas/profiles"
)

// Run is what a report shows: one search and the training of what it found, as
// far as both have come.
type Run struct {
	result       runfile.Summary
	history      []point
	profile      *profiles.Profile
	architecture *arch.Architecture
	choice       *runfile.Choice
	candidates   []runfile.Candidate
	finished     bool // there is a result.json

	files []runfile.Document // request.json and result.json as they stand
}

// point is a line of the history.
type point = runfile.Point

// ErrNoRun says that a folder holds no run at all.
var ErrNoRun = errors.New("holds none of request.json, history.jsonl, result.json")

// Read reads the folder of a run. Files that are not there yet are left out; a
// folder without any is ErrNoRun, a file that cannot be read is an error.
func Read(folder string) (Run, error) {
	dir := runfile.Dir(folder)
	var r Run
	var err error
	if r.result, r.files, err = dir.Summarise(); err != nil {
		return Run{}, fmt.Errorf("report: %w", err)
	}
	r.finished = len(r.files) > 0 && r.files[len(r.files)-1].Name == runfile.ResultName
	var started bool
	if r.history, started, err = dir.ReadHistory(); err != nil {
		return Run{}, fmt.Errorf("report: %w", err)
	}
	if len(r.files) == 0 && !started {
		return Run{}, fmt.Errorf("report: %s: %w", folder, ErrNoRun)
	}
	a, err := arch.ReadFile(dir.Path(runfile.ArchitectureName))
	switch {
	case err == nil:
		r.architecture = &a
	case !errors.Is(err, fs.ErrNotExist):
		return Run{}, fmt.Errorf("report: %w", err)
	}
	p, err := profiles.Load(dir.Path(runfile.ProfileName))
	switch {
	case err == nil:
		r.profile = p
	case !errors.Is(err, fs.ErrNotExist):
		return Run{}, fmt.Errorf("report: %w", err)
	}
	if r.candidates, err = dir.ReadCandidates(); err != nil {
		return Run{}, fmt.Errorf("report: %w", err)
	}
	c, err := dir.ReadChoice()
	switch {
	case err == nil:
		r.choice = &c
	case !errors.Is(err, fs.ErrNotExist):
		return Run{}, fmt.Errorf("report: %w", err)
	}
	return r, nil
}

// found is the run's architecture; before there is one, the one that the
// search would derive now.
func (r Run) found() *arch.Architecture {
	if r.architecture != nil {
		return r.architecture
	}
	space := r.space()
	for i := len(r.history) - 1; i >= 0 && space != nil; i-- {
		if c, err := space.Parse(r.history[i].Derived); err == nil {
			return &arch.Architecture{Space: space, Choice: c}
		}
	}
	return nil
}

// space is the run's search space, or nil if it is not known.
func (r Run) space() arch.Space {
	if r.architecture != nil {
		return r.architecture.Space
	}
	if r.result.Size == nil {
		return nil
	}
	space, err := arch.NewSpace(r.result.Space, *r.result.Size)
	if err != nil {
		return nil
	}
	return space
}

// device names the device that the budget holds for. A request may only say
// where to look for it; a profile knows its name.
func (r Run) device() string {
	if !r.finished && r.profile != nil {
		return r.profile.Device.Name()
	}
	return r.result.Device
}

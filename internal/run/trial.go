// SPDX-License-Identifier: Apache-2.0

package run

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"time"

	"github.com/edgenas/edgenas/arch"
	"github.com/edgenas/edgenas/internal/evaluate"
	"github.com/edgenas/edgenas/internal/runfile"
)

// trialState is a short training that is going on: which, and where it is.
type trialState struct {
	Trial string          `json:"trial"`
	State json.RawMessage `json:"state"`
}

// trained trains a network to the end and judges it. A long training leaves a
// checkpoint every few seconds, and goes on from there.
func (c *contest) trained(ctx context.Context, short evaluate.Short, a arch.Architecture, trial runfile.Trial) (
	evaluate.Result, error) {
	t, err := short.Begin(a)
	if err != nil {
		return evaluate.Result{}, err
	}
	if err := c.restore(t, trial); err != nil {
		return evaluate.Result{}, err
	}
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	saved := time.Now()
	var failed error
	t.Told = func() {
		if failed != nil || time.Since(saved) < c.CheckpointEvery {
			return
		}
		saved = time.Now()
		if failed = c.save(t, trial); failed != nil {
			stop()
		}
	}
	res, err := t.Advance(ctx, t.Steps())
	switch {
	case failed != nil:
		return res, failed
	case errors.Is(err, context.Canceled):
		return res, errors.Join(err, c.save(t, trial))
	case err == nil:
		os.Remove(c.dir.Path(runfile.TrialName))
	}
	return res, err
}

func (c *contest) save(t *evaluate.Trainee, trial runfile.Trial) error {
	state, tensors, err := t.State()
	if err != nil {
		return err
	}
	text, err := json.Marshal(trialState{trial.Key(), state})
	if err != nil {
		return err
	}
	return c.dir.WriteCheckpoint(runfile.TrialName, runfile.Checkpoint{State: text, Tensors: tensors})
}

// restore puts a training where it was interrupted, if it is that one.
func (c *contest) restore(t *evaluate.Trainee, trial runfile.Trial) error {
	if !c.dir.Has(runfile.TrialName) {
		return nil
	}
	p, err := c.dir.ReadCheckpoint(runfile.TrialName)
	if err != nil {
		return err
	}
	var state trialState
	if err = json.Unmarshal(p.State, &state); err == nil && state.Trial == trial.Key() {
		err = t.Restore(state.State, p.Tensors)
	}
	if err != nil {
		return c.dir.Broken(runfile.TrialName, err)
	}
	return nil
}

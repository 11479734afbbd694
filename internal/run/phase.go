// SPDX-License-Identifier: Apache-2.0

package run

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/edgenas/edgenas/internal/runfile"
	"github.com/edgenas/edgenas/ops"
)

// phase is the search or the training of a run: it keeps the history and,
// every few seconds, a checkpoint, and begins where the last one is.
type phase struct {
	learner learner
	dir     runfile.Dir
	file    string // checkpoint
	history *runfile.History
	every   time.Duration // between checkpoints
	before  time.Duration // work of processes before this one
	start   time.Time
	saved   time.Time
}

// learner is what a phase does, as it is written out and read again.
type learner interface {
	// State returns all that it has learned so far: JSON, and tensors by name.
	State() (json.RawMessage, ops.Weights, error)
	// Restore puts it where the one was whose State it is given.
	Restore(json.RawMessage, ops.Weights) error
	// Step is the number of steps done so far.
	Step() int
}

// newPhase begins the phase of this name (of its points in the history), or
// goes on from its checkpoint file.
func newPhase(dir runfile.Dir, name, file string, l learner, every time.Duration) (*phase, error) {
	p := &phase{learner: l, dir: dir, file: file, every: every, start: time.Now(), saved: time.Now()}
	if dir.Has(file) {
		c, err := dir.ReadCheckpoint(file)
		if err != nil {
			return nil, err
		}
		if err = l.Restore(c.State, c.Tensors); err != nil {
			return nil, dir.Broken(file, err)
		}
		p.before = c.Wall
	}
	var err error
	p.history, err = dir.OpenHistory(name, l.Step())
	return p, err
}

// addPoint adds the point of a history after a step of so many.
type addPoint = func(step, steps int, v any)

// run does the work, which hands over each point of its history. Work that is
// interrupted goes on from there another time; so does work that stops because
// a file cannot be written, from the last checkpoint.
func (p *phase) run(ctx context.Context, work func(ctx context.Context, point addPoint) error) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	var failed error
	err := work(ctx, func(step, steps int, v any) {
		if failed == nil {
			failed = p.add(step, steps, v)
		}
		if failed != nil {
			stop()
		}
	})
	if failed != nil {
		p.history.Abandon()
		return failed
	}
	if err == nil || errors.Is(err, context.Canceled) {
		err = errors.Join(err, p.save())
	}
	return errors.Join(err, p.history.Close())
}

func (p *phase) add(step, steps int, v any) error {
	if err := p.history.Add(step, steps, v); err != nil {
		return err
	}
	if time.Since(p.saved) < p.every {
		return nil
	}
	return p.save()
}

// save writes a checkpoint; the history is as far by then.
func (p *phase) save() error {
	if err := p.history.Sync(); err != nil {
		return err
	}
	state, tensors, err := p.learner.State()
	if err != nil {
		return err
	}
	c := runfile.Checkpoint{State: state, Tensors: tensors, Wall: p.before + time.Since(p.start)}
	p.saved = time.Now()
	return p.dir.WriteCheckpoint(p.file, c)
}

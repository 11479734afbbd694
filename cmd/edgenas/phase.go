// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/edgenas/edgenas/ops"
)

// phase is the search or the training of a run: it keeps the history and,
// every few seconds, a checkpoint, and begins where the last one is.
type phase struct {
	learner learner
	dir     runDir
	file    string // checkpoint
	history *history
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

// phase begins the phase of this name (of its points in the history), or goes
// on from its checkpoint file.
func (a *app) phase(dir runDir, name, file string, l learner) (*phase, error) {
	p := &phase{learner: l, dir: dir, file: file, every: a.checkpointEvery, start: time.Now(), saved: time.Now()}
	if dir.has(file) {
		c, err := dir.readCheckpoint(file)
		if err != nil {
			return nil, err
		}
		if err = l.Restore(c.state, c.tensors); err != nil {
			return nil, dir.broken(file, err)
		}
		p.before = c.wall
	}
	step := l.Step()
	var err error
	p.history, err = dir.openHistory(func(phase string, at int) bool { return phase != name || at <= step })
	return p, err
}

// run does the work, which hands over each point of its history. Work that is
// interrupted goes on from there another time; so does work that stops because
// a file cannot be written, from the last checkpoint.
func (p *phase) run(ctx context.Context, work func(ctx context.Context, point func(any)) error) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	var failed error
	err := work(ctx, func(v any) {
		if failed == nil {
			failed = p.add(v)
		}
		if failed != nil {
			stop()
		}
	})
	if failed != nil {
		p.history.file.Close()
		return failed
	}
	if err == nil || errors.Is(err, context.Canceled) {
		err = errors.Join(err, p.save())
	}
	return errors.Join(err, p.history.close())
}

func (p *phase) add(v any) error {
	if err := p.history.add(v); err != nil {
		return err
	}
	if time.Since(p.saved) < p.every {
		return nil
	}
	return p.save()
}

// save writes a checkpoint; the history is as far by then.
func (p *phase) save() error {
	if err := p.history.sync(); err != nil {
		return err
	}
	state, tensors, err := p.learner.State()
	if err != nil {
		return err
	}
	c := checkpoint{state, tensors, p.before + time.Since(p.start)}
	p.saved = time.Now()
	return p.dir.writeCheckpoint(p.file, c)
}

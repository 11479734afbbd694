// SPDX-License-Identifier: Apache-2.0

package run

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/edgenas/edgenas/internal/runfile"
	"github.com/edgenas/edgenas/search"
	"github.com/edgenas/edgenas/train"
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
	checkpoint() (runfile.Checkpoint, error)
	restore(runfile.Checkpoint) (step int, err error)
}

type searcher struct{ *search.Search }

func (s searcher) checkpoint() (runfile.Checkpoint, error) {
	st, err := s.State()
	if err != nil {
		return runfile.Checkpoint{}, err
	}
	text, err := json.Marshal(st)
	return runfile.Checkpoint{State: text, Weights: st.Supernet, SGD: st.SGD}, err
}

func (s searcher) restore(c runfile.Checkpoint) (int, error) {
	st := search.State{Supernet: c.Weights, SGD: c.SGD}
	if err := json.Unmarshal(c.State, &st); err != nil {
		return 0, err
	}
	return st.Step, s.Restore(st)
}

type learning struct{ *train.Trainer }

func (t learning) checkpoint() (runfile.Checkpoint, error) {
	st, err := t.State()
	if err != nil {
		return runfile.Checkpoint{}, err
	}
	text, err := json.Marshal(st)
	return runfile.Checkpoint{State: text, Weights: st.Weights, SGD: st.SGD}, err
}

func (t learning) restore(c runfile.Checkpoint) (int, error) {
	st := train.State{Weights: c.Weights, SGD: c.SGD}
	if err := json.Unmarshal(c.State, &st); err != nil {
		return 0, err
	}
	return st.Step, t.Restore(st)
}

// newPhase begins the phase of this name (of its points in the history), or
// goes on from its checkpoint file.
func newPhase(dir runfile.Dir, name, file string, l learner, every time.Duration) (*phase, error) {
	p := &phase{learner: l, dir: dir, file: file, every: every, start: time.Now(), saved: time.Now()}
	step := 0
	if dir.Has(file) {
		c, err := dir.ReadCheckpoint(file)
		if err != nil {
			return nil, err
		}
		if step, err = l.restore(c); err != nil {
			return nil, dir.Broken(file, err)
		}
		p.before = c.Wall
	}
	var err error
	p.history, err = dir.OpenHistory(name, step)
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
	c, err := p.learner.checkpoint()
	if err != nil {
		return err
	}
	c.Wall = p.before + time.Since(p.start)
	p.saved = time.Now()
	return p.dir.WriteCheckpoint(p.file, c)
}

// SPDX-License-Identifier: Apache-2.0

package compare

import (
	"errors"
	"fmt"

	"github.com/edgenas/edgenas/arch"
	"github.com/edgenas/edgenas/internal/jsonlines"
)

// Line is a step that is over, with what came of it: a line of the file of runs.
type Line struct {
	Step
	Version      string `json:"version"`
	Architecture string `json:"architecture"` // in the literature's notation

	PredictedS   float64  `json:"latency_predicted_s,omitempty"` // of a search
	MeasuredS    float64  `json:"latency_measured_s"`            // median; of a simple network, without training
	P99S         *float64 `json:"latency_measured_p99_s,omitempty"`
	TestAccuracy float64  `json:"test_accuracy,omitempty"`
	Epochs       float64  `json:"train_epochs,omitempty"`
	WallS        float64  `json:"wall_s"` // that the whole step took

	SmallerIsBetter bool     `json:"smaller_is_better,omitempty"`
	AlphaEntropy    *float64 `json:"alpha_entropy,omitempty"`
}

// step is what the line is the result of.
func (l Line) step() Step {
	s := l.Step
	if s.Kind == Search {
		s.Size = arch.Size{}
	}
	return s
}

// check returns an error that names the first field that makes no sense.
func (l Line) check() error {
	switch {
	case l.Kind != Latency && l.Kind != Search && l.Kind != Simple:
		return fmt.Errorf("kind %q: want %s, %s or %s", l.Kind, Latency, Search, Simple)
	case l.Kind == Search && !(l.BudgetS > 0):
		return fmt.Errorf("budget_s %g: want more than 0", l.BudgetS)
	case l.Kind != Search && l.Cell == "":
		return errors.New("want a cell")
	case !(l.MeasuredS > 0):
		return fmt.Errorf("latency_measured_s %g: want more than 0", l.MeasuredS)
	case !(l.TestAccuracy >= 0 && l.TestAccuracy <= 1):
		return fmt.Errorf("test_accuracy %g: want 0 to 1", l.TestAccuracy)
	}
	return nil
}

// Lines are the steps that are over, in the order of the file.
type Lines struct {
	all []Line
	of  map[Step]Line
}

// ReadLines reads a file of runs; where there is none, there are no lines.
func ReadLines(path string) (*Lines, error) {
	l := &Lines{of: map[Step]Line{}}
	if err := jsonlines.Read(path, l.read); err != nil {
		return nil, fmt.Errorf("compare: %w", err)
	}
	return l, nil
}

func (l *Lines) read(text []byte) error {
	var line Line
	if err := jsonlines.Decode(text, &line); err != nil {
		return err
	}
	if err := line.check(); err != nil {
		return err
	}
	if l.has(line.step()) {
		return fmt.Errorf("%s is there already", line.step())
	}
	l.add(line)
	return nil
}

func (l *Lines) add(line Line) {
	l.all = append(l.all, line)
	l.of[line.step()] = line
}

func (l *Lines) has(s Step) bool {
	_, ok := l.of[s]
	return ok
}

// Record is a file of runs to which new ones are added.
type Record struct {
	*Lines
	file *jsonlines.File
}

// OpenRecord opens a file of runs, or makes it.
func OpenRecord(path string) (*Record, error) {
	l := &Lines{of: map[Step]Line{}}
	f, err := jsonlines.Open(path, l.read)
	if err != nil {
		return nil, fmt.Errorf("compare: %w", err)
	}
	return &Record{l, f}, nil
}

// Add writes a step that is over.
func (r *Record) Add(line Line) error {
	err := line.check()
	if err == nil {
		err = r.file.Add(line)
	}
	if err != nil {
		return fmt.Errorf("compare: %s: %w", line.step(), err)
	}
	r.add(line)
	return nil
}

// Close closes the file.
func (r *Record) Close() error { return r.file.Close() }

// SPDX-License-Identifier: Apache-2.0

// Package event is what work tells about itself while it goes on: typed values
// for whoever shows, stores or sends them. Nothing here is text for a terminal
// but what is text by nature: notes, warnings, labels.
package event

import (
	"time"

	"github.com/edgenas/edgenas/internal/runfile"
	"github.com/edgenas/edgenas/search"
	"github.com/edgenas/edgenas/train"
)

// Event is one of the types below, by value.
type Event interface{ event() }

// Sink takes events in the order in which they happen, from one goroutine at a
// time. It must return soon: the work waits for it.
type Sink func(Event)

// The stages of a run.
const (
	Measure  = "measure"
	Search   = "search"
	Train    = "train"
	Contest  = "contest"
	Validate = "validate"
)

// Begun says that a stage begins, of so many steps.
type Begun struct {
	Stage string
	Steps int
}

// Progress says how far the stage is.
type Progress struct {
	Stage     string
	Done      int
	Steps     int           // of the whole stage; of a measurement, equal parts of its time
	Remaining time.Duration // where it is foreseen
	Foreseen  bool          // the work itself estimates how long it still takes
	Label     string        // what was done last; may be empty
}

// Ended says that the stage is over.
type Ended struct {
	Stage string
	Done  bool // false: it was stopped before its end
}

// Measured says what a profile has after its measurement. It comes before the
// end of the stage.
type Measured struct {
	Operations, Networks int
	Device               string // its name; empty: networks alone were measured
}

// SearchPoint is where the search stands. It comes before the progress of its
// step.
type SearchPoint struct{ search.Point }

// TrainPoint is where the training stands.
type TrainPoint struct {
	train.Point
	Epochs float64 // of the whole training
}

// Candidate is a network that the search has found and looks at closer.
type Candidate struct {
	Architecture string // in the literature's notation
	PredictedS   float64
	MeasuredS    float64 // 0: not measured
	Chosen       bool    // it is the one
}

// Guard says what the latencies of the run hold for, and how far the search
// keeps from the budget.
type Guard struct {
	Device, Runtime string
	Threads         int
	Relative        float64
	Basis           string
}

// Note is something that people may want to know.
type Note struct{ Text string }

// Warning is something that people should know.
type Warning struct{ Text string }

// Written says that a file is there, complete.
type Written struct{ Path string }

// Finished says that the work is over.
type Finished struct {
	Result *runfile.Result // nil: it came to no result
	Err    error
}

func (Begun) event()       {}
func (Progress) event()    {}
func (Ended) event()       {}
func (Measured) event()    {}
func (SearchPoint) event() {}
func (TrainPoint) event()  {}
func (Candidate) event()   {}
func (Guard) event()       {}
func (Note) event()        {}
func (Warning) event()     {}
func (Written) event()     {}
func (Finished) event()    {}

// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"

	"github.com/edgenas/edgenas/internal/event"
	"github.com/edgenas/edgenas/internal/units"
	"github.com/edgenas/edgenas/search"
)

// shown is the stage that is shown, and the last that was said of it.
type shown struct {
	stage *stage
	text  string
}

// show turns what happens into text and bars.
func (a *app) show(e event.Event) {
	s := &a.shown
	switch e := e.(type) {
	case event.Begun:
		s.stage, s.text = a.stage(e.Stage, e.Steps), ""
	case event.Progress:
		if e.Label != "" {
			s.text = e.Label
		}
		if e.Foreseen {
			s.stage.foresee(e.Remaining)
		}
		s.stage.update(e.Done, s.text)
	case event.Ended:
		if e.Done {
			s.stage.end(s.text)
		} else {
			s.stage.stop()
		}
	case event.Measured:
		s.text = fmt.Sprintf("%d networks", e.Networks)
		if e.Device != "" {
			s.text = fmt.Sprintf("%d operations and %d networks of %s", e.Operations, e.Networks, e.Device)
		}
	case event.SearchPoint:
		s.text = fmt.Sprintf("epoch %d  loss %.3f  α entropy %.2f  expected %s  derived %s", e.Epoch, e.LossTrain,
			e.AlphaEntropy, units.Seconds(e.ExpectedLatencyS), derivedText(e.Point))
	case event.TrainPoint:
		s.text = fmt.Sprintf("epoch %d of %g  loss %.3f  accuracy %.1f %%", e.Epoch, e.Epochs, e.LossTrain,
			100*e.AccuracyTrain)
	case event.Candidate:
		if e.Chosen {
			s.text = fmt.Sprintf("predicted %s: %s", units.Seconds(e.PredictedS), e.Architecture)
		} else {
			a.note("%s takes %s when measured, over the budget: next", e.Architecture, units.Seconds(e.MeasuredS))
		}
	case event.Guard:
		a.note("%s, %s runtime, %d thread(s): guard band %.1f %% (%s)", e.Device, e.Runtime, e.Threads, 100*e.Relative,
			e.Basis)
	case event.Note:
		a.note("%s", e.Text)
	case event.Warning:
		a.note("warning: %s", e.Text)
	}
}

// derivedText says what the network derived after a step takes.
func derivedText(p search.Point) string {
	if p.DerivedLatencyS == nil {
		return "no network"
	}
	return units.Seconds(*p.DerivedLatencyS)
}

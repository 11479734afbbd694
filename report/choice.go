// SPDX-License-Identifier: Apache-2.0

package report

import (
	"fmt"

	"github.com/edgenas/edgenas/internal/runfile"
)

// choice is how the network was chosen: the funnel, and the networks that came
// farthest.
type choice struct {
	Stages     []stage
	Rungs      []string // names of the short trainings
	Candidates []candidate
	Notes      []string
}

// stage is a line of the funnel.
type stage struct{ Name, Networks, Prior, Alpha string }

// candidate is a network that competed.
type candidate struct {
	Architecture, Size, Source, Predicted, Measured, Prior, Alpha, Fate string

	Rungs  []string // accuracy in each short training
	Chosen bool
}

// shownCandidates is how many of the networks that competed are shown.
const shownCandidates = 8

// stageNames are the stages in words; rungs have names of their own.
var stageNames = map[string]string{
	"window": "use the budget, or what the training is enough for", "alpha": "compared by α", "measured": "measured whole",
}

func choose(c *runfile.Choice, all []runfile.Candidate) choice {
	var shown choice
	if c != nil {
		shown.Notes = c.Notes
		for _, s := range c.Funnel {
			name := stageNames[s.Name]
			if name == "" {
				name = s.Name + ", trained shortly"
			}
			shown.Stages = append(shown.Stages, stage{name, fmt.Sprint(s.Networks), correlation(s.Prior), correlation(s.Alpha)})
		}
	}
	for _, c := range all[:min(shownCandidates, len(all))] {
		n := candidate{Architecture: c.Architecture, Source: c.Source, Predicted: latency(c.LatencyPredictedS),
			Size: fmt.Sprintf("%d×%d", c.Size.Channels, c.Size.Cells), Fate: c.Fate, Chosen: c.Fate == "chosen",
			Prior: fmt.Sprintf("%.2f", c.Prior), Alpha: fmt.Sprintf("%.2f", c.Alpha), Measured: "–"}
		if c.LatencyMeasuredS != nil {
			n.Measured = latency(*c.LatencyMeasuredS)
		}
		for i, r := range c.Rungs {
			if i == len(shown.Rungs) {
				shown.Rungs = append(shown.Rungs, r.Name)
			}
			if r.Failure != "" {
				n.Rungs = append(n.Rungs, "failed")
			} else {
				n.Rungs = append(n.Rungs, fmt.Sprintf("%.1f %%", 100*r.Accuracy))
			}
		}
		shown.Candidates = append(shown.Candidates, n)
	}
	for i := range shown.Candidates {
		for len(shown.Candidates[i].Rungs) < len(shown.Rungs) {
			shown.Candidates[i].Rungs = append(shown.Candidates[i].Rungs, "–")
		}
	}
	return shown
}

// correlation is a rank correlation in words.
func correlation(rho *float64) string {
	if rho == nil {
		return "–"
	}
	return fmt.Sprintf("%.2f", *rho)
}

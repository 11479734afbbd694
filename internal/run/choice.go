// SPDX-License-Identifier: Apache-2.0

package run

import (
	"fmt"
	"math"

	"github.com/edgenas/edgenas/internal/runfile"
	"github.com/edgenas/edgenas/internal/stats"
	"github.com/edgenas/edgenas/search"
)

// fewTrained is from how many trainings on a rank correlation says anything.
const fewTrained = 6

// choice says how the network was chosen: windows and list are what was looked
// at, ranked the networks that competed, the best first.
func (c *contest) choice(windows [][]*contestant, list, ranked []*contestant, chosen *contestant, alpha search.Scores) (
	told runfile.Choice) {
	all := 0
	for _, w := range windows {
		all += len(w)
	}
	told = runfile.Choice{AlphaEntropy: alpha.Entropy, Notes: []string{}}
	told.Funnel = []runfile.Stage{{Name: "window", Networks: all}, {Name: "alpha", Networks: len(list)}}
	for r, rung := range c.effort.Rungs {
		told.Funnel = append(told.Funnel, worth(rung.name, r, ranked))
	}
	if chosen.measured != nil {
		measured := 0
		for _, n := range ranked {
			if n.measured != nil {
				measured++
			}
		}
		told.Funnel = append(told.Funnel, runfile.Stage{Name: "measured", Networks: measured})
	}
	if alpha.Undecided {
		told.Notes = append(told.Notes, fmt.Sprintf("α is undecided: its entropy is %.2f of the greatest", alpha.Entropy))
	}
	if space := chosen.size.space; alpha.Preferred != nil {
		told.AlphaPrefers = space.Notation(space.Canonical(alpha.Preferred))
		if told.AlphaPrefers != space.Notation(chosen.choice) {
			told.Notes = append(told.Notes, "short trainings preferred another network to that of α's best operations, "+
				told.AlphaPrefers)
		}
	}
	if why := c.whySmall(chosen, ranked); why != "" {
		told.SmallerIsBetter = true
		told.Notes = append(told.Notes, why)
	}
	return told
}

// worth is a rung, with what prior and α knew of it beforehand.
func worth(name string, rung int, ranked []*contestant) runfile.Stage {
	stage := runfile.Stage{Name: name}
	var results, prior, alpha []float64
	for _, n := range ranked {
		if len(n.rungs) <= rung {
			continue
		}
		stage.Networks++
		if n.rungs[rung].Failure == "" {
			results = append(results, -n.rungs[rung].Loss)
			prior, alpha = append(prior, n.prior), append(alpha, n.alpha)
		}
	}
	if len(results) >= fewTrained {
		stage.Prior, stage.Alpha = defined(stats.Spearman(prior, results)), defined(stats.Spearman(alpha, results))
	}
	return stage
}

// defined is a number, or nil for none.
func defined(x float64) *float64 {
	if math.IsNaN(x) {
		return nil
	}
	return &x
}

// whySmall says why a network that uses little of the budget was chosen; it is
// empty for one that uses it.
func (c *contest) whySmall(chosen *contestant, ranked []*contestant) string {
	use := chosen.predicted * c.correction / c.request.LatencyBudgetS
	if chosen.measured != nil {
		use = *chosen.measured / c.request.LatencyBudgetS
	}
	var larger *contestant // the one that came farthest
	for _, n := range ranked {
		if n.predicted > chosen.predicted/wasted && len(n.rungs) > 0 && (larger == nil || len(n.rungs) > len(larger.rungs)) {
			larger = n
		}
	}
	if use >= wasted || larger == nil {
		return ""
	}
	at := min(len(larger.rungs), len(chosen.rungs)) - 1
	return fmt.Sprintf("it uses %.0f %% of the budget: with %.2g operations of training, larger networks are not better"+
		" (%s: %.1f %% of held-out images right, against %.1f %%); --effort standard trains them longer", 100*use,
		c.request.Train.Work, larger.rungs[at].Name, 100*chosen.rungs[at].Accuracy, 100*larger.rungs[at].Accuracy)
}

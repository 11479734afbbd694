// SPDX-License-Identifier: Apache-2.0

package run

import (
	"fmt"
	"math"

	"github.com/edgenas/edgenas/arch"
	"github.com/edgenas/edgenas/internal/runfile"
	"github.com/edgenas/edgenas/internal/stats"
	"github.com/edgenas/edgenas/search"
)

// fewTrained is from how many trainings of a size on a rank correlation says
// anything.
const fewTrained = 5

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

// worth is a rung, with what prior and α knew of it beforehand: their rank
// correlations among networks of a size, on average.
func worth(name string, rung int, ranked []*contestant) runfile.Stage {
	stage := runfile.Stage{Name: name}
	bySize := map[arch.Size][]*contestant{}
	var sizes []arch.Size
	for _, n := range ranked {
		if len(n.rungs) <= rung {
			continue
		}
		stage.Networks++
		if n.rungs[rung].Failure == "" {
			size := n.size.space.Size()
			if bySize[size] == nil {
				sizes = append(sizes, size)
			}
			bySize[size] = append(bySize[size], n)
		}
	}
	var prior, alpha mean
	for _, s := range sizes {
		var results, byPrior, byAlpha []float64
		for _, n := range bySize[s] {
			results = append(results, -n.rungs[rung].Loss)
			byPrior, byAlpha = append(byPrior, n.prior), append(byAlpha, n.alpha)
		}
		if len(results) >= fewTrained {
			prior.add(stats.Spearman(byPrior, results), len(results))
			alpha.add(stats.Spearman(byAlpha, results), len(results))
		}
	}
	stage.Prior, stage.Alpha = prior.value(), alpha.value()
	return stage
}

// mean is a weighted mean of those numbers that are defined.
type mean struct{ sum, weight float64 }

func (m *mean) add(x float64, weight int) {
	if !math.IsNaN(x) {
		m.sum, m.weight = m.sum+float64(weight)*x, m.weight+float64(weight)
	}
}

// value is nil for a mean of nothing.
func (m *mean) value() *float64 {
	if m.weight == 0 {
		return nil
	}
	x := m.sum / m.weight
	return &x
}

// whySmall says why a network that uses little of the budget was chosen; it is
// empty for one that uses it.
func (c *contest) whySmall(chosen *contestant, ranked []*contestant) string {
	use := chosen.predicted * c.correction / c.request.LatencyBudgetS
	if chosen.measured != nil {
		use = *chosen.measured / c.request.LatencyBudgetS
	}
	if use >= LeastUse {
		return ""
	}
	why := fmt.Sprintf("it uses %.2g %% of the budget: ", 100*use)
	if s := c.beyond; s != nil {
		return why + fmt.Sprintf("with %.2g operations of training, networks that use it (%d channels, %d cells) would"+
			" hardly learn", c.request.Train.Work, s.Channels, s.Cells) + c.effort.longer()
	}
	var larger *contestant // the one that came farthest
	for _, n := range ranked {
		if n.predicted <= chosen.predicted/LeastUse || len(n.rungs) == 0 {
			continue
		}
		if larger == nil || len(n.rungs) > len(larger.rungs) {
			larger = n
		}
	}
	if larger == nil {
		return ""
	}
	at := min(len(larger.rungs), len(chosen.rungs)) - 1
	why += fmt.Sprintf("with %.2g operations of training, larger networks are not better (%s: %.1f %% of held-out images"+
		" right, against %.1f %%", c.request.Train.Work, larger.rungs[at].Name, 100*chosen.rungs[at].Accuracy,
		100*larger.rungs[at].Accuracy)
	if own, others := chosen.rungs[at].Believed, larger.rungs[at].Believed; at == len(c.effort.Rungs)-1 && others != nil {
		why += fmt.Sprintf("; expected loss after the whole training: %.3f, against %.3f", *own, *others)
	}
	return why + ")" + c.effort.longer()
}

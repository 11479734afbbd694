// SPDX-License-Identifier: Apache-2.0

package run

import (
	"cmp"
	"errors"
	"math/rand/v2"
	"slices"

	"github.com/edgenas/edgenas/arch"
	"github.com/edgenas/edgenas/internal/fault"
	"github.com/edgenas/edgenas/ops"
	"github.com/edgenas/edgenas/search"
	"github.com/edgenas/edgenas/train"
)

// windows lists, for each size, the networks that use the budget or, of the size
// for the training, what that is enough for. Each has the score of its structure
// within its window. The reference of the size is among them, whatever it uses, if
// it keeps the budget.
func (j *job) windows() ([][]*contestant, error) {
	var all [][]*contestant
	var infeasible error
	longest := 0.0
	for i, s := range j.sizes {
		rng := rand.New(rand.NewPCG(j.request.Seed, 20+uint64(i)))
		w, err := search.NewWindow(s.space, s.costs, j.limit(), rng)
		what := "budget"
		if s.operations > 0 && err == nil {
			w, what, err = j.trainableWindow(s, w, rng)
		}
		var none *search.InfeasibleError
		if errors.As(err, &none) {
			if s.operations == 0 {
				infeasible = j.infeasible(err)
			}
			continue
		}
		if err != nil {
			return nil, err
		}
		networks, err := j.contestants(s, w.Networks)
		if err != nil {
			return nil, err
		}
		for _, n := range networks {
			longest = max(longest, n.predicted*j.correction)
		}
		networks = slices.DeleteFunc(networks, func(n *contestant) bool {
			return n.predicted*j.correction < j.request.LatencyLeastS
		})
		if len(networks) == 0 {
			continue
		}
		j.note("%d channels, %d cells: %d different networks use %.0f to 100 %% of the %s", s.space.Size().Channels,
			s.space.Size().Cells, len(networks), 100*w.Share, what)
		all = append(all, networks)
	}
	switch {
	case len(all) > 0:
	case infeasible == nil:
		return nil, fault.New(fault.Infeasible, &NoneUsesError{j.request.LatencyLeastS, longest})
	default:
		return nil, infeasible
	}
	return all, nil
}

// trainableWindow is the window of the budget without the networks that the
// training is not enough for or, if few are left, the networks that use what it
// is enough for.
func (j *job) trainableWindow(s sized, w *search.Window, rng *rand.Rand) (*search.Window, string, error) {
	costs := learning{s.costs, map[ops.Key]float64{}}
	kept := *w
	kept.Networks = nil
	for _, n := range w.Networks {
		m, err := costs.Latency(n.Choice)
		if err != nil {
			return nil, "", err
		}
		if m <= s.operations {
			kept.Networks = append(kept.Networks, n)
		}
	}
	if len(kept.Networks) >= search.Fewest {
		return &kept, "budget", nil
	}
	own, err := search.NewWindow(s.space, costs, s.operations, rng)
	return own, "training", err
}

// contestants are the networks of a window that keep the budget, and the
// reference of their size.
func (j *job) contestants(s sized, networks []search.Candidate) ([]*contestant, error) {
	choices := []arch.Choice{s.space.Canonical(arch.Reference(s.space))}
	for _, n := range networks {
		if !n.Choice.Equal(choices[0]) {
			choices = append(choices, n.Choice)
		}
	}
	var all []*contestant
	var structures []search.Structure
	limit := j.limit()
	for i, c := range choices {
		seconds, err := s.costs.Latency(c)
		if err != nil {
			return nil, err
		}
		if seconds > limit {
			continue
		}
		g, err := s.space.Network(c, 1)
		if err != nil {
			return nil, err
		}
		st := search.StructureOf(g)
		n := &contestant{size: s, choice: c, predicted: seconds, structure: st}
		if i == 0 {
			n.source = fromReference
		}
		all, structures = append(all, n), append(structures, st)
	}
	for i, score := range search.Prior(structures) {
		all[i].prior = score
	}
	return all, nil
}

// byParams compares networks by their parameters.
func byParams(a, b *contestant) int { return cmp.Compare(a.structure.Params, b.structure.Params) }

// share is the i-th of so many equal shares of n, which add up to n.
func share(n, i, of int) int { return n*(i+1)/of - n*i/of }

// shortlist is the networks that α compares: of each window the reference, the
// largest, and as many of the best by the prior and of others drawn at random as
// the effort looks at.
func (j *job) shortlist(windows [][]*contestant, e Effort) [][]*contestant {
	var lists [][]*contestant
	rng := rand.New(rand.NewPCG(j.request.Seed, 30))
	for i, window := range windows {
		var list []*contestant
		in := map[*contestant]bool{}
		enter := func(n *contestant, source string) {
			if !in[n] {
				in[n], n.source = true, source
				list = append(list, n)
			}
		}
		for _, n := range window {
			if n.source == fromReference {
				enter(n, fromReference)
			}
		}
		enter(slices.MaxFunc(window, byParams), fromLargest)
		order := slices.SortedStableFunc(slices.Values(window), func(a, b *contestant) int {
			return cmp.Compare(b.prior, a.prior)
		})
		most := share(e.List-e.Random, i, len(windows))
		for _, n := range order {
			if len(in) < most {
				enter(n, fromPrior)
			}
		}
		rng.Shuffle(len(order), func(a, b int) { order[a], order[b] = order[b], order[a] })
		for _, n := range order {
			if len(in) < most+share(e.Random, i, len(windows)) {
				enter(n, fromRandom)
			}
		}
		lists = append(lists, list)
	}
	return lists
}

// pool is the networks that begin in the first rung, of each list an equal share:
// those that are there whatever anybody thinks of them, then the best by α and by
// the prior in turn.
func pool(lists [][]*contestant, e Effort) []*contestant {
	var chosen []*contestant
	for i, list := range lists {
		var entered, open []*contestant
		for _, n := range list {
			if n.source == fromPrior {
				open = append(open, n)
			} else {
				entered = append(entered, n)
			}
		}
		by := func(score func(n *contestant) float64) []*contestant {
			return slices.SortedStableFunc(slices.Values(open), func(a, b *contestant) int {
				return cmp.Compare(score(b), score(a))
			})
		}
		alpha, prior := by(func(n *contestant) float64 { return n.alpha }), by(func(n *contestant) float64 { return n.prior })
		most := share(e.Pool, i, len(lists))
		for r := range open {
			if n := alpha[r]; len(entered) < most && !slices.Contains(entered, n) {
				n.source = fromAlpha
				entered = append(entered, n)
			}
			if n := prior[r]; len(entered) < most && !slices.Contains(entered, n) {
				entered = append(entered, n)
			}
		}
		chosen = append(chosen, entered...)
	}
	return chosen
}

// learning is what networks cost in training: operations for each image.
type learning struct {
	costs
	known map[ops.Key]float64
}

// Latency satisfies search.Costs.
func (l learning) Latency(c arch.Choice) (float64, error) {
	counts, err := l.inventory.Counts(c)
	if err != nil {
		return 0, err
	}
	total := 0.0
	for key, n := range counts {
		if _, ok := l.known[key]; !ok {
			g, err := key.Chain(1)
			if err != nil {
				return 0, err
			}
			l.known[key] = train.Operations(g)
		}
		total += float64(n) * l.known[key]
	}
	return total, nil
}

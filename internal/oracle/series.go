// SPDX-License-Identifier: Apache-2.0

package oracle

import (
	"math/rand/v2"

	"github.com/edgenas/edgenas/search"
)

// Series is the scores of one evaluator, whether recorded or computed.
type Series struct {
	Name string
	CPUS float64                                  // processor time a network
	Has  func(b Budget, network int) bool         // that it has a score under the budget
	Of   func(b Budget, networks []int) []float64 // the greater, the better; each has one
}

// Structures are the series that need no training, over some networks of the
// table: what they are made of, and luck.
func (t *Table) Structures(networks []int) []Series {
	among := map[int]bool{}
	for _, n := range networks {
		among[n] = true
	}
	var all []Series
	add := func(name string, of func(networks []int) []float64) {
		all = append(all, Series{Name: name, Has: func(_ Budget, n int) bool { return among[n] },
			Of: func(_ Budget, networks []int) []float64 { return of(networks) }})
	}
	each := func(of func(s search.Structure) float64) func(networks []int) []float64 {
		return func(networks []int) []float64 {
			var scores []float64
			for _, n := range networks {
				scores = append(scores, of(t.Networks[n].Structure))
			}
			return scores
		}
	}
	add("random", func(networks []int) []float64 {
		rng := rand.New(rand.NewPCG(1, 2))
		scores := make([]float64, len(networks))
		for i := range scores {
			scores[i] = rng.Float64()
		}
		return scores
	})
	add("parameters", each(func(s search.Structure) float64 { return float64(s.Params) }))
	add("macs", each(func(s search.Structure) float64 { return float64(s.MACs) }))
	add("depth", each(func(s search.Structure) float64 { return float64(s.Depth) }))
	add("shortcut", each(func(s search.Structure) float64 { return -float64(s.Shortcut) }))
	add("prior", t.prior)
	return all
}

// prior is the search's prior of networks beside one another.
func (t *Table) prior(networks []int) []float64 {
	var structures []search.Structure
	for _, n := range networks {
		structures = append(structures, t.Networks[n].Structure)
	}
	return search.Prior(structures)
}

// entrant is a network of the table in a contest for the training that the measure
// judges.
func (t *Table) entrant(network int, prior float64, m Measure) search.Entrant {
	return search.Entrant{Number: network, Images: m.Images(), Capacity: t.Networks[network].Structure.Capacity(),
		Known: []float64{prior}}
}

// Recorded are the series of recorded scores. A training gives four: its loss on
// images that it has not learned from, under its name, its training loss, the
// mean of both, and what a search believes of the training that the measure judges,
// when it knows the networks' structure as well.
func (t *Table) Recorded(s *Scores, m Measure) []Series {
	var all []Series
	for _, evaluator := range s.Evaluators() {
		cpuS, trains := 0.0, true
		for _, score := range s.of[evaluator] {
			cpuS += score.CPUS / float64(len(s.of[evaluator]))
			trains = trains && score.Tail != 0
		}
		add := func(name string, of func(b Budget, networks []int) []float64) {
			all = append(all, Series{Name: name, CPUS: cpuS, Of: of, Has: func(b Budget, n int) bool {
				_, ok := s.Of(evaluator, t.Networks[n].Notation, b)
				return ok
			}})
		}
		each := func(of func(Score) float64) func(b Budget, networks []int) []float64 {
			return func(b Budget, networks []int) []float64 {
				var scores []float64
				for _, n := range networks {
					score, _ := s.Of(evaluator, t.Networks[n].Notation, b)
					scores = append(scores, of(score))
				}
				return scores
			}
		}
		add(evaluator, each(func(s Score) float64 { return s.Score }))
		if !trains {
			continue
		}
		add(evaluator+" tail", each(func(s Score) float64 { return s.Tail }))
		add(evaluator+" both", each(func(s Score) float64 { return (s.Score + s.Tail) / 2 }))
		add(evaluator+" prior", func(b Budget, networks []int) []float64 { return t.believed(s, evaluator, m, b, networks) })
	}
	return all
}

// believed is less the loss that a search believes networks to have after the
// training that the measure judges, when all of them have trained in one rung.
func (t *Table) believed(s *Scores, evaluator string, m Measure, b Budget, networks []int) []float64 {
	var entrants []search.Entrant
	for i, prior := range t.prior(networks) {
		e := t.entrant(networks[i], prior, m)
		score, _ := s.Of(evaluator, t.Networks[e.Number].Notation, b)
		e.Judgements = []search.Judgement{score.judgement()}
		entrants = append(entrants, e)
	}
	search.Believe(entrants, false)
	var scores []float64
	for _, e := range entrants {
		scores = append(scores, -e.Value)
	}
	return scores
}

// Missing lists the networks that have no score of an evaluator under the budget.
func (t *Table) Missing(s *Scores, evaluator string, b Budget, networks []int) []int {
	var missing []int
	for _, n := range networks {
		if _, ok := s.Of(evaluator, t.Networks[n].Notation, b); !ok {
			missing = append(missing, n)
		}
	}
	return missing
}

// Lacking is how many of the networks lack a score of an evaluator under a budget
// in whose window they are.
func (t *Table) Lacking(s *Scores, evaluator string, budgets []Budget, networks []int) (int, error) {
	lacking := map[int]bool{}
	for _, b := range budgets {
		window, err := t.among(b, networks)
		if err != nil {
			return 0, err
		}
		for _, n := range t.Missing(s, evaluator, b, window) {
			lacking[n] = true
		}
	}
	return len(lacking), nil
}

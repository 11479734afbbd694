// SPDX-License-Identifier: Apache-2.0

package search

import (
	"cmp"
	"errors"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/edgenas/edgenas/arch"
	"github.com/edgenas/edgenas/ops"
)

// instance is a space with made-up costs and mixture weights.
type instance struct {
	space arch.Space
	costs Costs
	p     [][]float64
}

func nb201Instance(t *testing.T, seed uint64) instance {
	space, rng := newNB201(t), rand.New(rand.NewPCG(seed, 0))
	return instance{space, newAdditive(space, rng), [][]float64{randomMixture(6, 5, rng)}}
}

func toyInstance(t *testing.T, seed uint64) instance {
	rng := rand.New(rand.NewPCG(seed, 1))
	return instance{toy{}, newEdgeCosts(toy{}, rng), mixtures(toy{}, rng)}
}

func mbconvInstance(t *testing.T, seed uint64) instance {
	space, rng := newMBConv(t, 1), rand.New(rand.NewPCG(seed, 3))
	return instance{space, newEdgeCosts(space, rng), mixtures(space, rng)}
}

// instances are one of each kind.
func instances(t *testing.T, seed uint64) map[string]instance {
	return map[string]instance{
		"nb201": nb201Instance(t, seed), "edge selection": toyInstance(t, seed), "mbconv": mbconvInstance(t, seed),
	}
}

// all prices and scores every different network of the space.
func (in instance) all(t *testing.T) (networks []Candidate) {
	t.Helper()
	forms, at := newForms(in.space), map[string]int{}
	for c := range arch.All(in.space) {
		c = in.space.Canonical(c)
		s, err := in.costs.Latency(c)
		if errors.Is(err, arch.ErrDead) {
			continue
		} else if err != nil {
			t.Fatal(err)
		}
		score := 0.0
		for i, a := range in.space.Alphas() {
			for row, col := range c[i] {
				if a.Ops[col] != ops.None || in.space.Cells()[i].Keep == 0 {
					score += math.Log(in.p[i][row*len(a.Ops)+col])
				}
			}
		}
		n, form := Candidate{Choice: c, LatencyS: s, Score: score}, forms.of(c)
		if i, known := at[form]; !known {
			at[form] = len(networks)
			networks = append(networks, n)
		} else if less(forms, c, networks[i].Choice) {
			networks[i] = n
		}
	}
	return networks
}

// less reports whether a choice has fewer operations than another, or as many
// and fewer edges.
func less(f forms, a, b arch.Choice) bool {
	operations, edges := f.work(a)
	more, moreEdges := f.work(b)
	return operations < more || operations == more && edges < moreEdges
}

// exhaustive lists the networks that use the budget, and the share of it that
// they use, the best first.
func exhaustive(all []Candidate, budgetS float64) (share float64, fit []Candidate) {
	for _, share = range []float64{0.85, 0.7, 0.5, 0.25, 0} {
		fit = slices.DeleteFunc(slices.Clone(all), func(n Candidate) bool {
			return n.LatencyS > budgetS || n.LatencyS < share*budgetS
		})
		if len(fit) >= 8 {
			break
		}
	}
	slices.SortStableFunc(fit, func(a, b Candidate) int { return cmp.Compare(b.Score, a.Score) })
	return share, fit
}

func TestDiscretiseAgainstExhaustiveSearch(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name     string
		instance func(*testing.T, uint64) instance
		budgets  []float64
		seeds    uint64
	}{
		{"nb201", nb201Instance, []float64{1.1e-4, 2e-4, 1.5e-3, 1}, 1},
		{"edge selection", toyInstance, []float64{1.05e-3, 2e-3, 3.5e-3, 1}, 2},
		{"mbconv", mbconvInstance, []float64{1.3e-3, 3e-3, 5e-3, 1}, 1},
	} {
		t.Run(tc.name, func(t *testing.T) {
			for seed := range tc.seeds {
				in := tc.instance(t, seed)
				c, err := NewCatalogue(in.space, in.costs)
				if err != nil {
					t.Fatal(err)
				}
				all := in.all(t)
				for _, budget := range tc.budgets {
					_, fit := exhaustive(all, budget)
					for _, k := range []int{1, 20, 500} {
						want := fit[:min(k, len(fit))]
						got, err := c.Discretise(in.p, budget, k)
						var infeasible *InfeasibleError
						if len(want) == 0 && errors.As(err, &infeasible) {
							continue
						}
						if err != nil {
							t.Fatal(err)
						}
						if len(got) != len(want) {
							t.Fatalf("seed %d, budget %g s: %d networks: want %d", seed, budget, len(got), len(want))
						}
						for i := range got {
							g, w := got[i], want[i]
							if !g.Choice.Equal(w.Choice) || g.LatencyS != w.LatencyS || math.Abs(g.Score-w.Score) > 1e-12 {
								t.Fatalf("seed %d, budget %g s: candidate %d of %d is %s (%g s, Σ ln p = %g): want %s (%g s, %g)",
									seed, budget, i, k, in.space.Notation(g.Choice), g.LatencyS, g.Score,
									in.space.Notation(w.Choice), w.LatencyS, w.Score)
							}
						}
					}
				}
			}
		})
	}
}

func TestCatalogueOfNB201(t *testing.T) {
	in := nb201Instance(t, 1)
	c, err := NewCatalogue(in.space, in.costs)
	if err != nil {
		t.Fatal(err)
	}
	if len(c.groups) != 1 || len(c.groups[0].Options) != 5259 {
		t.Errorf("%d groups, %d networks: want 1, and 5259, the different live cells",
			len(c.groups), len(c.groups[0].Options))
	}
}

// Where the budget is no matter, the first network is the one that the
// literature derives.
func TestFirstIsDerived(t *testing.T) {
	t.Parallel()
	for _, space := range []arch.Space{toy{}, newDARTS(t), newMBConv(t, 3)} {
		for seed := range uint64(5) {
			rng := rand.New(rand.NewPCG(seed, 2))
			p := mixtures(space, rng)
			c, err := NewCatalogue(space, newEdgeCosts(space, rng))
			if err != nil {
				t.Fatal(err)
			}
			got, err := c.Discretise(p, 1, 1)
			if err != nil {
				t.Fatal(err)
			}
			if want := space.Derive(p); !got[0].Choice.Equal(want) {
				t.Errorf("%s, seed %d: %v: derived is %v", space.Name(), seed, got[0].Choice, want)
			}
		}
	}
}

// Networks of a space too large to try: each fits, they are in order, none
// comes twice, and no change of one group makes a better one that is left out.
func TestDiscretiseLargeSpaces(t *testing.T) {
	for _, space := range []arch.Space{newDARTS(t), newMBConv(t, 4)} {
		t.Run(space.Name(), func(t *testing.T) { testDiscretise(t, space) })
	}
}

func testDiscretise(t *testing.T, space arch.Space) {
	rng := rand.New(rand.NewPCG(4, 0))
	costs, p := newEdgeCosts(space, rng), mixtures(space, rng)
	c, err := NewCatalogue(space, costs)
	if err != nil {
		t.Fatal(err)
	}
	fastest, err := c.Large(math.Inf(-1))
	if err != nil {
		t.Fatal(err)
	}
	for _, budget := range []float64{1.001 * fastest.LatencyS, 1.2 * fastest.LatencyS, 3 * fastest.LatencyS} {
		const k = 100
		got, err := c.Discretise(p, budget, k)
		if err != nil {
			t.Fatal(err)
		}
		if len(got) == 0 || len(got) > k || len(got) < k && budget > 1.1*fastest.LatencyS {
			t.Errorf("budget %g s: %d networks: want %d", budget, len(got), k)
		}
		listed := map[string]bool{}
		for i, n := range got {
			if s, err := costs.Latency(n.Choice); err != nil || s != n.LatencyS || s > budget {
				t.Errorf("budget %g s: candidate %d takes %g s, not %g (%v)", budget, i, s, n.LatencyS, err)
			}
			if n.LatencyS < Shares[0]*budget && budget > 1.1*fastest.LatencyS {
				t.Errorf("budget %g s: candidate %d takes %g s", budget, i, n.LatencyS)
			}
			if i > 0 && n.Score > got[i-1].Score+1e-12 {
				t.Errorf("budget %g s: candidate %d has a greater score than the one before it", budget, i)
			}
			name := space.Notation(n.Choice)
			if listed[name] {
				t.Errorf("budget %g s: candidate %d comes twice", budget, i)
			}
			listed[name] = true
		}
		last := got[len(got)-1]
		for _, g := range c.groups {
			for o := range g.Options {
				near := got[0].Choice.Clone()
				g.Set(near, o)
				s, err := costs.Latency(near)
				if err != nil {
					t.Fatal(err)
				}
				if s > budget || s < Shares[0]*budget || listed[space.Notation(near)] || len(got) < k {
					continue
				}
				score := 0.0
				for i, a := range space.Alphas() {
					for row, col := range near[i] {
						if a.Ops[col] != ops.None {
							score += math.Log(p[i][row*len(a.Ops)+col])
						}
					}
				}
				if score > last.Score+1e-12 {
					t.Errorf("budget %g s: %s (Σ ln p = %g) is left out for %g", budget, space.Notation(near), score, last.Score)
				}
			}
		}
	}
}

func TestDiscretiseInfeasible(t *testing.T) {
	t.Parallel()
	for name, in := range instances(t, 2) {
		c, err := NewCatalogue(in.space, in.costs)
		if err != nil {
			t.Fatal(err)
		}
		fastest := slices.MinFunc(in.all(t), func(a, b Candidate) int {
			return cmp.Compare(a.LatencyS, b.LatencyS)
		})
		_, err = c.Discretise(in.p, 1e-6, 5)
		var infeasible *InfeasibleError
		if !errors.As(err, &infeasible) {
			t.Fatalf("%s: error %v: want an InfeasibleError", name, err)
		}
		if infeasible.FastestS != fastest.LatencyS || infeasible.BudgetS != 1e-6 {
			t.Errorf("%s: fastest %g s: want %g", name, infeasible.FastestS, fastest.LatencyS)
		}
		if s, err := in.costs.Latency(infeasible.Fastest); err != nil || s != fastest.LatencyS {
			t.Errorf("%s: the fastest network takes %g s (%v): want %g", name, s, err, fastest.LatencyS)
		}
	}
}

// merging is a runtime that merges what follows the first group with it, so
// that a network takes other than the sum over its groups.
type merging struct {
	edgeCosts
	byS float64 // taken off for each other group that does not take its first option
	of  []arch.Group
}

func (m merging) Latency(c arch.Choice) (float64, error) {
	s, err := m.edgeCosts.Latency(c)
	away := 0
	for _, g := range m.of {
		for i, row := range g.Rows {
			if c[g.Alpha][row] != g.Options[0][i] {
				away++
				break
			}
		}
	}
	return s - m.byS*max(0, float64(away-1)), err
}

// Where groups do not add up, what fits as a whole is found all the same: with
// any budget from the fastest network's on there is a candidate.
func TestDiscretiseWhereGroupsDoNotAddUp(t *testing.T) {
	for seed := range uint64(5) {
		for _, by := range []float64{5e-5, -5e-5} {
			rng := rand.New(rand.NewPCG(seed, 6))
			costs := merging{newEdgeCosts(toy{}, rng), by, toy{}.Groups()}
			p := mixtures(toy{}, rng)
			c, err := NewCatalogue(toy{}, costs)
			if err != nil {
				t.Fatal(err)
			}
			fastest, err := c.Large(math.Inf(-1))
			if err != nil {
				t.Fatal(err)
			}
			for share := 1.0; share < 1.3; share += 0.005 {
				budget := share * fastest.LatencyS
				got, err := c.Discretise(p, budget, 3)
				if err != nil || len(got) == 0 {
					t.Fatalf("seed %d, %g s a group, budget %g × the fastest: %d networks, %v", seed, by, share, len(got), err)
				}
				for _, n := range got {
					if n.LatencyS > budget || math.IsNaN(n.Score) || n.Score >= 0 {
						t.Errorf("seed %d: a network of %g s (Σ ln p = %g) for a budget of %g", seed, n.LatencyS, n.Score, budget)
					}
				}
			}
			var infeasible *InfeasibleError
			if _, err := c.Discretise(p, 0.999*fastest.LatencyS, 3); !errors.As(err, &infeasible) {
				t.Errorf("below the fastest: %v", err)
			}
		}
	}
}

// Without a budget, the best are those with the greatest score, as under one
// that all networks use well.
func TestDiscretiseWithoutBudget(t *testing.T) {
	t.Parallel()
	in := toyInstance(t, 1)
	c, err := NewCatalogue(in.space, in.costs)
	if err != nil {
		t.Fatal(err)
	}
	got, err := c.Discretise(in.p, math.Inf(1), 20)
	if err != nil {
		t.Fatal(err)
	}
	_, want := exhaustive(in.all(t), 3600)
	for i := range got {
		if !got[i].Choice.Equal(want[i].Choice) {
			t.Errorf("candidate %d is %v: want %v", i, got[i].Choice, want[i].Choice)
		}
	}
}

// Costs that fail are not taken for costs.
type failing struct{ Costs }

func (failing) Latency(arch.Choice) (float64, error) { return 0, errors.New("not measured") }

func TestCatalogueFails(t *testing.T) {
	for name, in := range instances(t, 3) {
		if _, err := NewCatalogue(in.space, failing{}); err == nil {
			t.Errorf("%s: costs that fail were taken", name)
		}
		if _, err := NewMatrix(in.space, failing{}); err == nil {
			t.Errorf("%s: costs that fail were made a matrix", name)
		}
	}
}

// A large network keeps the budget, uses it where there is one group, and is
// the fastest where nothing keeps it.
func TestLarge(t *testing.T) {
	for name, in := range instances(t, 1) {
		catalogue, err := NewCatalogue(in.space, in.costs)
		if err != nil {
			t.Fatal(err)
		}
		fastest, err := catalogue.Large(math.Inf(-1))
		if err != nil {
			t.Fatal(err)
		}
		before := 0.0
		for _, share := range []float64{0, 1.001, 1.2, 2, math.Inf(1)} {
			budget := share * fastest.LatencyS
			c, err := catalogue.Large(budget)
			if err != nil {
				t.Fatal(err)
			}
			if most := max(budget, fastest.LatencyS); c.LatencyS > most*(1+1e-9) || c.LatencyS < before {
				t.Errorf("%s: budget %g: a network of %g s, the fastest takes %g, one before took %g",
					name, budget, c.LatencyS, fastest.LatencyS, before)
			}
			if before = c.LatencyS; budget == 0 && before != fastest.LatencyS {
				t.Errorf("%s: %g s: want the fastest, %g", name, before, fastest.LatencyS)
			}
		}
		if before <= fastest.LatencyS {
			t.Errorf("%s: no budget is not used", name)
		}
	}
}

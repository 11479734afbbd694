// SPDX-License-Identifier: Apache-2.0

package search

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/edgenas/edgenas/arch"
)

// someNetworks draws different networks of a space, in canonical form.
func someNetworks(t testing.TB, space arch.Space, count int, rng *rand.Rand) []arch.Choice {
	t.Helper()
	var all []arch.Choice
	seen := map[string]bool{}
	for len(all) < count {
		c := arch.First(space)
		for _, g := range space.Groups() {
			g.Set(c, rng.IntN(len(g.Options)))
		}
		c = space.Canonical(c)
		if name := space.Notation(c); !seen[name] {
			if _, err := space.Network(c, 1); err == nil {
				seen[name], all = true, append(all, c)
			}
		}
	}
	return all
}

// A policy of random α on some networks, and that α.
func randomPolicy(t testing.TB, space arch.Space, count int, rng *rand.Rand) (*policy, [][]float64) {
	t.Helper()
	p := newPolicy(space.Alphas(), someNetworks(t, space, count, rng))
	var alpha [][]float64
	for _, s := range p.shares {
		row := make([]float64, len(s))
		for j := range row {
			row[j] = 0.5 * rng.NormFloat64()
		}
		alpha = append(alpha, row)
	}
	p.set(alpha)
	return p, alpha
}

func zeros(like [][]float64) (z [][]float64) {
	for _, v := range like {
		z = append(z, make([]float64, len(v)))
	}
	return z
}

func TestPolicyGradientsAreDerivatives(t *testing.T) {
	for _, space := range []arch.Space{newNB201(t), newDARTS(t), newMBConv(t, 2)} {
		t.Run(space.Name(), func(t *testing.T) {
			rng := rand.New(rand.NewPCG(11, 0))
			p, alpha := randomPolicy(t, space, 30, rng)
			v := make([]float64, 30)
			for n := range v {
				v[n] = rng.NormFloat64()
			}
			logPi, expected := zeros(alpha), zeros(alpha)
			p.scoreFunction(logPi, 7, 0.3)
			p.expectGradient(expected, v, 0.7)
			for i := range alpha {
				for j := 0; j < len(alpha[i]); j += max(1, len(alpha[i])/40) {
					want := slope(alpha[i], j, 1e-5, func() float64 { p.set(alpha); return 0.3 * math.Log(p.pi[7]) })
					if math.Abs(logPi[i][j]-want) > 1e-9 {
						t.Errorf("∂ ln π/∂α%d[%d] = %g: central difference %g", i, j, logPi[i][j], want)
					}
					want = slope(alpha[i], j, 1e-5, func() float64 { p.set(alpha); return 0.7 * p.expect(v) })
					if math.Abs(expected[i][j]-want) > 1e-9 {
						t.Errorf("∂E/∂α%d[%d] = %g: central difference %g", i, j, expected[i][j], want)
					}
				}
			}
		})
	}
}

// The estimate's expectation, over every pair of networks that can be drawn, is
// the gradient of the expected loss.
func TestScoreGradientIsUnbiased(t *testing.T) {
	rng := rand.New(rand.NewPCG(12, 0))
	p, alpha := randomPolicy(t, newNB201(t), 40, rng)
	losses := make([]float64, 40)
	for n := range losses {
		losses[n] = 2 + 0.3*rng.NormFloat64()
	}
	want, got, pair := zeros(alpha), zeros(alpha), zeros(alpha)
	p.expectGradient(want, losses, 1)
	for a, pa := range p.pi {
		for b, pb := range p.pi {
			clear(pair[0])
			scoreGradient(p, pair, []int{a, b}, []float64{losses[a], losses[b]})
			for j, v := range pair[0] {
				got[0][j] += pa * pb * v
			}
		}
	}
	for j, w := range want[0] {
		if math.Abs(got[0][j]-w) > 1e-12 {
			t.Errorf("entry %d: expectation %g: want %g", j, got[0][j], w)
		}
	}
}

func TestPolicyDrawsByItsProbabilities(t *testing.T) {
	rng := rand.New(rand.NewPCG(13, 0))
	p, _ := randomPolicy(t, newNB201(t), 12, rng)
	counts := make([]float64, 12)
	const draws = 20000
	for range draws {
		counts[p.draw(rng)]++
	}
	for n, v := range p.pi {
		if sigma := math.Sqrt(draws * v * (1 - v)); math.Abs(counts[n]-draws*v) > 4*sigma {
			t.Errorf("network %d was drawn %g times of %d: want %.0f ± %.0f", n, counts[n], draws, draws*v, 4*sigma)
		}
	}
}

func TestMidRanks(t *testing.T) {
	want := []float64{0.7, 0.1, 0.7, 0.3, 0.7}
	for i, got := range midRanks([]float64{3, -1, 3, 2, 3}) {
		if math.Abs(got-want[i]) > 1e-12 {
			t.Errorf("rank %d is %g: want %g", i, got, want[i])
		}
	}
}

// The prior's log-odds: an operation of the best networks is above 0, one of the
// worst below, and one that no network has is 0.
func TestLogOdds(t *testing.T) {
	space := newNB201(t)
	p := newPolicy(space.Alphas(), []arch.Choice{
		{{1, 1, 1, 1, 1, 1}}, {{1, 1, 1, 1, 1, 2}}, {{1, 1, 1, 1, 1, 3}}, {{1, 1, 1, 1, 1, 3}},
	})
	odds := p.logOdds([]float64{0, 1, 2, 3})[0]
	ranks := func(total, count float64) float64 {
		r := (total + 0.5) / (count + 1)
		return math.Log(r / (1 - r))
	}
	for j, want := range map[int]float64{
		0: 0, 1: 0, 25: 0, 26: ranks(0.125, 1), 27: ranks(0.375, 1), 28: ranks(0.625+0.875, 2), 29: 0,
	} {
		if math.Abs(odds[j]-want) > 1e-12 {
			t.Errorf("entry %d is %g: want %g", j, odds[j], want)
		}
	}
}

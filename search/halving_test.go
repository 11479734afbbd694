// SPDX-License-Identifier: Apache-2.0

package search

import (
	"context"
	"errors"
	"math"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"
)

// contest is so many entrants whose true loss is their number, in hundredths,
// and whose known score tells it with this standard deviation of error.
func contest(n int, error float64, rng *rand.Rand) []Entrant {
	var all []Entrant
	for i := range n {
		e := Entrant{Known: []float64{-float64(i)/100 + error*rng.NormFloat64()}}
		e.Number = i
		all = append(all, e)
	}
	rng.Shuffle(n, func(i, j int) { all[i], all[j] = all[j], all[i] })
	return all
}

// judged gives the true losses with noise.
func judged(noise float64, rng *rand.Rand) func(context.Context, int, Entrant) (Judgement, error) {
	return func(_ context.Context, _ int, e Entrant) (Judgement, error) {
		return Judgement{Loss: 1 + float64(e.Number)/100 + noise*rng.NormFloat64(), Noise: noise}, nil
	}
}

func TestHalve(t *testing.T) {
	rungs := []Rung{{"first", 8}, {"second", 3}, {"third", 1}}
	rng := rand.New(rand.NewPCG(1, 0))
	trained := make([]int, 3)
	judge := judged(0, rng)
	var keeps []int
	all, err := Halve(t.Context(), contest(32, 0.1, rng), rungs,
		func(ctx context.Context, r int, e Entrant) (Judgement, error) {
			trained[r]++
			return judge(ctx, r, e)
		}, func(_ int, ranked []Entrant, keep int) error {
			keeps = append(keeps, len(ranked), keep)
			return nil
		})
	if err != nil {
		t.Fatal(err)
	}
	if want := []int{32, 8, 3}; !reflect.DeepEqual(trained, want) {
		t.Errorf("%d trained in the rungs: want %d", trained, want)
	}
	if want := []int{32, 8, 8, 3, 3, 1}; !reflect.DeepEqual(keeps, want) {
		t.Errorf("told of %d: want %d", keeps, want)
	}
	for i, e := range all {
		if e.Number != i {
			t.Fatalf("place %d has network %d", i, e.Number)
		}
	}
}

func TestHalveStops(t *testing.T) {
	broken := errors.New("broken")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	rng := rand.New(rand.NewPCG(1, 0))
	fails := func(context.Context, int, Entrant) (Judgement, error) { return Judgement{}, broken }
	if _, err := Halve(t.Context(), contest(4, 0, rng), []Rung{{"only", 1}}, fails, nil); !errors.Is(err, broken) {
		t.Errorf("error %v: want %v", err, broken)
	}
	if _, err := Halve(ctx, contest(4, 0, rng), []Rung{{"only", 1}}, judged(0, rng), nil); !errors.Is(err, ctx.Err()) {
		t.Errorf("error %v: want %v", err, ctx.Err())
	}
}

// A training that fails loses against all others, and does not go on even where
// too few others are left.
func TestHalveFailures(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 0))
	judge := func(_ context.Context, r int, e Entrant) (Judgement, error) {
		if e.Number < 6 {
			return Judgement{Failure: "diverged"}, nil
		}
		return Judgement{Loss: float64(e.Number)}, nil
	}
	all, err := Halve(t.Context(), contest(8, 0, rng), []Rung{{"first", 4}, {"second", 1}}, judge, nil)
	if err != nil {
		t.Fatal(err)
	}
	for i, e := range all {
		if (e.Number >= 6) != (i < 2) || len(e.Judgements) != 1+min(1, max(0, 2-i)) {
			t.Errorf("place %d: network %d with %d judgements", i, e.Number, len(e.Judgements))
		}
		if i >= 2 && !math.IsInf(e.Value, 1) {
			t.Errorf("network %d failed and has value %g", e.Number, e.Value)
		}
	}
}

// What is known counts where it explains the losses and these are noise, and
// only there.
func TestBelieve(t *testing.T) {
	for _, tc := range []struct {
		name         string
		score, noise float64 // error of the score, of the loss
		better       float64 // least and most regret, relative to that of the loss alone
		worse        float64
	}{
		{"exact losses, useless score", 10, 0, 0, 0},
		{"noisy losses, useless score", 10, 0.1, 0.8, 1.2},
		{"noisy losses, good score", 0.02, 0.1, 0.1, 0.6},
	} {
		t.Run(tc.name, func(t *testing.T) {
			rng := rand.New(rand.NewPCG(2, 0))
			var alone, believed int
			for range 300 {
				all := contest(24, tc.score, rng)
				judge := judged(tc.noise, rng)
				for i := range all {
					j, _ := judge(t.Context(), 0, all[i])
					all[i].Judgements = []Judgement{j}
				}
				by := func(value func(e Entrant) float64) int {
					return slices.MinFunc(all, func(a, b Entrant) int {
						return int(math.Copysign(1, value(a)-value(b)))
					}).Number
				}
				Believe(all, false)
				alone += by(func(e Entrant) float64 { return e.Judgements[0].Loss })
				believed += by(func(e Entrant) float64 { return e.Value })
			}
			t.Logf("mean regret %.2f, with what is known %.2f", float64(alone)/300, float64(believed)/300)
			if tc.noise == 0 {
				if believed != 0 {
					t.Errorf("mean regret %.2f with exact losses", float64(believed)/300)
				}
			} else if r := float64(believed) / float64(alone); r < tc.better || r > tc.worse {
				t.Errorf("%.2f of the regret of losses alone: want %.2f to %.2f", r, tc.better, tc.worse)
			}
		})
	}
}

// A network that comes to nearly the same loss with more capacity is the better one
// after a long training, but not after the rung's own.
func TestBelieveCapacity(t *testing.T) {
	for _, tc := range []struct {
		name   string
		images float64 // of the training that the winner gets
		better bool    // the one with more capacity
	}{{"the rung's training", 0, false}, {"a training as long", 4000, false}, {"a long training", 4e5, true}} {
		all := []Entrant{
			{Images: tc.images, Capacity: 14, Judgements: []Judgement{{Loss: 0.50, Noise: 0.01, Images: 4000}}},
			{Images: tc.images, Capacity: 15, Judgements: []Judgement{{Loss: 0.51, Noise: 0.01, Images: 4000}}},
		}
		Believe(all, false)
		if got := all[1].Value < all[0].Value; got != tc.better {
			t.Errorf("%s: believed %.4f and, with more capacity, %.4f", tc.name, all[0].Value, all[1].Value)
		}
	}
}

// Before the last rung networks compete within their group; in it, by what they
// are expected to come to.
func TestHalveGroups(t *testing.T) {
	var all []Entrant
	for i := range 8 {
		all = append(all, Entrant{Number: i, Group: i % 2, Images: 1e6})
	}
	// Networks of group 1 learn from a tenth of the images, but are better in the end.
	judge := func(_ context.Context, r int, e Entrant) (Judgement, error) {
		j := Judgement{Images: 20000, Noise: 1e-3}
		level := 0.30 + float64(e.Number)/100
		if e.Group == 1 {
			j.Images, level = 2000, level-0.05
		}
		j.Loss = level * Fall(3).above(j.Images)
		return j, nil
	}
	var on [][]int
	ranked, err := Halve(t.Context(), all, []Rung{{"first", 2}, {"second", 1}, {"third", 1}}, judge,
		func(_ int, ranked []Entrant, keep int) error {
			var numbers []int
			for _, e := range ranked[:keep] {
				numbers = append(numbers, e.Number)
			}
			slices.Sort(numbers)
			on = append(on, numbers)
			return nil
		})
	if err != nil {
		t.Fatal(err)
	}
	if want := [][]int{{0, 1, 2, 3}, {0, 1}, {1}}; !reflect.DeepEqual(on, want) {
		t.Errorf("%v go on: want %v", on, want)
	}
	if a, b := ranked[1].last().Loss, ranked[0].last().Loss; a >= b {
		t.Errorf("the winner has the lower loss already, %g and %g: the test shows nothing", b, a)
	}
}

// A group that is far behind sends on one network, whatever its places, and the best
// group never is: not where losses are scores below 0 either.
func TestHalveHopeless(t *testing.T) {
	for _, tc := range []struct {
		name   string
		losses []float64 // by group
		want   map[int]int
	}{
		{"losses", []float64{0.30, 0.44, 0.46}, map[int]int{0: 2, 1: 2, 2: 1}},
		{"scores", []float64{-3, -1.6, -1.4}, map[int]int{0: 2, 1: 2, 2: 1}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var all []Entrant
			for i := range 9 {
				all = append(all, Entrant{Number: i, Group: i % 3})
			}
			judge := func(_ context.Context, _ int, e Entrant) (Judgement, error) {
				return Judgement{Loss: tc.losses[e.Group] + float64(e.Number)/1e4, Noise: 1e-6, Images: 1000}, nil
			}
			on := map[int]int{}
			if _, err := Halve(t.Context(), all, []Rung{{"first", 2}, {"second", 1}}, judge,
				func(r int, ranked []Entrant, keep int) error {
					for _, e := range ranked[:keep] {
						if r == 0 {
							on[e.Group]++
						}
					}
					return nil
				}); err != nil {
				t.Fatal(err)
			}
			if !reflect.DeepEqual(on, tc.want) {
				t.Errorf("of each group go on %v: want %v", on, tc.want)
			}
		})
	}
}

// In every rung a network that is ahead only because it is cheap, and has seen
// more images, loses against one that comes to less in the end.
func TestHalveCosts(t *testing.T) {
	all := []Entrant{{Number: 0, Images: 2e5}, {Number: 1, Images: 4e5}}
	judge := func(_ context.Context, r int, e Entrant) (Judgement, error) {
		j := Judgement{Images: e.Images / 100, Noise: 1e-3}
		j.Loss = []float64{0.30, 0.327}[e.Number] * Fall(usualFall).above(j.Images)
		return j, nil
	}
	for _, rungs := range [][]Rung{{{"only", 1}}, {{"first", 1}, {"second", 1}}} {
		ranked, err := Halve(t.Context(), all, rungs, judge, nil)
		if err != nil {
			t.Fatal(err)
		}
		if ranked[0].Number != 0 || ranked[0].Judgements[0].Loss < ranked[1].Judgements[0].Loss {
			t.Errorf("%d rungs: network %d wins: %+v", len(rungs), ranked[0].Number, ranked)
		}
	}
}

// What others have to be better than is there until the last rung, and takes one
// of the places of its group; in the last rung it has to win.
func TestHalveStays(t *testing.T) {
	var all []Entrant
	for i := range 8 {
		all = append(all, Entrant{Number: i, Group: i % 2, Stays: i >= 6})
	}
	for _, tt := range []struct {
		name   string
		loss   func(number int) float64
		failed int
		on     []int // after the first rung
		winner int
	}{
		{"they lose", func(n int) float64 { return 0.3 + float64(n)/100 }, -1, []int{0, 1, 6, 7}, 0},
		{"one wins", func(n int) float64 { return 0.3 - float64(n)/100 }, -1, []int{4, 5, 6, 7}, 7},
		{"one fails", func(n int) float64 { return 0.3 + float64(n)/100 }, 6, []int{0, 1, 2, 7}, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var on []int
			ranked, err := Halve(t.Context(), all, []Rung{{"first", 2}, {"second", 1}},
				func(_ context.Context, _ int, e Entrant) (Judgement, error) {
					if e.Number == tt.failed {
						return Judgement{Failure: "it does"}, nil
					}
					return Judgement{Loss: tt.loss(e.Number), Noise: 1e-3, Images: 1000}, nil
				}, func(rung int, ranked []Entrant, keep int) error {
					if rung == 0 {
						for _, e := range ranked[:keep] {
							on = append(on, e.Number)
						}
					}
					return nil
				})
			if err != nil {
				t.Fatal(err)
			}
			if slices.Sort(on); !slices.Equal(on, tt.on) || ranked[0].Number != tt.winner {
				t.Errorf("%v go on, %d wins: want %v, %d", on, ranked[0].Number, tt.on, tt.winner)
			}
		})
	}
}

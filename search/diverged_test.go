// SPDX-License-Identifier: Apache-2.0

package search

import (
	"context"
	"errors"
	"math"
	"math/rand/v2"
	"strings"
	"testing"
)

// glaring is a source whose images, from a batch on, are far too bright.
type glaring struct {
	blobs
	batches int
	value   float32
}

func (g *glaring) Next(x []float32, y []int32) {
	g.blobs.Next(x, y)
	if g.batches--; g.batches < 0 {
		for i := range x {
			x[i] = g.value
		}
	}
}

// A search whose figures leave the finite numbers says in which step, and what
// can be done. Its history does not have them.
func TestDivergedSearch(t *testing.T) {
	const rate, alphaRate = "--search-lr below 0.05", "--alpha-lr below +Inf"
	nan, good := float32(math.NaN()), glaring{batches: 100}
	for _, tc := range []struct {
		name     string
		weights  glaring
		alpha    glaring
		alphaLR  float64
		step     int // 5 an epoch, of which one is the warm-up
		quantity string
		flag     string
	}{
		{"images of 3e38", glaring{value: 3e38}, good, 0.02, 1, "the training loss", rate},
		{"no number", glaring{batches: 2, value: nan}, good, 0.02, 3, "the training loss", rate},
		{"α's half", good, glaring{batches: 1, value: nan}, 0.02, 7, "the validation loss", rate},
		{"α", good, good, math.Inf(1), 6, "α", alphaRate},
	} {
		t.Run(tc.name, func(t *testing.T) {
			space := newNB201(t)
			c := DefaultConfig()
			c.Epochs, c.Batch, c.BudgetS, c.AlphaLR = 3, 8, 1.2e-3, tc.alphaLR
			easy := blobs{n: 40, size: 8, classes: 3}
			tc.weights.blobs, tc.alpha.blobs = easy, easy
			costs := newAdditive(space, rand.New(rand.NewPCG(9, 0)))
			s, err := New(c, Problem{
				Proxy: space, Target: space, Costs: costs, Weights: &tc.weights, Alpha: &tc.alpha, Threads: 1,
			})
			if err != nil {
				t.Fatal(err)
			}
			points := 0
			_, err = s.Run(context.Background(), func(p Point) {
				points++
				if !isFinite(p.LossTrain) || p.LossVal != nil && !isFinite(*p.LossVal) {
					t.Errorf("step %d: losses %g, %v", p.Step, p.LossTrain, p.LossVal)
				}
			})
			var diverged *DivergedError
			if !errors.As(err, &diverged) {
				t.Fatalf("error %v: want a DivergedError", err)
			}
			if diverged.Step != tc.step || points != tc.step-1 || isFinite(diverged.Value) {
				t.Errorf("%+v after %d points: want step %d", diverged, points, tc.step)
			}
			if tc.quantity != "" && diverged.Quantity != tc.quantity || !strings.Contains(err.Error(), tc.flag) {
				t.Errorf("%v: want %s and %s", err, tc.quantity, tc.flag)
			}
		})
	}
}

// Too high a learning rate shows in the loss or the gradient of a later step.
func TestTooHighLearningRate(t *testing.T) {
	s, _, _ := small(t, "gdas", 1, 1.2e-3)
	s.config.LR = 1e30
	_, err := s.Run(context.Background(), nil)
	var diverged *DivergedError
	if !errors.As(err, &diverged) || diverged.Step < 2 || diverged.Rate != 1e30 {
		t.Errorf("error %v: want a DivergedError after the first step", err)
	}
}

// Weights that diverged in the last step show when candidates are judged.
func TestDivergedAtTheEnd(t *testing.T) {
	s, _, _ := small(t, "gdas", 1, 1.2e-3)
	s.step = s.Steps()
	for _, p := range s.model.Params() {
		for i := range p.W {
			p.W[i] = float32(math.Inf(1))
		}
	}
	_, err := s.Run(context.Background(), nil)
	var diverged *DivergedError
	if !errors.As(err, &diverged) || diverged.Step != s.Steps() {
		t.Errorf("error %v: want a DivergedError of step %d", err, s.Steps())
	}
}

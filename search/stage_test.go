// SPDX-License-Identifier: Apache-2.0

package search

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"maps"
	"math"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/edgenas/edgenas/arch"
	"github.com/edgenas/edgenas/ops"
)

// smallStage is a stage that takes a moment, and its two sources.
func smallStage(t *testing.T, space arch.Space, method string, threads int) (*Stage, *blobs, *blobs) {
	t.Helper()
	c, pr := stageOf(t, space)
	c.Method, pr.Threads = method, threads
	s, err := NewStage(c, pr)
	if err != nil {
		t.Fatal(err)
	}
	return s, pr.Weights.(*blobs), pr.Alpha.(*blobs)
}

func stageOf(t *testing.T, space arch.Space) (StageConfig, StageProblem) {
	t.Helper()
	rng := rand.New(rand.NewPCG(21, 0))
	c := DefaultStageConfig(24)
	c.Seed, c.Batch, c.Judged = 1, 8, 5
	pr := StageProblem{
		Proxy: space, Networks: someNetworks(t, space, 10, rng), LimitS: 1.4e-3,
		Weights: &blobs{n: 40, size: 8, classes: 3}, Alpha: &blobs{n: 40, size: 8, classes: 3}, Threads: 1,
	}
	for range pr.Networks {
		pr.LatencyS, pr.Prior = append(pr.LatencyS, 1e-3*(1+rng.Float64())), append(pr.Prior, rng.Float64())
	}
	return c, pr
}

func runStage(t *testing.T, s *Stage) ([]Point, Scores) {
	t.Helper()
	var points []Point
	r, err := s.Run(context.Background(), func(p Point) { points = append(points, p) })
	if err != nil {
		t.Fatal(err)
	}
	return points, r
}

func TestStageScoresItsNetworks(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		space  arch.Space
		method string
	}{
		{newNB201(t), Reinforce}, {newDARTS(t), Reinforce}, {newMBConv(t, 2), Reinforce},
		{newNB201(t), "gdas"}, {newDARTS(t), "gdas"}, {newNB201(t), "darts"}, {newMBConv(t, 2), "darts"},
	} {
		t.Run(tc.space.Name()+"/"+tc.method, func(t *testing.T) {
			space := tc.space
			s, weights, alpha := smallStage(t, space, tc.method, 1)
			points, r := runStage(t, s)
			if len(points) != 24 || weights.at != 24*8 || alpha.at != 18*8 {
				t.Errorf("%d steps, %d and %d images: want α to learn in 18 of 24", len(points), weights.at, alpha.at)
			}
			if len(r.Alpha) != 10 || len(r.Loss) != 10 {
				t.Fatalf("%d and %d scores: want 10", len(r.Alpha), len(r.Loss))
			}
			worst, bestLeft := math.Inf(1), math.Inf(-1)
			for n, l := range r.Loss {
				if math.IsNaN(l) {
					bestLeft = max(bestLeft, r.Alpha[n])
				} else {
					worst = min(worst, r.Alpha[n])
				}
			}
			if judged := 10 - count(r.Loss, math.IsNaN); judged != 5 || worst < bestLeft {
				t.Errorf("%d networks are judged, the last at %g, another at %g: want the first 5 by α", judged, worst, bestLeft)
			}
			begin, end := 0.0, 0.0
			for i := range 8 {
				begin, end = begin+points[i].LossTrain/8, end+points[16+i].LossTrain/8
			}
			if end >= begin {
				t.Errorf("loss went from %g to %g: nothing was learned", begin, end)
			}
			trained := map[string]int{}
			for _, p := range points {
				trained[p.Path]++
				if p.GradNorm == nil || !(*p.GradNorm > 0) {
					t.Errorf("step %d: no norm of the gradient", p.Step)
				}
			}
			for _, n := range s.problem.Networks {
				if k := trained[space.Notation(n)]; s.paths && (k < 2 || k > 3) {
					t.Errorf("%s was trained %d times in 24 steps: want 2 or 3", space.Notation(n), k)
				}
			}
			if !reflect.DeepEqual(points[0].Alpha, points[5].Alpha) || reflect.DeepEqual(points[0].Alpha, points[23].Alpha) {
				t.Error("α must stay for a quarter of the steps, and move then")
			}
			best := slices.Index(r.Alpha, slices.Max(r.Alpha))
			if want := space.Notation(s.problem.Networks[best]); points[23].Derived != want {
				t.Errorf("derived is %s: want the best of the list, %s", points[23].Derived, want)
			}
		})
	}
}

func count(v []float64, is func(float64) bool) (n int) {
	for _, x := range v {
		if is(x) {
			n++
		}
	}
	return n
}

func TestStageSameBitsForAnyThreads(t *testing.T) {
	var want []Point
	var wantScores Scores
	for _, threads := range []int{1, 2, 3} {
		s, _, _ := smallStage(t, newNB201(t), Reinforce, threads)
		got, r := runStage(t, s)
		if want == nil {
			want, wantScores = got, r
		}
		if !reflect.DeepEqual(got, want) || !sameScores(r, wantScores) {
			t.Errorf("%d threads give another history or other scores than 1", threads)
		}
	}
}

// sameScores takes no number for equal to itself.
func sameScores(a, b Scores) bool {
	same := func(x, y float64) bool { return cmp.Compare(x, y) == 0 }
	return slices.EqualFunc(a.Alpha, b.Alpha, same) && slices.EqualFunc(a.Loss, b.Loss, same) &&
		a.Preferred.Equal(b.Preferred) && a.Entropy == b.Entropy && a.Undecided == b.Undecided
}

// A stage that was stopped, written out and restored elsewhere ends as one that
// never stopped, whether α had begun to learn or not.
func TestStageRestore(t *testing.T) {
	t.Parallel()
	for _, method := range Methods() {
		t.Run(method, func(t *testing.T) {
			make := func() *Stage { s, _, _ := smallStage(t, newNB201(t), method, 1); return s }
			want, wantScores := runStage(t, make())
			for _, at := range []int{0, 3, 13, 24} {
				s := make()
				for range at {
					if _, err := s.oneStep(); err != nil {
						t.Fatal(err)
					}
				}
				text, tensors, err := s.State()
				if err != nil {
					t.Fatal(err)
				}
				runStage(t, s) // no longer changes what was written out
				s = make()
				if err := s.Restore(text, tensors); err != nil {
					t.Fatal(err)
				}
				if s.Step() != at {
					t.Errorf("%d steps are done: want %d", s.Step(), at)
				}
				got, scores := runStage(t, s)
				if len(got) > 0 && !reflect.DeepEqual(got, want[at:]) || !sameScores(scores, wantScores) {
					t.Errorf("stopped after %d steps, the stage took another path", at)
				}
				if _, again := runStage(t, s); !sameScores(again, wantScores) {
					t.Errorf("stopped after %d steps: other scores when asked again", at)
				}
			}
		})
	}
}

func TestStageRestoreRefuses(t *testing.T) {
	s, _, _ := smallStage(t, newNB201(t), Reinforce, 1)
	if _, err := s.oneStep(); err != nil {
		t.Fatal(err)
	}
	text, tensors, err := s.State()
	if err != nil {
		t.Fatal(err)
	}
	for name, spoil := range map[string]func(*state, ops.Weights){
		"step":    func(st *state, _ ops.Weights) { st.Step = 25 },
		"alpha":   func(st *state, _ ops.Weights) { st.Alpha = [][]float64{{1}} },
		"rng":     func(st *state, _ ops.Weights) { st.RNG = []byte("x") },
		"cursor":  func(st *state, _ ops.Weights) { st.AlphaData = json.RawMessage("[]") },
		"weights": func(_ *state, w ops.Weights) { clear(w) },
	} {
		var st state
		if err := json.Unmarshal(text, &st); err != nil {
			t.Fatal(err)
		}
		w := maps.Clone(tensors)
		spoil(&st, w)
		spoilt, err := json.Marshal(st)
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Restore(spoilt, w); err == nil {
			t.Errorf("%s: a spoilt state was taken", name)
		}
	}
}

func TestStageStopsBetweenSteps(t *testing.T) {
	s, _, _ := smallStage(t, newNB201(t), Reinforce, 1)
	ctx, cancel := context.WithCancel(context.Background())
	_, err := s.Run(ctx, func(p Point) {
		if p.Step == 7 {
			cancel()
		}
	})
	if !errors.Is(err, context.Canceled) || s.Step() != 7 {
		t.Errorf("error %v after step %d: want to be cancelled after step 7", err, s.Step())
	}
}

// plantedStage learns α from losses that it is told: base, and a gain of 0.2
// where the network has a 3×3 convolution on its last edge, less what differs
// from batch to batch.
func plantedStage(t *testing.T, prior func(arch.Choice) float64, limitS float64, steps int) (*Stage, Scores) {
	t.Helper()
	space := newNB201(t)
	rng := rand.New(rand.NewPCG(22, 0))
	c := DefaultStageConfig(1)
	c.Judged = 0
	pr := StageProblem{Proxy: space, Networks: someNetworks(t, space, 60, rng), LimitS: limitS,
		Weights: &blobs{n: 40, size: 8, classes: 3}, Alpha: &blobs{n: 40, size: 8, classes: 3}, Threads: 1}
	for _, n := range pr.Networks {
		seconds := 1e-3
		for _, col := range n[0] {
			if col == 3 { // nor_conv_3x3
				seconds += 1e-3
			}
		}
		pr.LatencyS, pr.Prior = append(pr.LatencyS, seconds), append(pr.Prior, prior(n))
	}
	s, err := NewStage(c, pr)
	if err != nil {
		t.Fatal(err)
	}
	for range steps {
		batch := 0.5 * rng.NormFloat64() // a hard batch is hard for all networks
		drawn, losses := make([]int, alphaPaths), make([]float64, alphaPaths)
		for k := range drawn {
			drawn[k] = s.policy.draw(rng)
			losses[k] = 2 + batch + 0.05*rng.NormFloat64()
			if pr.Networks[drawn[k]][0][5] == 3 {
				losses[k] -= 0.2
			}
		}
		clear(s.g[0])
		scoreGradient(s.policy, s.g, drawn, losses)
		if err := s.moveAlpha(); err != nil {
			t.Fatal(err)
		}
	}
	s.step = c.Steps
	r, err := s.scores(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	return s, r
}

func same(arch.Choice) float64 { return 1 }

func TestStageFindsThePlantedOperation(t *testing.T) {
	s, r := plantedStage(t, same, math.Inf(1), 1500)
	if got := r.Preferred[0][5]; got != 3 {
		t.Errorf("on the last edge α prefers operation %d: want 3; p is %.2f", got, s.p[0][25:])
	}
	if s.p[0][5*5+3] < 0.8 {
		t.Errorf("p on the last edge is %.2f: want it decided", s.p[0][25:])
	}
	for row := range 5 {
		if p := s.p[0][row*5:][:5]; slices.Max(p) > 0.6 {
			t.Errorf("p on edge %d is %.2f: nothing was planted there", row, p)
		}
	}
}

// Where losses tell nothing, α stays near the prior, however long it learns.
func TestStageStaysWithThePrior(t *testing.T) {
	t.Parallel()
	prior := func(c arch.Choice) float64 { return float64(c[0][0]) }
	s, r := plantedStage(t, prior, math.Inf(1), 0)
	if r.Entropy < decided-1e-6 || r.Entropy > decided+1e-6 {
		t.Errorf("the entropy begins at %g: want %g", r.Entropy, decided)
	}
	begin := slices.Clone(s.p[0])
	if got := r.Preferred[0][0]; got != 4 {
		t.Errorf("on the first edge the prior prefers operation %d: want 4; p is %.2f", got, begin[:5])
	}
	s, r = plantedStage(t, prior, math.Inf(1), 1500)
	for j, p := range s.p[0][:5] {
		if math.Abs(p-begin[j]) > 0.15 {
			t.Errorf("p on the first edge went from %.2f to %.2f: want it to stay", begin[:5], s.p[0][:5])
			break
		}
	}
	if got := r.Preferred[0]; got[0] != 4 || got[5] != 3 {
		t.Errorf("α prefers %v: want 4 first, as the prior does, and 3 last, as planted", got)
	}
}

func TestStageOfEqualPriorsIsUndecided(t *testing.T) {
	t.Parallel()
	_, r := plantedStage(t, same, math.Inf(1), 0)
	if !r.Undecided || math.Abs(r.Entropy-1) > 1e-9 {
		t.Errorf("undecided %v, entropy %g: want α uniform", r.Undecided, r.Entropy)
	}
	_, r = plantedStage(t, func(c arch.Choice) float64 { return float64(c[0][0]) }, math.Inf(1), 1500)
	if r.Undecided {
		t.Errorf("entropy %g: want the planted operation to decide", r.Entropy)
	}
}

// λ pulls the expected latency under a limit which some networks do not keep.
func TestStageKeepsTheExpectedLatency(t *testing.T) {
	t.Parallel()
	free, _ := plantedStage(t, same, math.Inf(1), 1500)
	bound, _ := plantedStage(t, same, 2e-3, 1500)
	if e := free.policy.expect(free.problem.LatencyS); e < 2.2e-3 {
		t.Fatalf("without a limit %g s are expected: the planted operation must cost more", e)
	}
	if e := bound.policy.expect(bound.problem.LatencyS); e > 2.05e-3 {
		t.Errorf("%g s are expected: want about 2 ms", e)
	}
}

func TestStageWholeAlphaGradient(t *testing.T) {
	s, _ := plantedStage(t, func(c arch.Choice) float64 { return float64(c[0][1]) }, 1.5e-3, 50)
	s.multiplier.Lambda = 0.7
	losses := make([]float64, len(s.policy.pi))
	rng := rand.New(rand.NewPCG(23, 0))
	for n := range losses {
		losses[n] = rng.NormFloat64()
	}
	pi0 := newPolicy(s.alphas, s.problem.Networks)
	pi0.set(s.w0)
	whole := func() float64 {
		s.relax()
		total := s.policy.expect(losses) + 0.7*(s.policy.expect(s.problem.LatencyS)/s.problem.LimitS-1)
		for n, v := range s.policy.pi {
			total += kappa * v * math.Log(v/pi0.pi[n])
		}
		return total
	}
	want := make([]float64, len(s.w[0]))
	for j := range want {
		want[j] = slope(s.w[0], j, 1e-5, whole)
	}
	s.relax()
	got := make([]float64, len(want)) // expectation over what may be drawn
	for a, pa := range s.policy.pi {
		for b, pb := range s.policy.pi[:] {
			if pa*pb < 1e-12 {
				continue
			}
			clear(s.g[0])
			scoreGradient(s.policy, s.g, []int{a, b}, []float64{losses[a], losses[b]})
			for j, v := range s.g[0] {
				got[j] += pa * pb * v
			}
		}
	}
	clear(s.g[0])
	s.knownGradient()
	for j, w := range want {
		if g := got[j] + s.g[0][j]; math.Abs(g-w) > 1e-8 {
			t.Errorf("dL/dα[%d] = %g: central difference %g", j, g, w)
		}
	}
}

func TestDivergedStage(t *testing.T) {
	nan, good := float32(math.NaN()), glaring{batches: 100}
	for _, tc := range []struct {
		name           string
		weights, alpha glaring
		alphaLR        float64
		step           int
		quantity       string
	}{
		{"images of 3e38", glaring{value: 3e38}, good, 0.01, 1, "the training loss"},
		{"no number", glaring{batches: 2, value: nan}, good, 0.01, 3, "the training loss"},
		{"α's images", good, glaring{batches: 1, value: nan}, 0.01, 8, "the validation loss"},
		{"α", good, good, math.Inf(1), 7, "α"},
		{"judged images", good, glaring{batches: 18, value: nan}, 0.01, 24, "a network's loss"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c, pr := stageOf(t, newNB201(t))
			c.AlphaLR = tc.alphaLR
			tc.weights.blobs, tc.alpha.blobs = *pr.Weights.(*blobs), *pr.Alpha.(*blobs)
			pr.Weights, pr.Alpha = &tc.weights, &tc.alpha
			s, err := NewStage(c, pr)
			if err != nil {
				t.Fatal(err)
			}
			_, err = s.Run(context.Background(), nil)
			var diverged *DivergedError
			if !errors.As(err, &diverged) || diverged.Step != tc.step || diverged.Quantity != tc.quantity {
				t.Errorf("error %v: want %s to diverge in step %d", err, tc.quantity, tc.step)
			}
		})
	}
}

func TestNewStageRefuses(t *testing.T) {
	t.Parallel()
	for name, spoil := range map[string]func(*StageConfig, *StageProblem){
		"method":     func(c *StageConfig, _ *StageProblem) { c.Method = "magic" },
		"steps":      func(c *StageConfig, _ *StageProblem) { c.Steps = 0 },
		"batch":      func(c *StageConfig, _ *StageProblem) { c.Batch = 0 },
		"judged":     func(c *StageConfig, _ *StageProblem) { c.Judged = -1 },
		"no network": func(_ *StageConfig, pr *StageProblem) { pr.Networks = nil },
		"latencies":  func(_ *StageConfig, pr *StageProblem) { pr.LatencyS = pr.LatencyS[1:] },
		"latency":    func(_ *StageConfig, pr *StageProblem) { pr.LatencyS[1] = 0 },
		"priors":     func(_ *StageConfig, pr *StageProblem) { pr.Prior = nil },
		"prior":      func(_ *StageConfig, pr *StageProblem) { pr.Prior[1] = math.NaN() },
		"limit":      func(_ *StageConfig, pr *StageProblem) { pr.LimitS = 0 },
		"choice":     func(_ *StageConfig, pr *StageProblem) { pr.Networks[3] = arch.Choice{{9, 0, 0, 0, 0, 0}} },
		"rows":       func(_ *StageConfig, pr *StageProblem) { pr.Networks[3] = arch.Choice{{1}} },
	} {
		c, pr := stageOf(t, newNB201(t))
		spoil(&c, &pr)
		if _, err := NewStage(c, pr); err == nil || !strings.HasPrefix(err.Error(), "search: ") {
			t.Errorf("%s: error %v: want it refused", name, err)
		}
	}
}

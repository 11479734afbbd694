// SPDX-License-Identifier: Apache-2.0

package search

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"os"
	"reflect"
	"runtime/debug"
	"slices"
	"strings"
	"testing"

	"github.com/edgenas/edgenas/arch"
	"github.com/edgenas/edgenas/internal/autodiff"
	"github.com/edgenas/edgenas/ops"
)

// TestMain collects garbage less often: many tests make supernets that live for
// a few steps, and a third of the time went to their memory.
func TestMain(m *testing.M) {
	debug.SetGCPercent(400)
	os.Exit(m.Run())
}

// blobs is a source of easy images: class k is bright in column k. It records
// which images it handed out.
type blobs struct {
	n, size, classes, at int
	drawn                []int
}

func (b *blobs) Next(x []float32, y []int32) {
	pixels := b.size * b.size
	for i := range y {
		k := b.at % b.n
		b.at++
		b.drawn = append(b.drawn, k)
		rng := rand.New(rand.NewPCG(uint64(k), 77))
		y[i] = int32(k % b.classes)
		for j := range pixels {
			v := float32(0.3 * rng.NormFloat64())
			if j%b.size == 2*int(y[i]) {
				v++
			}
			x[i*pixels+j] = v
		}
	}
}

func (b *blobs) Len() int                     { return b.n }
func (b *blobs) MarshalJSON() ([]byte, error) { return json.Marshal(b.at) }
func (b *blobs) UnmarshalJSON(d []byte) error { return json.Unmarshal(d, &b.at) }

// small is a search that takes a moment.
func small(t *testing.T, method string, threads int, budgetS float64) (*Search, *blobs, *blobs) {
	t.Helper()
	space := newNB201(t)
	return smallOf(t, space, newAdditive(space, rand.New(rand.NewPCG(9, 0))), method, threads, budgetS)
}

func smallOf(
	t *testing.T, space arch.Space, costs Costs, method string, threads int, budgetS float64,
) (*Search, *blobs, *blobs) {
	t.Helper()
	c := DefaultConfig()
	c.Method, c.Seed, c.Epochs, c.Batch, c.Candidates, c.BudgetS = method, 1, 3, 8, 5, budgetS
	first, second := &blobs{n: 40, size: 8, classes: 3}, &blobs{n: 40, size: 8, classes: 3}
	s, err := New(c, Problem{
		Proxy: space, Target: space, Costs: costs, Weights: first, Alpha: second, Threads: threads,
	})
	if err != nil {
		t.Fatal(err)
	}
	return s, first, second
}

func run(t *testing.T, s *Search) ([]Point, []Candidate) {
	t.Helper()
	var points []Point
	r, err := s.Run(context.Background(), func(p Point) { points = append(points, p) })
	if err != nil {
		t.Fatal(err)
	}
	return points, r
}

func TestSearchFindsNetworksWithinTheBudget(t *testing.T) {
	t.Parallel()
	nb201, darts, mbconv := newNB201(t), newDARTS(t), newMBConv(t, 2)
	for _, tc := range []struct {
		space  arch.Space
		costs  Costs
		budget float64
	}{
		{nb201, newAdditive(nb201, rand.New(rand.NewPCG(9, 0))), 1.2e-3},
		{darts, newEdgeCosts(darts, rand.New(rand.NewPCG(9, 0))), 8e-3},
		{mbconv, newEdgeCosts(mbconv, rand.New(rand.NewPCG(9, 0))), 8e-3},
	} {
		for _, m := range Relaxations {
			t.Run(tc.space.Name()+"/"+m.Name(), func(t *testing.T) {
				s, _, _ := smallOf(t, tc.space, tc.costs, m.Name(), 1, tc.budget)
				points, r := run(t, s)
				if len(points) != s.Steps() || s.Steps() != 15 {
					t.Errorf("%d points of %d steps: want 15", len(points), s.Steps())
				}
				if len(r) != 5 {
					t.Fatalf("%d candidates: want 5", len(r))
				}
				for i, c := range r {
					if c.LatencyS > tc.budget || c.LatencyS < Shares[0]*tc.budget {
						t.Errorf("candidate %d takes %g s of %g", i, c.LatencyS, tc.budget)
					}
					if math.IsNaN(c.Loss) || i > 0 && c.Accuracy > r[i-1].Accuracy {
						t.Errorf("candidate %d: loss %g, accuracy %g after %g", i, c.Loss, c.Accuracy, r[max(0, i-1)].Accuracy)
					}
				}
				last := points[len(points)-1]
				begin, end := 0.0, 0.0 // paths differ from step to step
				for i := range 5 {
					begin, end = begin+points[i].LossTrain/5, end+points[10+i].LossTrain/5
				}
				if end >= begin {
					t.Errorf("loss went from %g to %g: nothing was learned", begin, end)
				}
				if !reflect.DeepEqual(points[0].Alpha, points[4].Alpha) {
					t.Error("α moved during the warm-up")
				}
				for i := range last.Alpha {
					if reflect.DeepEqual(points[4].Alpha[i], last.Alpha[i]) {
						t.Errorf("α %d did not move after the warm-up", i)
					}
				}
				if c, err := tc.space.Parse(last.Derived); err != nil || !c.Equal(tc.space.Derive(s.p)) {
					t.Errorf("derived is %s (%v): not what the space derives", last.Derived, err)
				}
			})
		}
	}
}

// With the gates of one choice open and no other, the supernet does as the
// choice's network does: edges that are not kept take no part.
func TestOpenOnly(t *testing.T) {
	space := newDARTS(t)
	s, _, second := smallOf(t, space, newEdgeCosts(space, rand.New(rand.NewPCG(9, 0))), "gdas", 1, 1)
	second.Next(s.model.Input(), s.model.Labels())
	c := space.Derive(s.p)
	openOnly(s.model, c)
	first, _ := s.model.Forward()
	for i, a := range s.alphas {
		for row := range a.Rows {
			open := 0
			for col := range a.Ops {
				if s.model.Alpha(i).Open[row*len(a.Ops)+col] {
					open++
				}
			}
			if open != 1 {
				t.Errorf("%s, row %s: %d gates are open", a.Name, a.Rows[row], open)
			}
			if c[i][row] != 0 {
				continue
			}
			s.model.Alpha(i).Open[row*len(a.Ops)] = false // none carries nothing
			s.model.Alpha(i).P[row*len(a.Ops)] = 0
		}
	}
	if again, _ := s.model.Forward(); again != first {
		t.Errorf("loss %g with none open, %g with all gates of those edges closed", first, again)
	}
}

func TestSkipShare(t *testing.T) {
	nb201, darts := newNB201(t), newDARTS(t)
	for _, tc := range []struct {
		name     string
		space    arch.Space
		notation string
		want     float64
	}{
		{"every edge decides", nb201,
			"|skip_connect~0|+|none~0|skip_connect~1|+|nor_conv_1x1~0|nor_conv_3x3~1|nor_conv_3x3~2|", 2. / 6},
		{"kept edges count", darts, "Genotype(" +
			"normal=[('skip_connect', 0), ('skip_connect', 1), ('sep_conv_3x3', 0), ('skip_connect', 1), " +
			"('sep_conv_3x3', 0), ('sep_conv_3x3', 1), ('sep_conv_3x3', 0), ('sep_conv_3x3', 1)], normal_concat=range(2, 6), " +
			"reduce=[('skip_connect', 0), ('sep_conv_3x3', 1), ('sep_conv_3x3', 0), ('sep_conv_3x3', 1), " +
			"('sep_conv_3x3', 0), ('sep_conv_3x3', 1), ('sep_conv_3x3', 0), ('sep_conv_3x3', 1)], reduce_concat=range(2, 6))",
			4. / 16},
	} {
		c, err := tc.space.Parse(tc.notation)
		if err != nil {
			t.Fatal(err)
		}
		if got := skipShare(c, tc.space.Alphas(), tc.space.Cells()); got != tc.want {
			t.Errorf("%s: %g: want %g", tc.name, got, tc.want)
		}
	}
}

// Successive halving: those that are left at the end are in order and better
// judged than those that went.
func TestRerankHalves(t *testing.T) {
	s, _, _ := small(t, "gdas", 1, 1.2e-3)
	s.config.Candidates = 40
	_, r := run(t, s)
	if len(r) != 40 {
		t.Fatalf("%d candidates: want 40", len(r))
	}
	for i, c := range r {
		if math.IsNaN(c.Loss) {
			t.Errorf("candidate %d was never judged", i)
		}
		if i > 0 && i < survivors && c.Accuracy > r[i-1].Accuracy {
			t.Errorf("candidate %d has accuracy %g, the one before it %g", i, c.Accuracy, r[i-1].Accuracy)
		}
	}
}

// Both halves go on through their epoch: an iterator made anew at each step,
// so that α always sees the first batch, is a known bug of this field.
func TestEachHalfKeepsItsCursor(t *testing.T) {
	s, first, second := small(t, "gdas", 1, 1)
	if _, err := s.Run(stopAfter(10, s), nil); !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	all := func(lo, n int) (want []int) {
		for i := range n {
			want = append(want, (lo+i)%40)
		}
		return want
	}
	if want := all(0, 80); !slices.Equal(first.drawn, want) {
		t.Errorf("the weights' half handed out %v: want each image once an epoch", first.drawn)
	}
	if want := all(0, 40); !slices.Equal(second.drawn, want) {
		t.Errorf("α's half handed out %v after the warm-up: want all images once", second.drawn)
	}
}

// stopAfter ends a search when it has done n steps.
func stopAfter(n int, s *Search) context.Context { return &stepLimit{context.Background(), n, s} }

type stepLimit struct {
	context.Context
	n int
	s *Search
}

func (l *stepLimit) Err() error {
	if l.s.step >= l.n {
		return context.Canceled
	}
	return nil
}

func TestSameBitsForAnyThreads(t *testing.T) {
	t.Parallel()
	var want []Point
	for _, threads := range []int{1, 2, 3} {
		s, _, _ := small(t, "gdas", threads, 1.2e-3)
		got, _ := run(t, s)
		if want == nil {
			want = got
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%d threads give another history than 1", threads)
		}
	}
}

// A search that was stopped, written out and restored elsewhere ends as one
// that never stopped.
func TestRestore(t *testing.T) {
	t.Parallel()
	darts := newDARTS(t)
	for _, tc := range []struct {
		name string
		make func() *Search
	}{
		{"nb201/darts", func() *Search { s, _, _ := small(t, "darts", 1, 1.2e-3); return s }},
		{"nb201/gdas", func() *Search { s, _, _ := small(t, "gdas", 1, 1.2e-3); return s }},
		{"darts/gdas", func() *Search {
			s, _, _ := smallOf(t, darts, newEdgeCosts(darts, rand.New(rand.NewPCG(9, 0))), "gdas", 1, 8e-3)
			return s
		}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			want, wantResult := run(t, tc.make())

			s := tc.make()
			if _, err := s.Run(stopAfter(8, s), nil); !errors.Is(err, context.Canceled) {
				t.Fatal(err)
			}
			text, tensors, err := s.State()
			if err != nil {
				t.Fatal(err)
			}
			run(t, s) // no longer changes what was written out
			s = tc.make()
			if err := s.Restore(text, tensors); err != nil {
				t.Fatal(err)
			}
			if s.Step() != 8 {
				t.Errorf("%d steps are done: want 8", s.Step())
			}
			got, gotResult := run(t, s)
			if !reflect.DeepEqual(got, want[8:]) {
				t.Error("the restored search took another path")
			}
			if !reflect.DeepEqual(gotResult, wantResult) {
				t.Error("the restored search found another result")
			}
			if _, again := run(t, s); !reflect.DeepEqual(again, wantResult) {
				t.Error("a search at its end found another result when it was asked again")
			}
		})
	}
}

func TestRestoreRefuses(t *testing.T) {
	s, _, _ := small(t, "darts", 1, 1.2e-3)
	if _, err := s.Run(stopAfter(1, s), nil); !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	text, tensors, err := s.State()
	if err != nil {
		t.Fatal(err)
	}
	momentum := ""
	for name := range tensors {
		if strings.HasPrefix(name, "momentum:") {
			momentum = name
		}
	}
	for name, spoil := range map[string]func(*state, ops.Weights){
		"step":     func(st *state, _ ops.Weights) { st.Step = 1000 },
		"alpha":    func(st *state, _ ops.Weights) { st.Alpha = [][]float64{{1}} },
		"rng":      func(st *state, _ ops.Weights) { st.RNG = []byte("x") },
		"cursor":   func(st *state, _ ops.Weights) { st.AlphaData = json.RawMessage("[]") },
		"weights":  func(_ *state, w ops.Weights) { clear(w) },
		"momentum": func(_ *state, w ops.Weights) { w[momentum] = ops.Tensor{Dims: []int{1}, Data: []float32{1}} },
		"of whom":  func(_ *state, w ops.Weights) { w["momentum:x"] = w[momentum] },
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
	if err := s.Restore(text, tensors); err != nil {
		t.Errorf("the state as it was: %v", err)
	}
}

func TestInfeasibleBudgetTrainsNothing(t *testing.T) {
	space := newNB201(t)
	c := DefaultConfig()
	c.BudgetS = 1e-6
	source := &blobs{n: 200, size: 8, classes: 3}
	costs := newAdditive(space, rand.New(rand.NewPCG(9, 0)))
	_, err := New(c, Problem{Proxy: space, Target: space, Costs: costs, Weights: source, Alpha: source})
	var infeasible *InfeasibleError
	if !errors.As(err, &infeasible) || infeasible.FastestS < 1e-4 {
		t.Errorf("error %v: want an InfeasibleError that names the fastest network", err)
	}
	if source.at != 0 {
		t.Errorf("%d images were drawn", source.at)
	}
}

// Without a budget every network is a candidate, and latency costs nothing.
func TestNoBudget(t *testing.T) {
	s, _, _ := small(t, "gdas", 1, 0)
	points, r := run(t, s)
	if len(r) != 5 {
		t.Fatalf("%d candidates: want 5", len(r))
	}
	for _, p := range points {
		if p.Lambda != 0 {
			t.Errorf("step %d: λ = %g", p.Step, p.Lambda)
		}
	}
}

// A derived cell that is no network is under every budget, so that λ falls.
func TestDeadCellResetsLambda(t *testing.T) {
	s, _, _ := small(t, "darts", 1, 1e-3)
	for i := range s.alpha[0].W {
		s.alpha[0].W[i] = 0
		if i%5 == 0 {
			s.alpha[0].W[i] = 4 // none
		}
	}
	s.relax()
	if err := s.derive(); err != nil {
		t.Fatal(err)
	}
	s.step, s.multiplier.Lambda = s.warmup(), 0.5
	pt, err := s.oneStep()
	if err != nil {
		t.Fatal(err)
	}
	if pt.Lambda != 0 || pt.DerivedLatencyS != nil {
		t.Errorf("λ is %g, the derived cell takes %v: want 0, and no time", pt.Lambda, pt.DerivedLatencyS)
	}
}

// λ follows the expected latency. The derived network's says nothing while α is
// undecided: it may be far over a budget that the expectation keeps, or under
// one that it does not. A dead cell takes no time, whatever is expected.
func TestLambdaFollowsTheExpectedLatency(t *testing.T) {
	const none, skip, slow = 0, 1, 3 // columns; nor_conv_3x3
	for _, tc := range []struct {
		name   string
		lead   int     // column that is ahead by a hair
		budget float64 // as a multiple of the expected latency
		over   bool    // the derived network is over it
		grows  bool
	}{
		{"derived over, expected under", slow, 1.05, true, false},
		{"derived under, expected over", skip, 0.9, false, true},
		{"derived dead, expected over", none, 0.9, false, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s, _, _ := small(t, "darts", 1, 1)
			for i := range s.alpha[0].W {
				s.alpha[0].W[i] = 0
				if i%5 == tc.lead {
					s.alpha[0].W[i] = 0.1
				}
			}
			s.relax()
			if err := s.derive(); err != nil {
				t.Fatal(err)
			}
			s.config.BudgetS = tc.budget * s.expected.Value(s.p, nil, 0)
			if over := s.derivedS > s.config.BudgetS; over != tc.over || s.dead != (tc.lead == none) {
				t.Fatalf("the derived network takes %g s of %g: not what this tests", s.derivedS, s.config.BudgetS)
			}
			s.step, s.multiplier.Lambda = s.warmup(), 0.01
			pt, err := s.oneStep()
			if err != nil {
				t.Fatal(err)
			}
			if grew := pt.Lambda > 0.01; grew != tc.grows || !tc.grows && pt.Lambda != 0 {
				t.Errorf("λ went from 0.01 to %g, E is %g of %g s", pt.Lambda, pt.ExpectedLatencyS, s.config.BudgetS)
			}
		})
	}
}

// The history says what is known, zeros too, and leaves out what is not.
func TestPointsSayWhatIsKnown(t *testing.T) {
	for _, method := range []string{"darts", "gdas"} {
		s, _, _ := small(t, method, 1, 1.2e-3)
		points, _ := run(t, s)
		for _, p := range points {
			text, err := json.Marshal(p)
			if err != nil {
				t.Fatal(err)
			}
			var have map[string]any
			if err := json.Unmarshal(text, &have); err != nil {
				t.Fatal(err)
			}
			_, loss := have["loss_val"]
			_, accuracy := have["accuracy_val"]
			temperature, annealed := have["temperature"]
			if learns := p.Step > 5; loss != learns || accuracy != learns {
				t.Errorf("%s, step %d: %s", method, p.Step, text)
			}
			if annealed != (method == "gdas") || annealed && p.Step == 1 && temperature != 10. {
				t.Errorf("%s, step %d: temperature %v", method, p.Step, temperature)
			}
		}
	}
	zero := 0.0
	text, err := json.Marshal(Point{AccuracyVal: &zero})
	if err != nil || !strings.Contains(string(text), `"accuracy_val":0`) {
		t.Errorf("%s (%v): want an accuracy of 0", text, err)
	}
}

// The gradient of α's whole loss — images through a supernet, latency times λ,
// β-decay — against central differences, all in float64.
func TestWholeAlphaGradient(t *testing.T) {
	t.Parallel()
	rng := rand.New(rand.NewPCG(9, 0))
	nb201, darts, mbconv := newNB201(t), newDARTS(t), newMBConv(t, 2)
	for _, tc := range []struct {
		space  arch.Space
		costs  Costs
		budget float64
	}{
		{nb201, newAdditive(nb201, rng), 5e-4},
		{darts, newEdgeCosts(darts, rng), 8e-3},
		{mbconv, newEdgeCosts(mbconv, rng), 8e-3},
	} {
		t.Run(tc.space.Name(), func(t *testing.T) {
			s, _, _ := smallOf(t, tc.space, tc.costs, "darts", 1, tc.budget)
			s.step = 9 // β-decay has strength
			s.multiplier.Lambda = 0.7
			graph, err := s.problem.Proxy.Supernet(3)
			if err != nil {
				t.Fatal(err)
			}
			var sizes [][2]int
			for _, a := range s.alphas {
				sizes = append(sizes, [2]int{len(a.Rows), len(a.Ops)})
			}
			model, err := autodiff.Compile[float64](graph, autodiff.Options{Alphas: sizes})
			if err != nil {
				t.Fatal(err)
			}
			rng := rand.New(rand.NewPCG(5, 0))
			if err := model.Load(ops.InitWeights(graph, rng)); err != nil {
				t.Fatal(err)
			}
			for i := range model.Input() {
				model.Input()[i] = rng.NormFloat64()
			}
			copy(model.Labels(), []int32{0, 1, 2})
			for _, a := range s.alpha {
				for i := range a.W {
					a.W[i] = rng.NormFloat64()
				}
			}
			decay := s.config.BetaDecay * float64(s.step) / float64(s.Steps())
			loss := func() float64 {
				s.relax()
				total := s.multiplier.Lambda * (s.expected.Value(s.p, nil, 0)/s.config.BudgetS - 1)
				for i, a := range s.alpha {
					m, cols := model.Alpha(i), len(s.alphas[i].Ops)
					s.relaxations[i].Forward(a.W, m.P, m.Open, cols, 0, s.rng)
					total += betaDecayValue(a.W, cols, decay)
				}
				l, _ := model.Forward()
				return l + total
			}
			loss()
			model.Step(autodiff.Alpha)
			var dp [][]float64
			for i := range s.alpha {
				dp = append(dp, slices.Clone(model.Alpha(i).DP))
			}
			s.alphaGradient(dp)
			for i, a := range s.alpha {
				got, cols, rows := slices.Clone(a.G), len(s.alphas[i].Ops), len(s.alphas[i].Rows)
				for row := 0; row < rows; row += max(1, rows/5) {
					want := make([]float64, cols)
					for j := range want {
						want[j] = slope(a.W, row*cols+j, 1e-7, loss) // so near that hardly a ReLU changes sides
					}
					centre(want, cols) // the part that shifts a whole row is taken off
					for j, w := range want {
						if g := got[row*cols+j]; math.Abs(g-w) > 1e-7*max(1, math.Abs(w)) {
							t.Errorf("dL/dα%d[%d,%d] = %g: central difference %g", i, row, j, g, w)
						}
					}
				}
			}
		})
	}
}

// The monitor warns of skip connections that α has decided for, not of chance.
func TestMonitorWarnsOfCollapse(t *testing.T) {
	for _, tc := range []struct {
		name string
		lead float64 // of skip_connect over the other operations, in α
		want bool
	}{{"decided", 4, true}, {"undecided", 0.01, false}} {
		s, _, _ := small(t, "darts", 1, 1)
		for i := range s.alpha[0].W {
			s.alpha[0].W[i] = 0
			if i%5 == 1 {
				s.alpha[0].W[i] = tc.lead
			}
		}
		s.relax()
		s.derive()
		pt, err := s.oneStep()
		if err != nil {
			t.Fatal(err)
		}
		if got := pt.Warning != ""; got != tc.want || pt.SkipShare != 1 {
			t.Errorf("%s: warning %q, skip share %g, entropy %g", tc.name, pt.Warning, pt.SkipShare, pt.AlphaEntropy)
		}
	}
}

func TestNewRefuses(t *testing.T) {
	space := newNB201(t)
	for name, spoil := range map[string]func(*Config){
		"method":          func(c *Config) { c.Method = "magic" },
		"epochs":          func(c *Config) { c.Epochs = 0 },
		"warm-up":         func(c *Config) { c.WarmupEpochs = -1 },
		"batch":           func(c *Config) { c.Batch = 0 },
		"candidates":      func(c *Config) { c.Candidates = 0 },
		"budget":          func(c *Config) { c.BudgetS = math.NaN() },
		"negative budget": func(c *Config) { c.BudgetS = -1 },
		"endless budget":  func(c *Config) { c.BudgetS = math.Inf(1) },
	} {
		c := DefaultConfig()
		c.BudgetS = 1
		spoil(&c)
		source := &blobs{n: 64, size: 8, classes: 3}
		costs := newAdditive(space, rand.New(rand.NewPCG(9, 0)))
		if _, err := New(c, Problem{Proxy: space, Target: space, Costs: costs, Weights: source, Alpha: source}); err == nil {
			t.Errorf("%s: a bad configuration was taken", name)
		}
	}
}

func ExampleMultiplier_Update() {
	m := Multiplier{Rate: 0.1}
	m.Update(30e-3, 20e-3) // half over a budget of 20 ms
	fmt.Println(m.Lambda)
	m.Update(19e-3, 20e-3)
	fmt.Println(m.Lambda)
	// Output:
	// 0.05
	// 0
}

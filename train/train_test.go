// SPDX-License-Identifier: Apache-2.0

package train

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"

	"github.com/edgenas/edgenas/arch"
	"github.com/edgenas/edgenas/ops"
)

// stripes is a source of easy images: class k is bright in column 2k.
type stripes struct{ size, at int }

const (
	stripesImages  = 40
	stripesSize    = 8
	stripesClasses = 3
)

func (s *stripes) Next(x []float32, y []int32) {
	for i := range y {
		rng := rand.New(rand.NewPCG(uint64(s.at%stripesImages), 5))
		y[i] = int32(s.at % stripesImages % stripesClasses)
		s.at++
		image := x[i*s.size*s.size : (i+1)*s.size*s.size]
		for j := range image {
			image[j] = float32(0.3 * rng.NormFloat64())
			if j%s.size == 2*int(y[i]) {
				image[j]++
			}
		}
	}
}

func (s *stripes) Len() int                     { return stripesImages }
func (s *stripes) MarshalJSON() ([]byte, error) { return json.Marshal(s.at) }
func (s *stripes) UnmarshalJSON(d []byte) error { return json.Unmarshal(d, &s.at) }

func architecture(t *testing.T) arch.Architecture {
	t.Helper()
	size := arch.Size{Cells: 1, Channels: 4, Image: stripesSize, Colours: 1, Classes: stripesClasses}
	space, err := arch.NewSpace("nb201", size)
	if err != nil {
		t.Fatal(err)
	}
	choice, err := space.Parse("|nor_conv_3x3~0|+|skip_connect~0|nor_conv_1x1~1|+|skip_connect~0|none~1|avg_pool_3x3~2|")
	if err != nil {
		t.Fatal(err)
	}
	return arch.Architecture{Space: space, Choice: choice}
}

func newTrainer(t *testing.T, threads int) *Trainer {
	t.Helper()
	c := DefaultConfig()
	c.Epochs, c.Batch, c.Seed = 10, 8, 1
	tr, err := New(c, architecture(t), &stripes{size: stripesSize}, threads)
	if err != nil {
		t.Fatal(err)
	}
	return tr
}

func TestTrainingLearns(t *testing.T) {
	var points []Point
	tr := newTrainer(t, 2)
	w, err := tr.Run(context.Background(), func(p Point) { points = append(points, p) })
	if err != nil {
		t.Fatal(err)
	}
	if tr.Steps() != 50 || len(points) != 5 || points[4].Step != 50 {
		t.Fatalf("%d steps, points %+v: want 50 steps and a point for every 10", tr.Steps(), points)
	}
	last := points[4]
	if last.AccuracyTrain < 0.95 || last.LossTrain > points[0].LossTrain/2 {
		t.Errorf("after training: %+v, at first %+v", last, points[0])
	}
	if last.LR > tr.config.LR/50 {
		t.Errorf("the rate ends at %g", last.LR)
	}
	g, err := architecture(t).Network(1)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Check(g); err != nil {
		t.Error(err)
	}
}

// A space with an auxiliary head learns from it, gives the network's weights
// alone, and goes on with both.
func TestAuxiliaryHead(t *testing.T) {
	const size = 24 // the map at the head must be larger than 5×5
	space, err := arch.NewSpace("darts", arch.Size{
		Cells: 3, Channels: 2, Image: size, Colours: 1, Classes: stripesClasses,
	})
	if err != nil {
		t.Fatal(err)
	}
	a := arch.Architecture{Space: space, Choice: space.Derive([][]float64{make([]float64, 14*8), make([]float64, 14*8)})}
	graph, err := space.Training(a.Choice, 1)
	if err != nil {
		t.Fatal(err)
	}
	if graph.Aux == 0 {
		t.Fatal("the space has no auxiliary head at this size")
	}
	network, err := a.Network(1)
	if err != nil {
		t.Fatal(err)
	}
	begin := func() *Trainer {
		c := DefaultConfig()
		c.Epochs, c.Batch, c.Seed = 1, 8, 1
		tr, err := New(c, a, &stripes{size: size}, 1)
		if err != nil {
			t.Fatal(err)
		}
		return tr
	}
	tr := begin()
	_, before, err := tr.State()
	if err != nil {
		t.Fatal(err)
	}
	want, err := tr.Run(context.Background(), nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := want.Check(network); err != nil {
		t.Error(err)
	}
	for name := range want {
		if strings.HasPrefix(name, "auxiliary.") {
			t.Errorf("%s is among the weights", name)
		}
	}
	_, after, err := tr.State()
	if err != nil {
		t.Fatal(err)
	}
	const head = "auxiliary.linear.weight"
	if reflect.DeepEqual(before[head], after[head]) || len(after[head].Data) == 0 {
		t.Error("the auxiliary head learned nothing")
	}

	tr = begin()
	if _, err := tr.Run(&stepLimit{context.Background(), tr, 2}, nil); !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	text, tensors, err := tr.State()
	if err != nil {
		t.Fatal(err)
	}
	tr = begin()
	if err := tr.Restore(text, tensors); err != nil {
		t.Fatal(err)
	}
	if got, err := tr.Run(context.Background(), nil); err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("the restored training ended with other weights (%v)", err)
	}
}

func TestSameBitsForAnyThreads(t *testing.T) {
	var want any
	for _, threads := range []int{1, 2, 3} {
		w, err := newTrainer(t, threads).Run(context.Background(), nil)
		if err != nil {
			t.Fatal(err)
		}
		if want == nil {
			want = w
		}
		if !reflect.DeepEqual(any(w), want) {
			t.Errorf("%d threads give other weights than 1", threads)
		}
	}
}

// stepLimit is a context that ends after so many steps.
type stepLimit struct {
	context.Context
	t *Trainer
	n int
}

func (l *stepLimit) Err() error {
	if l.t.step >= l.n {
		return context.Canceled
	}
	return nil
}

func TestRestore(t *testing.T) {
	var wantPoints, points []Point
	want, err := newTrainer(t, 1).Run(context.Background(), func(p Point) { wantPoints = append(wantPoints, p) })
	if err != nil {
		t.Fatal(err)
	}
	collect := func(p Point) { points = append(points, p) }
	tr := newTrainer(t, 1)
	if _, err := tr.Run(&stepLimit{context.Background(), tr, 23}, collect); !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	text, tensors, err := tr.State()
	if err != nil {
		t.Fatal(err)
	}
	tr = newTrainer(t, 1)
	if err := tr.Restore(text, tensors); err != nil {
		t.Fatal(err)
	}
	got, err := tr.Run(context.Background(), collect)
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(got, want) {
		t.Error("the restored training ended with other weights")
	}
	if !reflect.DeepEqual(points, wantPoints) {
		t.Errorf("points %+v: want %+v", points, wantPoints)
	}
	for _, spoilt := range []string{`{"step": 1000, "data": 0}`, `{"step": 1, "data": {}}`, `[]`} {
		if err := tr.Restore(json.RawMessage(spoilt), tensors); err == nil {
			t.Errorf("the state %s was taken", spoilt)
		}
	}
	if err := tr.Restore(text, nil); err == nil {
		t.Error("a state without weights was taken")
	}
}

// A state that is taken when a point is handed over begins the next one.
func TestRestoreFromProgress(t *testing.T) {
	var points, again []Point
	var text json.RawMessage
	var tensors ops.Weights
	tr := newTrainer(t, 1)
	if _, err := tr.Run(context.Background(), func(p Point) {
		if points = append(points, p); len(points) == 2 {
			var err error
			if text, tensors, err = tr.State(); err != nil {
				t.Error(err)
			}
		}
	}); err != nil {
		t.Fatal(err)
	}
	tr = newTrainer(t, 1)
	if err := tr.Restore(text, tensors); err != nil {
		t.Fatal(err)
	}
	if _, err := tr.Run(context.Background(), func(p Point) { again = append(again, p) }); err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(again, points[2:]) {
		t.Errorf("points %+v: want %+v", again, points[2:])
	}
}

// A stop changes nothing of what is learned after it.
func TestRunTo(t *testing.T) {
	want, err := newTrainer(t, 1).Run(context.Background(), nil)
	if err != nil {
		t.Fatal(err)
	}
	tr := newTrainer(t, 1)
	covered := 0
	var got ops.Weights
	for _, stop := range []int{13, 20, 7, 1000} {
		if got, err = tr.RunTo(context.Background(), stop, func(p Point) { covered = p.Step }); err != nil {
			t.Fatal(err)
		}
		if done := min(max(stop, covered), tr.Steps()); tr.Step() != done || covered != done {
			t.Errorf("to step %d: %d are done, points cover %d", stop, tr.Step(), covered)
		}
	}
	if !reflect.DeepEqual(got, want) {
		t.Error("the training with stops ended with other weights")
	}
}

// dazzling hands out stripes, but from a batch on images that are no numbers.
type dazzling struct {
	stripes
	batches int
}

func (d *dazzling) Next(x []float32, y []int32) {
	d.stripes.Next(x, y)
	if d.batches--; d.batches < 0 {
		x[0] = float32(math.NaN())
	}
}

func TestDivergedTraining(t *testing.T) {
	for _, tc := range []struct {
		name    string
		batches int
		rate    float64
		step    int
	}{
		{"bad image", 3, 0.05, 4},
		{"too high a rate", 1000, 1e30, 2},
	} {
		c := DefaultConfig()
		c.Epochs, c.Batch, c.LR, c.Warmup = 10, 8, tc.rate, 0
		tr, err := New(c, architecture(t), &dazzling{stripes{size: stripesSize}, tc.batches}, 1)
		if err != nil {
			t.Fatal(err)
		}
		_, err = tr.Run(context.Background(), nil)
		var diverged *DivergedError
		if !errors.As(err, &diverged) || diverged.Step != tc.step || isFinite(diverged.Value) || tr.Step() != tc.step-1 {
			t.Fatalf("%s: error %v: want a DivergedError of step %d", tc.name, err, tc.step)
		}
		if want := fmt.Sprintf("--lr below %g", tc.rate); !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v: want %q", tc.name, err, want)
		}
	}
}

// A long training leaves a bounded number of lines.
func TestHistoryIsBounded(t *testing.T) {
	for _, tc := range []struct {
		epochs float64
		want   int
	}{{1, 10}, {4000, 10}, {4000.2, 11}, {1e6, 2500}} {
		tr := newTrainer(t, 1)
		tr.config.Epochs = tc.epochs // of 5 steps
		if got := tr.pointSteps(); got != tc.want {
			t.Errorf("%d steps: a line for every %d: want %d", tr.Steps(), got, tc.want)
		}
	}
}

func TestRate(t *testing.T) {
	tr := newTrainer(t, 1)
	rate := func(step int) float64 { return tr.rate(tr.config.LR, step) }
	top := 0.0
	for step := range tr.Steps() {
		r := rate(step)
		if !(r > 0) || r > tr.config.LR {
			t.Errorf("step %d: rate %g", step, r)
		}
		top = max(top, r)
	}
	if math.Abs(top-tr.config.LR) > 1e-12 || rate(0) >= tr.config.LR/2 || rate(tr.Steps()-1) > tr.config.LR/100 {
		t.Errorf("rates from %g over %g to %g", rate(0), top, rate(tr.Steps()-1))
	}
}

func TestEpochs(t *testing.T) {
	for _, tc := range []struct {
		name             string
		work, operations float64
		images           int
		want             float64
	}{
		{"tiny networks get 50", 0, 6e6, 20_000, 50},
		{"huge networks get 1", 0, 6e10, 50_000, 1},
		{"by the work", 1e13, 1e8, 10_000, 10},
		{"half the operations, twice the epochs", 1e13, 5e7, 10_000, 20},
	} {
		if got := Epochs(tc.work, tc.operations, tc.images); got != tc.want {
			t.Errorf("%s: %g epochs: want %g", tc.name, got, tc.want)
		}
	}
}

// A value costs as much as sixteen multiply-accumulates.
func TestOperations(t *testing.T) {
	b, x := ops.NewBuilder(ops.Shape{N: 1, C: 3, H: 4, W: 4})
	g, err := b.Finish(b.Linear("linear", b.GlobalAvgPool("pool", b.ReLU("relu", x)), 5))
	if err != nil {
		t.Fatal(err)
	}
	if got, want := Operations(g), 6.0*15+96*(48+48+3+5); got != want {
		t.Errorf("%g operations: want %g", got, want)
	}
}

func TestNewRefuses(t *testing.T) {
	tr := newTrainer(t, 1)
	for name, spoil := range map[string]func(*Config){
		"no epochs":       func(c *Config) { c.Epochs = 0 },
		"batch too large": func(c *Config) { c.Batch = 1000 },
		"NaN":             func(c *Config) { c.Epochs = math.NaN() },
	} {
		c := tr.config
		spoil(&c)
		if _, err := New(c, architecture(t), &stripes{size: stripesSize}, 1); err == nil {
			t.Errorf("%s: taken", name)
		}
	}
}

// SPDX-License-Identifier: Apache-2.0

package evaluate

import (
	"context"
	"errors"
	"math"
	"reflect"
	"strings"
	"sync"
	"testing"

	"github.com/edgenas/edgenas/arch"
	"github.com/edgenas/edgenas/internal/dataset"
	"github.com/edgenas/edgenas/internal/infer"
	"github.com/edgenas/edgenas/internal/kernels"
	"github.com/edgenas/edgenas/train"
)

const side = 8 // of the images

// images are the embedded ones, small: reading them takes a while.
var images = sync.OnceValues(func() (*dataset.Set, error) {
	set, err := dataset.Open("embedded", dataset.Options{})
	if err != nil {
		return nil, err
	}
	return set.Reduced(side)
})

// short is a training of a second at most on so many threads.
func short(t *testing.T, threads int) Short {
	t.Helper()
	set, err := images()
	if err != nil {
		t.Fatal(err)
	}
	var learn, judge []int
	for i := range 1000 {
		learn, judge = append(learn, i), append(judge, 1000+i)
	}
	pool := kernels.NewWorkers(threads)
	t.Cleanup(pool.Close)
	s := Short{Set: set, Learn: learn, Judge: judge[:130], Recipe: train.DefaultConfig(), Pool: pool}
	s.Recipe.Epochs, s.Recipe.Batch, s.Recipe.Seed = s.Epochs(1600), 16, 1
	return s
}

func network(t *testing.T, notation string) arch.Architecture {
	t.Helper()
	space, err := arch.NewSpace("nb201", arch.Size{Cells: 1, Channels: 4, Image: side, Colours: 1, Classes: 10})
	if err != nil {
		t.Fatal(err)
	}
	c, err := space.Parse(notation)
	if err != nil {
		t.Fatal(err)
	}
	return arch.Architecture{Space: space, Choice: c}
}

const residual = "|nor_conv_3x3~0|+|none~0|nor_conv_3x3~1|+|skip_connect~0|none~1|skip_connect~2|"

func TestTrain(t *testing.T) {
	s, a := short(t, 2), network(t, residual)
	r, err := s.Train(context.Background(), a)
	if err != nil {
		t.Fatal(err)
	}
	if r.Step != 100 || !(r.Accuracy > 0.4) || !(r.Loss < 0.8*math.Log(10)) || !(r.Tail < 0.8*math.Log(10)) {
		t.Errorf("after %d steps: loss %g, accuracy %g, training loss %g", r.Step, r.Loss, r.Accuracy, r.Tail)
	}
	g, err := a.Network(1)
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Weights.Check(g); err != nil {
		t.Error(err)
	}
}

func TestSameForAnyThreads(t *testing.T) {
	var want Result
	for _, threads := range []int{1, 2, 3} {
		r, err := short(t, threads).Train(context.Background(), network(t, residual))
		if err != nil {
			t.Fatal(err)
		}
		if threads == 1 {
			want = r
		}
		if !reflect.DeepEqual(r, want) {
			t.Errorf("%d threads give another result than 1", threads)
		}
	}
}

// stopping is a context that ends after so many looks.
type stopping struct {
	context.Context
	looks int
}

func (s *stopping) Err() error {
	if s.looks--; s.looks < 0 {
		return context.Canceled
	}
	return nil
}

// Being judged on the way, or interrupted, changes nothing of the end.
func TestAdvance(t *testing.T) {
	s, a := short(t, 1), network(t, residual)
	want, err := s.Train(context.Background(), a)
	if err != nil {
		t.Fatal(err)
	}
	trainee, err := s.Begin(a)
	if err != nil {
		t.Fatal(err)
	}
	part, err := trainee.Advance(context.Background(), 30)
	if err != nil {
		t.Fatal(err)
	}
	if part.Step != 30 || !(part.Tail > want.Tail) {
		t.Errorf("after %d steps the training loss is %g, at the end %g", part.Step, part.Tail, want.Tail)
	}
	if _, err := trainee.Advance(&stopping{context.Background(), 10}, 60); !errors.Is(err, context.Canceled) {
		t.Fatalf("interrupted: %v", err)
	}
	got, err := trainee.Advance(context.Background(), trainee.Steps())
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("loss %g, accuracy %g, training loss %g: want %g, %g, %g", got.Loss, got.Accuracy, got.Tail, want.Loss,
			want.Accuracy, want.Tail)
	}
}

func TestTail(t *testing.T) {
	for _, tc := range []struct {
		name   string
		points []train.Point
		want   float64
	}{
		{"all in the second half", []train.Point{{Step: 12, LossTrain: 9}, {Step: 25, LossTrain: 2}}, 2},
		{"a point on both sides", []train.Point{{Step: 20, LossTrain: 3}, {Step: 25, LossTrain: 1}}, (8*3 + 5*1) / 13.0},
		{"one point", []train.Point{{Step: 25, LossTrain: 4}}, 4},
		{"one step", []train.Point{{Step: 1, LossTrain: 4}}, 4},
	} {
		if got := tail(tc.points); math.Abs(got-tc.want) > 1e-12 {
			t.Errorf("%s: %g, want %g", tc.name, got, tc.want)
		}
	}
}

// Judge agrees with the definition, image by image.
func TestJudge(t *testing.T) {
	s, a := short(t, 1), network(t, residual)
	test := dataset.Part{Pixels: s.Set.Test.Pixels[:70*s.Set.ImageLen()], Labels: s.Set.Test.Labels[:70]}
	r, err := s.Train(context.Background(), a)
	if err != nil {
		t.Fatal(err)
	}
	g, err := a.Network(1)
	if err != nil {
		t.Fatal(err)
	}
	p, err := infer.CompileTrained(g, r.Weights, s.Pool)
	if err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		name   string
		part   *dataset.Part
		images []int
	}{
		{"some training images", &s.Set.Train, s.Judge},
		{"fewer than a batch", &s.Set.Train, s.Judge[:7]},
		{"all of a part", &test, nil},
	} {
		judged, err := Judge(context.Background(), a, r.Weights, s.Set, tc.part, tc.images, s.Pool)
		if err != nil {
			t.Fatal(err)
		}
		pass, label := dataset.NewPass(s.Set, tc.part, tc.images), make([]int32, 1)
		wantLoss, right := 0.0, 0
		for pass.Next(p.Input(0), label) > 0 {
			p.Execute()
			sum, best := 0.0, 0
			for i, v := range p.Output() {
				sum += math.Exp(float64(v))
				if v > p.Output()[best] {
					best = i
				}
			}
			wantLoss += (math.Log(sum) - float64(p.Output()[label[0]])) / float64(pass.Len())
			if best == int(label[0]) {
				right++
			}
		}
		if want := float64(right) / float64(pass.Len()); math.Abs(judged.Loss-wantLoss) > 1e-5 || judged.Accuracy != want {
			t.Errorf("%s: loss %g, accuracy %g: want %g, %g", tc.name, judged.Loss, judged.Accuracy, wantLoss, want)
		}
	}
}

func TestBeginRefuses(t *testing.T) {
	for _, tc := range []struct {
		name, want string
		spoil      func(*Short)
	}{
		{"nothing to learn from", "0 images to learn from", func(s *Short) { s.Learn = nil }},
		{"nothing to judge on", "0 to judge on", func(s *Short) { s.Judge = nil }},
		{"no epochs", "0 epochs", func(s *Short) { s.Recipe.Epochs = 0 }},
		{"less than a batch", "in batches of 16", func(s *Short) { s.Learn = s.Learn[:15] }},
	} {
		s := short(t, 1)
		tc.spoil(&s)
		_, err := s.Train(context.Background(), network(t, residual))
		if err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: error %v, want %q", tc.name, err, tc.want)
		}
	}
}

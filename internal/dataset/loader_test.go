// SPDX-License-Identifier: Apache-2.0

package dataset

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

// indexOf returns which image of a tinySet part was loaded as image i of x.
func indexOf(s *Set, x []float32, i int) int {
	v := newView(s, &s.Train)
	pixel := func(k int) int { return slices.Index(v.values[256*(k%s.C):256*(k%s.C)+256], x[i*s.ImageLen()+k]) }
	return pixel(0) + pixel(1)<<8
}

// TestLoaderCoversEachEpochOnce draws through four epochs with batches that do
// not divide an epoch, and with batches larger than one.
func TestLoaderCoversEachEpochOnce(t *testing.T) {
	s := tinySet(t, 300, 3, 2, 2, 3)
	evens := []int{}
	for i := 0; i < 300; i += 2 {
		evens = append(evens, i)
	}
	for _, tc := range []struct {
		name    string
		indices []int
		batch   int
	}{
		{"all, divides", nil, 60}, {"all, does not divide", nil, 64}, {"half", evens, 64},
		{"larger than an epoch", evens, 200}, {"one by one", evens, 1},
	} {
		t.Run(tc.name, func(t *testing.T) {
			l := NewLoader(s, &s.Train, tc.indices, Augment{}, rand.NewPCG(1, 2))
			want := all(&s.Train, tc.indices)
			x, y := make([]float32, tc.batch*s.ImageLen()), make([]int32, tc.batch)
			var drawn []int
			for len(drawn) < 4*l.Len() {
				l.Next(x, y)
				for i, label := range y {
					index := indexOf(s, x, i)
					if label != s.Train.Labels[index] {
						t.Fatalf("image %d came with label %d", index, label)
					}
					drawn = append(drawn, index)
				}
			}
			var epochs [][]int
			for e := range 4 {
				epoch := drawn[e*l.Len() : (e+1)*l.Len()]
				for _, other := range epochs {
					if slices.Equal(epoch, other) {
						t.Errorf("epoch %d has the order of an earlier one", e)
					}
				}
				epochs = append(epochs, epoch)
				if slices.IsSorted(epoch) {
					t.Errorf("epoch %d is not shuffled", e)
				}
				if sorted := slices.Sorted(slices.Values(epoch)); !slices.Equal(sorted, want) {
					t.Errorf("epoch %d does not have every image once: %v", e, sorted)
				}
			}
		})
	}
}

// TestLoaderPermutesEvenly counts each order of three images.
func TestLoaderPermutesEvenly(t *testing.T) {
	s := tinySet(t, 3, 3, 2, 2, 1)
	l := NewLoader(s, &s.Train, nil, Augment{}, rand.NewPCG(1, 1))
	x, y := make([]float32, 3*s.ImageLen()), make([]int32, 3)
	counts := map[[3]int]int{}
	for range 6000 {
		l.Next(x, y)
		counts[[3]int{indexOf(s, x, 0), indexOf(s, x, 1), indexOf(s, x, 2)}]++
	}
	for order, n := range counts {
		if n < 850 || n > 1150 { // five standard deviations
			t.Errorf("order %v was drawn %d times, want about 1000", order, n)
		}
	}
	if len(counts) != 6 {
		t.Errorf("%d orders, want 6", len(counts))
	}
}

// TestTwoLoadersKeepTheirOwnCursors draws from two halves in turn, as a search
// does for weights and architecture.
func TestTwoLoadersKeepTheirOwnCursors(t *testing.T) {
	s := tinySet(t, 60, 3, 2, 2, 1)
	first, second := Split(&s.Train, 0.5, rand.New(rand.NewPCG(1, 1)))
	loaders := []*Loader{
		NewLoader(s, &s.Train, first, Augment{}, rand.NewPCG(1, 1)),
		NewLoader(s, &s.Train, second, Augment{}, rand.NewPCG(1, 2)),
	}
	x, y := make([]float32, 10*s.ImageLen()), make([]int32, 10)
	drawn := make([][]int, 2)
	for range 3 {
		for k, l := range loaders {
			l.Next(x, y)
			for i := range y {
				drawn[k] = append(drawn[k], indexOf(s, x, i))
			}
		}
	}
	for k, want := range [][]int{first, second} {
		if got := slices.Sorted(slices.Values(drawn[k])); !slices.Equal(got, want) {
			t.Errorf("loader %d drew %v in its first epoch, want %v", k, got, want)
		}
	}
}

func TestLoaderRestore(t *testing.T) {
	s := tinySet(t, 50, 3, 6, 6, 3)
	a := Augment{Flip: true, Pad: 2, Cutout: 3}
	const batch = 10
	x, y := make([]float32, batch*s.ImageLen()), make([]int32, batch)
	follow := func(l *Loader) (values []float32, labels []int32) {
		for range 12 {
			l.Next(x, y)
			values, labels = append(values, x...), append(labels, y...)
		}
		return values, labels
	}
	for _, steps := range []int{0, 1, 4, 5, 6, 13} { // 5 is the end of an epoch
		t.Run(fmt.Sprintf("steps=%d", steps), func(t *testing.T) {
			l := NewLoader(s, &s.Train, nil, a, rand.NewPCG(3, 4))
			for range steps {
				l.Next(x, y)
			}
			text, err := json.Marshal(l)
			if err != nil {
				t.Fatal(err)
			}
			wantX, wantY := follow(l)

			other := NewLoader(s, &s.Train, nil, a, rand.NewPCG(99, 99))
			if err := json.Unmarshal(text, other); err != nil {
				t.Fatal(err)
			}
			if again, _ := json.Marshal(other.State()); string(again) != string(text) {
				t.Errorf("restored state %s, want %s", again, text)
			}
			gotX, gotY := follow(other)
			if !slices.Equal(gotX, wantX) || !slices.Equal(gotY, wantY) {
				t.Error("other batches follow")
			}
		})
	}
}

func TestLoaderRestoreRefuses(t *testing.T) {
	s := tinySet(t, 50, 3, 2, 2, 1)
	l := NewLoader(s, &s.Train, nil, Augment{}, rand.NewPCG(3, 4))
	for _, tc := range []struct {
		name   string
		change func(*LoaderState)
		want   string
	}{
		{"zero value", func(s *LoaderState) { *s = LoaderState{} }, "of 0 images, this loader has 50"},
		{"cursor behind the end", func(s *LoaderState) { s.Cursor = 51 }, "cursor 51 of 50"},
		{"negative epoch", func(s *LoaderState) { s.Epoch = -1 }, "epoch -1"},
		{"no shuffle", func(s *LoaderState) { s.Shuffle = nil }, "shuffle: "},
		{"broken draws", func(s *LoaderState) { s.Draws = s.Draws[:9] }, "draws: "},
	} {
		t.Run(tc.name, func(t *testing.T) {
			before, _ := json.Marshal(l.State())
			state := l.State()
			tc.change(&state)
			if err := l.Restore(state); err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("error %v, want %q", err, tc.want)
			}
			if after, _ := json.Marshal(l.State()); string(after) != string(before) {
				t.Errorf("state became %s", after)
			}
		})
	}
}

func TestLoaderPanics(t *testing.T) {
	s := tinySet(t, 6, 3, 2, 2, 1)
	for name, do := range map[string]func(){
		"no images":    func() { NewLoader(s, &s.Train, []int{}, Augment{}, rand.NewPCG(1, 1)) },
		"short values": func() { NewPass(s, &s.Test, nil).Next(make([]float32, 5), make([]int32, 2)) },
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s: no panic", name)
				}
			}()
			do()
		}()
	}
}

func TestNextDoesNotAllocate(t *testing.T) {
	s := tinySet(t, 10, 5, 6, 6, 3)
	x, y := make([]float32, 4*s.ImageLen()), make([]int32, 4)
	l := NewLoader(s, &s.Train, nil, Augment{Flip: true, Pad: 2, Cutout: 3}, rand.NewPCG(1, 1))
	p := NewPass(s, &s.Test, nil)
	if n := testing.AllocsPerRun(20, func() { l.Next(x, y) }); n != 0 {
		t.Errorf("Loader.Next allocates %g times", n)
	}
	if n := testing.AllocsPerRun(20, func() { p.done = 0; p.Next(x, y) }); n != 0 {
		t.Errorf("Pass.Next allocates %g times", n)
	}
}

func TestPass(t *testing.T) {
	s := tinySet(t, 23, 3, 2, 3, 3)
	for _, tc := range []struct {
		name    string
		indices []int
		batch   int
		want    []int // sizes of the batches
	}{
		{"short last batch", nil, 10, []int{10, 10, 3, 0, 0}},
		{"full last batch", []int{5, 3, 8, 1}, 2, []int{2, 2, 0}},
		{"smaller than a batch", []int{7}, 4, []int{1, 0}},
		{"nothing", []int{}, 4, []int{0}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			p := NewPass(s, &s.Train, tc.indices)
			x, y := make([]float32, tc.batch*s.ImageLen()), make([]int32, tc.batch)
			for round := range 2 {
				var seen []int
				for _, want := range tc.want {
					n := p.Next(x, y)
					if n != want {
						t.Fatalf("batch of %d, want %d", n, want)
					}
					for i := range n {
						index := indexOf(s, x, i)
						if y[i] != s.Train.Labels[index] {
							t.Errorf("image %d came with label %d", index, y[i])
						}
						seen = append(seen, index)
					}
				}
				if want := all(&s.Train, tc.indices); !slices.Equal(seen, want) && len(want) > 0 {
					t.Errorf("round %d went through %v, want %v", round, seen, want)
				}
				p.done = 0
			}
			if p.Len() != len(all(&s.Train, tc.indices)) {
				t.Errorf("length %d", p.Len())
			}
		})
	}
}

func TestNormalised(t *testing.T) {
	s := tinySet(t, 40, 3, 5, 5, 3)
	p := NewPass(s, &s.Train, nil)
	x, y := make([]float32, 40*s.ImageLen()), make([]int32, 40)
	p.Next(x, y)
	for i, v := range x {
		c := i % 3
		want := (float32(s.Train.Pixels[i])/255 - s.Mean[c]) / s.Std[c]
		if v != want {
			t.Fatalf("value %d is %g, want %g", i, v, want)
		}
	}
}

func BenchmarkNext(b *testing.B) {
	s := tinySet(b, 640, 3, 32, 32, 3)
	for _, a := range []Augment{{}, {Flip: true, Pad: 4, Cutout: 16}} {
		b.Run(fmt.Sprintf("batch=64/size=32x32x3/augmented=%v", a.Flip), func(b *testing.B) {
			l := NewLoader(s, &s.Train, nil, a, rand.NewPCG(1, 1))
			x, y := make([]float32, 64*s.ImageLen()), make([]int32, 64)
			for b.Loop() {
				l.Next(x, y)
			}
		})
	}
}

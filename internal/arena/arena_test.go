// SPDX-License-Identifier: Apache-2.0

package arena

import (
	"math/rand/v2"
	"testing"
)

// lowerBound is the most that is alive at one step: no arena can be smaller.
func lowerBound(spans []Span) int {
	most := 0
	for _, at := range spans {
		alive := 0
		for _, l := range spans {
			if l.overlaps(Span{First: at.First, Last: at.First}) {
				alive += l.size()
			}
		}
		most = max(most, alive)
	}
	return most
}

func checkPlacement(t *testing.T, spans []Span, exclusive func(a, b int) bool, offsets []int, total int) {
	t.Helper()
	for i, a := range spans {
		if offsets[i] < 0 || offsets[i]%Align != 0 || offsets[i]+a.Len > total {
			t.Errorf("%+v lies at %d in an arena of %d", a, offsets[i], total)
		}
		for j, b := range spans[:i] {
			if a.overlaps(b) && !exclusive(i, j) && offsets[i] < offsets[j]+b.Len && offsets[j] < offsets[i]+a.Len {
				t.Errorf("%+v at %d and %+v at %d overlap", a, offsets[i], b, offsets[j])
			}
		}
	}
}

func TestPlace(t *testing.T) {
	for _, tt := range []struct {
		name  string
		spans []Span
		want  int
	}{
		{"nothing", nil, 0},
		{"one", []Span{{100, 0, 3}}, 112},
		{"one after the other", []Span{{16, 0, 0}, {16, 1, 1}, {16, 2, 9}}, 16},
		{"together", []Span{{16, 0, 2}, {32, 1, 1}, {16, 2, 3}}, 48},
		{"chain", []Span{{64, 0, 1}, {64, 1, 2}, {64, 2, 3}, {64, 3, 4}}, 128},
		{"a gap between two", []Span{{64, 0, 1}, {48, 0, 9}, {32, 1, 9}, {64, 2, 9}}, 144},
		{"no elements", []Span{{0, 0, 9}, {16, 0, 9}}, 16},
	} {
		t.Run(tt.name, func(t *testing.T) {
			offsets, total := Place(tt.spans, nil)
			checkPlacement(t, tt.spans, never, offsets, total)
			if total != tt.want {
				t.Errorf("arena of %d: want %d", total, tt.want)
			}
		})
	}
	rng := rand.New(rand.NewPCG(1, 0))
	for range 300 {
		spans := make([]Span, rng.IntN(30))
		for i := range spans {
			first := rng.IntN(20)
			spans[i] = Span{rng.IntN(500), first, first + rng.IntN(6)}
		}
		offsets, total := Place(spans, nil)
		checkPlacement(t, spans, never, offsets, total)
		if least := lowerBound(spans); total < least || total > 2*least {
			t.Errorf("arena of %d where %d are alive at once", total, least)
		}
	}
}

func never(int, int) bool { return false }

// Spans that are never in use in the same run may lie at one place, and no
// others.
func TestPlaceExclusive(t *testing.T) {
	rng := rand.New(rand.NewPCG(2, 0))
	smaller := 0
	for range 100 {
		spans, branch := make([]Span, 20), make([]int, 20)
		for i := range spans {
			first := rng.IntN(10)
			spans[i], branch[i] = Span{1 + rng.IntN(500), first, first + rng.IntN(6)}, rng.IntN(4)
		}
		exclusive := func(a, b int) bool { // branch 0 is always taken, one of the others
			return branch[a] != branch[b] && branch[a] > 0 && branch[b] > 0
		}
		offsets, total := Place(spans, exclusive)
		checkPlacement(t, spans, exclusive, offsets, total)
		if _, apart := Place(spans, nil); total < apart {
			smaller++
		}
	}
	if smaller < 90 {
		t.Errorf("memory was shared in %d of 100 cases", smaller)
	}
}

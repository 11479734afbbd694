// SPDX-License-Identifier: Apache-2.0

package dataset

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

func TestSplit(t *testing.T) {
	var p Part
	for class, n := range []int{10, 0, 7, 1, 33} {
		for range n {
			p.Labels = append(p.Labels, int32(class))
		}
	}
	rand.New(rand.NewPCG(1, 1)).Shuffle(p.Len(), func(i, j int) { p.Labels[i], p.Labels[j] = p.Labels[j], p.Labels[i] })
	whole := all(&p, nil)
	for _, share := range []float64{0, 0.25, 0.5, 0.8, 1} {
		first, second := Split(&p, share, rand.New(rand.NewPCG(2, 1)))
		if !slices.IsSorted(first) || !slices.IsSorted(second) {
			t.Errorf("share %g: lists are not sorted", share)
		}
		if both := slices.Sorted(slices.Values(slices.Concat(first, second))); !slices.Equal(both, whole) {
			t.Errorf("share %g: not every image is in exactly one list", share)
		}
		if want := int(math.Round(share * float64(p.Len()))); len(first) != want {
			t.Errorf("share %g: %d images in the first list, want %d", share, len(first), want)
		}
		got := make([]float64, 5)
		for _, i := range first {
			got[p.Labels[i]]++
		}
		for class, n := range []float64{10, 0, 7, 1, 33} {
			if math.Abs(got[class]-share*n) > 1 {
				t.Errorf("share %g: %g images of class %d, want %g ± 1", share, got[class], class, share*n)
			}
		}
	}
	a, _ := Split(&p, 0.5, rand.New(rand.NewPCG(2, 1)))
	b, _ := Split(&p, 0.5, rand.New(rand.NewPCG(2, 1)))
	c, _ := Split(&p, 0.5, rand.New(rand.NewPCG(3, 1)))
	if !slices.Equal(a, b) || slices.Equal(a, c) {
		t.Error("a split is not determined by its seed, or is by nothing else")
	}
}

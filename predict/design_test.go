// SPDX-License-Identifier: Apache-2.0

package predict

import (
	"slices"
	"testing"

	"github.com/edgenas/edgenas/ops"
)

// A design has the extremes, each kind alone, no network twice, and is the
// same each time.
func TestDesign(t *testing.T) {
	w := newWorld(1)
	var candidates []map[ops.Key]int
	for range 100 {
		counts, _ := w.network()
		candidates = append(candidates, counts)
	}
	only := func(k kind, times int) map[ops.Key]int {
		counts := map[ops.Key]int{}
		for _, key := range w.keys {
			if kindOf(key) == k {
				counts[key] = times
			}
		}
		return counts
	}
	pure := map[int]kind{}
	for k := range others {
		pure[len(candidates)] = k
		candidates = append(candidates, only(k, 3))
	}
	smallest, largest, nothing := len(candidates), len(candidates)+1, len(candidates)+2
	big := map[ops.Key]int{}
	for _, k := range w.keys {
		big[k] = 20
	}
	candidates = append(candidates, map[ops.Key]int{w.keys[5]: 1}, big, nil)

	chosen := Design(Rough, candidates, 22)
	if len(chosen) != 22 || chosen[0] != smallest || chosen[1] != largest || slices.Contains(chosen, nothing) {
		t.Errorf("%v, want first %d and %d, and no %d", chosen, smallest, largest, nothing)
	}
	for i, k := range pure {
		if k != sums && !slices.Contains(chosen, i) { // the smallest is a sum alone
			t.Errorf("%v lacks %d, which is %s alone", chosen, i, kindNames[k])
		}
	}
	sorted := slices.Sorted(slices.Values(chosen))
	if len(slices.Compact(sorted)) != len(chosen) {
		t.Errorf("%v has a network twice", chosen)
	}
	for range 3 {
		if again := Design(Rough, candidates, 22); !slices.Equal(again, chosen) {
			t.Errorf("%v, then %v", chosen, again)
		}
	}
	if few := Design(Rough, candidates, 5); !slices.Equal(few, chosen[:5]) {
		t.Errorf("%v, of 22 %v", few, chosen)
	}
	if all := Design(Rough, candidates[:3], 22); len(all) != 3 {
		t.Errorf("%v of three candidates", all)
	}
	if none := Design(Rough, nil, 22); len(none) != 0 {
		t.Errorf("%v of none", none)
	}
}

// Designed networks leave less open than as many that come first.
func TestDesignLeavesLessOpen(t *testing.T) {
	w := newWorld(2)
	var candidates []map[ops.Key]int
	for range 80 {
		counts, _ := w.network()
		candidates = append(candidates, counts)
	}
	open := func(chosen []int) float64 {
		d := newDesign(Rough, candidates)
		for _, i := range chosen {
			d.choose(i)
		}
		sum := 0.0
		for i := range d.open {
			sum += d.open[i][i]
		}
		return sum
	}
	first := make([]int, 20)
	for i := range first {
		first[i] = i
	}
	if designed, drawn := open(Design(Rough, candidates, 20)), open(first); designed > 0.95*drawn {
		t.Errorf("designed %g, drawn %g", designed, drawn)
	}
}

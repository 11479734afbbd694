// SPDX-License-Identifier: Apache-2.0

package run

import (
	"slices"
	"testing"

	"github.com/edgenas/edgenas/arch"
)

// shortlists are those of two sizes with so many networks each: a reference, a
// random one, and others whose α and prior rise against each other.
func shortlists(t *testing.T, each int) [][]*contestant {
	t.Helper()
	var all [][]*contestant
	for _, channels := range []int{4, 8} {
		size := tiny
		size.Channels = channels
		space, err := arch.NewSpace("nb201", size)
		if err != nil {
			t.Fatal(err)
		}
		var list []*contestant
		for i := range each {
			n := &contestant{size: sized{space: space}, source: fromPrior, alpha: float64(channels + i), prior: float64(-i)}
			switch i {
			case 0:
				n.source = fromReference
			case 1:
				n.source = fromRandom
			}
			list = append(list, n)
		}
		all = append(all, list)
	}
	return all
}

// Each size has its share of the pool, whatever the scores of the other are; α
// and the prior propose in turn.
func TestPool(t *testing.T) {
	const each, entrants = 20, 12
	all := shortlists(t, each)
	chosen := pool(all, Effort{Pool: entrants})
	if len(chosen) != entrants {
		t.Fatalf("%d networks: want %d", len(chosen), entrants)
	}
	for s, of := range all {
		want := []*contestant{of[0], of[1], of[19], of[2], of[18], of[3]} // α's first is the last, the prior's is number 2
		for _, n := range want {
			if !slices.Contains(chosen, n) {
				t.Errorf("size %d lacks network %d, from %s", s, slices.Index(of, n), n.source)
			}
		}
		for i, source := range map[int]string{19: fromAlpha, 18: fromAlpha, 2: fromPrior, 3: fromPrior} {
			if of[i].source != source {
				t.Errorf("size %d: network %d is from %s: want %s", s, i, of[i].source, source)
			}
		}
	}
}

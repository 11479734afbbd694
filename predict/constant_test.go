// SPDX-License-Identifier: Apache-2.0

package predict

import (
	"math"
	"testing"

	"github.com/edgenas/edgenas/ops"
	"github.com/edgenas/edgenas/profiles"
)

// Operations that were disturbed while they were measured alone make networks
// look far faster than their sums. The fitted constant must not grow so
// negative that small networks have no latency left.
func TestConstantHasAFloor(t *testing.T) {
	ok := func(s float64) profiles.Timing {
		return profiles.Timing{Status: profiles.OK, N: 15, MedianS: s, LoS: s, HiS: s}
	}
	key := someKeys()[0].String()
	p := &profiles.Profile{
		Entries: []profiles.Entry{{Key: key, Timing: ok(1e-3)}},
		Networks: []profiles.Network{
			{Arch: "small", Counts: map[string]int{key: 2}, Timing: ok(1e-3)},
			{Arch: "middle", Counts: map[string]int{key: 6}, Timing: ok(3e-3)},
			{Arch: "large", Counts: map[string]int{key: 10}, Timing: ok(5e-3)},
		},
	}
	table := NewTable(p)
	if want := -0.1 * 2e-3; math.Abs(table.Constant()-want) > 1e-12 {
		t.Errorf("constant %g s: want %g, a tenth of the smallest sum below 0", table.Constant(), want)
	}
	e, err := table.EstimateCounts(map[ops.Key]int{someKeys()[0]: 1})
	if err != nil || !(e.Seconds > 0) {
		t.Errorf("a network of one operation: %+v, %v", e, err)
	}
}

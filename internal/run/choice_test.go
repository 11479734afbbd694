// SPDX-License-Identifier: Apache-2.0

package run

import (
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/edgenas/edgenas/arch"
	"github.com/edgenas/edgenas/internal/runfile"
	"github.com/edgenas/edgenas/search"
)

// ranked are networks that competed, the best first; n of them came to a second
// rung. The prior ranks them as their losses do, α the other way round.
func ranked(t *testing.T, n int) []*contestant {
	t.Helper()
	all := slices.Concat(shortlists(t, 8)...)
	for i, c := range all {
		loss := float64(1 + i)
		c.prior, c.alpha, c.predicted = -loss, loss, 1e-3
		c.rungs = []runfile.Rung{{Name: "rung 1", Judgement: search.Judgement{Loss: loss, Accuracy: 0.5}}}
		if i < n {
			c.rungs = append(c.rungs, runfile.Rung{Name: "rung 2", Judgement: search.Judgement{Loss: loss / 2, Accuracy: 0.8}})
		}
	}
	return all
}

func TestWorth(t *testing.T) {
	all := ranked(t, 3)
	first, second := worth("rung 1", 0, all), worth("rung 2", 1, all)
	if first.Networks != 16 || first.Prior == nil || math.Abs(*first.Prior-1) > 1e-9 || math.Abs(*first.Alpha+1) > 1e-9 {
		t.Errorf("first rung: %d networks, prior %v, α %v: want 16, 1, -1", first.Networks, first.Prior, first.Alpha)
	}
	if second.Networks != 3 || second.Prior != nil || second.Alpha != nil {
		t.Errorf("second rung: %+v: want 3 networks, which are too few for a correlation", second)
	}
}

func TestWhySmall(t *testing.T) {
	for _, tc := range []struct {
		name     string
		measured float64    // of the chosen one
		larger   float64    // prediction of another
		beyond   *arch.Size // that suits the budget
		want     string
	}{
		{"uses the budget", 1.9e-3, 2e-3, nil, ""},
		{"nothing larger competed", 0.5e-3, 1e-3, nil, ""},
		{"larger ones lost", 0.5e-3, 1.9e-3, nil, "uses 25 % of the budget: with 1 operations of training, larger"},
		{"larger ones would not train", 0.5e-3, 1e-3, &arch.Size{Channels: 96, Cells: 5},
			"(96 channels, 5 cells) would hardly"},
	} {
		all := ranked(t, 3)
		all[0].measured, all[1].predicted = &tc.measured, tc.larger
		j := &job{correction: 1, beyond: tc.beyond}
		j.request.Train.Work = 1
		j.request.LatencyBudgetS = 2e-3
		got := (&contest{job: j, effort: Efforts[0]}).whySmall(all[0], all)
		if (got == "") != (tc.want == "") || !strings.Contains(got, tc.want) {
			t.Errorf("%s: %q, want %q", tc.name, got, tc.want)
		}
	}
}

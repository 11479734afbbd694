// SPDX-License-Identifier: Apache-2.0

package search

import (
	"fmt"
	"math"

	"github.com/edgenas/edgenas/arch"
	"github.com/edgenas/edgenas/ops"
)

// entropy is the mean entropy of the rows of p, as a share of the greatest
// possible: 1 is undecided, 0 decided.
func entropy(p [][]float64, alphas []arch.Alpha) float64 {
	total, rows := 0.0, 0
	for i, a := range alphas {
		for _, v := range p[i] {
			if v > 0 {
				total -= v * math.Log(v) / math.Log(float64(len(a.Ops)))
			}
		}
		rows += len(a.Rows)
	}
	return total / float64(rows)
}

// skipShare is the share of decisions that the derived choice gives to
// skip_connect: near 1 the search has collapsed. Where nodes keep some edges
// only, the others do not count.
func skipShare(c arch.Choice, alphas []arch.Alpha, cells []arch.Cell) float64 {
	skips, rows := 0, 0
	for i, a := range alphas {
		for _, col := range c[i] {
			switch {
			case a.Ops[col] == ops.SkipConnect:
				skips++
			case a.Ops[col] == ops.None && cells[i].Keep > 0:
				continue
			}
			rows++
		}
	}
	return float64(skips) / float64(rows)
}

// A search is reported as collapsing from this share of skip connections on,
// once the entropy of α is below decided: before, the greatest weight of an
// edge is chance.
const (
	collapsed = 0.5
	decided   = 0.9
)

// collapse returns a warning if a search is collapsing, else nothing.
func collapse(skipShare, entropy float64) string {
	if skipShare < collapsed || entropy >= decided {
		return ""
	}
	return fmt.Sprintf("%.0f %% of the edges are skip connections: the search may be collapsing", 100*skipShare)
}

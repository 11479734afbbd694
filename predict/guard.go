// SPDX-License-Identifier: Apache-2.0

package predict

import (
	"fmt"
	"math"

	"github.com/edgenas/edgenas/internal/stats"
)

// Guard is the distance to keep from a budget, because predictions err: a
// network predicted at budget / (1 + Relative) holds the budget with this
// confidence.
type Guard struct {
	Relative   float64 // 0.1 is 10 %
	Confidence float64
	Networks   int    // how many measured networks it rests on
	Basis      string // what it rests on, in words
}

// assumedGuard is the band where no network was measured.
const assumedGuard = 0.10

// fewNetworks is the number below which residuals say too little to go below
// assumedGuard.
const fewNetworks = 3

// Guard is the guard band at a confidence between 0 and 1. With enough
// measured networks it is the conformal upper bound of their relative
// residuals, each against a constant fitted to the others; with few, the
// normal one if that is larger than their maximum; with none, 10 %.
func (t *Table) Guard(confidence float64) Guard {
	g := Guard{Confidence: confidence, Networks: len(t.residuals)}
	if g.Networks == 0 {
		g.Relative, g.Basis = assumedGuard, "assumed: no network was measured whole"
		return g
	}
	largest := stats.Quantile(t.residuals, 1)
	switch bound := stats.ConformalUpper(t.residuals, confidence); {
	case !math.IsInf(bound, 1):
		g.Relative, g.Basis = bound, fmt.Sprintf("conformal bound of the residuals of %d networks", g.Networks)
	case g.Networks < fewNetworks:
		g.Relative, g.Basis = max(assumedGuard, largest), fmt.Sprintf("assumed: only %d networks were measured whole", g.Networks)
	default:
		g.Relative = max(largest, stats.NormalUpper(t.residuals, confidence))
		g.Basis = fmt.Sprintf("normal bound of the residuals of %d networks, too few for a conformal one", g.Networks)
	}
	g.Relative = max(0, g.Relative)
	return g
}

// Upper is the upper end of an estimate at a confidence, in seconds: the guard
// band above it, or the entries' own uncertainty where that is larger.
func (t *Table) Upper(e Estimate, confidence float64) float64 {
	return max(e.Seconds*(1+t.Guard(confidence).Relative), e.Seconds+stats.Z(confidence)*e.Deviation)
}

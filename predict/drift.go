// SPDX-License-Identifier: Apache-2.0

package predict

import (
	"cmp"
	"math"
	"slices"

	"github.com/edgenas/edgenas/internal/stats"
)

// Reference is a network that a profile has measured whole, and that is measured
// again beside others to see what became of the device.
type Reference struct {
	Arch  string    `json:"arch"`
	ThenS float64   `json:"then_s"` // in the profile, put right by the sentinel where predictions are
	NowS  []float64 `json:"now_s"`  // in each session since, as measured
}

// Drift is how much slower a device is than when it was profiled, which no
// prediction from that profile can know. It is relative: 0.03 is 3 % slower.
type Drift struct {
	Relative   float64     `json:"relative"` // median of now / then − 1, where now is the mean of all sessions
	Lo         float64     `json:"lo"`       // least of a network
	Hi         float64     `json:"hi"`       // greatest
	References []Reference `json:"references"`
}

// NewDrift returns the drift of references that were measured in the same
// sessions, in one at least.
func NewDrift(references []Reference) Drift {
	var each []float64
	for _, r := range references {
		now, _ := stats.MeanStdDev(r.NowS)
		each = append(each, now/r.ThenS-1)
	}
	return Drift{Relative: stats.Median(each), Lo: slices.Min(each), Hi: slices.Max(each), References: references}
}

// In returns the drift of one session, the median as well.
func (d Drift) In(session int) float64 {
	var each []float64
	for _, r := range d.References {
		each = append(each, r.NowS[session]/r.ThenS-1)
	}
	return stats.Median(each)
}

// Allows reports whether a network that is predicted exactly would still lie in
// its interval at this confidence on a device with that drift.
func (t *Table) Allows(d Drift, confidence float64) bool {
	lo, hi := t.Interval(Estimate{Seconds: 1}, confidence)
	return lo <= 1+d.Relative && 1+d.Relative <= hi
}

// References returns the networks of the profile that predictions are fitted to,
// as references that were not measured again yet.
func (t *Table) References() []Reference { return slices.Clone(t.references) }

// fewReferences is the number below which one network could make the drift.
const fewReferences = 3

// ChooseReferences chooses n of the references so that their latencies are
// spread as those given, in seconds: for n quantiles of these, the nearest each.
// Where there are fewer it takes all, and none of fewer than three.
func ChooseReferences(references []Reference, seconds []float64, n int) []Reference {
	if len(references) < fewReferences {
		return nil
	}
	left := slices.Clone(references)
	var chosen []Reference
	for i := range min(n, len(references)) {
		want := stats.Quantile(seconds, (float64(i)+0.5)/float64(n))
		away := func(r Reference) float64 { return math.Abs(math.Log(r.ThenS / want)) }
		nearest := slices.MinFunc(left, func(a, b Reference) int { return cmp.Compare(away(a), away(b)) })
		left = slices.DeleteFunc(left, func(r Reference) bool { return r.Arch == nearest.Arch })
		chosen = append(chosen, nearest)
	}
	return chosen
}

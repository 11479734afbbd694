// SPDX-License-Identifier: Apache-2.0

package profiles

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/edgenas/edgenas/internal/stats"
)

// Comparison says how the times of two profiles differ: of two devices, two
// runtimes, two sessions.
type Comparison struct {
	N          int `json:"n"`          // entries that both have measured
	Indistinct int `json:"indistinct"` // of these, entries whose bounds overlap

	OnlyA []string `json:"only_a"` // keys that only one of the profiles has measured
	OnlyB []string `json:"only_b"`

	Ratio    float64  `json:"ratio"`    // median of B's times over A's
	Median   float64  `json:"median"`   // of |ratio − 1|
	P95      float64  `json:"p95"`      // 95th percentile of |ratio − 1|
	Spearman *float64 `json:"spearman"` // rank correlation; nil where all times of one are equal

	// Drift is the time of B's sentinel over that of A's: how much slower the
	// machine itself was. The corrected numbers are those of the ratios divided
	// by it. All are nil where a profile has no sentinel.
	Drift           *float64 `json:"drift"`
	CorrectedMedian *float64 `json:"corrected_median"`
	CorrectedP95    *float64 `json:"corrected_p95"`

	Entries []Compared `json:"entries"` // by difference, the greatest first; indistinct ones last
}

// Compared holds the times of an operation that both profiles have.
type Compared struct {
	Key   string  `json:"key"`
	AS    float64 `json:"a_s"`
	BS    float64 `json:"b_s"`
	Ratio float64 `json:"ratio"`  // of B over A
	ALoS  float64 `json:"a_lo_s"` // bounds of the medians at 95 %
	AHiS  float64 `json:"a_hi_s"`
	BLoS  float64 `json:"b_lo_s"`
	BHiS  float64 `json:"b_hi_s"`
}

// Indistinct reports whether the bounds of the two times overlap: what was
// measured does not show that they differ.
func (c Compared) Indistinct() bool { return c.ALoS <= c.BHiS && c.BLoS <= c.AHiS }

// Diff compares the measured entries of two profiles. It returns an error if
// they share none.
func Diff(a, b *Profile) (Comparison, error) {
	c := Comparison{OnlyA: onlyIn(a, b), OnlyB: onlyIn(b, a)}
	var as, bs, ratios []float64
	for _, e := range a.Entries {
		other, err := b.Lookup(e.Key)
		if e.Status != OK || err != nil {
			continue
		}
		r := other.MedianS / e.MedianS
		as, bs, ratios = append(as, e.MedianS), append(bs, other.MedianS), append(ratios, r)
		both := Compared{Key: e.Key, AS: e.MedianS, BS: other.MedianS, Ratio: r,
			ALoS: e.LoS, AHiS: e.HiS, BLoS: other.LoS, BHiS: other.HiS}
		if c.Entries = append(c.Entries, both); both.Indistinct() {
			c.Indistinct++
		}
	}
	if c.N = len(ratios); c.N == 0 {
		return c, errors.New("profiles: diff: the profiles share no measured entry")
	}
	slices.SortFunc(c.Entries, func(x, y Compared) int {
		if x.Indistinct() != y.Indistinct() {
			if x.Indistinct() {
				return 1
			}
			return -1
		}
		byRatio := cmp.Compare(math.Abs(math.Log(y.Ratio)), math.Abs(math.Log(x.Ratio)))
		return cmp.Or(byRatio, cmp.Compare(x.Key, y.Key))
	})
	c.Ratio = stats.Median(ratios)
	c.Median, c.P95 = distances(ratios, 1)
	if rho := stats.Spearman(as, bs); !math.IsNaN(rho) {
		c.Spearman = &rho
	}
	if sa, sb := sentinels(a), sentinels(b); len(sa) > 0 && len(sb) > 0 {
		drift := stats.Median(sb) / stats.Median(sa)
		median, p95 := distances(ratios, drift)
		c.Drift, c.CorrectedMedian, c.CorrectedP95 = &drift, &median, &p95
	}
	return c, nil
}

// onlyIn lists the keys that a has measured and b has not.
func onlyIn(a, b *Profile) []string {
	keys := []string{}
	for _, e := range a.Entries {
		if _, err := b.Lookup(e.Key); e.Status == OK && err != nil {
			keys = append(keys, e.Key)
		}
	}
	slices.Sort(keys)
	return keys
}

// distances returns the median and the 95th percentile of |ratio / drift − 1|.
func distances(ratios []float64, drift float64) (median, p95 float64) {
	d := make([]float64, len(ratios))
	for i, r := range ratios {
		d[i] = math.Abs(r/drift - 1)
	}
	return stats.Median(d), stats.Quantile(d, 0.95)
}

// sentinels returns the sentinel's times in all rounds of all entries.
func sentinels(p *Profile) []float64 {
	var all []float64
	for _, e := range p.Entries {
		all = append(all, e.SentinelS...)
	}
	return all
}

// Add takes over what q has measured and p has not, or has from fewer samples.
// It returns a *MismatchError if q is of another device or runtime or was
// measured in another way, and leaves p as it was whenever it returns an error.
func (p *Profile) Add(q *Profile) error {
	if _, err := q.Check(p.Device, p.Runtime); err != nil {
		return err
	}
	if err := q.SameWay(p); err != nil {
		return err
	}
	if p.ConstantS != nil && q.ConstantS != nil && *p.ConstantS != *q.ConstantS {
		return fmt.Errorf("profiles: merge: constant_s is %g s in one profile and %g s in the other: "+
			"remove it from one of the files", *p.ConstantS, *q.ConstantS)
	}
	samples := map[string]int{}
	for _, e := range p.Entries {
		samples[e.Key] = e.N
	}
	var entries []Entry
	for _, e := range q.Entries {
		if n, known := samples[e.Key]; !known || e.N > n {
			entries = append(entries, e)
		}
	}
	clear(samples)
	for _, n := range p.Networks {
		samples[n.Arch] = n.N
	}
	var networks []Network
	for _, n := range q.Networks {
		if have, known := samples[n.Arch]; !known || n.N > have {
			networks = append(networks, n)
		}
	}
	p.Merge(entries, networks)
	for _, w := range q.Warnings {
		if !slices.Contains(p.Warnings, w) {
			p.Warnings = append(p.Warnings, w)
		}
	}
	p.ConstantS = cmp.Or(p.ConstantS, q.ConstantS)
	return nil
}

// SPDX-License-Identifier: Apache-2.0

package latency

import (
	"fmt"
	"slices"

	"github.com/edgenas/edgenas/internal/stats"
	"github.com/edgenas/edgenas/profiles"
)

// confidence is that of the bounds of every median.
const confidence = 0.95

// summarize makes the numbers of a profile from rounds. Rounds are the
// independent draws, since the samples of one share the machine's state. Bounds
// further apart than steady, relative to the median, are a warning.
func summarize(rounds []round, steady float64) profiles.Timing {
	t := profiles.Timing{Status: profiles.OK}
	var medians, all []float64
	for _, r := range rounds {
		medians = append(medians, stats.Median(r.samples))
		all = append(all, r.samples...)
		t.SamplesS = append(t.SamplesS, r.samples)
		t.SentinelS = append(t.SentinelS, r.sentinel)
		t.FrequencyHz = append(t.FrequencyHz, r.hz)
		t.TemperatureCelsius = append(t.TemperatureCelsius, r.celsius)
	}
	if slices.ContainsFunc(rounds, func(r round) bool { return !(r.hz > 0) }) { // no data in one of them
		t.FrequencyHz = nil
	}
	if slices.ContainsFunc(rounds, func(r round) bool { return !r.celsiusKnown }) {
		t.TemperatureCelsius = nil
	}
	t.N, t.MedianS = len(all), sixDigits(stats.Median(medians))
	var coverage float64
	t.LoS, t.HiS, coverage = stats.MedianBounds(medians, confidence)
	t.LoS, t.HiS = min(t.LoS, t.MedianS), max(t.HiS, t.MedianS) // which was rounded
	t.MinS = slices.Min(all)
	t.P90S, t.P95S, t.P99S = percentile(all, 90), percentile(all, 95), percentile(all, 99)
	switch {
	case coverage < confidence:
		t.Warnings = append(t.Warnings,
			fmt.Sprintf("%d rounds are too few for bounds at 95 %%: they are the extremes", len(rounds)))
	case width(t) > steady:
		t.Warnings = append(t.Warnings, fmt.Sprintf("unsteady: the bounds are %.1f %% of the median apart after %d rounds",
			100*width(t), len(rounds)))
	}
	return t
}

// percentile returns a percentile of the samples, or 0, unknown, if there are
// so few that it would be the slowest of them.
func percentile(samples []float64, percent int) float64 {
	if len(samples)*(100-percent) < 100 {
		return 0
	}
	return stats.Quantile(samples, float64(percent)/100)
}

// width is that of the median's bounds, relative to the median.
func width(t profiles.Timing) float64 { return (t.HiS - t.LoS) / t.MedianS }

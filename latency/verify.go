// SPDX-License-Identifier: Apache-2.0

package latency

import (
	"context"
	"fmt"
	"runtime"
	"runtime/debug"
	"time"

	"github.com/edgenas/edgenas/internal/hostprofile"
	"github.com/edgenas/edgenas/profiles"
)

// Verification is one network's latency in one session, in seconds of a run.
// Quantiles are left out where there are so few samples that they would be the
// slowest one.
type Verification struct {
	N        int              `json:"n"`        // samples; each is a run, or a few where a run is too short for the clock
	MedianS  float64          `json:"median_s"` // of the time that the runs had the core
	LoS      float64          `json:"lo_s"`     // bounds of the median at 95 %
	HiS      float64          `json:"hi_s"`
	MinS     float64          `json:"min_s"`
	P90S     float64          `json:"p90_s,omitempty"` // with the time that others had it; 0: left out
	P95S     float64          `json:"p95_s,omitempty"`
	P99S     float64          `json:"p99_s,omitempty"`
	Mode     string           `json:"mode"` // a [Mode]
	Warnings []string         `json:"warnings"`
	Device   profiles.Device  `json:"device"`
	Runtime  profiles.Runtime `json:"runtime"`
}

// A verification has more and shorter samples in a round than a table, since
// its tail matters: a frame budget is lost there. In a paced loop most of the
// time of a round is sleep.
const (
	verifySamples        = 20
	verifyBatchTime      = 200 * time.Millisecond
	verifyBatchTimePaced = time.Second
)

// Verify times a compiled network on this machine, in 15 rounds. Call it in a
// fresh process, so that nothing which happened before can flatter it. Info is
// the runtime's. Errors are the runner's, and ctx's when it ends.
func Verify(ctx context.Context, r Runner, info profiles.Runtime, mode Mode) (Verification, error) {
	m, release := occupy(info.Threads)
	defer release()
	return verify(ctx, r, info, mode, m, newClock(), time.Sleep)
}

func verify(
	ctx context.Context, r Runner, info profiles.Runtime, mode Mode,
	m machine, now func() time.Duration, sleep func(time.Duration),
) (Verification, error) {
	before := m.state()
	it := &item{copies: 1, runner: r}
	pace, warm := pacer{period: mode.Period, now: now, sleep: sleep}, settle
	if mode.Period > 0 {
		warm = settlePaced(mode.Period)
	}
	watch := stopwatch{now, m.waited}
	settled, err := converge(watch, pace.wait, r, warm)
	warning := ""
	if err == nil && mode.Sustained {
		_, warning, err = soak(ctx, r, m, watch, func() {})
	}
	if err == nil {
		err = it.calibrate(watch, readable(clockStep(now)), verifyBatchTime, verifySamples)
	}
	if mode.Period > 0 { // each inference by itself
		it.inner, it.samples = 1, max(pacedSamples, min(verifySamples, int(verifyBatchTimePaced/mode.Period)))
	}
	var tail []float64 // with the time that others had the core: a frame is lost all the same
	interrupted := 0
	for range DefaultRounds {
		var round round
		if err == nil {
			err = ctx.Err()
		}
		if err == nil {
			round, err = it.quietBatch(watch, pace.wait)
		}
		if err != nil {
			return Verification{}, fmt.Errorf("latency: verify: %w", err)
		}
		it.rounds = append(it.rounds, round)
		for i, s := range round.samples {
			tail = append(tail, s+round.waits[i])
		}
		interrupted += round.interrupted()
	}
	t := summarize(it.rounds, mode.steady())
	v := Verification{Mode: mode.String(), N: t.N, MedianS: t.MedianS, LoS: t.LoS, HiS: t.HiS, MinS: t.MinS,
		P90S: percentile(tail, 90), P95S: percentile(tail, 95), P99S: percentile(tail, 99), Warnings: t.Warnings,
		Device: ThisDevice(), Runtime: info}
	v.Runtime.Affinity = m.affinity
	if !settled {
		v.Warnings = append(v.Warnings, "times did not settle during the warm-up")
	}
	for _, w := range []string{warning, m.warning, sharedWarning(interrupted, t.N)} {
		if w != "" {
			v.Warnings = append(v.Warnings, w)
		}
	}
	after := m.state()
	v.Device.Before, v.Device.After = hostprofile.State(before), hostprofile.State(after)
	v.Warnings = append(v.Warnings, stateWarnings(v.Device.Emulation, before, after)...)
	return v, nil
}

// quietBatch is batch while the garbage collector rests.
func (it *item) quietBatch(w stopwatch, wait func()) (round, error) {
	runtime.GC()
	defer debug.SetGCPercent(debug.SetGCPercent(-1))
	return it.batch(w, wait)
}

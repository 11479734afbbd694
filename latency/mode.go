// SPDX-License-Identifier: Apache-2.0

package latency

import (
	"context"
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/edgenas/edgenas/internal/stats"
	"github.com/edgenas/edgenas/profiles"
)

// Mode is the state that a device is in while it is measured. The zero value
// is a burst: a cool device that does nothing else, at its highest clock.
type Mode struct {
	// Sustained: the device is first kept busy until its temperature and its
	// speed no longer change. A clock that heat has lowered is then what is
	// measured.
	Sustained bool
	// Period, above 0: one inference begins in each, as a camera's frames
	// come, and the device sleeps in between. Its governor then chooses a
	// lower clock, and its caches are colder.
	Period time.Duration
}

// The names of modes, as they stand in profiles.
const (
	burst     = profiles.Burst
	sustained = "sustained"
	paced     = "paced="
)

// The shortest and the longest period.
const (
	minPeriod = time.Millisecond
	maxPeriod = time.Second
)

// ParseMode reads burst, sustained or paced=33ms; the empty text is burst.
func ParseMode(text string) (Mode, error) {
	switch text {
	case "", burst:
		return Mode{}, nil
	case sustained:
		return Mode{Sustained: true}, nil
	}
	if period, ok := strings.CutPrefix(text, paced); ok {
		if d, err := time.ParseDuration(period); err == nil && d >= minPeriod && d <= maxPeriod {
			return Mode{Period: d}, nil
		}
		return Mode{}, fmt.Errorf("latency: mode %.40q: want a period from %v to %v, such as paced=33ms",
			text, minPeriod, maxPeriod)
	}
	return Mode{}, fmt.Errorf("latency: mode %.40q: want burst, sustained or paced=33ms", text)
}

// String returns the mode as profiles have it.
func (m Mode) String() string {
	switch {
	case m.Period > 0:
		return paced + m.Period.String()
	case m.Sustained:
		return sustained
	}
	return burst
}

// steady returns the width of the 95 % interval that needs no more rounds.
func (m Mode) steady() float64 {
	if m.Period > 0 {
		return steadyWidthPaced
	}
	return steadyWidth
}

// pacer begins runs a period apart. The zero value does not wait.
type pacer struct {
	period time.Duration
	now    func() time.Duration
	sleep  func(time.Duration)
	next   time.Duration
}

// wait sleeps until the next period begins. Periods that a long run has missed
// are left out, as frames are dropped.
func (p *pacer) wait() {
	if p.period == 0 {
		return
	}
	if d := p.next - p.now(); d > 0 {
		p.sleep(d)
	}
	p.next = max(p.next, p.now()) + p.period
}

// How a device is soaked: windows, the differences between two of them that
// count as none, and the time after which it is given up.
const (
	soakWindow  = 20 * time.Second
	soakSpeed   = 0.01
	soakCelsius = 0.5
	soakLimit   = 8 * time.Minute // a device that is silent for longer counts as lost
)

// soak keeps the device busy with r until its temperature and its speed are
// those of the window before. It says how long that took, and has a warning if
// it gave up. tell is called now and then.
func soak(
	ctx context.Context, r Runner, m machine, w stopwatch, tell func(),
) (soaked time.Duration, warning string, err error) {
	now := w.now
	start := now()
	last, lastCelsius := 0.0, 0.0
	for now()-start < soakLimit {
		var runs []float64
		for window, told := now(), time.Duration(0); now()-window < soakWindow; {
			if err := ctx.Err(); err != nil {
				return 0, "", err
			}
			took, _, err := w.time(r, 1)
			if err != nil {
				return 0, "", err
			}
			runs = append(runs, took.Seconds())
			if now()-told >= coolingStep {
				told = now()
				tell()
			}
		}
		median, celsius := stats.Median(runs), 0.0
		if z, ok := m.state().Hottest(); ok {
			celsius = z.Celsius
		}
		if math.Abs(median-last) <= soakSpeed*last && math.Abs(celsius-lastCelsius) <= soakCelsius {
			return now() - start, "", nil
		}
		last, lastCelsius = median, celsius
	}
	return now() - start, fmt.Sprintf("temperature and speed still changed after %v under load", soakLimit), nil
}

// temperature is what the hottest sensor says, for people; empty where none does.
func (m machine) temperature() string {
	z, ok := m.state().Hottest()
	if !ok {
		return ""
	}
	return fmt.Sprintf(": %s is at %.0f °C", z.Name, z.Celsius)
}

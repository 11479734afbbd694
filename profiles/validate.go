// SPDX-License-Identifier: Apache-2.0

package profiles

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strings"
	"unicode"
	"unicode/utf8"
)

const (
	maxKeyBytes  = 512
	maxArchBytes = 1 << 16
)

// numbers lists the members of entries and networks that are never zero, and
// absent where the measurement failed.
var numbers = []string{"n", "median_s", "lo_s", "hi_s", "min_s", "p90_s", "p95_s", "p99_s", "throttled_rounds",
	"copies", "energy_j", "peak_bytes"}

// checkPresent refuses numbers that the struct cannot distinguish from absent
// ones: any number of a failed entry, and zeros.
func checkPresent(data []byte, status string) error {
	members, err := splitObject(data)
	if err != nil {
		return err
	}
	for _, name := range numbers {
		raw, ok := members[name]
		var x *float64
		if !ok || json.Unmarshal(raw, &x) == nil && x == nil { // absent or null
			continue
		}
		if status == Failed {
			return fmt.Errorf("%s stands in a failed entry, which has no numbers", name)
		}
		if x == nil || *x <= 0 {
			return fmt.Errorf("%s is %s: want a positive number", name, raw)
		}
	}
	return nil
}

// Validate checks the values of a profile against FORMAT.md and returns an
// *InvalidError for the first wrong one.
func (p *Profile) Validate() error {
	if c := p.ConstantS; c != nil && !isFinite(*c) {
		return &InvalidError{In: "constant_s", Err: fmt.Errorf("is %v: want a finite number", *c)}
	}
	seen := map[string]bool{}
	for _, e := range p.Entries {
		timing := e.Timing.check(float64(e.Copies), e.EnergyJ, float64(e.PeakBytes))
		if err := errors.Join(checkName(e.Key, maxKeyBytes, seen), timing); err != nil {
			return &InvalidError{In: fmt.Sprintf("entry %.*q", maxKeyBytes, e.Key), Err: err}
		}
	}
	clear(seen)
	for _, n := range p.Networks {
		err := errors.Join(checkName(n.Arch, maxArchBytes, seen), n.Timing.check())
		for key, count := range n.Counts {
			if count < 1 {
				err = errors.Join(err, fmt.Errorf("counts %.*q %d times", maxKeyBytes, key, count))
			}
		}
		if err != nil {
			return &InvalidError{In: fmt.Sprintf("network %.*q", maxKeyBytes, n.Arch), Err: err}
		}
	}
	return nil
}

// checkName refuses empty, long, unprintable and repeated names.
func checkName(name string, limit int, seen map[string]bool) error {
	switch {
	case name == "":
		return errors.New("has no name")
	case len(name) > limit:
		return fmt.Errorf("a name of %d bytes: want at most %d", len(name), limit)
	case !utf8.ValidString(name) || strings.ContainsFunc(name, unicode.IsControl):
		return errors.New("control characters in its name")
	case seen[name]:
		return errors.New("stands twice")
	}
	seen[name] = true
	return nil
}

// check checks the timing and further optional numbers of the same entry.
func (t Timing) check(more ...float64) error {
	optional := append([]float64{t.MinS, t.P90S, t.P95S, t.P99S, float64(t.ThrottledRounds)}, more...)
	switch t.Status {
	case OK:
		if t.Reason != "" {
			return errors.New("is ok, yet has a reason")
		}
	case Failed:
		if t.Reason == "" {
			return errors.New("failed without a reason")
		}
		lists := len(t.SamplesS) + len(t.SentinelS) + len(t.FrequencyHz) + len(t.TemperatureCelsius)
		for _, x := range append(optional, t.MedianS, t.LoS, t.HiS, float64(t.N), float64(lists)) {
			if x != 0 {
				return fmt.Errorf("failed, yet has the number %v", x)
			}
		}
		return nil
	default:
		return fmt.Errorf("status is %.40q: want %q or %q", t.Status, OK, Failed)
	}
	for _, f := range []struct {
		name string
		x    float64
	}{{"n", float64(t.N)}, {"median_s", t.MedianS}, {"lo_s", t.LoS}, {"hi_s", t.HiS}} {
		if !(f.x > 0) || !isFinite(f.x) {
			return fmt.Errorf("%s is %v or missing: want a positive number", f.name, f.x)
		}
	}
	for _, x := range optional {
		if x < 0 || !isFinite(x) {
			return fmt.Errorf("has the number %v: want only positive ones", x)
		}
	}
	if t.LoS > t.MedianS || t.MedianS > t.HiS {
		return fmt.Errorf("median_s is %v, outside lo_s…hi_s, %v…%v", t.MedianS, t.LoS, t.HiS)
	}
	return t.checkSamples()
}

// checkSamples checks what a timing says of each round.
func (t Timing) checkSamples() error {
	n := 0
	for _, round := range t.SamplesS {
		for _, s := range round {
			if !(s > 0) || !isFinite(s) {
				return fmt.Errorf("has the sample %v: want a positive number", s)
			}
		}
		n += len(round)
	}
	if t.SamplesS != nil && n != t.N {
		return fmt.Errorf("n is %d, yet there are %d samples", t.N, n)
	}
	if t.SamplesS != nil && t.ThrottledRounds > len(t.SamplesS) {
		return fmt.Errorf("throttled_rounds is %d, yet there are %d rounds", t.ThrottledRounds, len(t.SamplesS))
	}
	for _, f := range []struct {
		what     string
		values   []float64
		possible func(float64) bool
	}{
		{"sentinel times", t.SentinelS, func(x float64) bool { return x > 0 }},
		{"frequencies", t.FrequencyHz, func(x float64) bool { return x > 0 }},
		{"temperatures", t.TemperatureCelsius, func(x float64) bool { return x >= -50 && x <= 200 }},
	} {
		if f.values != nil && len(f.values) != len(t.SamplesS) {
			return fmt.Errorf("%d %s for %d rounds", len(f.values), f.what, len(t.SamplesS))
		}
		for _, x := range f.values {
			if !f.possible(x) || !isFinite(x) {
				return fmt.Errorf("has %v among its %s", x, f.what)
			}
		}
	}
	return nil
}

func isFinite(x float64) bool { return !math.IsNaN(x) && !math.IsInf(x, 0) }

// SPDX-License-Identifier: Apache-2.0

package wire

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"unicode"
	"unicode/utf8"

	"github.com/edgenas/edgenas/latency"
	"github.com/edgenas/edgenas/ops"
	"github.com/edgenas/edgenas/profiles"
)

// Limits of what a device may say.
const (
	MaxLine     = 8 << 20 // bytes of a message: 64 entries or networks with all their samples are below 1 MiB
	maxText     = 512     // bytes of a warning, a reason, a label
	maxWarnings = 32
	maxSamples  = 1 << 20 // of one entry
	maxTimeS    = 3600    // nothing that is measured takes an hour
	maxElapsedS = 1e7     // and all of it no four months
)

// ErrUntrusted is an answer that the agent would not give.
var ErrUntrusted = errors.New("the device's answer is refused")

func refusef(format string, args ...any) error {
	return fmt.Errorf("%w: %w", ErrUntrusted, fmt.Errorf(format, args...))
}

// Reader takes in the agent's output and hands over its messages, each of them
// checked against the request. As a writer it fails at the first that is
// refused, or that handle fails at, and stays so.
type Reader struct {
	handle   func(Message) error
	keys     map[string]int // asked for → how often it may still come
	networks map[string]*network
	mode     string // that was asked for
	line     []byte
	err      error
	done     bool // the session has come
}

type network struct {
	counts map[string]int
	left   int
}

// NewReader expects the answer to a request for this work with so many rounds,
// in this mode.
func NewReader(w latency.Work, rounds int, mode string, handle func(Message) error) *Reader {
	r := &Reader{handle: handle, mode: cmp.Or(mode, profiles.Burst), keys: map[string]int{},
		networks: map[string]*network{}}
	// a round each, three times as many where times are unsteady, and room
	most := 4*max(rounds, latency.DefaultRounds) + 8
	for _, k := range w.Keys {
		r.keys[k.String()] = most
	}
	for _, n := range w.Networks {
		counts := map[string]int{}
		for k, c := range ops.Keys(n.Graph) {
			counts[k.String()] = c
		}
		r.networks[n.Arch] = &network{counts, most}
	}
	return r
}

// Write takes a part of the output in.
func (r *Reader) Write(p []byte) (int, error) {
	taken := 0
	for r.err == nil && taken < len(p) {
		rest := p[taken:]
		end := bytes.IndexByte(rest, '\n') + 1
		if end == 0 {
			end = len(rest)
		}
		if len(r.line)+end > MaxLine {
			r.err = refusef("a line of more than %d bytes", MaxLine)
			break
		}
		r.line = append(r.line, rest[:end]...)
		taken += end
		if r.line[len(r.line)-1] == '\n' {
			r.err = r.message(r.line)
			r.line = r.line[:0]
		}
	}
	return taken, r.err
}

// End is an error unless the answer has come to its end.
func (r *Reader) End() error {
	if r.err == nil && !r.done {
		return refusef("it ended early")
	}
	return r.err
}

func (r *Reader) message(line []byte) error {
	if r.done {
		return refusef("a line after the last: %.80q", line)
	}
	m, err := decodeMessage(line)
	if err == nil {
		err = r.check(m)
	}
	if err != nil {
		return err
	}
	r.done = m.Session != nil
	return r.handle(m)
}

// checkFormat reports another version of the format than this program's. It
// looks at nothing else, since another version may have members that are
// unknown here. What is not even JSON is for [strict] to refuse.
func checkFormat(data []byte) error {
	var is struct {
		Format *string `json:"format"`
	}
	if json.Unmarshal(data, &is) != nil || is.Format == nil || *is.Format == Format {
		return nil
	}
	return fmt.Errorf("format %.50q: want %q", *is.Format, Format)
}

// strict reads one JSON value without unknown members.
func strict(data []byte, into any) error {
	if !utf8.Valid(data) {
		return errors.New("not UTF-8")
	}
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		return err
	}
	if _, err := d.Token(); err != io.EOF {
		return errors.New("more than one value")
	}
	return nil
}

func decodeMessage(line []byte) (Message, error) {
	var m Message
	if err := strict(line, &m); err != nil {
		return m, refusef("%.80q: %w", line, err)
	}
	n := 0
	for _, is := range []bool{m.Progress != nil, m.Round != nil, m.Session != nil} {
		if is {
			n++
		}
	}
	if n != 1 {
		return m, refusef("%.80q: %d messages in a line", line, n)
	}
	return m, nil
}

func (r *Reader) check(m Message) error {
	switch {
	case m.Progress != nil:
		p := m.Progress
		if p.Done < 0 || p.Total < 0 || p.Done > maxSamples || p.Total > maxSamples ||
			!(p.ElapsedS >= 0 && p.ElapsedS <= maxElapsedS && p.RemainingS >= 0 && p.RemainingS <= maxElapsedS) {
			return refusef("progress %d of %d", p.Done, p.Total)
		}
		return checkTexts(4<<10, p.Label) // a network's notation
	case m.Round != nil:
		return r.checkRound(*m.Round)
	}
	return m.Session.check(r.mode)
}

// checkRound refuses what was not asked for, or came too often.
func (r *Reader) checkRound(round Round) error {
	if len(round.Entries)+len(round.Networks) == 0 {
		return refusef("a round without measurements")
	}
	seen := map[string]bool{}
	for _, e := range round.Entries {
		left, asked := r.keys[e.Key]
		if !asked || seen[e.Key] {
			return refusef("entry %.80q, which was not asked for", e.Key)
		}
		if left == 0 {
			return refusef("entry %.80q comes again and again", e.Key)
		}
		seen[e.Key], r.keys[e.Key] = true, left-1
		if e.EnergyJ != 0 || e.PeakBytes != 0 || e.Copies < 0 || e.Copies > 1<<16 {
			return refusef("entry %.80q has numbers that the agent does not measure", e.Key)
		}
		if err := checkTiming(e.Timing, len(e.Extra)); err != nil {
			return refusef("entry %.80q: %w", e.Key, err)
		}
	}
	clear(seen)
	for _, n := range round.Networks {
		asked := r.networks[n.Arch]
		if asked == nil || seen[n.Arch] {
			return refusef("network %.80q, which was not asked for", n.Arch)
		}
		if asked.left == 0 {
			return refusef("network %.80q comes again and again", n.Arch)
		}
		asked.left--
		seen[n.Arch] = true
		if !maps.Equal(n.Counts, asked.counts) {
			return refusef("network %.80q is made of other operations than it has", n.Arch)
		}
		if err := checkTiming(n.Timing, len(n.Extra)); err != nil {
			return refusef("network %.80q: %w", n.Arch, err)
		}
	}
	if err := (&profiles.Profile{Entries: round.Entries, Networks: round.Networks}).Validate(); err != nil {
		return refusef("%w", err)
	}
	return nil
}

// checkTiming refuses what Profile.Validate lets pass, since a file may have it.
func checkTiming(t profiles.Timing, extra int) error {
	n := 0
	for _, round := range t.SamplesS {
		n += len(round)
	}
	longest := max(t.MedianS, t.LoS, t.HiS, t.MinS, t.P90S, t.P95S, t.P99S)
	switch {
	case extra > 0:
		return errors.New("has unknown members")
	case n > maxSamples || t.N > maxSamples:
		return fmt.Errorf("has %d samples", max(n, t.N))
	case t.Status == profiles.OK && (n == 0 || t.SamplesDigest != ""):
		return errors.New("has no samples")
	case longest > maxTimeS:
		return fmt.Errorf("has the time %g s", longest)
	case t.Status == profiles.OK && !holds(t):
		return errors.New("its samples do not have the median that it claims")
	}
	return checkTexts(maxText, append(slices.Clone(t.Warnings), t.Reason)...)
}

// holds says whether the samples reach from below the claimed median to above.
func holds(t profiles.Timing) bool {
	all := slices.Concat(t.SamplesS...)
	return len(all) > 0 && slices.Min(all) <= t.MedianS && t.MedianS <= slices.Max(all)
}

// checkTexts refuses text that is long, or that a terminal would not just show.
func checkTexts(most int, texts ...string) error {
	if len(texts) > maxWarnings+1 {
		return refusef("%d texts", len(texts))
	}
	for _, s := range texts {
		if len(s) > most {
			return refusef("a text of %d bytes", len(s))
		}
		for _, c := range s {
			if !unicode.IsPrint(c) {
				return refusef("the text %.80q cannot be printed", s)
			}
		}
	}
	return nil
}

func (s *Session) check(mode string) error {
	p := s.Protocol
	if p.InMode() != mode {
		return refusef("the session was measured in the mode %.40q, not %q", p.InMode(), mode)
	}
	for _, x := range []float64{p.WarmUpS, p.MinSampleS, p.ClockStepS} {
		if !(x >= 0 && x <= maxTimeS) {
			return refusef("the session's protocol has the time %g s", x)
		}
	}
	if len(p.Extra) > 0 {
		return refusef("the session's protocol has unknown members")
	}
	if len(s.Affinity) > 1<<12 {
		return refusef("the session was kept on %d processors", len(s.Affinity))
	}
	if err := checkTexts(maxText, s.Warnings...); err != nil {
		return err
	}
	if err := errors.Join(checkState(s.Before), checkState(s.After)); err != nil {
		return err
	}
	if !(p.MaxTemperatureCelsius >= 0 && p.MaxTemperatureCelsius <= 200) || p.UclampMin < 0 || p.UclampMin > 1024 ||
		p.UclampMax < 0 || p.UclampMax > 1024 {
		return refusef("the session's protocol waits for %g °C and has the clamps %d and %d", p.MaxTemperatureCelsius,
			p.UclampMin, p.UclampMax)
	}
	return checkTexts(maxText, p.Date, p.Cache, p.Sentinel, p.Cpuset, s.Governor)
}

func checkState(s *profiles.State) error {
	if s == nil {
		return nil
	}
	if c := s.TemperatureCelsius; c != nil && !(*c >= -50 && *c <= 200) {
		return refusef("a temperature of %g °C", *c)
	}
	if s.FrequencyHz < 0 || s.MaxFrequencyHz < 0 {
		return refusef("a negative frequency")
	}
	return checkTexts(maxText, s.Throttled...)
}

// SPDX-License-Identifier: Apache-2.0

package wire

import (
	"cmp"
	"encoding/json"
	"io"
	"slices"
	"time"

	"github.com/edgenas/edgenas/latency"
	"github.com/edgenas/edgenas/profiles"
)

// Message is a line of the agent's answer: one of these.
type Message struct {
	Progress *Progress `json:"progress,omitempty"`
	Round    *Round    `json:"round,omitempty"`   // to be kept before the next is read
	Session  *Session  `json:"session,omitempty"` // the last one: all is measured
}

// Progress is how far the measurement is.
type Progress struct {
	Label      string  `json:"label"` // what was measured last
	Done       int     `json:"done"`
	Total      int     `json:"total"`
	ElapsedS   float64 `json:"elapsed_s"`
	RemainingS float64 `json:"remaining_s"`
}

// NewProgress is latency's progress on its way.
func NewProgress(p latency.Progress) *Progress {
	seconds := func(d time.Duration) float64 { return d.Round(time.Millisecond).Seconds() }
	return &Progress{Label: p.Label, Done: p.Done, Total: p.Total, ElapsedS: seconds(p.Elapsed),
		RemainingS: seconds(p.Remaining)}
}

// Latency is progress in latency's terms again.
func (p *Progress) Latency() latency.Progress {
	duration := func(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }
	return latency.Progress{Label: p.Label, Done: p.Done, Total: p.Total, Elapsed: duration(p.ElapsedS),
		Remaining: duration(p.RemainingS)}
}

// Session is what a profile says of how and in what state was measured.
type Session struct {
	Protocol profiles.Protocol `json:"protocol"`
	Governor string            `json:"governor,omitempty"`
	Before   *profiles.State   `json:"before,omitempty"`
	After    *profiles.State   `json:"after,omitempty"`
	Affinity []int             `json:"affinity,omitempty"`
	Warnings []string          `json:"warnings,omitempty"`
}

// SessionOf is the session that p describes.
func SessionOf(p *profiles.Profile) *Session {
	return &Session{Protocol: p.Protocol, Governor: p.Device.Governor, Before: p.Device.Before, After: p.Device.After,
		Affinity: p.Runtime.Affinity, Warnings: p.Warnings}
}

// Send writes a message as a line.
func Send(w io.Writer, m Message) error {
	encoder := json.NewEncoder(w) // one Write a line
	encoder.SetEscapeHTML(false)
	return encoder.Encode(m)
}

// Describe writes the session into the profile that it was measured into. One
// without a date had nothing to measure.
func (s *Session) Describe(p *profiles.Profile) {
	if s.Protocol.Date == "" {
		return
	}
	extra := p.Protocol.Extra
	p.Protocol = s.Protocol
	p.Protocol.Extra = extra
	p.Device.Before, p.Device.After, p.Runtime.Affinity = s.Before, s.After, s.Affinity
	p.Device.Governor = cmp.Or(s.Governor, p.Device.Governor)
	for _, w := range s.Warnings {
		if !slices.Contains(p.Warnings, w) {
			p.Warnings = append(p.Warnings, w)
		}
	}
}

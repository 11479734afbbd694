// SPDX-License-Identifier: Apache-2.0

package wire

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"

	"github.com/edgenas/edgenas/arch"
	"github.com/edgenas/edgenas/latency"
	"github.com/edgenas/edgenas/ops"
	"github.com/edgenas/edgenas/profiles"
)

// Format names the version of what is said, in both directions.
const Format = "edgenas-agent/1"

// Limits of a request.
const (
	MaxRequest = 64 << 20 // bytes
	MaxThreads = 64
	MaxRounds  = 10_000
)

// Request is what to measure.
type Request struct {
	Format  string `json:"format"`
	Threads int    `json:"threads"` // inference threads; 0: 1
	Seed    uint64 `json:"seed"`    // of the order of measurement and of random weights
	Rounds  int    `json:"rounds"`  // fewest for an entry; 0: latency's default
	// processors to measure on (latency.Confine); empty: the fastest
	Cluster    string              `json:"cluster,omitempty"`
	MaxCelsius float64             `json:"max_celsius,omitempty"` // latency.Options.MaxCelsius
	Mode       string              `json:"mode,omitempty"`        // latency.Mode; empty: burst
	Keys       []string            `json:"keys"`                  // of operations (ops.Key)
	Networks   []arch.Architecture `json:"networks"`              // to be measured whole

	// Measured is what is known already of the work: complete entries are
	// kept, others go on from their rounds.
	Measured Round `json:"measured"`
}

// ReadRequest reads a request and refuses what is not one.
func ReadRequest(r io.Reader) (Request, error) {
	data, err := io.ReadAll(io.LimitReader(r, MaxRequest+1))
	if err != nil {
		return Request{}, fmt.Errorf("request: %w", err)
	}
	if len(data) > MaxRequest {
		return Request{}, fmt.Errorf("request: larger than %d bytes", MaxRequest)
	}
	if err := checkFormat(data); err != nil {
		return Request{}, fmt.Errorf("request: %w: this agent is of another version than edgenas", err)
	}
	var q Request
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	if err := d.Decode(&q); err != nil {
		return Request{}, fmt.Errorf("request: byte %d: %w", d.InputOffset(), err)
	}
	switch {
	case d.More():
		return Request{}, fmt.Errorf("request: byte %d: more than one value", d.InputOffset())
	case q.Format != Format:
		return Request{}, fmt.Errorf("request: no format: want %q", Format)
	case q.Threads < 0 || q.Threads > MaxThreads:
		return Request{}, fmt.Errorf("request: %d threads: want at most %d", q.Threads, MaxThreads)
	case q.Rounds < 0 || q.Rounds > MaxRounds:
		return Request{}, fmt.Errorf("request: %d rounds: want at most %d", q.Rounds, MaxRounds)
	case !(q.MaxCelsius >= 0):
		return Request{}, fmt.Errorf("request: %g °C: want 0 or more", q.MaxCelsius)
	}
	if _, err := latency.ParseMode(q.Mode); err != nil {
		return Request{}, fmt.Errorf("request: %w", err)
	}
	return q, nil
}

// Work is the request in latency's terms. Networks go by their canonical
// notation.
func (q Request) Work() (latency.Work, error) {
	var w latency.Work
	for _, text := range q.Keys {
		k, err := ops.ParseKey(text)
		if err != nil {
			return latency.Work{}, fmt.Errorf("request: %w", err)
		}
		w.Keys = append(w.Keys, k)
	}
	for _, a := range q.Networks {
		g, err := a.Network(1)
		if err != nil {
			return latency.Work{}, fmt.Errorf("request: %w", err)
		}
		w.Networks = append(w.Networks, latency.Network{Arch: a.Space.Notation(a.Space.Canonical(a.Choice)),
			Graph: ops.Fuse(g)})
	}
	return w, nil
}

// Digest tells requests for other work apart: 16 hexadecimal digits, whatever
// is known of the work already.
func (q Request) Digest() (string, error) {
	q.Measured = Round{}
	data, err := json.Marshal(q)
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:8]), nil
}

// Round is what a round of measurements has added.
type Round struct {
	Entries  []profiles.Entry   `json:"entries,omitempty"`
	Networks []profiles.Network `json:"networks,omitempty"`
}

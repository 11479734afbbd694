// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"

	"github.com/edgenas/edgenas/arch"
	"github.com/edgenas/edgenas/latency"
	"github.com/edgenas/edgenas/ops"
)

// requestFormat names the version of the request's JSON.
const requestFormat = "edgenas-request/1"

// Limits of a request.
const (
	maxRequest = 16 << 20 // bytes
	maxThreads = 64
	maxRounds  = 10_000
)

// request is what to measure.
type request struct {
	Format   string              `json:"format"`
	Threads  int                 `json:"threads"`  // inference threads; 0: 1
	Seed     uint64              `json:"seed"`     // of the order of measurement and of random weights
	Rounds   int                 `json:"rounds"`   // fewest for an entry; 0: latency's default
	Keys     []string            `json:"keys"`     // of operations (ops.Key)
	Networks []arch.Architecture `json:"networks"` // to be measured whole
}

// readRequest reads a request and refuses what is not one.
func readRequest(r io.Reader) (request, error) {
	data, err := io.ReadAll(io.LimitReader(r, maxRequest+1))
	if err != nil {
		return request{}, fmt.Errorf("request: %w", err)
	}
	if len(data) > maxRequest {
		return request{}, fmt.Errorf("request: larger than %d bytes", maxRequest)
	}
	var q request
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	if err := d.Decode(&q); err != nil {
		return request{}, fmt.Errorf("request: byte %d: %w", d.InputOffset(), err)
	}
	switch {
	case d.More():
		return request{}, fmt.Errorf("request: byte %d: more than one value", d.InputOffset())
	case q.Format != requestFormat:
		return request{}, fmt.Errorf("request: format %.50q: want %q", q.Format, requestFormat)
	case q.Threads < 0 || q.Threads > maxThreads:
		return request{}, fmt.Errorf("request: %d threads: want at most %d", q.Threads, maxThreads)
	case q.Rounds < 0 || q.Rounds > maxRounds:
		return request{}, fmt.Errorf("request: %d rounds: want at most %d", q.Rounds, maxRounds)
	}
	return q, nil
}

// work is the request in latency's terms. Networks go by their canonical
// notation.
func (q request) work() (latency.Work, error) {
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
		w.Networks = append(w.Networks, latency.Network{Arch: a.Space.Notation(a.Space.Canonical(a.Choice)), Graph: ops.Fuse(g)})
	}
	return w, nil
}

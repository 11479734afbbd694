// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/edgenas/edgenas/internal/wire"
	"github.com/edgenas/edgenas/latency"
	"github.com/edgenas/edgenas/profiles"
)

// streamed runs stream until it ends or, if it does not, to the n-th round.
func streamed(t *testing.T, name string, q wire.Request, n int) (rounds []wire.Round, session *wire.Session) {
	t.Helper()
	work, err := q.Work()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	reader := wire.NewReader(work, q.Rounds, q.Mode, func(m wire.Message) error {
		session = m.Session
		if m.Round != nil {
			if rounds = append(rounds, *m.Round); len(rounds) == n {
				cancel()
			}
		}
		return nil
	})
	data, err := json.Marshal(q)
	if err != nil {
		t.Fatal(err)
	}
	var stderr bytes.Buffer
	err = run(ctx, []string{"stream", name}, bytes.NewReader(data), reader, &stderr)
	if n == 0 && err != nil || n > 0 && wire.ExitStatus(err) != wire.ExitInterrupted || stderr.Len() > 0 {
		t.Fatalf("%v: %s", err, &stderr)
	}
	if n == 0 {
		if err := reader.End(); err != nil {
			t.Fatal(err)
		}
	}
	return rounds, session
}

func streamRequest(t *testing.T, rounds int, keys ...string) wire.Request {
	t.Helper()
	q, err := wire.ReadRequest(strings.NewReader(ask(t, keys...)))
	if err != nil {
		t.Fatal(err)
	}
	q.Rounds = rounds
	return q
}

func merged(rounds []wire.Round) *profiles.Profile {
	p := &profiles.Profile{}
	for _, r := range rounds {
		p.Merge(r.Entries, r.Networks)
	}
	return p
}

func TestStream(t *testing.T) {
	name := filepath.Join(t.TempDir(), "profile-1")
	rounds, session := streamed(t, name, streamRequest(t, 2, convKey, groupedKey), 0)
	p := merged(rounds)
	if len(p.Entries) != 2 || len(p.Networks) != 1 || len(p.Networks[0].SamplesS) < 2 || session.Protocol.Rounds != 2 ||
		len(session.Affinity) > 1 {
		t.Errorf("%+v, session %+v", p, session)
	}
	if left, _ := filepath.Glob(name + "*"); left != nil {
		t.Errorf("%q are left", left)
	}

	// What is known already is not measured again.
	q := streamRequest(t, 2, convKey)
	q.Measured = wire.Round{Entries: p.Entries, Networks: p.Networks}
	if rounds, session := streamed(t, name, q, 0); len(rounds) != 0 || session.Protocol.Date != "" {
		t.Errorf("%+v, %+v", rounds, session)
	}
}

// The device's own copy fills in what the host has not received, and what it
// has received is not measured again.
func TestStreamResumes(t *testing.T) {
	name := filepath.Join(t.TempDir(), "profile-1")
	q := streamRequest(t, 4, convKey)
	first, _ := streamed(t, name, q, 2)
	if _, err := os.Stat(name + ".partial"); err != nil {
		t.Fatal(err)
	}
	known := merged(first)

	second, _ := streamed(t, name, q, 0) // the host has lost it all
	e, err := known.Lookup(convKey)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := merged(second[:1]).Lookup(convKey); err != nil || !reflect.DeepEqual(got.SamplesS, e.SamplesS) {
		t.Errorf("%+v, %v: want %+v first", got, err, e)
	}
	q.Measured = wire.Round{Entries: known.Entries, Networks: known.Networks} // the device has lost it all
	third, _ := streamed(t, name, q, 0)
	for _, rounds := range [][]wire.Round{second, third} {
		if got, err := merged(rounds).Lookup(convKey); err != nil || len(got.SamplesS) < 4 {
			t.Errorf("%+v, %v: want 4 rounds", got, err)
		}
	}
}

// A copy that is broken, foreign or cannot be kept is no reason not to measure.
func TestStreamWithoutCopy(t *testing.T) {
	foreign, err := json.Marshal(map[string]any{"format": profiles.Format,
		"device": profiles.Device{Model: "another board"}, "entries": []int{}})
	if err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string]string{"broken": "{}\n{}\n", "foreign": string(foreign) + "\n", "": ""} {
		path := filepath.Join(t.TempDir(), "missing", "profile")
		if name != "" {
			path = filepath.Join(t.TempDir(), "profile")
			if err := os.WriteFile(path+".partial", []byte(content), 0o666); err != nil {
				t.Fatal(err)
			}
		}
		rounds, _ := streamed(t, path, streamRequest(t, 1, convKey), 0)
		if p := merged(rounds); len(p.Entries) != 1 || len(p.Networks) != 1 {
			t.Errorf("%s: %+v", name, p)
		}
		if left, _ := filepath.Glob(path + "*"); left != nil {
			t.Errorf("%s: %q are left", name, left)
		}
	}
}

// A cluster that is not there is the user's mistake; one that is confines all
// threads while it is measured.
func TestCluster(t *testing.T) {
	q := streamRequest(t, 1, convKey)
	q.Cluster = "0x" + strings.Repeat("f", 250)
	data, err := json.Marshal(q)
	if err != nil {
		t.Fatal(err)
	}
	if err := run(t.Context(), []string{"stream", "x"}, bytes.NewReader(data), &bytes.Buffer{},
		&bytes.Buffer{}); wire.ExitStatus(err) != wire.ExitUsage {
		t.Errorf("%v: want a refusal", err)
	}
	q.Cluster = "big"
	rounds, session := streamed(t, filepath.Join(t.TempDir(), "p"), q, 0)
	if len(rounds) == 0 || len(session.Affinity) != 1 {
		t.Errorf("%+v", session)
	}
	release, err := latency.Confine("")
	if err != nil {
		t.Fatal(err)
	}
	release()
}

// The mode travels, is measured in, and is told with the session; what was
// measured in another one is not gone on with.
func TestStreamMode(t *testing.T) {
	name := filepath.Join(t.TempDir(), "profile-1")
	q := streamRequest(t, 2, convKey)
	streamed(t, name, q, 1)
	if _, err := os.Stat(name + ".partial"); err != nil {
		t.Fatal(err)
	}
	q.Mode = "paced=5ms"
	rounds, session := streamed(t, name, q, 0)
	e, err := merged(rounds).Lookup(convKey)
	if err != nil || len(e.SamplesS) < 2 || e.N != 3*len(e.SamplesS) || session.Protocol.Mode != "paced=5ms" ||
		session.Protocol.MinSampleS != 0 {
		t.Errorf("%+v, %v, %+v", e, err, session.Protocol)
	}
}

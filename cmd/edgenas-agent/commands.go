// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"

	"github.com/edgenas/edgenas/internal/kernels"
	"github.com/edgenas/edgenas/internal/native"
	"github.com/edgenas/edgenas/internal/onnx"
	"github.com/edgenas/edgenas/internal/version"
	"github.com/edgenas/edgenas/internal/wire"
	"github.com/edgenas/edgenas/latency"
	"github.com/edgenas/edgenas/profiles"
)

// info writes what this machine is, in what state, and what it can measure with,
// and, where load is wanted, what other processes do.
func info(ctx context.Context, load bool, stdout io.Writer) error {
	r := wire.Here(ctx, version.String(), native.Info(1))
	if load {
		r.Facts.WatchLoad()
	}
	return write(stdout, r)
}

// profile measures a request into the file out, or to stdout.
func profile(ctx context.Context, out string, stdin io.Reader, stdout, stderr io.Writer) error {
	encoder := json.NewEncoder(stderr)
	s, err := newSession(stdin, func(p *wire.Progress) {
		// A reader that has gone away is no reason to stop measuring.
		_ = encoder.Encode(p)
	})
	if err != nil {
		return err
	}
	defer s.close()
	if out == "" {
		s.profile.Merge(s.request.Measured.Entries, s.request.Measured.Networks)
		if err := s.measure(ctx, nil); err != nil {
			return err
		}
		return write(stdout, s.profile)
	}
	if s.profile, err = loadInto(out, s.profile); err != nil {
		return wire.Fail(wire.ExitProfile, err)
	}
	journal, err := profiles.OpenJournal(out, s.profile)
	if err != nil {
		return journalFailure(err)
	}
	if err := s.measure(ctx, journal.Append); err != nil {
		return errors.Join(err, journal.Close())
	}
	return journal.Commit()
}

// session is a request that is measured into a profile.
type session struct {
	request  wire.Request
	work     latency.Work
	pool     *kernels.Workers
	profile  *profiles.Profile
	release  func()
	progress func(*wire.Progress)
}

// newSession reads a request and gets this process ready for it.
func newSession(stdin io.Reader, progress func(*wire.Progress)) (*session, error) {
	q, err := wire.ReadRequest(stdin)
	if err != nil {
		return nil, wire.Fail(wire.ExitUsage, err)
	}
	s := &session{request: q, progress: progress}
	if s.work, err = q.Work(); err != nil {
		return nil, wire.Fail(wire.ExitUsage, err)
	}
	if s.release, err = latency.Confine(q.Cluster); err != nil {
		return nil, wire.Fail(wire.ExitUsage, err)
	}
	s.pool = kernels.NewWorkers(max(1, q.Threads))
	s.profile = &profiles.Profile{Device: latency.ThisDevice(), Runtime: native.Runtime{Pool: s.pool}.Info()}
	s.profile.Runtime.Cluster, s.profile.Protocol.Mode = q.Cluster, q.Mode
	return s, nil
}

func (s *session) close() {
	s.pool.Close()
	s.release()
}

func (s *session) measure(ctx context.Context, record func([]profiles.Entry, []profiles.Network) error) error {
	q := s.request
	return latency.Measure(ctx, native.Runtime{Pool: s.pool}, s.work, s.profile,
		latency.Options{Seed: q.Seed, Rounds: q.Rounds, MaxCelsius: q.MaxCelsius,
			Record: record, Progress: func(p latency.Progress) { s.progress(wire.NewProgress(p)) }})
}

// loadInto is the profile file at path if there is one, of p's device and
// runtime, or else p.
func loadInto(path string, p *profiles.Profile) (*profiles.Profile, error) {
	old, err := profiles.Load(path)
	if errors.Is(err, fs.ErrNotExist) {
		return p, nil
	}
	if err != nil {
		return nil, err
	}
	if _, err := old.Check(p.Device, p.Runtime); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	if err := old.SameWay(p); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	old.Device.Kernel, old.Runtime.Build = p.Device.Kernel, p.Runtime.Build
	return old, nil
}

// journalFailure tells a journal of another device or a broken one from a
// folder that cannot be written.
func journalFailure(err error) error {
	var invalid *profiles.InvalidError
	var mismatch *profiles.MismatchError
	if errors.As(err, &invalid) || errors.As(err, &mismatch) {
		return wire.Fail(wire.ExitProfile, err)
	}
	return err
}

// verify times a model and writes the latency.Verification.
func verify(ctx context.Context, path string, threads int, cluster, how string, seed uint64, stdout io.Writer) error {
	if threads < 1 || threads > wire.MaxThreads {
		return wire.Fail(wire.ExitUsage, fmt.Errorf("verify: %d threads: want 1 to %d", threads, wire.MaxThreads))
	}
	mode, err := latency.ParseMode(how)
	if err != nil {
		return wire.Fail(wire.ExitUsage, err)
	}
	bad := func(err error) error { return wire.Fail(wire.ExitData, fmt.Errorf("%s: %w", path, err)) }
	m, err := onnx.ReadFile(path)
	if err != nil {
		return bad(err)
	}
	g, w, err := m.Graph(1)
	if err != nil {
		return bad(err)
	}
	release, err := latency.Confine(cluster)
	if err != nil {
		return wire.Fail(wire.ExitUsage, err)
	}
	defer release()
	pool := kernels.NewWorkers(threads)
	defer pool.Close()
	v, err := native.Runtime{Pool: pool}.Verify(ctx, g, w, mode, seed)
	if err != nil {
		return bad(err)
	}
	return write(stdout, v)
}

// write writes v as indented JSON with a line end.
func write(w io.Writer, v any) error {
	encoder := json.NewEncoder(w)
	encoder.SetIndent("", "  ")
	return encoder.Encode(v)
}

// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"time"

	"github.com/edgenas/edgenas/internal/kernels"
	"github.com/edgenas/edgenas/internal/native"
	"github.com/edgenas/edgenas/internal/onnx"
	"github.com/edgenas/edgenas/internal/version"
	"github.com/edgenas/edgenas/latency"
	"github.com/edgenas/edgenas/profiles"
)

// info writes what this machine is and what it can measure with.
func info(stdout io.Writer) error {
	return write(stdout, struct {
		Version  string             `json:"version"` // of this program
		Device   profiles.Device    `json:"device"`
		Runtimes []profiles.Runtime `json:"runtimes"`
	}{version.String(), latency.ThisDevice(), []profiles.Runtime{native.Info(1)}})
}

// profile measures a request into the file out, or to stdout.
func profile(ctx context.Context, out string, stdin io.Reader, stdout, stderr io.Writer) error {
	q, err := readRequest(stdin)
	if err != nil {
		return failure{err, exitUsage}
	}
	work, err := q.work()
	if err != nil {
		return failure{err, exitUsage}
	}
	pool := kernels.NewPool(max(1, q.Threads))
	defer pool.Close()
	rt := native.Runtime{Pool: pool}
	p := &profiles.Profile{Device: latency.ThisDevice(), Runtime: rt.Info()}
	options := latency.Options{Seed: q.Seed, Rounds: q.Rounds, Progress: progress(stderr)}
	if out == "" {
		if err := latency.Measure(ctx, rt, work, p, options); err != nil {
			return err
		}
		return write(stdout, p)
	}
	if p, err = loadInto(out, p); err != nil {
		return failure{err, exitProfile}
	}
	journal, err := profiles.OpenJournal(out, p)
	if err != nil {
		return journalFailure(err)
	}
	options.Record = journal.Append
	if err := latency.Measure(ctx, rt, work, p, options); err != nil {
		return errors.Join(err, journal.Close())
	}
	return journal.Commit()
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
	old.Device.Kernel, old.Runtime.Build = p.Device.Kernel, p.Runtime.Build
	return old, nil
}

// journalFailure tells a journal of another device or a broken one from a
// folder that cannot be written.
func journalFailure(err error) error {
	var invalid *profiles.InvalidError
	var mismatch *profiles.MismatchError
	if errors.As(err, &invalid) || errors.As(err, &mismatch) {
		return failure{err, exitProfile}
	}
	return err
}

// verify times a model and writes the latency.Verification.
func verify(ctx context.Context, path string, threads int, stdout io.Writer) error {
	if threads < 1 || threads > maxThreads {
		return failure{fmt.Errorf("verify: %d threads: want 1 to %d", threads, maxThreads), exitUsage}
	}
	bad := func(err error) error { return failure{fmt.Errorf("%s: %w", path, err), exitModel} }
	m, err := onnx.ReadFile(path)
	if err != nil {
		return bad(err)
	}
	g, w, err := m.Graph(1)
	if err != nil {
		return bad(err)
	}
	pool := kernels.NewPool(threads)
	defer pool.Close()
	v, err := native.Runtime{Pool: pool}.Verify(ctx, g, w, 1)
	if err != nil {
		return bad(err)
	}
	return write(stdout, v)
}

// progress writes a JSON object a line.
func progress(w io.Writer) func(latency.Progress) {
	encoder := json.NewEncoder(w)
	return func(p latency.Progress) {
		// A reader that has gone away is no reason to stop measuring.
		_ = encoder.Encode(struct {
			Label      string  `json:"label"`
			Done       int     `json:"done"`
			Total      int     `json:"total"`
			ElapsedS   float64 `json:"elapsed_s"`
			RemainingS float64 `json:"remaining_s"`
		}{p.Label, p.Done, p.Total, seconds(p.Elapsed), seconds(p.Remaining)})
	}
}

// seconds rounds to milliseconds.
func seconds(d time.Duration) float64 { return d.Round(time.Millisecond).Seconds() }

// write writes v as indented JSON with a line end.
func write(w io.Writer, v any) error {
	encoder := json.NewEncoder(w)
	encoder.SetIndent("", "  ")
	return encoder.Encode(v)
}

// SPDX-License-Identifier: Apache-2.0

package target

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/edgenas/edgenas/internal/fault"
	"github.com/edgenas/edgenas/internal/kernels"
	"github.com/edgenas/edgenas/internal/native"
	"github.com/edgenas/edgenas/internal/version"
	"github.com/edgenas/edgenas/internal/wire"
	"github.com/edgenas/edgenas/latency"
	"github.com/edgenas/edgenas/ops"
	"github.com/edgenas/edgenas/profiles"
)

// local is this machine.
type local struct {
	targets *Targets
	options Options
}

func (l *local) Report(context.Context) (wire.Report, error) {
	return wire.Report{Format: wire.Format, Version: version.String(), Device: latency.ThisDevice(),
		Runtimes: []profiles.Runtime{native.Info(1)}}, nil
}

func (l *local) Inspect(ctx context.Context) (wire.Report, error) {
	r := wire.Here(ctx, version.String(), native.Info(1))
	r.Facts.WatchLoad()
	return r, nil
}

func (l *local) Measure(ctx context.Context, w Work, p *profiles.Profile, record Record, progress Progress) error {
	return Here(l.options, func(rt native.Runtime) error {
		return latency.Measure(ctx, rt, w.latency(), p, latency.Options{Seed: l.targets.seed,
			Rounds: cmp.Or(w.Rounds, l.options.Rounds), MaxCelsius: l.options.MaxTemp, Record: record, Progress: progress})
	})
}

// Here runs what measures in this process, with the runtime on the threads and
// processors of the options.
func Here(o Options, measure func(native.Runtime) error) error {
	release, err := latency.Confine(o.Cluster)
	if err != nil {
		return fault.New(fault.Usage, err)
	}
	defer release()
	pool := kernels.NewWorkers(o.InferThreads)
	defer pool.Close()
	return measure(native.Runtime{Pool: pool})
}

// VerifyHere times a model in this process.
func VerifyHere(ctx context.Context, g *ops.Graph, w ops.Weights, o Options, seed uint64) (
	v latency.Verification, err error) {
	mode, err := latency.ParseMode(o.Mode)
	if err != nil {
		return v, fault.New(fault.Usage, err)
	}
	err = Here(o, func(rt native.Runtime) error {
		v, err = rt.Verify(ctx, g, w, mode, seed)
		return fault.New(fault.Data, err)
	})
	return v, err
}

// Verify runs this program's own verify command, so that nothing which
// happened here can flatter the model.
func (l *local) Verify(ctx context.Context, path, mode string) (latency.Verification, error) {
	args := append(slices.Clone(l.targets.host.Self), "verify", path, "--json", "--quiet", "--mode", mode,
		"--infer-threads", strconv.Itoa(l.options.InferThreads), "--seed", strconv.FormatUint(l.targets.seed, 10))
	if l.options.Cluster != "" {
		args = append(args, "--cluster", l.options.Cluster)
	}
	working, cancel := context.WithTimeout(ctx, callTime)
	defer cancel()
	cmd := exec.CommandContext(working, args[0], args[1:]...)
	cmd.WaitDelay = time.Second // for what it may have started
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		code := fault.Device
		if s := cmd.ProcessState; s != nil && s.Exited() {
			code = meaning(s.ExitCode())
		}
		if code == fault.Interrupted { // a terminal tells both
			return latency.Verification{}, context.Canceled
		}
		if ctx.Err() != nil {
			return latency.Verification{}, ctx.Err()
		}
		if working.Err() != nil {
			err, code = fmt.Errorf("no answer within %v", callTime), fault.Device
		}
		err = fmt.Errorf("verify %s in a process of its own: %w: %s", path, err, strings.TrimSpace(stderr.String()))
		return latency.Verification{}, fault.New(code, err)
	}
	var v latency.Verification
	if err := json.Unmarshal(stdout.Bytes(), &v); err != nil {
		return v, fmt.Errorf("verify %s: its output: %w", path, err)
	}
	if !(v.MedianS > 0) {
		return v, errors.New("verify: it has measured no median")
	}
	return v, nil
}

// meaning is the exit code here for that of a program that measured.
func meaning(status int) int {
	switch status {
	case fault.Usage, fault.Profile, fault.Data, fault.Interrupted:
		return status
	case 126, 127: // it cannot be run, or is not there
		return fault.Device
	}
	if status >= 128 { // it was killed
		return fault.Device
	}
	return fault.Unexpected
}

func (*local) Leave() error { return nil }

// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/edgenas/edgenas/arch"
	"github.com/edgenas/edgenas/internal/kernels"
	"github.com/edgenas/edgenas/internal/native"
	"github.com/edgenas/edgenas/internal/version"
	"github.com/edgenas/edgenas/internal/wire"
	"github.com/edgenas/edgenas/latency"
	"github.com/edgenas/edgenas/profiles"
)

// local is this machine.
type local struct {
	app   *app
	flags place
}

func (l *local) report(context.Context) (wire.Report, error) {
	return wire.Report{Format: wire.Format, Version: version.String(), Device: latency.ThisDevice(), Runtimes: []profiles.Runtime{native.Info(1)}}, nil
}

func (l *local) measure(ctx context.Context, _ arch.Space, w latency.Work, p *profiles.Profile, o latency.Options) error {
	release, err := latency.Confine(l.flags.cluster)
	if err != nil {
		return usageError{err}
	}
	defer release()
	pool := kernels.NewWorkers(l.flags.threads)
	defer pool.Close()
	return latency.Measure(ctx, native.Runtime{Pool: pool}, w, p, o)
}

// verify runs this program's own verify command, so that nothing which
// happened here can flatter the model.
func (l *local) verify(ctx context.Context, path, mode string) (latency.Verification, error) {
	args := append(slices.Clone(l.app.self), "verify", path, "--json", "--quiet", "--mode", mode, "--infer-threads", strconv.Itoa(l.flags.threads))
	if l.flags.cluster != "" {
		args = append(args, "--cluster", l.flags.cluster)
	}
	working, cancel := context.WithTimeout(ctx, callTime)
	defer cancel()
	cmd := exec.CommandContext(working, args[0], args[1:]...)
	cmd.WaitDelay = time.Second // for what it may have started
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		if cmd.ProcessState != nil && cmd.ProcessState.ExitCode() == exitInterrupted { // a terminal tells both
			return latency.Verification{}, context.Canceled
		}
		if ctx.Err() != nil {
			return latency.Verification{}, ctx.Err()
		}
		if working.Err() != nil {
			err = fmt.Errorf("no answer within %v", callTime)
		}
		return latency.Verification{}, verifyError{fmt.Errorf("verify %s in a process of its own: %w: %s", path, err, strings.TrimSpace(stderr.String()))}
	}
	var v latency.Verification
	if err := json.Unmarshal(stdout.Bytes(), &v); err != nil {
		return v, fmt.Errorf("verify %s: its output: %w", path, err)
	}
	if !(v.MedianS > 0) {
		return v, errors.New("verify: no median")
	}
	return v, nil
}

func (*local) leave() error { return nil }

// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"

	"github.com/spf13/cobra"

	"github.com/edgenas/edgenas/internal/infer"
	"github.com/edgenas/edgenas/internal/kernels"
	"github.com/edgenas/edgenas/latency"
	"github.com/edgenas/edgenas/profiles"
)

// targetFlags say which device and runtime a budget holds for.
type targetFlags struct {
	device        string // empty: the profile's, or this machine without one
	runtime       string
	inferThreads  int
	profiles      []string
	allowEmulated bool
}

func (f *targetFlags) add(c *cobra.Command) {
	c.Flags().StringVar(&f.device, "device", "", "where to measure: local; without it and with --profile, nothing is measured")
	c.Flags().StringVar(&f.runtime, "runtime", infer.Name, "what runs the network: native")
	c.Flags().IntVar(&f.inferThreads, "infer-threads", 1, "threads of the measured runtime")
}

func (f *targetFlags) addProfile(c *cobra.Command) {
	c.Flags().StringArrayVar(&f.profiles, "profile", nil, "profile file of the device")
	c.Flags().BoolVar(&f.allowEmulated, "allow-emulated", false, "take timings that were measured under emulation, which are not valid")
}

func (f *targetFlags) check() error {
	if f.device != "" {
		if err := checkDevice(f.device); err != nil {
			return err
		}
	}
	if f.inferThreads < 1 || f.inferThreads > 64 {
		return usagef("--infer-threads %d: want 1 to 64", f.inferThreads)
	}
	if len(f.profiles) > 1 {
		return usagef("--profile: %d files: want one", len(f.profiles))
	}
	return checkRuntime(f.runtime)
}

// live says whether the target is at hand, so that it can be measured.
func (f *targetFlags) live() bool { return f.device != "" || len(f.profiles) == 0 }

// validationNetworks is how many networks a profile measures whole: they give
// the constant and the guard band.
const validationNetworks = 20

// loadProfile reads and checks the --profile file; without one it is a new
// profile of this machine.
func (a *app) loadProfile(f *targetFlags) (*profiles.Profile, error) {
	here, rt := latency.ThisDevice(), nativeInfo(f.inferThreads)
	if len(f.profiles) == 0 {
		return &profiles.Profile{Device: here, Runtime: rt}, nil
	}
	p, err := profiles.Load(f.profiles[0])
	if err != nil {
		return nil, profileError{err}
	}
	want := profiles.Device{}
	if f.device != "" {
		want = here
	}
	warnings, err := p.Check(want, profiles.Runtime{Name: rt.Name, Threads: rt.Threads, DType: rt.DType, Layout: rt.Layout})
	if err != nil {
		return nil, fmt.Errorf("%s: %w", f.profiles[0], err)
	}
	for _, w := range warnings {
		a.note("warning: %s: %s", f.profiles[0], w)
	}
	if p.Emulated() && !f.allowEmulated {
		return nil, profileError{fmt.Errorf("%s: its times were measured under emulation and are not valid: measure on the device itself (or --allow-emulated)", f.profiles[0])}
	}
	return p, nil
}

// measure fills what p lacks of the networks' operations, and of whole
// networks, by measuring this machine. The result is saved at path; an
// interrupted measurement goes on from what is beside it.
func (a *app) measure(ctx context.Context, p *profiles.Profile, n *networks, f *targetFlags, path string) (err error) {
	whole, err := n.sample(max(0, validationNetworks-len(p.Networks)), rand.New(rand.NewPCG(a.seed, 2)))
	if err != nil {
		return err
	}
	journal, err := profiles.OpenJournal(path, p)
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, journal.Close())
		}
	}()
	if journal.Resumed() > 0 {
		a.note("continuing the measurement in %s.partial: %d measured already", path, journal.Resumed())
	}
	pool := kernels.NewPool(f.inferThreads)
	defer pool.Close()
	var bar *stage
	err = latency.Measure(ctx, native{pool}, latency.Work{Keys: n.keys, Networks: whole}, p, latency.Options{
		Seed:   a.seed,
		Record: journal.Append,
		Progress: func(pr latency.Progress) {
			if bar == nil {
				bar = a.stage("measure", pr.Total)
			}
			bar.resize(pr.Total)
			bar.update(pr.Done, pr.Label)
		}})
	if err != nil {
		if bar != nil {
			bar.end("stopped")
		}
		if errors.Is(err, context.Canceled) {
			a.note("what was measured is in %s.partial: the same command goes on from there", path)
		}
		return err
	}
	if bar != nil {
		bar.end(fmt.Sprintf("%d operations and %d networks of %s", len(n.keys), len(p.Networks), p.Device.Name()))
	}
	if err := p.Save(path); err != nil {
		return err
	}
	for _, w := range p.Warnings {
		a.note("warning: %s", w)
	}
	return journal.Commit()
}

// table is the profile as a latency table; with a live target, what it lacks
// is measured first and saved at path.
func (a *app) table(ctx context.Context, n *networks, f *targetFlags, path string) (*profiles.Profile, *latency.Table, error) {
	p, err := a.loadProfile(f)
	if err != nil {
		return nil, nil, err
	}
	switch missing := p.Missing(keyTexts(n)); {
	case !f.live() && len(missing) > 0:
		return nil, nil, &profiles.MissingError{Keys: missing, Device: p.Device.Name()}
	case f.live() && (len(missing) > 0 || len(p.Networks) == 0):
		if err := a.measure(ctx, p, n, f, path); err != nil {
			return nil, nil, err
		}
	}
	t := latency.NewTable(p)
	for _, k := range n.keys { // a failed entry that a network needs
		if _, err := t.Operation(k); err != nil {
			return nil, nil, err
		}
	}
	return p, t, p.Save(path)
}

func keyTexts(n *networks) []string {
	texts := make([]string, len(n.keys))
	for i, k := range n.keys {
		texts[i] = k.String()
	}
	return slices.Clip(texts)
}

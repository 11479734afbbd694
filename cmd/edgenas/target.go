// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"

	"github.com/spf13/cobra"

	"github.com/edgenas/edgenas/internal/infer"
	"github.com/edgenas/edgenas/internal/kernels"
	"github.com/edgenas/edgenas/internal/native"
	"github.com/edgenas/edgenas/latency"
	"github.com/edgenas/edgenas/profiles"
)

// targetFlags say which device and runtime a budget holds for.
type targetFlags struct {
	device        string // empty: the profile's, or this machine without one
	runtime       string
	inferThreads  int
	rounds        int // of measurement; 0: as many as usual
	profiles      []string
	allowEmulated bool
}

func (f *targetFlags) add(c *cobra.Command) {
	c.Flags().StringVar(&f.device, "device", "", "where to measure: local; without it and with --profile, nothing is measured")
	c.Flags().StringVar(&f.runtime, "runtime", infer.Name, "what runs the network: native")
	c.Flags().IntVar(&f.inferThreads, "infer-threads", 1, "threads of the measured runtime")
}

// addRounds adds the flag for commands that measure a table.
func (f *targetFlags) addRounds(c *cobra.Command) {
	c.Flags().IntVar(&f.rounds, "rounds", 0, "rounds in which each operation is measured, at least; 0: as many as the 95 % bounds need")
}

func (f *targetFlags) addProfile(c *cobra.Command) {
	c.Flags().StringArrayVar(&f.profiles, "profile", nil, "profile file of the device")
	c.Flags().BoolVar(&f.allowEmulated, "allow-emulated", false, "take timings that were measured under emulation, which are not valid")
}

func (f *targetFlags) check() error {
	if f.device != "" && f.device != "local" {
		return usagef("--device %q: unknown; known is \"local\" (run edgenas profile on the other device and bring the file here with --profile)", f.device)
	}
	if f.inferThreads < 1 || f.inferThreads > 64 {
		return usagef("--infer-threads %d: want 1 to 64", f.inferThreads)
	}
	if f.rounds < 0 || f.rounds > 10_000 {
		return usagef("--rounds %d: want 0 to 10000", f.rounds)
	}
	if len(f.profiles) > 1 {
		return usagef("--profile: %d files: want one", len(f.profiles))
	}
	if f.runtime != infer.Name {
		return usagef("--runtime %q: unknown; known is %q", f.runtime, infer.Name)
	}
	return nil
}

// live says whether the target is at hand, so that it can be measured.
func (f *targetFlags) live() bool { return f.device != "" || len(f.profiles) == 0 }

// profile is the --profile file; empty: none.
func (f *targetFlags) profile() string {
	if len(f.profiles) == 0 {
		return ""
	}
	return f.profiles[0]
}

// loadProfile reads and checks the --profile file; without one it is a new
// profile of this machine.
func (a *app) loadProfile(f *targetFlags) (*profiles.Profile, error) {
	here, rt := latency.ThisDevice(), native.Info(f.inferThreads)
	fresh := &profiles.Profile{Device: here, Runtime: rt}
	if f.live() && fresh.Emulated() && !f.allowEmulated {
		return nil, profileError{errors.New("this program runs under emulation, where times are not valid: measure on the device itself (or --allow-emulated)")}
	}
	path := f.profile()
	if path == "" {
		return fresh, nil
	}
	p, err := profiles.Load(path)
	var invalid *profiles.InvalidError
	if errors.As(err, &invalid) {
		err = fmt.Errorf("%w; measure that device again with edgenas profile", err)
	}
	if err != nil {
		return nil, profileError{err}
	}
	want := profiles.Device{}
	if f.live() {
		want = here
	}
	warnings, err := p.Check(want, profiles.Runtime{Name: rt.Name, Threads: rt.Threads, DType: rt.DType, Layout: rt.Layout})
	if err != nil && f.live() {
		err = fmt.Errorf("%w; measure this device with edgenas profile, or leave --device out to search for that one", err)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	for _, w := range warnings {
		a.note("warning: %s: %s", path, w)
	}
	if p.Emulated() && !f.allowEmulated {
		return nil, profileError{fmt.Errorf("%s: its times were measured under emulation and are not valid: measure on the device itself (or --allow-emulated)", path)}
	}
	return p, nil
}

// lacks is an error if the profile lacks an operation that the networks need,
// or failed to measure it. It says how to measure that.
func lacks(p *profiles.Profile, n *networks, f *targetFlags) error {
	var err error
	texts := keyTexts(n)
	if missing := p.Missing(texts); missing != nil {
		err = &profiles.MissingError{Keys: missing, Device: p.Device.Name()}
	}
	for i := 0; err == nil && i < len(texts); i++ {
		_, err = p.Lookup(texts[i])
	}
	if err == nil {
		return nil
	}
	s := n.space.Size()
	threads := ""
	if f.inferThreads != 1 {
		threads = fmt.Sprintf(" --infer-threads %d", f.inferThreads)
	}
	return fmt.Errorf("%s: %w; on that device: edgenas profile --space %s --cells %d --channels %d --image %d --colours %d --classes %d%s --only-missing -o %s", f.profile(), err,
		n.space.Name(), s.Cells, s.Channels, s.Image, s.Colours, s.Classes, threads, quote(f.profile()))
}

// table is the profile as a latency table; with a live target, what it lacks
// is measured first. It is saved at path.
func (a *app) table(ctx context.Context, p *profiles.Profile, n *networks, f *targetFlags, path string) (*latency.Table, error) {
	err := lacks(p, n, f)
	if f.live() && (err != nil || len(p.Networks) == 0) {
		if err := a.complete(ctx, p, n, f, path); err != nil {
			return nil, err
		}
		for _, key := range keyTexts(n) {
			if _, err := p.Lookup(key); err != nil {
				return nil, err
			}
		}
	} else if err != nil {
		return nil, err
	}
	return latency.NewTable(p), p.Save(path)
}

// validationNetworks is how many networks a profile measures whole: they give
// the constant and the guard band.
const validationNetworks = 20

// complete measures on this machine what p lacks of the networks' operations,
// and of whole networks. The result is saved at path; an interrupted
// measurement goes on from what is beside it.
func (a *app) complete(ctx context.Context, p *profiles.Profile, n *networks, f *targetFlags, path string) (err error) {
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
	done := fmt.Sprintf("%d operations and %d networks of %s", len(n.keys), len(p.Networks)+len(whole), p.Device.Name())
	if err := a.measure(ctx, "measure", latency.Work{Keys: n.keys, Networks: whole}, p, f, journal.Append, done); err != nil {
		return err
	}
	for _, w := range p.Warnings {
		a.note("warning: %s", w)
	}
	return journal.Commit()
}

// measure measures with the native runtime and shows how far it is.
func (a *app) measure(ctx context.Context, name string, w latency.Work, p *profiles.Profile, f *targetFlags, record func([]profiles.Entry, []profiles.Network) error, done string) error {
	pool := kernels.NewPool(f.inferThreads)
	defer pool.Close()
	bar := a.stage(name, len(w.Keys)+len(w.Networks))
	defer bar.stop()
	err := latency.Measure(ctx, native.Runtime{Pool: pool}, w, p, latency.Options{Seed: a.seed, Rounds: f.rounds, Record: record,
		Progress: func(pr latency.Progress) {
			bar.resize(pr.Total)
			bar.update(pr.Done, pr.Label)
		}})
	if err == nil {
		bar.end(done)
	}
	return err
}

func keyTexts(n *networks) []string {
	texts := make([]string, len(n.keys))
	for i, k := range n.keys {
		texts[i] = k.String()
	}
	return texts
}

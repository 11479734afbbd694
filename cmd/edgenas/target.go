// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"regexp"

	"github.com/spf13/cobra"

	"github.com/edgenas/edgenas/arch"
	"github.com/edgenas/edgenas/devices"
	"github.com/edgenas/edgenas/internal/infer"
	"github.com/edgenas/edgenas/internal/native"
	"github.com/edgenas/edgenas/internal/wire"
	"github.com/edgenas/edgenas/latency"
	"github.com/edgenas/edgenas/predict"
	"github.com/edgenas/edgenas/profiles"
)

// targetFlags say which device and runtime a budget holds for.
type targetFlags struct {
	device        string // empty: the profile's, or this machine without one
	runtime       string
	inferThreads  int
	cluster       string // processors to measure on; empty: the fastest
	keep          bool   // leave the agent on the device
	dir           string // for the agent on the device; empty: the usual ones
	maxTemp       float64
	rounds        int    // of measurement; 0: as many as usual
	mode          string // latency.Mode; empty: the profile's, or burst without one
	profiles      []string
	allowEmulated bool
}

func (f *targetFlags) add(c *cobra.Command) {
	c.Flags().StringVar(&f.device, "device", "", "where to measure: local, ssh://[user@]host[:port], adb or adb:SERIAL; without it and with --profile, nothing is measured")
	c.Flags().StringVar(&f.runtime, "runtime", infer.Name, "what runs the network: native")
	c.Flags().IntVar(&f.inferThreads, "infer-threads", 1, "threads of the measured runtime")
	c.Flags().StringVar(&f.cluster, "cluster", "", "cores to measure on: big, little or a mask such as 0xf0; without it, the fastest that may be used")
	c.Flags().BoolVar(&f.keep, "keep", false, "leave the agent on the device, so that it need not be copied again")
	c.Flags().StringVar(&f.dir, "device-dir", "", "folder on the device for the agent, if the usual one cannot hold programs")
}

// addRounds adds the flag for commands that measure a table.
func (f *targetFlags) addRounds(c *cobra.Command) {
	c.Flags().IntVar(&f.rounds, "rounds", 0, "rounds in which each operation is measured, at least; 0: as many as the 95 % bounds need")
	c.Flags().Float64Var(&f.maxTemp, "max-temp", 0, "begin no round of measurement while the processor is hotter, in degrees Celsius; 0: do not wait")
}

// addMode adds the flag for commands that say how to measure.
func (f *targetFlags) addMode(c *cobra.Command) {
	c.Flags().StringVar(&f.mode, "mode", "", "burst: a cool device; sustained: warmed up until it is steady; paced=33ms: one inference in each period, asleep in between; without it, as the profile has it, or burst")
}

func (f *targetFlags) addProfile(c *cobra.Command) {
	c.Flags().StringArrayVar(&f.profiles, "profile", nil, "profile file of the device")
	c.Flags().BoolVar(&f.allowEmulated, "allow-emulated", false, "take timings that were measured under emulation, which are not valid")
}

var clusterSyntax = regexp.MustCompile(`^(big|little|0x[0-9A-Fa-f]{1,64})$`)

func (f *targetFlags) check() error {
	if f.device != "" {
		if err := checkAddress("--device", f.device); err != nil {
			return err
		}
	}
	if f.cluster != "" && !clusterSyntax.MatchString(f.cluster) {
		return usagef("--cluster %q: want big, little or a mask of processors such as 0xf0", f.cluster)
	}
	if f.inferThreads < 1 || f.inferThreads > wire.MaxThreads {
		return usagef("--infer-threads %d: want 1 to %d", f.inferThreads, wire.MaxThreads)
	}
	if f.rounds < 0 || f.rounds > wire.MaxRounds {
		return usagef("--rounds %d: want 0 to %d", f.rounds, wire.MaxRounds)
	}
	if !(f.maxTemp == 0 || f.maxTemp >= 20 && f.maxTemp <= 120) {
		return usagef("--max-temp %g: want 20 to 120, in degrees Celsius", f.maxTemp)
	}
	mode, err := latency.ParseMode(f.mode)
	if err != nil {
		return usageError{fmt.Errorf("--mode: %w", err)}
	}
	if f.mode != "" {
		f.mode = mode.String()
	}
	if mode.Sustained && f.maxTemp > 0 {
		return usagef("--mode sustained does not wait for --max-temp %g: leave one of them out", f.maxTemp)
	}
	if len(f.profiles) > 1 {
		return usagef("--profile: %d files: want one", len(f.profiles))
	}
	if f.runtime != infer.Name {
		return usagef("--runtime %q: unknown; known is %q", f.runtime, infer.Name)
	}
	return nil
}

// checkAddress refuses an address that cannot be meant.
func checkAddress(what, address string) error {
	_, err := devices.Parse(address)
	var wrong *devices.AddressError
	if errors.As(err, &wrong) {
		return usagef("%s %q: %s", what, wrong.Address, wrong.Reason)
	}
	return err
}

// target measures: this machine, or a device.
type target interface {
	// report says what it is, in what state, and what runtimes it has.
	report(ctx context.Context) (wire.Report, error)
	// measure is latency.Measure there; the networks are of the space.
	measure(ctx context.Context, s arch.Space, w latency.Work, p *profiles.Profile, o latency.Options) error
	// verify times a model file in a process of its own, in a named
	// [latency.Mode].
	verify(ctx context.Context, path, mode string) (latency.Verification, error)
	// leave ends what the target holds; it can be used again.
	leave() error
}

// target is what the flags name, for as long as the program runs.
func (a *app) target(f *targetFlags) target {
	for _, t := range a.targets {
		if t.flags == f.place() {
			return t.target
		}
	}
	var t target = &local{app: a, flags: f.place()}
	if f.device != "" && f.device != string(devices.Local) {
		t = &remote{app: a, flags: f.place()}
	}
	a.targets = append(a.targets, placed{f.place(), t})
	return t
}

// place is what of the flags says where and on what to measure.
type place struct {
	device, runtime, cluster, dir string
	threads                       int
	keep                          bool
}

type placed struct {
	flags place
	target
}

func (f *targetFlags) place() place {
	return place{device: f.device, runtime: f.runtime, cluster: f.cluster, dir: f.dir, threads: f.inferThreads, keep: f.keep}
}

// describe is what profiles say of a target.
func (a *app) describe(ctx context.Context, f *targetFlags) (*profiles.Profile, error) {
	r, err := a.target(f).report(ctx)
	if err != nil {
		return nil, err
	}
	rt, err := r.Runtime(f.runtime, f.inferThreads)
	if err != nil {
		return nil, err
	}
	rt.Cluster = f.cluster
	return &profiles.Profile{Device: r.Device, Runtime: rt, Protocol: profiles.Protocol{Mode: f.mode}}, nil
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
// profile of the target.
func (a *app) loadProfile(ctx context.Context, f *targetFlags) (*profiles.Profile, error) {
	fresh := &profiles.Profile{Runtime: native.Info(f.inferThreads)}
	if f.live() {
		var err error
		if fresh, err = a.describe(ctx, f); err != nil {
			return nil, err
		}
	}
	if fresh.Emulated() && !f.allowEmulated {
		return nil, profileError{errors.New("the device runs under emulation, where times are not valid: measure on the device itself (or --allow-emulated)")}
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
	rt := fresh.Runtime
	warnings, err := p.Check(fresh.Device, profiles.Runtime{Name: rt.Name, Threads: rt.Threads, DType: rt.DType, Layout: rt.Layout, Cluster: f.cluster})
	if err == nil && f.live() {
		if f.mode == "" {
			fresh.Protocol.Mode = p.Protocol.Mode
		}
		err = p.SameWay(fresh)
	}
	if err != nil && f.live() {
		err = fmt.Errorf("%w; measure the device with edgenas profile, or leave --device out to search for that one", err)
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
	how := ""
	if f.inferThreads != 1 {
		how += fmt.Sprintf(" --infer-threads %d", f.inferThreads)
	}
	if p.Runtime.Cluster != "" {
		how += " --cluster " + p.Runtime.Cluster
	}
	if mode := p.Protocol.InMode(); mode != profiles.Burst {
		how += " --mode " + mode
	}
	return fmt.Errorf("%s: %w; on that device: edgenas profile --space %s --cells %d --channels %d --image %d --colours %d --classes %d%s --only-missing -o %s", f.profile(), err,
		n.space.Name(), s.Cells, s.Channels, s.Image, s.Colours, s.Classes, how, quote(f.profile()))
}

// table is the profile as a latency table; with a live target, what it lacks
// is measured first. It is saved at path.
func (a *app) table(ctx context.Context, p *profiles.Profile, n *networks, f *targetFlags, path string) (*predict.Table, error) {
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
	return predict.NewTable(p), p.Save(path)
}

// validationNetworks is how many networks a profile measures whole: they give
// the constant and the guard band.
const validationNetworks = 20

// complete measures on the target what p lacks of the networks' operations,
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
	if err := a.measure(ctx, "measure", n.space, latency.Work{Keys: n.keys, Networks: whole}, p, f, journal.Append, done); err != nil {
		return err
	}
	for _, w := range p.Warnings {
		a.note("warning: %s", w)
	}
	return journal.Commit()
}

// measure measures on the target and shows how far it is.
func (a *app) measure(ctx context.Context, name string, space arch.Space, w latency.Work, p *profiles.Profile, f *targetFlags, record func([]profiles.Entry, []profiles.Network) error, done string) error {
	bar := a.stage(name, len(w.Keys)+len(w.Networks))
	defer bar.stop()
	err := a.target(f).measure(ctx, space, w, p, latency.Options{Seed: a.seed, Rounds: f.rounds, MaxCelsius: f.maxTemp, Record: record,
		Progress: func(pr latency.Progress) {
			bar.resize(pr.Total)
			bar.foresee(pr.Remaining)
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

// SPDX-License-Identifier: Apache-2.0

package target

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"

	"github.com/edgenas/edgenas/arch"
	"github.com/edgenas/edgenas/internal/event"
	"github.com/edgenas/edgenas/internal/fault"
	"github.com/edgenas/edgenas/internal/inventory"
	"github.com/edgenas/edgenas/internal/native"
	"github.com/edgenas/edgenas/internal/wording"
	"github.com/edgenas/edgenas/latency"
	"github.com/edgenas/edgenas/ops"
	"github.com/edgenas/edgenas/predict"
	"github.com/edgenas/edgenas/profiles"
)

// Describe is what profiles say of a target.
func (t *Targets) Describe(ctx context.Context, o Options) (*profiles.Profile, error) {
	r, err := t.Of(o).Report(ctx)
	if err != nil {
		return nil, err
	}
	rt, err := r.Runtime(o.Runtime, o.InferThreads)
	if err != nil {
		return nil, err
	}
	rt.Cluster = o.Cluster
	return &profiles.Profile{Device: r.Device, Runtime: rt, Protocol: profiles.Protocol{Mode: o.Mode}}, nil
}

// ReadProfile reads a profile file.
func ReadProfile(path string) (*profiles.Profile, error) {
	p, err := profiles.Load(path)
	var invalid *profiles.InvalidError
	if errors.As(err, &invalid) {
		err = fmt.Errorf("%w; measure that device again with edgenas profile", err)
	}
	return p, fault.New(fault.Profile, err)
}

// Profile reads and checks the profile file of the options; without a file it
// is a new profile of the target.
func (t *Targets) Profile(ctx context.Context, o Options) (*profiles.Profile, error) {
	fresh := &profiles.Profile{Runtime: native.Info(o.InferThreads)}
	if o.Live() {
		var err error
		if fresh, err = t.Describe(ctx, o); err != nil {
			return nil, err
		}
	}
	if fresh.Emulated() && !o.AllowEmulated {
		return nil, fault.Errorf(fault.Profile, "the device runs under emulation, where times are not valid:"+
			" measure on the device itself (or --allow-emulated)")
	}
	if o.Profile == "" {
		return fresh, nil
	}
	p, err := ReadProfile(o.Profile)
	if err != nil {
		return nil, err
	}
	rt := fresh.Runtime
	warnings, err := p.Check(fresh.Device,
		profiles.Runtime{Name: rt.Name, Threads: rt.Threads, DType: rt.DType, Layout: rt.Layout, Cluster: o.Cluster})
	if err == nil && o.Live() {
		if o.Mode == "" {
			fresh.Protocol.Mode = p.Protocol.Mode
		}
		err = p.SameWay(fresh)
	}
	if err != nil && o.Live() {
		err = fmt.Errorf("%w; measure the device with edgenas profile, or leave --device out to search for that one", err)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", o.Profile, err)
	}
	for _, w := range warnings {
		t.warn("%s: %s", o.Profile, w)
	}
	if p.Emulated() && !o.AllowEmulated {
		return nil, fault.Errorf(fault.Profile, "%s: its times were measured under emulation and are not valid:"+
			" measure on the device itself (or --allow-emulated)", o.Profile)
	}
	return p, nil
}

// Lacks is an error if the profile of the options lacks an operation that the
// networks need, or failed to measure it. It says how to measure that.
func Lacks(p *profiles.Profile, sizes inventory.Sizes, o Options) error {
	for _, n := range sizes {
		if err := lacks(p, n.KeyTexts()); err != nil {
			return toMeasure(err, p, n.Space(), o)
		}
	}
	return nil
}

func lacks(p *profiles.Profile, texts []string) error {
	if missing := p.Missing(texts); missing != nil {
		return &profiles.MissingError{Keys: missing, Device: p.Device.Name()}
	}
	for _, text := range texts {
		if _, err := p.Lookup(text); err != nil {
			return err
		}
	}
	return nil
}

// toMeasure adds to an error how to measure what the space needs.
func toMeasure(err error, p *profiles.Profile, space arch.Space, o Options) error {
	s := space.Size()
	return fmt.Errorf("%s: %w; on that device: edgenas profile --space %s --cells %d --channels %d --image %d"+
		" --colours %d --classes %d%s --only-missing -o %s", o.Profile, err, space.Name(), s.Cells, s.Channels, s.Image,
		s.Colours, s.Classes, Flags(o.InferThreads, p.Runtime.Cluster, p.Protocol.InMode()), wording.Quote(o.Profile))
}

// Table is the profile as a latency table; with a live target, what it lacks
// is measured first. It is saved at path.
func (t *Targets) Table(ctx context.Context, p *profiles.Profile, sizes inventory.Sizes, o Options, path string) (
	*predict.Table, error) {
	err := Lacks(p, sizes, o)
	if o.Live() && (err != nil || len(p.Networks) == 0) {
		if err := t.Complete(ctx, p, sizes, o, path); err != nil {
			return nil, err
		}
		for _, key := range sizes.Keys() {
			if _, err := p.Lookup(key.String()); err != nil {
				return nil, err
			}
		}
	} else if err != nil {
		return nil, err
	}
	if err := p.Save(path); err != nil {
		return nil, err
	}
	t.sink(event.Written{Path: path})
	return predict.NewTable(p), nil
}

// CalibrationNetworks is how many networks, of all sizes that are asked for at
// once, a profile measures whole, to fit predictions and their interval to: a few
// for each kind of operation, and enough to hold some out.
const CalibrationNetworks = 22

// isOf reports whether a measured network is one of these sizes.
func isOf(n profiles.Network, sizes inventory.Sizes) bool {
	_, ok := sizes.Find(n.Arch, n.Counts)
	return ok
}

// designCandidates is among how many networks those of a calibration are chosen.
const designCandidates = 400

// calibrators are the networks of these sizes to measure whole, beside those of
// them that the profile has.
func calibrators(p *profiles.Profile, sizes inventory.Sizes, seed uint64) ([]inventory.Network, error) {
	candidates, err := sizes.Sample(designCandidates, rand.New(rand.NewPCG(seed, 2)))
	if err != nil {
		return nil, err
	}
	var counts []map[ops.Key]int
	for _, c := range candidates {
		counts = append(counts, ops.Keys(c.Graph))
	}
	there := 0
	for _, n := range p.Networks {
		if isOf(n, sizes) {
			there++
		}
	}
	var chosen []inventory.Network
	for _, i := range predict.Design(predict.Rough, counts, CalibrationNetworks) {
		known := func(k profiles.Network) bool { return k.Arch == candidates[i].Arch }
		if there+len(chosen) < CalibrationNetworks && !slices.ContainsFunc(p.Networks, known) {
			chosen = append(chosen, candidates[i])
		}
	}
	return chosen, nil
}

// Complete measures on the target what p lacks of the networks' operations,
// and of whole networks. The result is saved at path; an interrupted
// measurement goes on from what is beside it.
func (t *Targets) Complete(ctx context.Context, p *profiles.Profile, sizes inventory.Sizes, o Options,
	path string) error {
	drawn, err := calibrators(p, sizes, t.seed)
	if err != nil {
		return err
	}
	journal, err := profiles.OpenJournal(path, p)
	if err != nil {
		return err
	}
	if journal.Resumed() > 0 {
		t.note("continuing the measurement in %s.partial: %d measured already", path, journal.Resumed())
	}
	work := Work{Keys: sizes.Keys(), Networks: drawn}
	done := event.Measured{Operations: len(work.Keys), Networks: len(p.Networks) + len(drawn), Device: p.Device.Name()}
	if err := t.measure(ctx, event.Measure, work, p, o, journal.Append, done); err != nil {
		return errors.Join(err, journal.Close())
	}
	for _, w := range p.Warnings {
		t.warn("%s", w)
	}
	if err := journal.Commit(); err != nil {
		journal.Close() // in case it was not closed
		return err
	}
	return nil
}

// measure measures on the target and tells how far it is.
func (t *Targets) measure(ctx context.Context, stage string, w Work, p *profiles.Profile,
	o Options, record Record, done event.Measured) error {
	return t.stage(stage, done, func(tell Progress) error { return t.Of(o).Measure(ctx, w, p, record, tell) })
}

// stage tells how far what measures is, and what it has done in the end.
func (t *Targets) stage(stage string, done event.Measured, measure func(Progress) error) error {
	t.sink(event.Begun{Stage: stage, Steps: parts})
	err := measure(func(pr latency.Progress) { t.sink(progress(stage, pr)) })
	if err == nil {
		t.sink(done)
	}
	t.sink(event.Ended{Stage: stage, Done: err == nil})
	return err
}

// parts is how many parts of its time a measurement is told in: its steps take
// different times, and their number is not known before the end.
const parts = 1000

// progress tells how far a measurement is.
func progress(stage string, p latency.Progress) event.Progress {
	return event.Progress{Stage: stage, Done: int(parts * p.Share()), Steps: parts, Remaining: p.Remaining,
		Foreseen: true, Label: p.Label}
}

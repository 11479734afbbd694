// SPDX-License-Identifier: Apache-2.0

package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/edgenas/edgenas/arch"
	"github.com/edgenas/edgenas/devices"
	"github.com/edgenas/edgenas/internal/fault"
	"github.com/edgenas/edgenas/internal/inventory"
	"github.com/edgenas/edgenas/internal/target"
	"github.com/edgenas/edgenas/profiles"
)

// profileOptions are those of measuring a table.
type profileOptions struct {
	space       spaceOptions
	budget      latencyFlag
	target      targetOptions
	out         string
	onlyMissing bool
}

func (a *app) profileCommand() *cobra.Command {
	var o profileOptions
	c := &cobra.Command{
		Use:   "profile",
		Short: "Measure a space's operations on a device into a latency table",
		Long: `profile measures every fused operation that a network of the space can be made
of, and some whole networks, which give the constant and the guard band. An
interrupted measurement goes on from where it was with the same command.

It does so for up to three sizes (channels and cells) in which networks use the
budget of a later search: those of --latency-budget, or of ` + usualBudget.String() + ` without it.
With --channels or --cells alone it measures one size.

With --device it measures on a board over ssh or on a phone over adb. Nothing
has to be installed there, and nothing is left there.

A table holds for one --mode: how fast a device is when it is cool and does
nothing else (burst), when it has been busy for minutes (sustained), or when it
sleeps between the frames of a camera (paced).`,
		Example: `  edgenas profile --space nb201 -o here.json
  edgenas profile --device ssh://pi@raspberrypi.local --latency-budget 20ms -o pi5.json
  edgenas profile --device adb --space nb201 -o phone.json
  edgenas profile --device adb --space nb201 --mode paced=33ms -o camera.json
  edgenas profile --space nb201 --channels 32 -o pi5.json --only-missing`,
		Args: arguments(0, 0),
		RunE: func(c *cobra.Command, _ []string) error { return a.runProfile(c.Context(), o) },
	}
	o.AddFlags(c.Flags())
	return c
}

// AddFlags adds the flags of the command.
func (o *profileOptions) AddFlags(f *pflag.FlagSet) {
	o.space.AddFlags(f)
	o.space.addImage(f)
	f.Var(&o.budget, "latency-budget", "time that one inference of a later search may take, with its unit, such as 20ms")
	o.target.AddFlags(f)
	o.target.addRounds(f)
	o.target.addMode(f)
	f.StringVarP(&o.out, "output", "o", "profile.json", "profile file to write")
	f.BoolVar(&o.onlyMissing, "only-missing", false, "keep what the file has and add what it lacks")
}

// runProfile measures what the file lacks.
func (a *app) runProfile(ctx context.Context, o profileOptions) error {
	if err := o.target.check(); err != nil {
		return err
	}
	if _, err := o.space.space(); err != nil {
		return err
	}
	_, err := os.Stat(o.out)
	exists := err == nil
	if exists && !o.onlyMissing {
		return fault.Usagef("-o %s: is there already: --only-missing adds to it, or choose another file", o.out)
	}
	p, err := a.targets().Describe(ctx, o.target.Options)
	if err != nil {
		return err
	}
	if exists {
		if p, err = extend(o.out, p); err != nil {
			return err
		}
	}
	sizes, err := a.sizesToProfile(ctx, p, o)
	if err != nil {
		return err
	}
	if err := a.targets().Complete(ctx, p, sizes, o.target.Options, o.out); err != nil {
		if _, missing := os.Stat(o.out + ".partial"); missing == nil {
			a.note("what was measured is in %s.partial: the same command goes on from there", o.out)
		}
		return err
	}
	res := measuredProfile(o.out, p)
	return a.result(res, res.write)
}

// usualBudget is that of a profile for which none is given: a table for it takes
// a few minutes.
const usualBudget = 10 * time.Millisecond

// sizesToProfile are the sizes of the options, or those that suit the budget.
func (a *app) sizesToProfile(ctx context.Context, p *profiles.Profile, o profileOptions) (inventory.Sizes, error) {
	chosen := []arch.Size{o.space.sized()}
	if given := o.budget.Duration > 0; given || o.space.auto() {
		on := o.target.Options
		on.Device = cmp.Or(on.Device, string(devices.Local)) // it is measured
		budget := cmp.Or(o.budget.Duration, usualBudget)
		sizes, err := a.targets().ChooseSizes(ctx, p, target.SizeRequest{Space: o.space.name, Base: o.space.open(),
			BudgetS: budget.Seconds(), Confidence: confidence, Inventories: a.host.Inventories, Threads: a.threads}, on)
		if err != nil {
			return nil, err
		}
		chosen = sizes.Sizes
		a.note("sizes for a budget of %v: %s", budget, sizes)
	}
	return a.host.Inventories.Sizes(o.space.name, chosen, a.threads)
}

// extend is the profile in the file, if p describes the same target in the same
// mode; p without a mode is in any.
func extend(path string, p *profiles.Profile) (*profiles.Profile, error) {
	old, err := profiles.Load(path)
	if err != nil {
		return nil, fault.New(fault.Profile, err)
	}
	if _, err := old.Check(p.Device, p.Runtime); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	if p.Protocol.Mode == "" {
		p.Protocol.Mode = old.Protocol.Mode
	}
	if err := old.SameWay(p); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return old, nil
}

// measured is what profile says at its end.
type measured struct {
	Profile   string `json:"profile"`
	Device    string `json:"device"`
	Mode      string `json:"mode"`
	Entries   int    `json:"entries"`
	Failed    int    `json:"failed"`
	Networks  int    `json:"networks"`
	Throttled int    `json:"throttled"` // entries and networks
	Emulated  bool   `json:"emulated"`
}

func measuredProfile(path string, p *profiles.Profile) measured {
	m := measured{Profile: path, Device: p.Device.Name(), Mode: p.Protocol.InMode(), Entries: len(p.Entries),
		Networks: len(p.Networks), Emulated: p.Emulated()}
	for _, e := range p.Entries {
		if e.Status == profiles.Failed {
			m.Failed++
		}
		if e.Throttled() {
			m.Throttled++
		}
	}
	for _, n := range p.Networks {
		if n.Throttled() {
			m.Throttled++
		}
	}
	return m
}

func (m measured) write(w io.Writer) {
	fmt.Fprintf(w, "%s: %d operations (%d failed) and %d networks of %s\n", m.Profile, m.Entries, m.Failed, m.Networks,
		m.Device)
	if m.Throttled > 0 {
		fmt.Fprintf(w, "throttled: the device was slowed down while %d of these %d were measured, which carry a warning:"+
			" let it cool (--max-temp), end other programs, or measure --mode sustained\n", m.Throttled, m.Entries+m.Networks)
	}
	if m.Emulated {
		fmt.Fprintln(w, "measured under emulation: these times are NOT valid, and search refuses them")
	}
}

// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"github.com/edgenas/edgenas/profiles"
)

func (a *app) profileCommand() *cobra.Command {
	var (
		space       spaceFlags
		target      targetFlags
		out         string
		onlyMissing bool
	)
	c := &cobra.Command{
		Use:   "profile",
		Short: "Measure a space's operations on a device into a latency table",
		Long: `profile measures every fused operation that a network of the space can be made
of, and some whole networks, which give the constant and the guard band. An
interrupted measurement goes on from where it was with the same command.

With --device it measures on a board over ssh or on a phone over adb. Nothing
has to be installed there, and nothing is left there.

A table holds for one --mode: how fast a device is when it is cool and does
nothing else (burst), when it has been busy for minutes (sustained), or when it
sleeps between the frames of a camera (paced).`,
		Example: `  edgenas profile --space nb201 -o here.json
  edgenas profile --device ssh://pi@raspberrypi.local --space nb201 -o pi5.json
  edgenas profile --device adb --space nb201 -o phone.json
  edgenas profile --device adb --space nb201 --mode paced=33ms -o camera.json
  edgenas profile --space nb201 --channels 32 -o pi5.json --only-missing`,
		Args: arguments(0, 0),
		RunE: func(c *cobra.Command, _ []string) error {
			if err := target.check(); err != nil {
				return err
			}
			s, err := space.space()
			if err != nil {
				return err
			}
			_, err = os.Stat(out)
			exists := err == nil
			if exists && !onlyMissing {
				return usagef("-o %s: is there already: --only-missing adds to it, or choose another file", out)
			}
			p, err := a.describe(c.Context(), &target)
			if err != nil {
				return err
			}
			if exists {
				old, err := profiles.Load(out)
				if err != nil {
					return profileError{err}
				}
				if _, err := old.Check(p.Device, p.Runtime); err != nil {
					return fmt.Errorf("%s: %w", out, err)
				}
				if target.mode == "" {
					p.Protocol.Mode = old.Protocol.Mode
				}
				if err := old.SameWay(p); err != nil {
					return fmt.Errorf("%s: %w", out, err)
				}
				p = old
			}
			n, err := a.networks(s)
			if err != nil {
				return err
			}
			if err := a.complete(c.Context(), p, n, &target, out); err != nil {
				if _, missing := os.Stat(out + ".partial"); missing == nil {
					a.note("what was measured is in %s.partial: the same command goes on from there", out)
				}
				return err
			}
			failed, throttled := 0, 0
			for _, e := range p.Entries {
				if e.Status == profiles.Failed {
					failed++
				}
				if e.Throttled() {
					throttled++
				}
			}
			for _, n := range p.Networks {
				if n.Throttled() {
					throttled++
				}
			}
			res := struct {
				Profile   string `json:"profile"`
				Device    string `json:"device"`
				Mode      string `json:"mode"`
				Entries   int    `json:"entries"`
				Failed    int    `json:"failed"`
				Networks  int    `json:"networks"`
				Throttled int    `json:"throttled"` // entries and networks
				Emulated  bool   `json:"emulated"`
			}{out, p.Device.Name(), p.Protocol.InMode(), len(p.Entries), failed, len(p.Networks), throttled, p.Emulated()}
			return a.result(res, func(w io.Writer) {
				fmt.Fprintf(w, "%s: %d operations (%d failed) and %d networks of %s\n", out, res.Entries, failed, res.Networks, res.Device)
				if res.Throttled > 0 {
					fmt.Fprintf(w, "throttled: the device was slowed down while %d of these %d were measured, which carry a warning: let it cool (--max-temp), end other programs, or measure --mode sustained\n", res.Throttled, res.Entries+res.Networks)
				}
				if res.Emulated {
					fmt.Fprintln(w, "measured under emulation: these times are NOT valid, and search refuses them")
				}
			})
		},
	}
	space.add(c)
	space.addImage(c)
	target.add(c)
	target.addRounds(c)
	target.addMode(c)
	c.Flags().StringVarP(&out, "output", "o", "profile.json", "profile file to write")
	c.Flags().BoolVar(&onlyMissing, "only-missing", false, "keep what the file has and add what it lacks")
	return c
}

// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/edgenas/edgenas/devices"
	"github.com/edgenas/edgenas/internal/hostinfo"
	"github.com/edgenas/edgenas/internal/target"
	"github.com/edgenas/edgenas/internal/wire"
	"github.com/edgenas/edgenas/internal/wording"
)

func (a *app) devicesCommand() *cobra.Command {
	list := a.devicesListCommand()
	c := &cobra.Command{
		Use:     "devices",
		Short:   "List devices, say what they are, and check that they are fit to be measured",
		Example: "  edgenas devices\n  edgenas devices doctor ssh://pi@raspberrypi.local",
		Args:    subcommand,
		RunE:    list.RunE,
	}
	c.AddCommand(list, a.devicesInfoCommand(), a.devicesDoctorCommand())
	return c
}

// listed is a device in the list.
type listed struct {
	Address string `json:"device"`
	Model   string `json:"model,omitempty"`
	Usable  bool   `json:"usable"`
	Advice  string `json:"advice,omitempty"` // why not, and what to do about it
}

func (a *app) devicesListCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "list",
		Short: "List this machine and the phones that adb knows",
		Long: `list shows what --device can name: this machine, and the phones that adb knows.
Boards are not looked for in the network: name one as ssh://user@host, or as
ssh://alias with an alias of ~/.ssh/config.`,
		Example: "  edgenas devices list",
		Args:    arguments(0, 0),
		RunE:    func(c *cobra.Command, _ []string) error { return a.runDevicesList(c.Context()) },
	}
}

// runDevicesList prints this machine and the phones that adb knows.
func (a *app) runDevicesList(ctx context.Context) error {
	l, err := devices.Open(ctx, string(devices.Local), devices.Options{})
	if err != nil {
		return err
	}
	here := l.Info()
	if err := l.Close(); err != nil {
		return err
	}
	all := []listed{{Address: string(devices.Local), Model: fmt.Sprintf("this machine, %s", here.Model), Usable: true}}
	phones, err := devices.Phones(ctx)
	adb := ""
	if err != nil {
		adb = wording.OneLine(err)
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	for _, p := range phones {
		all = append(all, listed{p.Address(), p.Model, p.Usable(), p.Advice()})
	}
	res := struct {
		Devices []listed `json:"devices"`
		ADB     string   `json:"adb_error,omitempty"` // why no phone is listed
	}{all, adb}
	return a.result(res, func(w io.Writer) {
		for _, d := range all {
			fmt.Fprintf(w, "%-24s %s\n", d.Address, strings.Trim(d.Model+": "+d.Advice, ": "))
		}
		if adb != "" {
			fmt.Fprintf(w, "%-24s no phones: %s\n", "adb", adb)
		}
		fmt.Fprintf(w, "%-24s a board, by its name or address in the network or its alias in ~/.ssh/config\n",
			"ssh://user@host")
	})
}

func (a *app) devicesInfoCommand() *cobra.Command {
	return a.aboutDevice("info", "Say what a device is and in what state", func(r wire.Report, w io.Writer) {
		h := r.Facts.Host
		line := func(name, value string) {
			if value != "" {
				fmt.Fprintf(w, "%-12s %s\n", name, value)
			}
		}
		line("model", h.Model)
		line("chip", h.SoC)
		line("cores", fmt.Sprintf("%d", h.Cores))
		for _, c := range h.Clusters {
			text := hostinfo.FormatCPUs(c.CPUs) + " " + c.Core
			if c.MaxHz > 0 {
				text += fmt.Sprintf(", %d to %d MHz", c.MinHz/1e6, c.MaxHz/1e6)
			}
			if c.Capacity > 0 {
				text += fmt.Sprintf(", capacity %d", c.Capacity)
			}
			line("cluster", text)
		}
		for _, p := range r.Facts.Policies {
			line("governor", fmt.Sprintf("%s on %s", p.Governor, hostinfo.FormatCPUs(p.CPUs)))
		}
		line("caches", fmt.Sprintf("%d KiB L1, %d KiB L2, %d KiB L3", h.L1DBytes>>10, h.L2Bytes>>10, h.L3Bytes>>10))
		line("memory", fmt.Sprintf("%d MiB", h.MemoryBytes>>20))
		if z, ok := r.Facts.State.Hottest(); ok {
			line("temperature", fmt.Sprintf("%.1f °C (%s)", z.Celsius, z.Name))
		}
		line("slowed down", strings.Join(r.Facts.State.Throttled, ", "))
		system := fmt.Sprintf("%s %s, kernel %s", h.OS, h.Arch, h.Kernel)
		if h.Android != "" {
			system += fmt.Sprintf(", Android %s (API %d)", h.Android, h.AndroidAPI)
		}
		line("system", system)
		line("emulation", string(h.Emulation))
		if b := r.Facts.Battery; b != nil {
			line("battery", strings.TrimSpace(fmt.Sprintf("%d %% %s", b.Percent, b.Status)))
		}
		line("screen", r.Facts.Power.Screen)
		for _, rt := range r.Runtimes {
			line("runtime", rt.Name+" "+rt.Version)
		}
	})
}

func (a *app) devicesDoctorCommand() *cobra.Command {
	marks := map[hostinfo.Verdict]string{hostinfo.OK: "ok", hostinfo.Warn: "WARN", hostinfo.NoData: "-"}
	c := a.aboutDevice("doctor", "Check what would make measurements on a device wrong", func(r wire.Report, w io.Writer) {
		for _, f := range hostinfo.Checks(r.Facts) {
			fmt.Fprintf(w, "%-5s %-16s %s\n", marks[f.Verdict], f.Name, f.Found)
			if f.Advice != "" {
				fmt.Fprintf(w, "%22s %s\n", "", f.Advice)
			}
		}
	})
	c.Long = `doctor looks at everything that makes measurements wrong: the governor, the
temperature, throttling, battery saver, load, free space, forbidden cores. It
says what to do about each, without root where that is possible.`
	return c
}

// aboutDevice is a command that shows the report of a device, local without
// one.
func (a *app) aboutDevice(name, short string, text func(wire.Report, io.Writer)) *cobra.Command {
	return &cobra.Command{
		Use:     name + " DEV",
		Short:   short,
		Example: "  edgenas devices " + name + " local\n  edgenas devices " + name + " adb",
		Args:    arguments(1, 1),
		RunE:    func(c *cobra.Command, args []string) error { return a.runAboutDevice(c.Context(), args[0], text) },
	}
}

// runAboutDevice shows the report of a device.
func (a *app) runAboutDevice(ctx context.Context, address string, text func(wire.Report, io.Writer)) error {
	if err := target.CheckAddress("device", address); err != nil {
		return err
	}
	r, err := a.facts(ctx, address)
	if err != nil {
		return err
	}
	res := struct {
		Address string `json:"address"`
		wire.Report
		Findings []hostinfo.Finding `json:"findings"`
	}{address, r, hostinfo.Checks(r.Facts)}
	return a.result(res, func(w io.Writer) { text(r, w) })
}

// facts is all that a device tells.
func (a *app) facts(ctx context.Context, address string) (wire.Report, error) {
	o := target.Default()
	o.Device = address
	return a.targets().Of(o).Inspect(ctx)
}

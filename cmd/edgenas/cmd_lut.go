// SPDX-License-Identifier: Apache-2.0

package main

import (
	"cmp"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/edgenas/edgenas/devices"
	"github.com/edgenas/edgenas/internal/native"
	"github.com/edgenas/edgenas/latency"
	"github.com/edgenas/edgenas/predict"
	"github.com/edgenas/edgenas/profiles"
)

func (a *app) lutCommand() *cobra.Command {
	c := &cobra.Command{
		Use:     "lut",
		Short:   "Look at latency tables and check what they predict",
		Example: "  edgenas lut validate --space nb201 --n 50",
		Args:    subcommand,
		RunE:    showHelp,
	}
	c.AddCommand(a.lutShowCommand(), a.lutCheckCommand(), a.lutMergeCommand(), a.lutDiffCommand(), a.lutValidateCommand())
	return c
}

func (a *app) lutShowCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "show FILE",
		Short:   "Show a profile's entries, slowest first",
		Example: "  edgenas lut show out/first/profile.json",
		Args:    arguments(1, 1),
		RunE: func(_ *cobra.Command, args []string) error {
			p, err := profiles.Load(args[0])
			if err != nil {
				return profileError{err}
			}
			return a.result(p, func(w io.Writer) {
				fmt.Fprintln(w, circumstances(p))
				entries := slices.Clone(p.Entries)
				slices.SortStableFunc(entries, func(x, y profiles.Entry) int {
					if x.MedianS > y.MedianS {
						return -1
					}
					return 1
				})
				for _, e := range entries {
					if e.Status == profiles.Failed {
						fmt.Fprintf(w, "%10s %8s  %s: %s\n", "failed", "", e.Key, e.Reason)
						continue
					}
					fmt.Fprintf(w, "%10s ±%5.2f %%  %s %s\n", milliseconds(e.MedianS), 50*(e.HiS-e.LoS)/e.MedianS, e.Key, strings.Join(e.Warnings, "; "))
				}
				for _, text := range p.Warnings {
					fmt.Fprintf(w, "warning: %s\n", text)
				}
			})
		},
	}
}

func (a *app) lutCheckCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "check FILE",
		Short:   "Check that a profile is whole and for this device",
		Example: "  edgenas lut check out/first/profile.json",
		Args:    arguments(1, 1),
		RunE: func(_ *cobra.Command, args []string) error {
			p, err := profiles.Load(args[0])
			if err != nil {
				return profileError{err}
			}
			warnings, err := p.Check(latency.ThisDevice(), native.Info(p.Runtime.Threads))
			if err != nil {
				return fmt.Errorf("%s: %w", args[0], err)
			}
			for _, e := range p.Entries {
				if e.Status == profiles.Failed {
					return fmt.Errorf("%s: %w; edgenas profile --only-missing -o %s tries again", args[0], &profiles.FailedError{Key: e.Key, Reason: e.Reason}, quote(args[0]))
				}
			}
			res := struct {
				Profile  string   `json:"profile"`
				Entries  int      `json:"entries"`
				Networks int      `json:"networks"`
				Warnings []string `json:"warnings"`
			}{args[0], len(p.Entries), len(p.Networks), append(append([]string{}, warnings...), p.Warnings...)}
			return a.result(res, func(w io.Writer) {
				fmt.Fprintf(w, "%s: good: %d operations and %d networks of this device\n", args[0], res.Entries, res.Networks)
				for _, text := range res.Warnings {
					fmt.Fprintf(w, "warning: %s\n", text)
				}
			})
		},
	}
}

func (a *app) lutValidateCommand() *cobra.Command {
	var (
		space  spaceFlags
		target targetFlags
		n      int
	)
	c := &cobra.Command{
		Use:   "validate",
		Short: "Measure random networks whole and compare them with their prediction",
		Long: `validate draws networks that the profile does not know, measures them whole on
the device and compares: bias, mean absolute percentage error, share within
±5 % and ±10 %, rank correlation, and the worst cases. Missing entries are
measured first.`,
		Example: "  edgenas lut validate --space nb201 --n 50",
		Args:    arguments(0, 0),
		RunE: func(c *cobra.Command, _ []string) error {
			if err := target.check(); err != nil {
				return err
			}
			if n < 2 || n > 1000 {
				return usagef("--n %d: want 2 to 1000", n)
			}
			s, err := space.space()
			if err != nil {
				return err
			}
			nets, err := a.networks(s)
			if err != nil {
				return err
			}
			target.device = cmp.Or(target.device, string(devices.Local)) // validation is measuring
			p, err := a.loadProfile(c.Context(), &target)
			if err != nil {
				return err
			}
			tmp, err := os.MkdirTemp("", "edgenas-validate-")
			if err != nil {
				return err
			}
			defer os.RemoveAll(tmp)
			table, err := a.table(c.Context(), p, nets, &target, filepath.Join(tmp, profileFile))
			if err != nil {
				return err
			}
			drawn, err := nets.sample(n+len(p.Networks), rand.New(rand.NewPCG(a.seed, 9)))
			if err != nil {
				return err
			}
			drawn = slices.DeleteFunc(drawn, func(d latency.Network) bool {
				return slices.ContainsFunc(p.Networks, func(k profiles.Network) bool { return k.Arch == d.Arch })
			})
			drawn = drawn[:min(n, len(drawn))]
			measured := &profiles.Profile{Device: p.Device, Runtime: p.Runtime, Protocol: profiles.Protocol{Mode: p.Protocol.Mode}}
			if err := a.measure(c.Context(), "validate", s, latency.Work{Networks: drawn}, measured, &target, nil, fmt.Sprintf("%d networks", len(drawn))); err != nil {
				return err
			}
			cases, err := validationCases(table, drawn, measured.Networks)
			if err != nil {
				return err
			}
			v, err := predict.Validate(cases)
			if err != nil {
				return err
			}
			return a.result(v, func(w io.Writer) {
				fmt.Fprintf(w, "%d networks: bias %+.1f %%, mean absolute error %.1f %%, within ±5 %%: %.0f %%, within ±10 %%: %.0f %%", v.N, 100*v.Bias, 100*v.MAPE, 100*v.Within5, 100*v.Within10)
				if v.Spearman != nil {
					fmt.Fprintf(w, ", Spearman %.3f", *v.Spearman)
				}
				fmt.Fprintln(w, "\nworst:")
				for _, c := range v.Worst {
					fmt.Fprintf(w, "%+6.1f %%  predicted %s, measured %s  %s\n", 100*c.Error(), milliseconds(c.PredictedS), milliseconds(c.MeasuredS), c.Arch)
				}
			})
		},
	}
	space.add(c)
	space.addImage(c)
	target.add(c)
	target.addRounds(c)
	target.addMode(c)
	target.addProfile(c)
	c.Flags().IntVar(&n, "n", 50, "number of networks")
	return c
}

// validationCases pairs each measured network with its prediction. Measuring
// hands them back in an order of its own.
func validationCases(t *predict.Table, drawn []latency.Network, measured []profiles.Network) ([]predict.Case, error) {
	predicted := map[string]float64{}
	for _, d := range drawn {
		e, err := t.Estimate(d.Graph)
		if err != nil {
			return nil, err
		}
		predicted[d.Arch] = e.Seconds
	}
	var cases []predict.Case
	for _, m := range measured {
		if m.Status != profiles.OK {
			return nil, fmt.Errorf("validate: %s: %s", m.Arch, m.Reason)
		}
		cases = append(cases, predict.Case{Arch: m.Arch, PredictedS: predicted[m.Arch], MeasuredS: m.MedianS})
	}
	return cases, nil
}

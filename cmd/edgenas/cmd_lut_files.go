// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/edgenas/edgenas/internal/fault"
	"github.com/edgenas/edgenas/internal/units"
	"github.com/edgenas/edgenas/profiles"
	"github.com/edgenas/edgenas/report"
)

func (a *app) lutMergeCommand() *cobra.Command {
	var out string
	c := &cobra.Command{
		Use:   "merge FILE FILE...",
		Short: "Merge profiles of one device into one",
		Long: `merge takes of each operation and each network what was measured with the most
samples. All files must be of the same device and runtime.`,
		Example: "  edgenas lut merge pi5.json pi5-darts.json -o all.json",
		Args:    arguments(2, 1000),
		RunE: func(_ *cobra.Command, args []string) error {
			if out == "" {
				return fault.Usagef("-o is needed: the file to write")
			}
			p, err := profiles.Load(args[0])
			if err != nil {
				return fault.New(fault.Profile, err)
			}
			for _, path := range args[1:] {
				q, err := profiles.Load(path)
				if err == nil {
					err = p.Add(q)
				}
				if err != nil {
					return fault.Errorf(fault.Profile, "%s: %w", path, err)
				}
			}
			if err := p.Save(out); err != nil {
				return err
			}
			res := struct {
				Profile  string `json:"profile"`
				Entries  int    `json:"entries"`
				Networks int    `json:"networks"`
			}{out, len(p.Entries), len(p.Networks)}
			return a.result(res, func(w io.Writer) {
				fmt.Fprintf(w, "%s: %d operations and %d networks of %s\n", out, res.Entries, res.Networks, p.Device.Name())
			})
		},
	}
	c.Flags().StringVarP(&out, "output", "o", "", "profile file to write")
	return c
}

// circumstances say in a line where and how a profile was measured.
func circumstances(p *profiles.Profile) string {
	return fmt.Sprintf("%s, %s runtime, %d thread(s), %s, %s", p.Device.Name(), p.Runtime.Name, p.Runtime.Threads,
		p.Protocol.InMode(), p.Protocol.Date)
}

// shownDiffs is how many entries lut diff shows to people.
const shownDiffs = 20

func (a *app) lutDiffCommand() *cobra.Command {
	var plot string
	c := &cobra.Command{
		Use:   "diff A B",
		Short: "Compare two profiles: two devices, two runtimes, two sessions",
		Long: `diff shows how much slower each operation is in B than in A, those that differ
most first (~ where the bounds of the two overlap), and sums up: median and 95th percentile of the differences, the same
with the common drift that the sentinel saw divided out, and the rank
correlation. With --json all entries are listed, with --plot all are drawn.`,
		Example: `  edgenas lut diff pi4.json pi5.json
  edgenas lut diff monday.json tuesday.json --plot diff.svg`,
		Args: arguments(2, 2),
		RunE: func(_ *cobra.Command, args []string) error {
			var p [2]*profiles.Profile
			for i, path := range args {
				var err error
				if p[i], err = profiles.Load(path); err != nil {
					return fault.New(fault.Profile, err)
				}
			}
			d, err := profiles.Diff(p[0], p[1])
			if err != nil {
				return fault.New(fault.Profile, err)
			}
			if plot != "" {
				if err := report.WriteDiff(plot, d, circumstances(p[0]), circumstances(p[1])); err != nil {
					return err
				}
				a.note("drawn in %s", plot)
			}
			return a.result(d, func(w io.Writer) {
				for i, name := range []string{"A", "B"} {
					fmt.Fprintf(w, "%s  %s: %s\n", name, args[i], circumstances(p[i]))
				}
				fmt.Fprintf(w, "\n%10s %10s %7s\n", "A", "B", "B/A")
				for _, e := range d.Entries[:min(shownDiffs, len(d.Entries))] {
					ratio := fmt.Sprintf("%.3f", e.Ratio)
					if e.Indistinct() {
						ratio = "~"
					}
					fmt.Fprintf(w, "%10s %10s %7s  %s\n", units.Seconds(e.AS), units.Seconds(e.BS), ratio, e.Key)
				}
				if more := len(d.Entries) - shownDiffs; more > 0 {
					fmt.Fprintf(w, "and %d more\n", more)
				}
				if d.Indistinct > 0 {
					fmt.Fprintf(w, "~: the bounds of the two times overlap, as those of %d operations do\n", d.Indistinct)
				}
				fmt.Fprintf(w, "\n%d operations: B takes %.3f times as long (median); differences: median %.1f %%,"+
					" 95th percentile %.1f %%", d.N, d.Ratio, 100*d.Median, 100*d.P95)
				if d.Spearman != nil {
					fmt.Fprintf(w, "; Spearman %.3f", *d.Spearman)
				}
				fmt.Fprintln(w)
				if d.Drift != nil {
					fmt.Fprintf(w, "the sentinel takes %.3f times as long; without that: median %.1f %%, 95th percentile %.1f %%\n",
						*d.Drift, 100**d.CorrectedMedian, 100**d.CorrectedP95)
				}
				if len(d.OnlyA)+len(d.OnlyB) > 0 {
					fmt.Fprintf(w, "only in A: %d operations, only in B: %d\n", len(d.OnlyA), len(d.OnlyB))
				}
			})
		},
	}
	c.Flags().StringVar(&plot, "plot", "", "draw the comparison in this SVG file")
	return c
}

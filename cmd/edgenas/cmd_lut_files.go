// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"io"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/edgenas/edgenas/internal/fault"
	"github.com/edgenas/edgenas/internal/units"
	"github.com/edgenas/edgenas/profiles"
	"github.com/edgenas/edgenas/report"
)

// mergeOptions are those of merging profiles.
type mergeOptions struct{ out string }

func (a *app) lutMergeCommand() *cobra.Command {
	var o mergeOptions
	c := &cobra.Command{
		Use:   "merge FILE FILE...",
		Short: "Merge profiles of one device into one",
		Long: `merge takes of each operation and each network what was measured with the most
samples. All files must be of the same device and runtime.`,
		Example: "  edgenas lut merge pi5.json pi5-darts.json -o all.json",
		Args:    arguments(2, 1000),
		RunE:    func(_ *cobra.Command, args []string) error { return a.runMerge(o, args) },
	}
	o.AddFlags(c.Flags())
	return c
}

// AddFlags adds the flags of the command.
func (o *mergeOptions) AddFlags(f *pflag.FlagSet) {
	f.StringVarP(&o.out, "output", "o", "", "profile file to write")
}

// runMerge merges the profiles in the files.
func (a *app) runMerge(o mergeOptions, files []string) error {
	if o.out == "" {
		return fault.Usagef("-o is needed: the file to write")
	}
	p, err := profiles.Load(files[0])
	if err != nil {
		return fault.New(fault.Profile, err)
	}
	for _, path := range files[1:] {
		q, err := profiles.Load(path)
		if err == nil {
			err = p.Add(q)
		}
		if err != nil {
			return fault.Errorf(fault.Profile, "%s: %w", path, err)
		}
	}
	if err := p.Save(o.out); err != nil {
		return err
	}
	res := struct {
		Profile  string `json:"profile"`
		Entries  int    `json:"entries"`
		Networks int    `json:"networks"`
	}{o.out, len(p.Entries), len(p.Networks)}
	return a.result(res, func(w io.Writer) {
		fmt.Fprintf(w, "%s: %d operations and %d networks of %s\n", o.out, res.Entries, res.Networks, p.Device.Name())
	})
}

// circumstances say in a line where and how a profile was measured.
func circumstances(p *profiles.Profile) string {
	return fmt.Sprintf("%s, %s runtime, %d thread(s), %s, %s", p.Device.Name(), p.Runtime.Name, p.Runtime.Threads,
		p.Protocol.InMode(), p.Protocol.Date)
}

// shownDiffs is how many entries lut diff shows to people.
const shownDiffs = 20

// diffOptions are those of comparing profiles.
type diffOptions struct{ plot string }

func (a *app) lutDiffCommand() *cobra.Command {
	var o diffOptions
	c := &cobra.Command{
		Use:   "diff A B",
		Short: "Compare two profiles: two devices, two runtimes, two sessions",
		Long: `diff shows how much slower each operation is in B than in A, those that differ
most first (~ where the bounds of the two overlap), and sums up: median and 95th
percentile of the differences, the same with the common drift that the sentinel
saw divided out, and the rank correlation. With --json all entries are listed, with --plot all are drawn.`,
		Example: `  edgenas lut diff pi4.json pi5.json
  edgenas lut diff monday.json tuesday.json --plot diff.svg`,
		Args: arguments(2, 2),
		RunE: func(_ *cobra.Command, args []string) error { return a.runDiff(o, [2]string(args)) },
	}
	o.AddFlags(c.Flags())
	return c
}

// AddFlags adds the flags of the command.
func (o *diffOptions) AddFlags(f *pflag.FlagSet) {
	f.StringVar(&o.plot, "plot", "", "draw the comparison in this SVG file")
}

// runDiff compares the profiles in two files.
func (a *app) runDiff(o diffOptions, files [2]string) error {
	var p [2]*profiles.Profile
	for i, path := range files {
		var err error
		if p[i], err = profiles.Load(path); err != nil {
			return fault.New(fault.Profile, err)
		}
	}
	d, err := profiles.Diff(p[0], p[1])
	if err != nil {
		return fault.New(fault.Profile, err)
	}
	if o.plot != "" {
		if err := report.WriteDiff(o.plot, d, circumstances(p[0]), circumstances(p[1])); err != nil {
			return err
		}
		a.note("drawn in %s", o.plot)
	}
	return a.result(d, func(w io.Writer) {
		for i, name := range []string{"A", "B"} {
			fmt.Fprintf(w, "%s  %s: %s\n", name, files[i], circumstances(p[i]))
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
}

// SPDX-License-Identifier: Apache-2.0

package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/edgenas/edgenas/arch"
	"github.com/edgenas/edgenas/devices"
	"github.com/edgenas/edgenas/internal/event"
	"github.com/edgenas/edgenas/internal/fault"
	"github.com/edgenas/edgenas/internal/inventory"
	"github.com/edgenas/edgenas/internal/native"
	"github.com/edgenas/edgenas/internal/runfile"
	"github.com/edgenas/edgenas/internal/target"
	"github.com/edgenas/edgenas/internal/units"
	"github.com/edgenas/edgenas/internal/wording"
	"github.com/edgenas/edgenas/latency"
	"github.com/edgenas/edgenas/ops"
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
		RunE:    func(_ *cobra.Command, args []string) error { return a.runLutShow(args[0]) },
	}
}

// runLutShow shows the profile in the file.
func (a *app) runLutShow(file string) error {
	p, err := profiles.Load(file)
	if err != nil {
		return fault.New(fault.Profile, err)
	}
	return a.result(p, func(w io.Writer) {
		fmt.Fprintln(w, circumstances(p))
		entries := slices.Clone(p.Entries)
		slices.SortStableFunc(entries, func(x, y profiles.Entry) int { return cmp.Compare(y.MedianS, x.MedianS) })
		for _, e := range entries {
			if e.Status == profiles.Failed {
				fmt.Fprintf(w, "%10s %8s  %s: %s\n", "failed", "", e.Key, e.Reason)
				continue
			}
			fmt.Fprintf(w, "%10s ±%5.2f %%  %s %s\n", units.Seconds(e.MedianS), 50*(e.HiS-e.LoS)/e.MedianS, e.Key,
				strings.Join(e.Warnings, "; "))
		}
		for _, text := range p.Warnings {
			fmt.Fprintf(w, "warning: %s\n", text)
		}
	})
}

func (a *app) lutCheckCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "check FILE",
		Short:   "Check that a profile is whole and for this device",
		Example: "  edgenas lut check out/first/profile.json",
		Args:    arguments(1, 1),
		RunE:    func(_ *cobra.Command, args []string) error { return a.runLutCheck(args[0]) },
	}
}

// runLutCheck checks the profile in the file.
func (a *app) runLutCheck(file string) error {
	p, err := profiles.Load(file)
	if err != nil {
		return fault.New(fault.Profile, err)
	}
	warnings, err := p.Check(latency.ThisDevice(), native.Info(p.Runtime.Threads))
	if err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	for _, e := range p.Entries {
		if e.Status == profiles.Failed {
			return fmt.Errorf("%s: %w; edgenas profile --only-missing -o %s tries again", file,
				&profiles.FailedError{Key: e.Key, Reason: e.Reason}, wording.Quote(file))
		}
	}
	res := struct {
		Profile  string   `json:"profile"`
		Entries  int      `json:"entries"`
		Networks int      `json:"networks"`
		Warnings []string `json:"warnings"`
	}{file, len(p.Entries), len(p.Networks), append(append([]string{}, warnings...), p.Warnings...)}
	return a.result(res, func(w io.Writer) {
		fmt.Fprintf(w, "%s: good: %d operations and %d networks of this device\n", file, res.Entries, res.Networks)
		for _, text := range res.Warnings {
			fmt.Fprintf(w, "warning: %s\n", text)
		}
	})
}

// validateOptions are those of checking predictions.
type validateOptions struct {
	space    spaceOptions
	target   targetOptions
	n        int
	smallest bool
}

func (a *app) lutValidateCommand() *cobra.Command {
	var o validateOptions
	c := &cobra.Command{
		Use:   "validate",
		Short: "Measure random networks whole and compare them with their prediction",
		Long: `validate draws networks that the profile does not know, measures them whole on
the device and compares: bias, mean absolute percentage error, share within
±5 % and ±10 %, rank correlation, and the worst cases. Missing entries are
measured first. A few networks that the profile has measured whole are measured
again among them: what these take now and took then is the device's drift, which
is taken out of the errors and said beside them. The networks are of the sizes (channels and cells) that the
profile has, or of the default size where it has none.`,
		Example: "  edgenas lut validate --space nb201 --n 50",
		Args:    arguments(0, 0),
		RunE:    func(c *cobra.Command, _ []string) error { return a.runValidate(c.Context(), o) },
	}
	o.AddFlags(c.Flags())
	return c
}

// AddFlags adds the flags of the command.
func (o *validateOptions) AddFlags(f *pflag.FlagSet) {
	o.space.AddFlags(f)
	o.space.addImage(f)
	o.target.AddFlags(f)
	o.target.addRounds(f)
	o.target.addMode(f)
	o.target.addProfile(f)
	f.IntVar(&o.n, "n", 50, "number of networks")
	f.BoolVar(&o.smallest, "smallest", false, "draw from the tenth of the networks that is predicted to be the fastest")
}

// runValidate measures networks and compares them with their prediction.
func (a *app) runValidate(ctx context.Context, o validateOptions) error {
	if err := o.target.check(); err != nil {
		return err
	}
	if o.n < 2 || o.n > 1000 {
		return fault.Usagef("--n %d: want 2 to 1000", o.n)
	}
	if _, err := o.space.space(); err != nil {
		return err
	}
	on := o.target.Options
	on.Device = cmp.Or(on.Device, string(devices.Local)) // validation is measuring
	p, err := a.targets().Profile(ctx, on)
	if err != nil {
		return err
	}
	nets, err := a.sizesToValidate(p, o)
	if err != nil {
		return err
	}
	tmp, err := os.MkdirTemp("", "edgenas-validate-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(tmp)
	table, err := a.targets().Table(ctx, p, nets, on, filepath.Join(tmp, runfile.ProfileName))
	if err != nil {
		return err
	}
	drawn, err := o.draw(nets, p, table, rand.New(rand.NewPCG(a.seed, 9)))
	if err != nil {
		return err
	}
	measured, err := a.targets().Validate(ctx, target.ValidateRequest{Profile: p, Table: table, Sizes: nets,
		Networks: drawn, Confidence: confidence}, on)
	if err != nil {
		return err
	}
	res, err := newValidated(table, measured)
	if err != nil {
		return err
	}
	if d := res.Drift; d != nil && !table.Allows(*d, confidence) {
		a.show(event.Warning{Text: driftWarning(*d, res.GuardBand)})
	}
	return a.result(res, func(w io.Writer) { writeValidation(w, res) })
}

// sizesToValidate are the sizes of the options, or those that the profile has.
func (a *app) sizesToValidate(p *profiles.Profile, o validateOptions) (inventory.Sizes, error) {
	sizes, err := target.SizesOf(p, target.SizeRequest{Space: o.space.name, Base: o.space.open(),
		Inventories: a.host.Inventories, Threads: a.threads})
	if err != nil {
		return nil, err
	}
	if len(sizes) == 0 {
		sizes = []arch.Size{o.space.sized()}
	}
	return a.host.Inventories.Sizes(o.space.name, sizes, a.threads)
}

// draw gives networks that the profile does not know.
func (o *validateOptions) draw(n inventory.Sizes, p *profiles.Profile, table *predict.Table, rng *rand.Rand) (
	[]inventory.Network, error) {
	count := o.n + len(p.Networks)
	drawn, err := n.Sample(count, rng)
	if o.smallest {
		seconds := func(counts map[ops.Key]int) (float64, error) {
			e, err := table.EstimateCounts(counts)
			return e.Seconds, err
		}
		drawn, err = n.SampleSmallest(count, seconds, rng)
	}
	if err != nil {
		return nil, err
	}
	drawn = slices.DeleteFunc(drawn, func(d inventory.Network) bool {
		return slices.ContainsFunc(p.Networks, func(k profiles.Network) bool { return k.Arch == d.Arch })
	})
	return drawn[:min(o.n, len(drawn))], nil
}

// validated is what lut validate says. Where the profile has networks that were
// measured again, errors are those with the device's drift taken out.
type validated struct {
	predict.Validation
	Drift       *predict.Drift      `json:"drift"`       // null: not known
	AsMeasured  *predict.Validation `json:"as_measured"` // the drift left in; null where none is known
	GuardBand   float64             `json:"guard_band"`  // at 95 %, relative
	Calibration predict.Calibration `json:"calibration"`
	Cases       []predict.Case      `json:"cases"` // every network
}

func newValidated(table *predict.Table, measured target.Validated) (validated, error) {
	res := validated{Drift: measured.Drift, GuardBand: table.Guard(confidence).Relative,
		Calibration: table.Calibration(), Cases: measured.Cases}
	var err error
	if res.Validation, err = predict.Validate(measured.Cases); err != nil || measured.Drift == nil {
		return res, err
	}
	raw := slices.Clone(measured.Cases)
	for i := range raw {
		raw[i].Drift = 0
	}
	v, err := predict.Validate(raw)
	res.AsMeasured = &v
	return res, err
}

func writeValidation(w io.Writer, v validated) {
	fmt.Fprintf(w, "%d networks: bias %+.1f %%, mean absolute error %.1f %%,"+
		" within ±5 %%: %.0f %%, within ±10 %%: %.0f %%", v.N, 100*v.Bias, 100*v.MAPE, 100*v.Within5, 100*v.Within10)
	if v.Covered != nil {
		fmt.Fprintf(w, ", in their 95 %% intervals: %.0f %%", 100**v.Covered)
	}
	if v.Spearman != nil {
		fmt.Fprintf(w, ", Spearman %.3f", *v.Spearman)
	}
	if v.Drift != nil {
		fmt.Fprintf(w, "\n%s (%d networks measured in both sessions, %+.1f to %+.1f %%), which is not in these errors\n"+
			"as measured, with the device's drift: bias %+.1f %%, %.0f %% within ±10 %%", driftText(*v.Drift),
			len(v.Drift.References), 100*v.Drift.Lo, 100*v.Drift.Hi, 100*v.AsMeasured.Bias, 100*v.AsMeasured.Within10)
	}
	fmt.Fprintf(w, "\nguard band %.1f %%; %s", 100*v.GuardBand, v.Calibration.Basis)
	fmt.Fprintln(w, "\nworst:")
	for _, c := range v.Worst {
		fmt.Fprintf(w, "%+6.1f %%  predicted %s, measured %s  %s\n", 100*c.Error(), units.Seconds(c.Expected()),
			units.Seconds(c.MeasuredS), c.Arch)
	}
}

// driftText says how the device has changed.
func driftText(d predict.Drift) string {
	than := "slower"
	if d.Relative < 0 {
		than = "faster"
	}
	return fmt.Sprintf("the device is %.1f %% %s than when it was profiled", 100*math.Abs(d.Relative), than)
}

// driftWarning says that a profile does not hold for the device as it is.
func driftWarning(d predict.Drift, guard float64) string {
	return fmt.Sprintf("%s, beyond the intervals of its predictions (guard band %.1f %%): it is busy or hot now,"+
		" or was then; measure it again with edgenas profile once it is quiet", driftText(d), 100*guard)
}

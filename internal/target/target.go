// SPDX-License-Identifier: Apache-2.0

// Package target is where networks are measured: this machine, or a device that
// it reaches. It measures there what a profile lacks, and verifies models.
package target

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"time"

	"github.com/edgenas/edgenas/devices"
	"github.com/edgenas/edgenas/internal/agent"
	"github.com/edgenas/edgenas/internal/event"
	"github.com/edgenas/edgenas/internal/fault"
	"github.com/edgenas/edgenas/internal/infer"
	"github.com/edgenas/edgenas/internal/inventory"
	"github.com/edgenas/edgenas/internal/runfile"
	"github.com/edgenas/edgenas/internal/wire"
	"github.com/edgenas/edgenas/latency"
	"github.com/edgenas/edgenas/ops"
	"github.com/edgenas/edgenas/profiles"
)

// Options say where, with what and how networks are measured.
type Options = runfile.Target

// Default are the options of a command without flags.
func Default() Options { return Options{Runtime: infer.Name, InferThreads: 1} }

var clusterSyntax = regexp.MustCompile(`^(big|little|0x[0-9A-Fa-f]{1,64})$`)

// Check is a usage error where a value makes no sense. It writes the mode as
// profiles have it.
func Check(o *Options) error {
	if o.Device != "" {
		if err := CheckAddress("--device", o.Device); err != nil {
			return err
		}
	}
	if o.Cluster != "" && !clusterSyntax.MatchString(o.Cluster) {
		return fault.Usagef("--cluster %q: want big, little or a mask of processors such as 0xf0", o.Cluster)
	}
	if o.InferThreads < 1 || o.InferThreads > wire.MaxThreads {
		return fault.Usagef("--infer-threads %d: want 1 to %d", o.InferThreads, wire.MaxThreads)
	}
	if o.Rounds < 0 || o.Rounds > wire.MaxRounds {
		return fault.Usagef("--rounds %d: want 0 to %d", o.Rounds, wire.MaxRounds)
	}
	if !(o.MaxTemp == 0 || o.MaxTemp >= 20 && o.MaxTemp <= 120) {
		return fault.Usagef("--max-temp %g: want 20 to 120, in degrees Celsius", o.MaxTemp)
	}
	mode, err := latency.ParseMode(o.Mode)
	if err != nil {
		return fault.Usagef("--mode: %w", err)
	}
	if o.Mode != "" {
		o.Mode = mode.String()
	}
	if mode.Sustained && o.MaxTemp > 0 {
		return fault.Usagef("--mode sustained does not wait for --max-temp %g: leave one of them out", o.MaxTemp)
	}
	if o.Runtime != infer.Name {
		return fault.Usagef("--runtime %q: unknown; known is %q", o.Runtime, infer.Name)
	}
	return nil
}

// CheckAddress refuses an address that cannot be meant.
func CheckAddress(what, address string) error {
	_, err := devices.Parse(address)
	var wrong *devices.AddressError
	if errors.As(err, &wrong) {
		return fault.Usagef("%s %q: %s", what, wrong.Address, wrong.Reason)
	}
	return err
}

// Flags are the flags of a command line that measures in the same way: an empty
// text for the usual one, and a space before each flag.
func Flags(threads int, cluster, mode string) string {
	text := ""
	if threads > 1 {
		text += fmt.Sprintf(" --infer-threads %d", threads)
	}
	if cluster != "" {
		text += " --cluster " + cluster
	}
	if mode != "" && mode != profiles.Burst {
		text += " --mode " + mode
	}
	return text
}

// Target measures: this machine, or a device.
type Target interface {
	// Report says what it is, in what state, and what runtimes it has.
	Report(ctx context.Context) (wire.Report, error)
	// Inspect is Report with all facts, what other processes do there among
	// them, which takes half a second and more.
	Inspect(ctx context.Context) (wire.Report, error)
	// Measure is latency.Measure there.
	Measure(ctx context.Context, w Work, p *profiles.Profile, record Record, progress Progress) error
	// Verify times a model file in a process of its own, in a named
	// [latency.Mode].
	Verify(ctx context.Context, path, mode string) (latency.Verification, error)
	// Leave ends what the target holds; it can be used again.
	Leave() error
}

// Work is what to measure.
type Work struct {
	Keys     []ops.Key
	Networks []inventory.Network
	Rounds   int // fewest for an entry; 0: those of the options
}

// latency is the work without the spaces of the networks.
func (w Work) latency() latency.Work {
	all := latency.Work{Keys: w.Keys}
	for _, n := range w.Networks {
		all.Networks = append(all.Networks, latency.Network{Arch: n.Arch, Graph: n.Graph})
	}
	return all
}

// Record takes in what a round of a measurement has added; nil: it is only
// merged into the profile.
type Record = func([]profiles.Entry, []profiles.Network) error

// Progress is called after each step of a measurement.
type Progress = func(latency.Progress)

// Host is what the program gives to those that measure.
type Host struct {
	Self     []string                                              // the command that runs this program again
	Agent    func(context.Context, agent.Platform) ([]byte, error) // the program for devices
	Ask      func(prompt string) (string, error)                   // for a secret
	Patience time.Duration                                         // with a device that was lost
	Pause    time.Duration                                         // before the second attempt
}

// Targets are those that a program measures on.
type Targets struct {
	host Host
	seed uint64 // of the order of measurement and of random weights
	sink event.Sink
	used []used
}

type used struct {
	options Options
	target  Target
}

// New is no target yet; all will tell the sink what happens.
func New(h Host, seed uint64, sink event.Sink) *Targets {
	return &Targets{host: h, seed: seed, sink: sink}
}

// Of is the target of the options, for as long as Targets is used.
func (t *Targets) Of(o Options) Target {
	o.Profile = "" // says nothing of where it is
	for _, u := range t.used {
		if u.options == o {
			return u.target
		}
	}
	var target Target = &local{t, o}
	if o.Device != "" && o.Device != string(devices.Local) {
		target = &remote{targets: t, options: o}
	}
	t.used = append(t.used, used{o, target})
	return target
}

// Leave leaves all targets.
func (t *Targets) Leave() error {
	var errs []error
	for _, u := range t.used {
		errs = append(errs, u.target.Leave())
	}
	return errors.Join(errs...)
}

func (t *Targets) note(format string, args ...any) {
	t.sink(event.Note{Text: fmt.Sprintf(format, args...)})
}

func (t *Targets) warn(format string, args ...any) {
	t.sink(event.Warning{Text: fmt.Sprintf(format, args...)})
}

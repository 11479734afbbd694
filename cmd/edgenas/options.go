// SPDX-License-Identifier: Apache-2.0

package main

import (
	"cmp"
	"fmt"
	"strings"

	"github.com/spf13/pflag"

	"github.com/edgenas/edgenas/arch"
	"github.com/edgenas/edgenas/internal/dataset"
	"github.com/edgenas/edgenas/internal/fault"
	"github.com/edgenas/edgenas/internal/infer"
	"github.com/edgenas/edgenas/internal/run"
	"github.com/edgenas/edgenas/internal/target"
	"github.com/edgenas/edgenas/train"
)

// targetOptions say which device and runtime a budget holds for.
type targetOptions struct {
	target.Options
	profiles []string
}

// AddFlags adds the flags of all commands that measure.
func (o *targetOptions) AddFlags(f *pflag.FlagSet) {
	f.StringVar(&o.Device, "device", "",
		"where to measure: local, ssh://[user@]host[:port], adb or adb:SERIAL;"+
			" without it and with --profile, nothing is measured")
	f.StringVar(&o.Runtime, "runtime", infer.Name, "what runs the network: native")
	f.IntVar(&o.InferThreads, "infer-threads", 1, "threads of the measured runtime")
	f.StringVar(&o.Cluster, "cluster", "",
		"cores to measure on: big, little or a mask such as 0xf0; without it, the fastest that may be used")
	f.BoolVar(&o.Keep, "keep", false, "leave the agent on the device, so that it need not be copied again")
	f.StringVar(&o.DeviceDir, "device-dir", "",
		"folder on the device for the agent, if the usual one cannot hold programs")
}

// addRounds adds the flags of commands that measure a table.
func (o *targetOptions) addRounds(f *pflag.FlagSet) {
	f.IntVar(&o.Rounds, "rounds", 0,
		"rounds in which each operation is measured, at least; 0: as many as the 95 % bounds need")
	f.Float64Var(&o.MaxTemp, "max-temp", 0,
		"begin no round of measurement while the processor is hotter, in degrees Celsius; 0: do not wait")
}

// addMode adds the flag of commands that say how to measure.
func (o *targetOptions) addMode(f *pflag.FlagSet) {
	f.StringVar(&o.Mode, "mode", "", "burst: a cool device; sustained: warmed up until it is steady;"+
		" paced=33ms: one inference in each period, asleep in between; without it, as the profile has it, or burst")
}

func (o *targetOptions) addProfile(f *pflag.FlagSet) {
	f.StringArrayVar(&o.profiles, "profile", nil, "profile file of the device")
	f.BoolVar(&o.AllowEmulated, "allow-emulated", false,
		"take timings that were measured under emulation, which are not valid")
}

// check is a usage error where a value makes no sense.
func (o *targetOptions) check() error {
	if err := target.Check(&o.Options); err != nil {
		return err
	}
	if len(o.profiles) > 1 {
		return fault.Usagef("--profile: %d files: want one", len(o.profiles))
	}
	if len(o.profiles) == 1 {
		o.Profile = o.profiles[0]
	}
	return nil
}

// spaceOptions are the parameters of a space on the command line.
type spaceOptions struct {
	name            string
	cells, channels sizeFlag
	image           arch.Size // of it, what images have
}

// AddFlags adds the flags of all commands that need a space.
func (o *spaceOptions) AddFlags(f *pflag.FlagSet) {
	var names []string
	for _, s := range arch.Spaces {
		names = append(names, s.Name)
	}
	f.StringVar(&o.name, "space", arch.Spaces[0].Name, "search space: "+strings.Join(names, ", "))
	f.Var(&o.cells, "cells", "cells: of nb201 in a stage, of darts in all, of mbconv (blocks) in a stage;"+
		" auto: as the budget allows, or"+eachDefault(func(s arch.Size) int { return s.Cells }))
	f.Var(&o.channels, "channels", "channels of the first stage; auto: as the budget allows, or"+
		eachDefault(func(s arch.Size) int { return s.Channels }))
}

// eachDefault tells the default of every space.
func eachDefault(of func(arch.Size) int) string {
	var each []string
	for _, s := range arch.Spaces {
		each = append(each, fmt.Sprintf("%s %d", s.Name, of(s.Default)))
	}
	return " " + strings.Join(each, ", ")
}

// addImage adds the flags of commands that have no images to take them from.
func (o *spaceOptions) addImage(f *pflag.FlagSet) {
	d := arch.Spaces[0].Default
	f.IntVar(&o.image.Image, "image", d.Image, "rows and columns of an image")
	f.IntVar(&o.image.Colours, "colours", d.Colours, "channels of an image: 1 or 3")
	f.IntVar(&o.image.Classes, "classes", d.Classes, "number of classes")
}

// usualSize is the default size of a space; of an unknown one, the first's.
func usualSize(space string) arch.Size {
	for _, s := range arch.Spaces {
		if s.Name == space {
			return s.Default
		}
	}
	return arch.Spaces[0].Default
}

// open is the size with 0 for what is auto.
func (o *spaceOptions) open() arch.Size {
	size := o.image
	size.Cells, size.Channels = int(o.cells), int(o.channels)
	return size
}

// auto says whether nothing of the size was given.
func (o *spaceOptions) auto() bool { return o.cells == 0 && o.channels == 0 }

// sized is the size with the space's defaults for what is auto.
func (o *spaceOptions) sized() arch.Size {
	size, usual := o.open(), usualSize(o.name)
	size.Cells, size.Channels = cmp.Or(size.Cells, usual.Cells), cmp.Or(size.Channels, usual.Channels)
	return size
}

func (o *spaceOptions) space() (arch.Space, error) {
	s, err := arch.NewSpace(o.name, o.sized())
	return s, fault.New(fault.Usage, err)
}

// spaceFor is the space for these images: cells and channels that make no sense
// are a usage error, images that do not suit it a data error.
func spaceFor(name string, size arch.Size, set *dataset.Set) (arch.Space, error) {
	usual := usualSize(name)
	usual.Cells, usual.Channels = size.Cells, size.Channels
	if _, err := arch.NewSpace(name, usual); err != nil {
		return nil, fault.New(fault.Usage, err)
	}
	size, err := run.Fit(size, set)
	if err != nil {
		return nil, err
	}
	s, err := arch.NewSpace(name, size)
	if err != nil {
		return nil, fault.Errorf(fault.Data, "%s: %w", set.Name, err)
	}
	return s, nil
}

// dataFlag adds --data.
func dataFlag(f *pflag.FlagSet, spec *string) {
	f.StringVar(spec, "data", "embedded", "images: embedded, idx:DIR, cifar10:DIR or images:DIR (a folder a class)")
}

// recipeOptions are those of a training.
type recipeOptions struct {
	train.Config
	Cutout int
}

// AddFlags adds the flags of all commands that train.
func (o *recipeOptions) AddFlags(f *pflag.FlagSet) {
	f.Float64Var(&o.Epochs, "epochs", 0, "epochs of the training; 0: by the network's size, about the same time for each")
	f.Float64Var(&o.LR, "lr", o.LR, "greatest learning rate of the training")
	f.Float64Var(&o.MuonLR, "muon-lr", o.MuonLR, "greatest learning rate of convolutions, by Muon; 0: SGD moves all")
	f.Float64Var(&o.Smoothing, "label-smoothing", 0, "label smoothing, 0 to 1")
	f.IntVar(&o.Cutout, "cutout", 0, "side of the square cut out of training images, in pixels; 0: none")
}

// maxEpochs is more than anybody waits for.
const maxEpochs = 10_000

// maxRate is a learning rate beyond all that work.
const maxRate = 10

// check is a usage error where a value makes no sense.
func (o *recipeOptions) check() error {
	switch {
	case !(o.Epochs >= 0 && o.Epochs <= maxEpochs):
		return fault.Usagef("--epochs %g: want 0 to %d", o.Epochs, maxEpochs)
	case !(o.LR > 0 && o.LR <= maxRate):
		return fault.Usagef("--lr %g: want more than 0, at most %d", o.LR, maxRate)
	case !(o.MuonLR >= 0 && o.MuonLR <= maxRate):
		return fault.Usagef("--muon-lr %g: want 0 to %d", o.MuonLR, maxRate)
	case !(o.Smoothing >= 0 && o.Smoothing < 1):
		return fault.Usagef("--label-smoothing %g: want 0 to below 1", o.Smoothing)
	case o.Cutout < 0:
		return fault.Usagef("--cutout %d: want at least 0", o.Cutout)
	}
	return nil
}

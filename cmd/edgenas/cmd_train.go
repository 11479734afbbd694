// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/edgenas/edgenas/arch"
	"github.com/edgenas/edgenas/internal/fault"
	"github.com/edgenas/edgenas/internal/run"
	"github.com/edgenas/edgenas/internal/runfile"
	"github.com/edgenas/edgenas/internal/version"
	"github.com/edgenas/edgenas/train"
)

// trainOptions are those of a training by itself.
type trainOptions struct {
	archFile, data, out string
	recipe              recipeOptions
}

func (a *app) trainCommand() *cobra.Command {
	o := trainOptions{recipe: recipeOptions{Config: train.DefaultConfig()}}
	c := &cobra.Command{
		Use:   "train --arch FILE",
		Short: "Train an architecture from scratch",
		Long: `train trains an architecture from scratch and leaves its weights. A training
that was interrupted goes on from where it was with the same command.`,
		Example: "  edgenas train --arch out/first/architecture.json --epochs 20 --out out/longer",
		Args:    arguments(0, 0),
		RunE:    func(c *cobra.Command, _ []string) error { return a.runTrain(c.Context(), o) },
	}
	o.AddFlags(c.Flags())
	return c
}

// AddFlags adds the flags of the command.
func (o *trainOptions) AddFlags(f *pflag.FlagSet) {
	f.StringVar(&o.archFile, "arch", "", "architecture file")
	f.StringVar(&o.out, "out", "edgenas-train", "folder for the weights")
	dataFlag(f, &o.data)
	o.recipe.AddFlags(f)
}

// trained is what a training says at its end.
type trained struct {
	Architecture string  `json:"architecture"`
	Epochs       float64 `json:"epochs"`
	TrainWallS   float64 `json:"train_wall_s"`
	TestAccuracy float64 `json:"test_accuracy"`
	TestImages   int     `json:"test_images"`
	Weights      string  `json:"weights"`
}

// runTrain trains an architecture, or goes on training it.
func (a *app) runTrain(ctx context.Context, o trainOptions) error {
	if err := o.recipe.check(); err != nil {
		return err
	}
	ar, err := readArch(o.archFile)
	if err != nil {
		return err
	}
	set, err := run.OpenImages(o.data, a.seed)
	if err != nil {
		return err
	}
	if err := run.Suits(ar, set); err != nil {
		return err
	}
	recipe := o.recipe.Config
	recipe.Seed = a.seed
	if err := run.Enough(set, recipe.Batch); err != nil {
		return err
	}
	dir := runfile.Dir(o.out)
	if err := dir.BeginTraining(runfile.Training{Command: a.commandLine(), Version: version.String(),
		Date: time.Now().UTC().Truncate(time.Second), Dataset: o.data},
		runfile.Job{Architecture: ar, DataDigest: set.Digest, Train: recipe, Cutout: o.recipe.Cutout}); err != nil {
		return err
	}
	t := run.Training{Dir: dir, Architecture: ar, Images: set, Recipe: recipe, Cutout: o.recipe.Cutout, Host: a.runHost()}
	weights, err := t.Run(ctx, a.show)
	if err != nil {
		if errors.Is(err, context.Canceled) {
			a.note("interrupted; the same command goes on from there: %s", a.commandLine())
		}
		return err
	}
	if err := ar.WriteFile(dir.Path(runfile.ArchitectureName)); err != nil {
		return err
	}
	res := trained{Architecture: ar.Space.Notation(ar.Choice), TestImages: set.Test.Len(),
		Weights: dir.Path(runfile.WeightsName)}
	if res.TestAccuracy, err = run.Accuracy(ctx, ar, weights, set, a.workers()); err != nil {
		return err
	}
	if res.Epochs, err = run.TrainEpochs(recipe, ar, set.Train.Len()); err != nil {
		return err
	}
	wall, err := dir.Wall(runfile.TrainCheckpoint)
	if err != nil {
		return err
	}
	res.TrainWallS = wall.Seconds()
	return a.result(res, func(w io.Writer) {
		fmt.Fprintf(w, "accuracy   %.2f %% on %d test images\nfiles      %s\n", 100*res.TestAccuracy, res.TestImages,
			res.Weights)
	})
}

// readArch reads the --arch file.
func readArch(path string) (arch.Architecture, error) {
	if path == "" {
		return arch.Architecture{}, fault.Usagef("--arch is needed: an architecture.json")
	}
	a, err := arch.ReadFile(path)
	return a, fault.New(fault.Data, err)
}

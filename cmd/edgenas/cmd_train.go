// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/edgenas/edgenas/arch"
	"github.com/edgenas/edgenas/internal/dataset"
	"github.com/edgenas/edgenas/internal/infer"
	"github.com/edgenas/edgenas/internal/safetensors"
	"github.com/edgenas/edgenas/ops"
	"github.com/edgenas/edgenas/train"
)

// source lets a loader's position be written out and read again.
type source struct{ *dataset.Loader }

func (s source) MarshalJSON() ([]byte, error) { return json.Marshal(s.State()) }

func (s source) UnmarshalJSON(data []byte) error {
	var st dataset.LoaderState
	if err := json.Unmarshal(data, &st); err != nil {
		return err
	}
	return s.Restore(st)
}

func trainFlags(c *cobra.Command, t *train.Config, cutout *int) {
	c.Flags().Float64Var(&t.Epochs, "epochs", 0, "epochs of the training; 0: by the network's size, about the same time for each")
	c.Flags().Float64Var(&t.Smoothing, "label-smoothing", 0, "label smoothing, 0 to 1")
	c.Flags().IntVar(cutout, "cutout", 0, "side of the square cut out of training images, in pixels; 0: none")
}

func (a *app) trainCommand() *cobra.Command {
	var archFile, data, out string
	config, cutout := train.DefaultConfig(), 0
	c := &cobra.Command{
		Use:     "train --arch FILE",
		Short:   "Train an architecture from scratch",
		Example: "  edgenas train --arch out/first/architecture.json --epochs 20 --out out/longer",
		Args:    cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			ar, err := readArch(archFile)
			if err != nil {
				return err
			}
			set, err := a.openData(data, 0)
			if err != nil {
				return err
			}
			if err := suits(ar, set); err != nil {
				return err
			}
			dir := runDir(out)
			if err := os.MkdirAll(out, 0o777); err != nil {
				return err
			}
			config.Seed = a.seed
			h, err := dir.openHistory(func(string, int) bool { return false })
			if err != nil {
				return err
			}
			t, epochs, err := a.newTrainer(config, ar, trainLoader(set, config, cutout))
			if err != nil {
				return err
			}
			start := time.Now()
			weights, err := a.runTrainer(c.Context(), t, epochs, func(p train.Point) { h.add(p) })
			if closed := h.close(); err == nil {
				err = closed
			}
			if err != nil {
				return err
			}
			if err := safetensors.WriteFile(dir.path(weightsFile), safetensors.File{Weights: weights}); err != nil {
				return err
			}
			if err := dir.writeJSON(architectureFile, ar); err != nil {
				return err
			}
			accuracy, err := a.accuracy(ar, weights, set)
			if err != nil {
				return err
			}
			res := struct {
				Architecture string  `json:"architecture"`
				Epochs       float64 `json:"epochs"`
				TrainWallS   float64 `json:"train_wall_s"`
				TestAccuracy float64 `json:"test_accuracy"`
				TestImages   int     `json:"test_images"`
				Weights      string  `json:"weights"`
			}{ar.Space.Notation(ar.Choice), epochs, time.Since(start).Seconds(), accuracy, set.Test.Len(), dir.path(weightsFile)}
			return a.result(res, func(w io.Writer) {
				fmt.Fprintf(w, "accuracy   %.2f %% on %d test images\nfiles      %s\n", 100*accuracy, res.TestImages, res.Weights)
			})
		},
	}
	c.Flags().StringVar(&archFile, "arch", "", "architecture file")
	c.Flags().StringVar(&out, "out", "edgenas-train", "folder for the weights")
	dataFlag(c, &data)
	trainFlags(c, &config, &cutout)
	return c
}

// readArch reads the --arch file.
func readArch(path string) (arch.Architecture, error) {
	if path == "" {
		return arch.Architecture{}, usagef("--arch is needed: an architecture.json")
	}
	a, err := arch.ReadFile(path)
	if err != nil {
		return a, dataError{err}
	}
	return a, nil
}

// suits is a data error unless the images are what the architecture takes.
func suits(a arch.Architecture, set *dataset.Set) error {
	size, err := fit(a.Space.Size(), set)
	if err != nil {
		return err
	}
	if want := a.Space.Size(); size != want {
		return dataError{fmt.Errorf("%s has %d×%d images of %d channel(s) and %d classes: the architecture takes %d×%d, %d and %d", set.Name,
			set.W, set.H, set.C, len(set.Classes), want.Image, want.Image, want.Colours, want.Classes)}
	}
	return nil
}

// trainLoader draws from all training images, varied as suits them.
func trainLoader(set *dataset.Set, c train.Config, cutout int) source {
	augment := set.Augment
	augment.Cutout = cutout
	return source{dataset.NewLoader(set, &set.Train, nil, augment, rand.NewPCG(c.Seed, 6))}
}

// trainEpochs is how long the recipe trains the architecture.
func trainEpochs(c train.Config, a arch.Architecture, set *dataset.Set) float64 {
	if c.Epochs > 0 {
		return c.Epochs
	}
	g, err := a.Network(1)
	if err != nil {
		return 0
	}
	return train.DefaultEpochs(g.Count().MACs, set.Train.Len())
}

func (a *app) newTrainer(c train.Config, ar arch.Architecture, loader source) (*train.Trainer, float64, error) {
	if c.Epochs == 0 {
		g, err := ar.Network(1)
		if err != nil {
			return nil, 0, err
		}
		c.Epochs = train.DefaultEpochs(g.Count().MACs, loader.Len())
	}
	t, err := train.New(c, ar, loader, a.workers())
	return t, c.Epochs, err
}

// runTrainer trains to the end and shows how far it is.
func (a *app) runTrainer(ctx context.Context, t *train.Trainer, epochs float64, point func(train.Point)) (ops.Weights, error) {
	bar := a.stage("train", t.Steps())
	last := ""
	weights, err := t.Run(ctx, func(p train.Point) {
		point(p)
		last = fmt.Sprintf("epoch %d of %g  loss %.3f  accuracy %.1f %%", p.Epoch, epochs, p.LossTrain, 100*p.AccuracyTrain)
		bar.update(p.Step, last)
	})
	if err != nil {
		last = "stopped"
	}
	bar.end(last)
	return weights, err
}

// accuracy is the share of test images that the native runtime gets right.
func (a *app) accuracy(ar arch.Architecture, w ops.Weights, set *dataset.Set) (float64, error) {
	const batch = 50
	g, err := ar.Network(batch)
	if err != nil {
		return 0, err
	}
	p, err := infer.CompileTrained(g, w, a.workers())
	if err != nil {
		return 0, err
	}
	pass := dataset.NewPass(set, &set.Test, nil)
	labels, classes, right := make([]int32, batch), len(set.Classes), 0
	for n := pass.Next(p.Input(0), labels); n > 0; n = pass.Next(p.Input(0), labels) {
		p.Execute()
		for i := range n {
			best, logits := 0, p.Output()[i*classes:(i+1)*classes]
			for c, v := range logits {
				if v > logits[best] {
					best = c
				}
			}
			if int32(best) == labels[i] {
				right++
			}
		}
	}
	return float64(right) / float64(set.Test.Len()), nil
}

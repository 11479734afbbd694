// SPDX-License-Identifier: Apache-2.0

// Command learningcurves trains networks of nb201 of several sizes on the embedded
// images, each for a few lengths, and prints the losses and accuracies that they
// come to on 2,000 training images that are left out: what the search expects of
// longer trainings (search.Fall) rests on it. From the root of the repository:
//
//	go run ./examples/learningcurves
//
// Each training is a line of JSON. With -from FILE, those that are in it already
// are left out, so that lines can be appended to it.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"os/signal"

	"github.com/edgenas/edgenas/arch"
	"github.com/edgenas/edgenas/internal/dataset"
	"github.com/edgenas/edgenas/internal/evaluate"
	"github.com/edgenas/edgenas/internal/jsonlines"
	"github.com/edgenas/edgenas/internal/kernels"
	"github.com/edgenas/edgenas/train"
)

// training is one, and what it came to.
type training struct {
	Cell     string  `json:"cell"`
	Channels int     `json:"channels"`
	Cells    int     `json:"cells"`
	Images   int     `json:"images"` // that are learned from
	Seed     uint64  `json:"seed"`
	Loss     float64 `json:"loss"`
	Accuracy float64 `json:"accuracy"`
}

// name tells a training from the others.
func (t training) name() string { return fmt.Sprint(t.Cell, t.Channels, t.Cells, t.Images, t.Seed) }

var cells = map[string]string{
	"residual": "|nor_conv_3x3~0|+|none~0|nor_conv_3x3~1|+|skip_connect~0|none~1|skip_connect~2|",
	"empty":    "|none~0|+|none~0|none~1|+|skip_connect~0|none~1|none~2|",
}

// lengths are the images that each network learns from, as shares of those that
// the default training of the network has.
var lengths = []float64{0.05, 0.25, 1}

func main() {
	from := flag.String("from", "", "file with lines of trainings that are there already")
	seed := flag.Uint64("seed", 1, "seed of the weights and the order of images")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := all(ctx, *from, *seed); err != nil {
		fmt.Fprintln(os.Stderr, "learningcurves:", err)
		os.Exit(1)
	}
}

// all does the trainings that are missing.
func all(ctx context.Context, from string, seed uint64) error {
	done := map[string]bool{}
	if err := jsonlines.Read(from, func(line []byte) error {
		var t training
		err := jsonlines.Decode(line, &t)
		done[t.name()] = true
		return err
	}); err != nil {
		return err
	}
	set, err := dataset.Open("embedded", dataset.Options{})
	if err != nil {
		return err
	}
	pool := kernels.NewWorkers(0)
	defer pool.Close()
	judge, learn := dataset.Split(&set.Train, 2000/float64(set.Train.Len()), rand.New(rand.NewPCG(1, 3)))
	s := evaluate.Short{Set: set, Learn: learn, Judge: judge, Recipe: train.DefaultConfig(), Pool: pool}
	s.Recipe.Seed = seed
	for _, length := range lengths {
		for _, t := range []training{
			{Cell: "residual", Channels: 8, Cells: 1}, {Cell: "residual", Channels: 8, Cells: 3},
			{Cell: "residual", Channels: 12, Cells: 1}, {Cell: "residual", Channels: 16, Cells: 1},
			{Cell: "residual", Channels: 16, Cells: 2}, {Cell: "residual", Channels: 24, Cells: 1},
			{Cell: "residual", Channels: 24, Cells: 2}, {Cell: "residual", Channels: 32, Cells: 2},
			{Cell: "empty", Channels: 24, Cells: 1},
		} {
			t.Seed = seed
			if err := one(ctx, s, t, length, done); err != nil {
				return err
			}
		}
	}
	return nil
}

// one trains a network for a share of the default length, unless that is done.
func one(ctx context.Context, s evaluate.Short, t training, share float64, done map[string]bool) error {
	space, err := arch.NewSpace("nb201", arch.Size{Channels: t.Channels, Cells: t.Cells, Image: s.Set.H, Colours: s.Set.C,
		Classes: len(s.Set.Classes)})
	if err != nil {
		return err
	}
	choice, err := space.Parse(cells[t.Cell])
	if err != nil {
		return err
	}
	g, err := space.Network(choice, 1)
	if err != nil {
		return err
	}
	images := s.Set.Train.Len()
	t.Images = int(share * train.Epochs(0, train.Operations(g), images) * float64(images))
	if done[t.name()] {
		return nil
	}
	s.Recipe.Epochs = s.Epochs(t.Images)
	s.Augment = s.Set.Augment.For(s.Recipe.Epochs)
	r, err := s.Train(ctx, arch.Architecture{Space: space, Choice: choice})
	if err != nil {
		return err
	}
	t.Loss, t.Accuracy = r.Loss, r.Accuracy
	return json.NewEncoder(os.Stdout).Encode(t)
}

// SPDX-License-Identifier: Apache-2.0

package run

import (
	"context"

	"github.com/edgenas/edgenas/arch"
	"github.com/edgenas/edgenas/internal/dataset"
	"github.com/edgenas/edgenas/internal/evaluate"
	"github.com/edgenas/edgenas/internal/fault"
	"github.com/edgenas/edgenas/internal/kernels"
	"github.com/edgenas/edgenas/ops"
	"github.com/edgenas/edgenas/train"
)

// Fits is an error unless w are weights of the architecture's network.
func Fits(w ops.Weights, ar arch.Architecture) error {
	g, err := ar.Network(1)
	if err != nil {
		return err
	}
	return w.Check(g)
}

// Enough is a data error unless the training images fill a batch and leave one
// that a search can judge networks on.
func Enough(set *dataset.Set, batch int) error {
	if n := set.Train.Len(); n <= batch {
		return fault.Errorf(fault.Data, "%s: %d training images: want at least %d, a batch and one to judge on", set.Name, n,
			batch+1)
	}
	return nil
}

// Fit is the space's size for these images.
func Fit(s arch.Size, set *dataset.Set) (arch.Size, error) {
	if set.H != set.W {
		return s, fault.Errorf(fault.Data, "%s: images are %d×%d: want square ones", set.Name, set.W, set.H)
	}
	s.Image, s.Colours, s.Classes = set.H, set.C, len(set.Classes)
	return s, nil
}

// Suits is a data error unless the images are what the architecture takes.
func Suits(a arch.Architecture, set *dataset.Set) error {
	size, err := Fit(a.Space.Size(), set)
	if err != nil {
		return err
	}
	if want := a.Space.Size(); size != want {
		return fault.Errorf(fault.Data, "%s has %d×%d images of %d channel(s) and %d classes: the architecture takes"+
			" %d×%d, %d and %d", set.Name, set.W, set.H, set.C, len(set.Classes), want.Image, want.Image, want.Colours,
			want.Classes)
	}
	return nil
}

// TrainEpochs is how long the recipe trains the architecture on so many images.
func TrainEpochs(c train.Config, a arch.Architecture, images int) (float64, error) {
	if c.Epochs > 0 {
		return c.Epochs, nil
	}
	g, err := a.Network(1)
	if err != nil {
		return 0, err
	}
	return train.Epochs(c.Work, train.Operations(g), images), nil
}

// Accuracy is the share of test images that the native runtime gets right.
func Accuracy(ctx context.Context, a arch.Architecture, w ops.Weights, set *dataset.Set, pool *kernels.Workers) (
	float64, error) {
	j, err := evaluate.Judge(ctx, a, w, set, &set.Test, nil, pool)
	return j.Accuracy, err
}

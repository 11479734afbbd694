// SPDX-License-Identifier: Apache-2.0

package dataset

import (
	_ "embed"

	"github.com/edgenas/edgenas/internal/dataset/imagepack"
)

var embeddedKind = Kind{
	Name:    "embedded",
	Summary: "a subset of Fashion-MNIST inside the program, 23,300 + 5,000 images",
	open:    openEmbedded,
}

// fashionPack is made by embedded/make.go: the test part, then the training
// part, each in the order of labels 0, 1, … 9, 0, 1, …
//
//go:embed embedded/fashion-mnist.pack
var fashionPack []byte

const (
	fashionTest  = 5000
	fashionTrain = 23300
)

// fashionClasses are the names that the authors of Fashion-MNIST gave.
var fashionClasses = []string{
	"t-shirt/top", "trouser", "pullover", "dress", "coat",
	"sandal", "shirt", "sneaker", "bag", "ankle boot",
}

// fashionAugment suits clothes: mirrored they are still clothes.
var fashionAugment = Augment{Flip: true, Pad: 4}

func openEmbedded(string, Options) (*Set, error) {
	pixels, w, h, err := imagepack.Unpack(fashionPack)
	if err != nil {
		return nil, &DataError{"embedded", err}
	}
	classes := len(fashionClasses)
	labels := make([]int32, len(pixels)/(w*h))
	if len(labels) != fashionTest+fashionTrain {
		return nil, dataErrorf("embedded", "%d images, want %d", len(labels), fashionTest+fashionTrain)
	}
	for i := range labels {
		labels[i] = int32(i % classes)
	}
	cut := fashionTest * w * h
	return &Set{
		Classes: append([]string(nil), fashionClasses...),
		C:       1, H: h, W: w,
		Test:    Part{pixels[:cut:cut], labels[:fashionTest:fashionTest]},
		Train:   Part{pixels[cut:], labels[fashionTest:]},
		Augment: fashionAugment,
	}, nil
}

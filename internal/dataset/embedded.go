// SPDX-License-Identifier: Apache-2.0

package dataset

import (
	"bytes"
	_ "embed"
	"errors"
	"image"
	"image/png"
	"slices"
)

var embeddedKind = Kind{
	Name:    "embedded",
	Summary: "a subset of Fashion-MNIST inside the program, 23,300 + 5,000 images",
	open:    openEmbedded,
}

// fashionTest and fashionTrain are the two parts, each a sheet of images: rows
// of fashionColumns, class by class. embedded/make.go writes them.
//
//go:embed embedded/test.png
var fashionTest []byte

//go:embed embedded/train.png
var fashionTrain []byte

const (
	fashionSide    = 28
	fashionColumns = 100 // images in a row of a sheet
)

// fashionClasses lists the names that the authors of Fashion-MNIST gave.
var fashionClasses = []string{
	"t-shirt/top", "trouser", "pullover", "dress", "coat",
	"sandal", "shirt", "sneaker", "bag", "ankle boot",
}

// fashionAugment suits clothes: mirrored they are still clothes.
var fashionAugment = Augment{Flip: true, Pad: 4}

func openEmbedded(string, Options) (*Set, error) {
	test, err := readSheet(fashionTest)
	if err != nil {
		return nil, &DataError{"embedded", err}
	}
	train, err := readSheet(fashionTrain)
	if err != nil {
		return nil, &DataError{"embedded", err}
	}
	return &Set{
		Classes: slices.Clone(fashionClasses),
		C:       1, H: fashionSide, W: fashionSide,
		Test: test, Train: train,
		Augment: fashionAugment,
	}, nil
}

// readSheet cuts a sheet into its images. They come class by class in the sheet
// and in the order of labels 0, 1, … 9, 0, 1, … in the part.
func readSheet(data []byte) (Part, error) {
	decoded, err := png.Decode(bytes.NewReader(data))
	if err != nil {
		return Part{}, err
	}
	sheet, ok := decoded.(*image.Gray)
	if !ok || sheet.Rect.Dx() != fashionColumns*fashionSide {
		return Part{}, errors.New("not a sheet of grey images")
	}
	n, classes := sheet.Rect.Dy()/fashionSide*fashionColumns, len(fashionClasses)
	p := Part{Pixels: make([]uint8, 0, n*fashionSide*fashionSide), Labels: make([]int32, n)}
	for i := range p.Labels {
		label := i % classes
		p.Labels[i] = int32(label)
		at := label*(n/classes) + i/classes // place in the sheet
		for y := range fashionSide {
			from := sheet.PixOffset(at%fashionColumns*fashionSide, at/fashionColumns*fashionSide+y)
			p.Pixels = append(p.Pixels, sheet.Pix[from:from+fashionSide]...)
		}
	}
	return p, nil
}

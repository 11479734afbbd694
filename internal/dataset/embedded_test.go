// SPDX-License-Identifier: Apache-2.0

package dataset

import (
	"bytes"
	"image"
	"image/png"
	"math"
	"slices"
	"testing"
)

func TestEmbedded(t *testing.T) {
	s, err := Open("embedded", Options{})
	if err != nil {
		t.Fatal(err)
	}
	if s.Name != "embedded" || s.C != 1 || s.H != 28 || s.W != 28 || len(s.Classes) != 10 || s.Classes[9] != "ankle boot" {
		t.Errorf("%s: shape %d×%d×%d, classes %q", s.Name, s.C, s.H, s.W, s.Classes)
	}
	if want := "5ed50b995c718d10143dd3e4dfa16a0f048fe3709d11925e066d6562e9c50e64"; s.Digest != want {
		t.Errorf("digest %s, want %s", s.Digest, want)
	}
	for _, c := range s.Info().Classes {
		if c.Train != 2330 || c.Test != 500 {
			t.Errorf("class %s has %d + %d images, want 2330 + 500", c.Name, c.Train, c.Test)
		}
	}
	if s.Test.Len() != 5000 || s.Train.Len() != 23300 {
		t.Errorf("%d + %d images, want 23300 + 5000", s.Train.Len(), s.Test.Len())
	}
	// The whole training part of Fashion-MNIST has 0.2860 ± 0.3530.
	if math.Abs(float64(s.Mean[0])-0.2860) > 0.001 || math.Abs(float64(s.Std[0])-0.3530) > 0.001 {
		t.Errorf("pixels %g ± %g, want 0.286 ± 0.353", s.Mean[0], s.Std[0])
	}
	// Labels belong to images: shirts have more cloth than sandals, and most
	// classes are told apart by the nearest mean image of the training part.
	means := make([][]float64, 10)
	size := s.ImageLen()
	for i, label := range s.Train.Labels {
		if means[label] == nil {
			means[label] = make([]float64, size)
		}
		for j, v := range s.Train.Pixels[i*size : (i+1)*size] {
			means[label][j] += float64(v) / 2330
		}
	}
	right := 0
	for i, label := range s.Test.Labels {
		distances := make([]float64, 10)
		for c, mean := range means {
			for j, v := range s.Test.Pixels[i*size : (i+1)*size] {
				distances[c] += (float64(v) - mean[j]) * (float64(v) - mean[j])
			}
		}
		if slices.Index(distances, slices.Min(distances)) == int(label) {
			right++
		}
	}
	if right < 3200 || right > 3600 { // 0.677 is what this classifier reaches on the whole set
		t.Errorf("nearest mean image is right %d times in 5000", right)
	}
}

func TestEmbeddedSize(t *testing.T) {
	if n := len(fashionTest) + len(fashionTrain); n > 11_200_000 {
		t.Errorf("%d bytes inside the program, want at most 11,200,000", n)
	}
}

// A sheet that is torn, or shows something else, is an error.
func TestReadSheetErrors(t *testing.T) {
	encode := func(img image.Image) []byte {
		var b bytes.Buffer
		if err := png.Encode(&b, img); err != nil {
			t.Fatal(err)
		}
		return b.Bytes()
	}
	for name, data := range map[string][]byte{
		"empty":        nil,
		"torn":         fashionTest[:len(fashionTest)/2],
		"in colour":    encode(image.NewRGBA(image.Rect(0, 0, fashionColumns*fashionSide, fashionSide))),
		"other images": encode(image.NewGray(image.Rect(0, 0, fashionSide, fashionSide))),
	} {
		if p, err := readSheet(data); err == nil {
			t.Errorf("%s: %d images", name, p.Len())
		}
	}
}

func BenchmarkOpen(b *testing.B) {
	b.Run("data=embedded", func(b *testing.B) {
		for b.Loop() {
			if _, err := Open("embedded", Options{}); err != nil {
				b.Fatal(err)
			}
		}
	})
}

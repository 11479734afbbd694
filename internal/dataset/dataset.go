// SPDX-License-Identifier: Apache-2.0

package dataset

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"math"
	"strings"
)

const (
	maxSide      = 1024          // rows and columns of an image
	maxPartBytes = math.MaxInt32 // pixels of a part
)

// A Set is a data set that was read and checked. There are at least 2 classes
// and 1 image in each part, and every label is below len(Classes).
type Set struct {
	Name        string   // the spec it was opened with
	Classes     []string // names, by label
	C, H, W     int      // channels (1 or 3), rows, columns of every image
	Train, Test Part
	Mean, Std   []float32 // per channel, of the training pixels scaled to 0…1
	Augment     Augment   // what suits the images; callers may choose less
	Digest      string    // SHA-256, hex, of classes, shape, labels and pixels
}

// ImageLen returns the number of values in one image, H·W·C.
func (s *Set) ImageLen() int { return s.H * s.W * s.C }

// A Part is the training or the test half of a Set. The zero value is empty.
type Part struct {
	Pixels []uint8 // N,H,W,C
	Labels []int32
}

// Len returns the number of images.
func (p *Part) Len() int { return len(p.Labels) }

// A Kind is one way to store images, as it is named before the colon of a spec.
type Kind struct {
	Name     string
	Argument string // what follows the colon: "DIR", or "" for nothing
	Summary  string // one line for people

	open func(dir string, o Options) (*Set, error)
}

// Spec returns the form of the kind's specs, such as "idx:DIR".
func (k Kind) Spec() string { return strings.TrimSuffix(k.Name+":"+k.Argument, ":") }

// Kinds returns all kinds in the order in which they are shown.
func Kinds() []Kind { return append([]Kind(nil), kinds...) }

var kinds = []Kind{embeddedKind, idxKind, cifar10Kind, imagesKind}

// Options refine Open. The zero value asks for nothing.
type Options struct {
	Image int    // rows and columns that images must have; 0: those of the first
	Seed  uint64 // orders the split of an images folder that has no test part
}

// A SpecError means that a spec is not KIND:PATH of a known kind: a mistake in
// the usage, not in the data.
type SpecError struct {
	Spec   string
	Reason string
}

func (e *SpecError) Error() string { return fmt.Sprintf("dataset: %q: %s", e.Spec, e.Reason) }

// A DataError means that data is missing or broken. Path is the file or folder.
type DataError struct {
	Path string
	Err  error
}

func (e *DataError) Error() string { return fmt.Sprintf("dataset: %s: %v", e.Path, e.Err) }

// Unwrap returns the cause.
func (e *DataError) Unwrap() error { return e.Err }

func dataErrorf(path, format string, args ...any) error {
	return &DataError{path, fmt.Errorf(format, args...)}
}

// Open reads the data set that spec names: embedded, idx:DIR, cifar10:DIR or
// images:DIR. Errors are *SpecError or *DataError.
func Open(spec string, o Options) (*Set, error) {
	name, dir, _ := strings.Cut(spec, ":")
	var forms []string
	for _, k := range kinds {
		forms = append(forms, k.Spec())
		if k.Name != name {
			continue
		}
		if (dir == "") != (k.Argument == "") {
			return nil, &SpecError{spec, "want " + k.Spec()}
		}
		s, err := k.open(dir, o)
		if err != nil {
			return nil, err
		}
		s.Name = spec
		if err := s.finish(o); err != nil {
			return nil, &DataError{spec, err}
		}
		return s, nil
	}
	return nil, &SpecError{spec, fmt.Sprintf("unknown kind %q, want %s", name, strings.Join(forms, ", "))}
}

// finish checks what every kind must fulfil and fills Mean, Std and Digest.
func (s *Set) finish(o Options) error {
	if o.Image != 0 && (s.H != o.Image || s.W != o.Image) {
		return fmt.Errorf("images are %d×%d, want %d×%d", s.W, s.H, o.Image, o.Image)
	}
	if len(s.Classes) < 2 {
		return fmt.Errorf("%d class, want at least 2", len(s.Classes))
	}
	if s.Train.Len() == 0 || s.Test.Len() == 0 {
		return errors.New("a part without images")
	}
	if err := s.measure(); err != nil {
		return err
	}
	s.Digest = s.digest()
	return nil
}

// measure computes Mean and Std from the exact counts of each pixel value.
func (s *Set) measure() error {
	s.Mean, s.Std = make([]float32, s.C), make([]float32, s.C)
	counts := make([][256]int64, s.C)
	for i := 0; i < len(s.Train.Pixels); i += s.C {
		for c, v := range s.Train.Pixels[i : i+s.C] {
			counts[c][v]++
		}
	}
	n := float64(len(s.Train.Pixels) / s.C)
	for c := range counts {
		sum := int64(0)
		for v, k := range counts[c] {
			sum += int64(v) * k
		}
		mean := float64(sum) / n
		squares := 0.0
		for v, k := range counts[c] {
			d := float64(v) - mean
			squares += float64(float64(d*d) * float64(k)) // no fused multiply-add: the same bits everywhere
		}
		if squares == 0 {
			return fmt.Errorf("channel %d has the same value in every training pixel", c)
		}
		s.Mean[c] = float32(mean / 255)
		s.Std[c] = float32(math.Sqrt(squares/n) / 255)
	}
	return nil
}

// digest hashes the class names (each with its length), the shape, and the
// labels and pixels of both parts.
func (s *Set) digest() string {
	h := sha256.New()
	number := func(v int) { binary.Write(h, binary.LittleEndian, uint32(v)) }
	number(len(s.Classes))
	for _, name := range s.Classes {
		number(len(name))
		io.WriteString(h, name)
	}
	for _, v := range []int{s.C, s.H, s.W} {
		number(v)
	}
	for _, p := range []*Part{&s.Train, &s.Test} {
		number(p.Len())
		binary.Write(h, binary.LittleEndian, p.Labels)
		h.Write(p.Pixels)
	}
	return hex.EncodeToString(h.Sum(nil))
}

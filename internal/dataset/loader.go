// SPDX-License-Identifier: Apache-2.0

package dataset

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
)

// A Loader draws batches without end from some images of a part. Each epoch is
// a new permutation of them, and the position in it goes on from batch to batch:
// every image is drawn exactly once an epoch. A batch that reaches the end of an
// epoch goes on in the next one, so all batches are full.
//
// All randomness comes from the loader's own generator. Two loaders with the
// same arguments and seed give the same batches, whatever else runs.
type Loader struct {
	view    view
	indices []int
	augment Augment
	source  *rand.PCG
	rng     *rand.Rand

	epoch   int
	cursor  int
	shuffle rand.PCG // the generator before the epoch's permutation was drawn
	order   []int    // the epoch's permutation of indices
}

// NewLoader returns a loader for the images of p, a part of s, that indices
// name; nil means all. It keeps indices and owns source from now on. It panics
// if there are no images.
func NewLoader(s *Set, p *Part, indices []int, a Augment, source *rand.PCG) *Loader {
	l := &Loader{view: newView(s, p), indices: all(p, indices), augment: a, source: source, rng: rand.New(source)}
	if len(l.indices) == 0 {
		panic("dataset: loader without images")
	}
	l.order = make([]int, len(l.indices))
	l.permute()
	return l
}

// permute draws the permutation of a new epoch.
func (l *Loader) permute() {
	l.shuffle = *l.source
	copy(l.order, l.indices)
	for i := len(l.order) - 1; i > 0; i-- {
		j := l.rng.IntN(i + 1)
		l.order[i], l.order[j] = l.order[j], l.order[i]
	}
}

// Len returns the number of images in an epoch.
func (l *Loader) Len() int { return len(l.indices) }

// Next fills a batch of len(y) images: x with their values in N,H,W,C order,
// normalised and augmented, and y with their labels. It does not allocate. It
// panics if x has not len(y) times ImageLen values.
func (l *Loader) Next(x []float32, y []int32) {
	l.view.check(x, y)
	for i := range y {
		if l.cursor == len(l.order) {
			l.epoch++
			l.cursor = 0
			l.permute()
		}
		v := l.augment.draw(l.rng, l.view.h, l.view.w)
		y[i] = l.view.vary(x, i, l.order[l.cursor], v)
		l.cursor++
	}
}

// LoaderState is a Loader's position. The zero value is not a valid state.
type LoaderState struct {
	Images  int    `json:"images"`  // in an epoch
	Epoch   int    `json:"epoch"`   // epochs before this one
	Cursor  int    `json:"cursor"`  // images of this epoch that were drawn
	Shuffle []byte `json:"shuffle"` // the generator at the start of the epoch
	Draws   []byte `json:"draws"`   // the generator now
}

// State returns the loader's position.
func (l *Loader) State() LoaderState {
	shuffle, _ := l.shuffle.MarshalBinary() // a PCG never fails
	draws, _ := l.source.MarshalBinary()
	return LoaderState{len(l.indices), l.epoch, l.cursor, shuffle, draws}
}

// Restore continues from a state of a loader of the same images: the following
// batches are the same as they were after State. It returns an error for a state
// that does not fit, and leaves the loader as it was then.
func (l *Loader) Restore(s LoaderState) error {
	if s.Images != len(l.indices) {
		return fmt.Errorf("dataset: loader state: of %d images, this loader has %d", s.Images, len(l.indices))
	}
	if s.Epoch < 0 || s.Cursor < 0 || s.Cursor > s.Images {
		return fmt.Errorf("dataset: loader state: epoch %d, cursor %d of %d", s.Epoch, s.Cursor, s.Images)
	}
	var shuffle, draws rand.PCG
	if err := shuffle.UnmarshalBinary(s.Shuffle); err != nil {
		return fmt.Errorf("dataset: loader state: shuffle: %w", err)
	}
	if err := draws.UnmarshalBinary(s.Draws); err != nil {
		return fmt.Errorf("dataset: loader state: draws: %w", err)
	}
	*l.source = shuffle
	l.permute()
	*l.source = draws
	l.epoch, l.cursor = s.Epoch, s.Cursor
	return nil
}

// MarshalJSON writes the loader's position.
func (l *Loader) MarshalJSON() ([]byte, error) { return json.Marshal(l.State()) }

// UnmarshalJSON continues from a position that MarshalJSON wrote, as Restore does.
func (l *Loader) UnmarshalJSON(data []byte) error {
	var s LoaderState
	if err := json.Unmarshal(data, &s); err != nil {
		return fmt.Errorf("dataset: loader state: %w", err)
	}
	return l.Restore(s)
}

// SPDX-License-Identifier: Apache-2.0

package run

import (
	"fmt"
	"strings"

	"github.com/edgenas/edgenas/arch"
)

// Effort is how much work a run spends. Work is counted in [train.Operations], so
// that the same flags give the same network on every machine.
type Effort struct {
	Name  string
	About string // how long it takes

	Rounds   int     // in which each operation is measured, at least; 0: as [latency.DefaultRounds]
	Training float64 // operations of the final training
	Policy   float64 // operations of the supernet, from which α learns
	List     int     // networks that α compares
	Random   int     // how many of them are drawn at random
	Pool     int     // networks that begin in the first rung
	Rungs    []rung
}

// rung is a stage of short trainings. Its networks share the operations: a
// smaller one sees more images.
type rung struct {
	name   string
	work   float64
	keep   int  // how many go on, as many of each size
	narrow bool // with half of the channels, where these are more than a vector's
	half   bool // on images of half the side
}

// fewestChannels is the width below which a training takes as long with half the
// channels: vectors are half empty.
const fewestChannels = 16

// Efforts lists them, the least first; the first is the default. A server with
// two cores does 1e11 to 4e11 operations a second.
var Efforts = []Effort{
	{Name: "quick", About: "five minutes", Rounds: 9, Training: 2.8e13, Policy: 1.4e12, List: 30, Random: 4, Pool: 16,
		Rungs: []rung{
			{name: "rung 1", work: 1e12, keep: 6, narrow: true, half: true},
			{name: "rung 2", work: 5e12, keep: 1},
		}},
	{Name: "standard", About: "an hour", Training: 2.6e14, Policy: 1.3e13, List: 96, Random: 12, Pool: 60, Rungs: []rung{
		{name: "rung 1", work: 2.6e13, keep: 18, narrow: true, half: true},
		{name: "rung 2", work: 5e13, keep: 6, half: true},
		{name: "rung 3", work: 1e14, keep: 1},
	}},
	{Name: "thorough", About: "a night", Training: 1.6e15, Policy: 1.3e14, List: 256, Random: 24, Pool: 120, Rungs: []rung{
		{name: "rung 1", work: 1.3e14, keep: 36, narrow: true, half: true},
		{name: "rung 2", work: 4e14, keep: 9, half: true},
		{name: "rung 3", work: 8e14, keep: 1},
	}},
}

// NewEffort returns the effort of this name.
func NewEffort(name string) (Effort, error) {
	var names []string
	for _, e := range Efforts {
		if e.Name == name {
			return e, nil
		}
		names = append(names, e.Name)
	}
	return Effort{}, fmt.Errorf("effort %q: want %s", name, strings.Join(names, ", "))
}

// longer says which effort trains networks longer; it is empty for the last one.
func (e Effort) longer() string {
	for i := range len(Efforts) - 1 {
		if Efforts[i].Name == e.Name {
			return "; --effort " + Efforts[i+1].Name + " trains them longer"
		}
	}
	return ""
}

// size is that of the space in which a network of this size trains in the rung,
// on images of so many rows: as deep.
func (r rung) size(s arch.Size, image int) arch.Size {
	s.Image = image
	if r.narrow {
		s.Channels = min(s.Channels, max(fewestChannels, (s.Channels+7)/8*4))
	}
	return s
}

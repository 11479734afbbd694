// SPDX-License-Identifier: Apache-2.0

package dataset

// Info sums up a Set for people and files.
type Info struct {
	Name     string      `json:"name"`
	Classes  []ClassInfo `json:"classes"`
	Channels int         `json:"channels"`
	Height   int         `json:"height"` // pixels
	Width    int         `json:"width"`  // pixels
	Train    int         `json:"train"`  // images
	Test     int         `json:"test"`   // images
	Mean     []float32   `json:"mean"`   // per channel, pixels scaled to 0…1
	Std      []float32   `json:"std"`
	Augment  Augment     `json:"augment"`
	Digest   string      `json:"digest"` // SHA-256, hex
}

// ClassInfo holds the name of a class and the numbers of its images.
type ClassInfo struct {
	Name  string `json:"name"`
	Train int    `json:"train"`
	Test  int    `json:"test"`
}

// Info returns the summary of the set.
func (s *Set) Info() Info {
	classes := make([]ClassInfo, len(s.Classes))
	for i, name := range s.Classes {
		classes[i].Name = name
	}
	for _, label := range s.Train.Labels {
		classes[label].Train++
	}
	for _, label := range s.Test.Labels {
		classes[label].Test++
	}
	return Info{
		Name: s.Name, Classes: classes,
		Channels: s.C, Height: s.H, Width: s.W,
		Train: s.Train.Len(), Test: s.Test.Len(),
		Mean: s.Mean, Std: s.Std, Augment: s.Augment, Digest: s.Digest,
	}
}

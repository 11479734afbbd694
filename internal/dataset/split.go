// SPDX-License-Identifier: Apache-2.0

package dataset

import (
	"math"
	"math/rand/v2"
	"slices"
)

// Split divides the images of a part at random into two disjoint lists of
// indices, each in ascending order. The first gets share (0…1) of each class, to
// within one image, and of the whole, rounded.
func Split(p *Part, share float64, rng *rand.Rand) (first, second []int) {
	var classes [][]int
	for i, label := range p.Labels {
		for int(label) >= len(classes) {
			classes = append(classes, nil)
		}
		classes[label] = append(classes[label], i)
	}
	seen := 0
	for _, class := range classes {
		seen += len(class)
		cut := int(math.Round(share*float64(seen))) - len(first)
		cut = min(max(cut, 0), len(class))
		rng.Shuffle(len(class), func(i, j int) { class[i], class[j] = class[j], class[i] })
		first = append(first, class[:cut]...)
		second = append(second, class[cut:]...)
	}
	slices.Sort(first)
	slices.Sort(second)
	return first, second
}

// SPDX-License-Identifier: Apache-2.0

package inventory

import (
	"math/rand/v2"
	"slices"
	"strings"

	"github.com/edgenas/edgenas/arch"
	"github.com/edgenas/edgenas/ops"
)

// Sizes are the inventories of a space in one or several sizes, which share a
// profile.
type Sizes []*Inventory

// Sizes returns the inventories of spaces, each built once.
func (c *Cache) Sizes(spaces []arch.Space, threads int) (Sizes, error) {
	var all Sizes
	for _, s := range spaces {
		n, err := c.Of(s, threads)
		if err != nil {
			return nil, err
		}
		all = append(all, n)
	}
	return all, nil
}

// Keys are the operations of all networks of all sizes, each once, sorted by
// text. They must not be changed.
func (s Sizes) Keys() []ops.Key {
	if len(s) == 1 {
		return s[0].Keys()
	}
	var keys []ops.Key
	texts := map[ops.Key]string{}
	for _, n := range s {
		for _, k := range n.Keys() {
			if _, known := texts[k]; !known {
				texts[k] = k.String()
				keys = append(keys, k)
			}
		}
	}
	slices.SortFunc(keys, func(a, b ops.Key) int { return strings.Compare(texts[a], texts[b]) })
	return keys
}

// Sample draws different networks as [Inventory.Sample] does, an equal share of
// each size. No two have the same notation, whatever their sizes, since that is
// what profiles call them.
func (s Sizes) Sample(count int, rng *rand.Rand) ([]Network, error) {
	var drawn []Network
	seen := map[string]bool{}
	for i, n := range s {
		of, err := n.sample((count-len(drawn))/(len(s)-i), seen, rng)
		if err != nil {
			return nil, err
		}
		drawn = append(drawn, of...)
	}
	return drawn, nil
}

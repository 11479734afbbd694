// SPDX-License-Identifier: Apache-2.0

package inventory

import (
	"maps"
	"math/rand/v2"
	"slices"
	"strings"

	"github.com/edgenas/edgenas/arch"
	"github.com/edgenas/edgenas/ops"
)

// Sizes are the inventories of a space in one or several sizes, which share a
// profile.
type Sizes []*Inventory

// Sizes returns the inventories of a space in some sizes, each built once.
func (c *Cache) Sizes(space string, sizes []arch.Size, threads int) (Sizes, error) {
	var all Sizes
	for _, size := range sizes {
		s, err := arch.NewSpace(space, size)
		if err != nil {
			return nil, err
		}
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
	return s.each(count, func(n *Inventory, count int, seen map[string]bool) ([]Network, error) {
		return n.sample(count, seen, rng)
	})
}

// SampleSmallest does what [Inventory.SampleSmallest] does, as Sample.
func (s Sizes) SampleSmallest(count int, cost Cost, rng *rand.Rand) ([]Network, error) {
	return s.each(count, func(n *Inventory, count int, seen map[string]bool) ([]Network, error) {
		return n.sampleSmallest(count, cost, seen, rng)
	})
}

// Find returns the network of this notation that is made of these operations,
// named by the texts of their keys: the same notation in another size has others.
// It reports false where no size has it.
func (s Sizes) Find(notation string, counts map[string]int) (Network, bool) {
	for _, n := range s {
		c, err := n.space.Parse(notation)
		if err != nil {
			continue
		}
		g, err := n.space.Network(c, 1)
		if err != nil {
			continue
		}
		found, own := Network{Space: n.space, Arch: notation, Graph: ops.Fuse(g)}, map[string]int{}
		for k, count := range ops.Keys(found.Graph) {
			own[k.String()] = count
		}
		if maps.Equal(own, counts) {
			return found, true
		}
	}
	return Network{}, false
}

func (s Sizes) each(count int, sample func(*Inventory, int, map[string]bool) ([]Network, error)) ([]Network, error) {
	var drawn []Network
	seen := map[string]bool{}
	for i, n := range s {
		of, err := sample(n, (count-len(drawn))/(len(s)-i), seen)
		if err != nil {
			return nil, err
		}
		drawn = append(drawn, of...)
	}
	return drawn, nil
}

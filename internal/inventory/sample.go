// SPDX-License-Identifier: Apache-2.0

package inventory

import (
	"cmp"
	"errors"
	"math/rand/v2"
	"slices"

	"github.com/edgenas/edgenas/arch"
	"github.com/edgenas/edgenas/ops"
)

// Network is a network of the space that was drawn.
type Network struct {
	Space arch.Space
	Arch  string // its notation
	Graph *ops.Graph
}

// Sample draws different networks by the random numbers, as many as are asked
// for wherever the space has them. The first ones are balanced: the options of
// each group are shuffled and gone through, so that a few networks have as many
// different options as can be. The others are drawn uniformly.
func (n *Inventory) Sample(count int, rng *rand.Rand) ([]Network, error) {
	return n.sample(count, map[string]bool{}, rng)
}

// sample draws networks that were not seen before.
func (n *Inventory) sample(count int, seen map[string]bool, rng *rand.Rand) ([]Network, error) {
	order, period := make([][]int, len(n.groups)), 1 // after which balanced networks come again
	for i, g := range n.groups {
		order[i] = rng.Perm(len(g.Options))
		period = leastCommonMultiple(period, len(g.Options))
	}
	drawn := drawing{inventory: n, seen: seen}
	for i := range min(count, period) {
		option := func(j int) int { return order[j][i%len(order[j])] }
		if _, err := drawn.add(option); err != nil {
			return nil, err
		}
	}
	err := drawn.fill(count, rng)
	return drawn.networks, err
}

// Cost is what a network costs by its operations.
type Cost func(map[ops.Key]int) (float64, error)

// tenth is how many networks one of the smallest tenth is found among.
const tenth = 10

// SampleSmallest draws networks from the smallest tenth of the space by a cost
// of their operations: of ten times as many networks, drawn uniformly, the
// cheapest tenth. A space with fewer networks gives fewer.
func (n *Inventory) SampleSmallest(count int, cost Cost, rng *rand.Rand) ([]Network, error) {
	return n.sampleSmallest(count, cost, map[string]bool{}, rng)
}

func (n *Inventory) sampleSmallest(count int, cost Cost, seen map[string]bool, rng *rand.Rand) ([]Network, error) {
	drawn := drawing{inventory: n, seen: seen}
	if err := drawn.fill(tenth*count, rng); err != nil {
		return nil, err
	}
	type priced struct {
		Network
		cost float64
	}
	var all []priced
	for _, d := range drawn.networks {
		c, err := cost(ops.Keys(d.Graph))
		if err != nil {
			return nil, err
		}
		all = append(all, priced{d, c})
	}
	slices.SortStableFunc(all, func(a, b priced) int { return cmp.Compare(a.cost, b.cost) })
	var smallest []Network
	for _, p := range all[:(len(all)+tenth-1)/tenth] {
		smallest = append(smallest, p.Network)
	}
	return smallest, nil
}

// drawing is a set of different networks that grows.
type drawing struct {
	inventory *Inventory
	networks  []Network
	seen      map[string]bool // notations
}

// add takes in the network with an option of each group. It reports false for
// a network that is there already and for options that make none.
func (d *drawing) add(option func(group int) int) (bool, error) {
	n := d.inventory
	c := n.start.Clone()
	for j, g := range n.groups {
		g.Set(c, option(j))
	}
	name := n.space.Notation(c)
	if d.seen[name] {
		return false, nil
	}
	d.seen[name] = true
	g, err := n.space.Network(c, 1)
	if errors.Is(err, arch.ErrDead) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	d.networks = append(d.networks, Network{Space: n.space, Arch: name, Graph: ops.Fuse(g)})
	return true, nil
}

// fewCombinations is the size of a space that is gone through one by one, and
// misses is how many networks in a row may be known already in a larger one.
const (
	fewCombinations = 1 << 16
	misses          = 1000
)

// fill draws networks uniformly until there are so many, or all.
func (d *drawing) fill(count int, rng *rand.Rand) error {
	groups, combinations := d.inventory.groups, 1
	for _, g := range groups {
		combinations = min(combinations*len(g.Options), fewCombinations+1)
	}
	if combinations <= fewCombinations {
		for _, at := range rng.Perm(combinations) {
			if len(d.networks) >= count {
				return nil
			}
			options := make([]int, len(groups))
			for j, g := range groups {
				options[j], at = at%len(g.Options), at/len(g.Options)
			}
			if _, err := d.add(func(j int) int { return options[j] }); err != nil {
				return err
			}
		}
		return nil
	}
	for missed := 0; len(d.networks) < count && missed < misses; missed++ {
		added, err := d.add(func(j int) int { return rng.IntN(len(groups[j].Options)) })
		if err != nil {
			return err
		}
		if added {
			missed = 0
		}
	}
	return nil
}

func leastCommonMultiple(a, b int) int {
	x, y := a, b
	for y != 0 {
		x, y = y, x%y
	}
	return a / x * b
}

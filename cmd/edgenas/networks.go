// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"sync"

	"github.com/spf13/cobra"

	"github.com/edgenas/edgenas/arch"
	"github.com/edgenas/edgenas/internal/dataset"
	"github.com/edgenas/edgenas/latency"
	"github.com/edgenas/edgenas/ops"
)

// spaceFlags are the parameters of a space on the command line.
type spaceFlags struct {
	name string
	size arch.Size
}

func (f *spaceFlags) add(c *cobra.Command) {
	var names []string
	for _, s := range arch.Spaces {
		names = append(names, s.Name)
	}
	d := arch.Spaces[0].Default
	c.Flags().StringVar(&f.name, "space", arch.Spaces[0].Name, "search space: "+strings.Join(names, ", "))
	c.Flags().IntVar(&f.size.Cells, "cells", d.Cells, "cells a stage")
	c.Flags().IntVar(&f.size.Channels, "channels", d.Channels, "channels of the first stage")
}

// addImage adds the flags for commands that have no images to take them from.
func (f *spaceFlags) addImage(c *cobra.Command) {
	d := arch.Spaces[0].Default
	c.Flags().IntVar(&f.size.Image, "image", d.Image, "rows and columns of an image")
	c.Flags().IntVar(&f.size.Colours, "colours", d.Colours, "channels of an image: 1 or 3")
	c.Flags().IntVar(&f.size.Classes, "classes", d.Classes, "number of classes")
}

func (f *spaceFlags) space() (arch.Space, error) {
	s, err := arch.NewSpace(f.name, f.size)
	if err != nil {
		return nil, usageError{err}
	}
	return s, nil
}

// spaceFor is the space for these images: flags that make no sense are a usage
// error, images that do not suit it a data error.
func (f *spaceFlags) spaceFor(set *dataset.Set) (arch.Space, error) {
	usual := arch.Spaces[0].Default
	usual.Cells, usual.Channels = f.size.Cells, f.size.Channels
	if _, err := arch.NewSpace(f.name, usual); err != nil {
		return nil, usageError{err}
	}
	size, err := fit(f.size, set)
	if err != nil {
		return nil, err
	}
	s, err := arch.NewSpace(f.name, size)
	if err != nil {
		return nil, dataError{fmt.Errorf("%s: %w", set.Name, err)}
	}
	return s, nil
}

// networks knows which fused operations each network of a space is made of.
type networks struct {
	space   arch.Space
	choices []arch.Choice // every network once, canonical
	counts  map[string]map[ops.Key]int
	keys    []ops.Key // of all networks, sorted by text
}

// networks builds every network of the space, once in a process.
func (a *app) networks(space arch.Space) (*networks, error) {
	name := fmt.Sprint(space.Name(), space.Size())
	if n := a.spaces[name]; n != nil {
		return n, nil
	}
	n, err := newNetworks(space)
	if err == nil {
		a.spaces[name] = n
	}
	return n, err
}

// newNetworks builds every network of the space once.
func newNetworks(space arch.Space) (*networks, error) {
	n := &networks{space: space, counts: map[string]map[ops.Key]int{}}
	var names []string
	var all []arch.Choice
	for c := range arch.All(space) {
		c = space.Canonical(c)
		name := space.Notation(c)
		if _, seen := n.counts[name]; !seen {
			n.counts[name] = nil
			names, all = append(names, name), append(all, c)
		}
	}
	counts, errs := make([]map[ops.Key]int, len(all)), make([]error, len(all))
	var wg sync.WaitGroup
	workers := runtime.GOMAXPROCS(0)
	for w := range workers {
		wg.Go(func() {
			for i := w; i < len(all); i += workers {
				g, err := space.Network(all[i], 1)
				if err != nil {
					errs[i] = err
					continue
				}
				counts[i] = ops.Keys(ops.Fuse(g))
			}
		})
	}
	wg.Wait()
	seen := map[ops.Key]bool{}
	for i, name := range names {
		switch {
		case errors.Is(errs[i], arch.ErrDead):
			continue
		case errs[i] != nil:
			return nil, errs[i]
		}
		n.counts[name] = counts[i]
		n.choices = append(n.choices, all[i])
		for k := range counts[i] {
			if !seen[k] {
				seen[k] = true
				n.keys = append(n.keys, k)
			}
		}
	}
	slices.SortFunc(n.keys, func(a, b ops.Key) int { return strings.Compare(a.String(), b.String()) })
	return n, nil
}

// sample draws n different networks by the seed, for measuring them whole.
func (n *networks) sample(count int, rng *rand.Rand) ([]latency.Network, error) {
	var out []latency.Network
	for _, i := range rng.Perm(len(n.choices))[:min(count, len(n.choices))] {
		g, err := n.space.Network(n.choices[i], 1)
		if err != nil {
			return nil, err
		}
		out = append(out, latency.Network{Arch: n.space.Notation(n.choices[i]), Graph: ops.Fuse(g)})
	}
	return out, nil
}

// priced are the networks with a table of latencies: what the search asks for.
type priced struct {
	*networks
	table *latency.Table
}

func (p priced) estimate(c arch.Choice) (latency.Estimate, error) {
	counts := p.counts[p.space.Notation(p.space.Canonical(c))]
	if counts == nil {
		return latency.Estimate{}, arch.ErrDead
	}
	e, err := p.table.EstimateCounts(counts)
	if err != nil {
		err = profileError{err}
	}
	return e, err
}

// Latency satisfies search.Costs.
func (p priced) Latency(c arch.Choice) (float64, error) {
	e, err := p.estimate(c)
	return e.Seconds, err
}

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
	"github.com/edgenas/edgenas/predict"
)

// spaceFlags are the parameters of a space on the command line.
type spaceFlags struct {
	name    string
	size    arch.Size // as given: see sized
	command *cobra.Command
}

func (f *spaceFlags) add(c *cobra.Command) {
	var names []string
	for _, s := range arch.Spaces {
		names = append(names, s.Name)
	}
	f.command = c
	c.Flags().StringVar(&f.name, "space", arch.Spaces[0].Name, "search space: "+strings.Join(names, ", "))
	c.Flags().IntVar(&f.size.Cells, "cells", 0, "cells: of nb201 in a stage, of darts in all, of mbconv (blocks) in a stage"+eachDefault(func(s arch.Size) int { return s.Cells }))
	c.Flags().IntVar(&f.size.Channels, "channels", 0, "channels of the first stage"+eachDefault(func(s arch.Size) int { return s.Channels }))
}

// eachDefault tells the default of every space.
func eachDefault(of func(arch.Size) int) string {
	var each []string
	for _, s := range arch.Spaces {
		each = append(each, fmt.Sprintf("%s %d", s.Name, of(s.Default)))
	}
	return " (default " + strings.Join(each, ", ") + ")"
}

// addImage adds the flags for commands that have no images to take them from.
func (f *spaceFlags) addImage(c *cobra.Command) {
	d := arch.Spaces[0].Default
	c.Flags().IntVar(&f.size.Image, "image", d.Image, "rows and columns of an image")
	c.Flags().IntVar(&f.size.Colours, "colours", d.Colours, "channels of an image: 1 or 3")
	c.Flags().IntVar(&f.size.Classes, "classes", d.Classes, "number of classes")
}

// usualSize is the default size of a space; of an unknown one, the first's.
func usualSize(space string) arch.Size {
	for _, s := range arch.Spaces {
		if s.Name == space {
			return s.Default
		}
	}
	return arch.Spaces[0].Default
}

// sized is the size with the space's defaults for the flags that were not given.
func (f *spaceFlags) sized() arch.Size {
	size, usual := f.size, usualSize(f.name)
	if !f.command.Flags().Changed("cells") {
		size.Cells = usual.Cells
	}
	if !f.command.Flags().Changed("channels") {
		size.Channels = usual.Channels
	}
	return size
}

func (f *spaceFlags) space() (arch.Space, error) {
	s, err := arch.NewSpace(f.name, f.sized())
	if err != nil {
		return nil, usageError{err}
	}
	return s, nil
}

// spaceFor is the space for these images: cells and channels that make no sense
// are a usage error, images that do not suit it a data error.
func spaceFor(name string, size arch.Size, set *dataset.Set) (arch.Space, error) {
	usual := usualSize(name)
	usual.Cells, usual.Channels = size.Cells, size.Channels
	if _, err := arch.NewSpace(name, usual); err != nil {
		return nil, usageError{err}
	}
	size, err := fit(size, set)
	if err != nil {
		return nil, err
	}
	s, err := arch.NewSpace(name, size)
	if err != nil {
		return nil, dataError{fmt.Errorf("%s: %w", set.Name, err)}
	}
	return s, nil
}

// networks knows which fused operations the networks of a space are made of.
// It builds a network for each option of each group of decisions: with several
// groups those are few of the space's networks, but have all its operations.
// Others are built when they are asked for.
type networks struct {
	space  arch.Space
	groups []arch.Group               // those options that are networks, each network once
	start  arch.Choice                // the first options of all groups
	known  map[string]map[ops.Key]int // notation → operations; nil: no network
	keys   []ops.Key                  // of all networks, sorted by text
}

// networks builds what there is to know of the space, once in a process.
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

func newNetworks(space arch.Space) (*networks, error) {
	n := &networks{space: space, start: arch.First(space), known: map[string]map[ops.Key]int{}}
	groups := space.Groups()
	var all []arch.Choice
	for i := range groups {
		all = append(append(all, n.options(groups[i])...), n.sole(groups, i)...)
	}
	if err := n.build(all); err != nil {
		return nil, err
	}
	for _, g := range groups {
		live := arch.Group{Alpha: g.Alpha, Rows: g.Rows}
		for _, c := range n.options(g) {
			if n.known[space.Notation(c)] == nil {
				continue
			}
			option := make([]int, len(g.Rows))
			for j, row := range g.Rows {
				option[j] = c[g.Alpha][row]
			}
			live.Options = append(live.Options, option)
		}
		n.groups = append(n.groups, live)
	}
	seen := map[ops.Key]bool{}
	for _, counts := range n.known {
		for k := range counts {
			if !seen[k] {
				seen[k] = true
				n.keys = append(n.keys, k)
			}
		}
	}
	slices.SortFunc(n.keys, func(a, b ops.Key) int { return strings.Compare(a.String(), b.String()) })
	return n, nil
}

// options are the different choices that a group's options make of the start.
func (n *networks) options(g arch.Group) []arch.Choice {
	var choices []arch.Choice
	seen := map[string]bool{}
	for o := range g.Options {
		c := n.start.Clone()
		g.Set(c, o)
		c = n.space.Canonical(c)
		if name := n.space.Notation(c); !seen[name] {
			seen[name] = true
			choices = append(choices, c)
		}
	}
	return choices
}

// sole gives, for each option of group i, the choices in which no other group
// reads one of the inputs that it reads. What makes the input may then be
// merged with the option's sum, which is an operation of its own.
func (n *networks) sole(groups []arch.Group, i int) []arch.Choice {
	var choices []arch.Choice
	cell := n.space.Cells()[groups[i].Alpha]
	for input := range cell.Inputs {
		start, possible := n.start.Clone(), true
		for j, g := range groups {
			if j == i || g.Alpha != groups[i].Alpha {
				continue
			}
			o := slices.IndexFunc(g.Options, func(option []int) bool { return !n.reads(g, option, input) })
			if possible = o >= 0; !possible {
				break
			}
			g.Set(start, o)
		}
		for o, option := range groups[i].Options {
			if possible && n.reads(groups[i], option, input) {
				c := start.Clone()
				groups[i].Set(c, o)
				choices = append(choices, n.space.Canonical(c))
			}
		}
	}
	return choices
}

// reads says whether an option of a group takes an operation on this node.
func (n *networks) reads(g arch.Group, option []int, node int) bool {
	names, edges := n.space.Alphas()[g.Alpha].Ops, n.space.Cells()[g.Alpha].Edges
	for j, row := range g.Rows {
		if edges[row].From == node && names[option[j]] != ops.None {
			return true
		}
	}
	return false
}

// build fills in the operations of those choices of which they are not known.
func (n *networks) build(choices []arch.Choice) error {
	asked := map[string]bool{}
	choices = slices.DeleteFunc(choices, func(c arch.Choice) bool {
		name := n.space.Notation(c)
		_, known := n.known[name]
		again := known || asked[name]
		asked[name] = true
		return again
	})
	counts, errs := make([]map[ops.Key]int, len(choices)), make([]error, len(choices))
	var wg sync.WaitGroup
	workers := runtime.GOMAXPROCS(0)
	for w := range workers {
		wg.Go(func() {
			for i := w; i < len(choices); i += workers {
				g, err := n.space.Network(choices[i], 1)
				if err != nil {
					errs[i] = err
					continue
				}
				counts[i] = ops.Keys(ops.Fuse(g))
			}
		})
	}
	wg.Wait()
	for i, c := range choices {
		if errs[i] != nil && !errors.Is(errs[i], arch.ErrDead) {
			return errs[i]
		}
		n.known[n.space.Notation(c)] = counts[i]
	}
	return nil
}

// counts are the operations of the network of a choice.
func (n *networks) counts(c arch.Choice) (map[ops.Key]int, error) {
	c = n.space.Canonical(c)
	name := n.space.Notation(c)
	if err := n.build([]arch.Choice{c}); err != nil {
		return nil, err
	}
	if counts := n.known[name]; counts != nil {
		return counts, nil
	}
	return nil, arch.ErrDead
}

// sample draws different networks by the seed, for measuring them whole: as
// many, or all. It shuffles the options of each group and goes through them, so
// that a few networks have as many different options as can be.
func (n *networks) sample(count int, rng *rand.Rand) ([]latency.Network, error) {
	order, period := make([][]int, len(n.groups)), 1 // after which the networks come again
	for i, g := range n.groups {
		order[i] = rng.Perm(len(g.Options))
		period = leastCommonMultiple(period, len(g.Options))
	}
	var out []latency.Network
	for i := range min(count, period) {
		c := n.start.Clone()
		for j, g := range n.groups {
			g.Set(c, order[j][i%len(order[j])])
		}
		g, err := n.space.Network(c, 1)
		if err != nil {
			return nil, err
		}
		out = append(out, latency.Network{Arch: n.space.Notation(c), Graph: ops.Fuse(g)})
	}
	return out, nil
}

func leastCommonMultiple(a, b int) int {
	x, y := a, b
	for y != 0 {
		x, y = y, x%y
	}
	return a / x * b
}

// priced are the networks with a table of latencies: what the search asks for.
type priced struct {
	*networks
	table *predict.Table
}

func (p priced) estimate(c arch.Choice) (predict.Estimate, error) {
	counts, err := p.counts(c)
	if err != nil {
		return predict.Estimate{}, err
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

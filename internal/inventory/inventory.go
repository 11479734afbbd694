// SPDX-License-Identifier: Apache-2.0

// Package inventory knows which fused operations the networks of a space are
// made of, and draws networks of it to be measured whole.
package inventory

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/edgenas/edgenas/arch"
	"github.com/edgenas/edgenas/ops"
)

// Inventory knows which fused operations the networks of a space are made of.
// It builds a network for each option of each group of decisions: with several
// groups those are few of the space's networks, but have all its operations.
// Others are built when they are asked for.
type Inventory struct {
	space   arch.Space
	threads int
	groups  []arch.Group               // those options that are networks, each network once
	start   arch.Choice                // the first options of all groups
	known   map[string]map[ops.Key]int // notation → operations; nil: no network
	keys    []ops.Key                  // of all networks, sorted by text
}

// New builds what there is to know of the space, with so many threads.
func New(space arch.Space, threads int) (*Inventory, error) {
	n := &Inventory{space: space, threads: max(1, threads), start: arch.First(space), known: map[string]map[ops.Key]int{}}
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
func (n *Inventory) options(g arch.Group) []arch.Choice {
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
func (n *Inventory) sole(groups []arch.Group, i int) []arch.Choice {
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
func (n *Inventory) reads(g arch.Group, option []int, node int) bool {
	names, edges := n.space.Alphas()[g.Alpha].Ops, n.space.Cells()[g.Alpha].Edges
	for j, row := range g.Rows {
		if edges[row].From == node && names[option[j]] != ops.None {
			return true
		}
	}
	return false
}

// build fills in the operations of those choices of which they are not known.
func (n *Inventory) build(choices []arch.Choice) error {
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
	workers := min(n.threads, len(choices))
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

// Space is the space.
func (n *Inventory) Space() arch.Space { return n.space }

// Keys are the operations of all networks, sorted by text. They must not be
// changed.
func (n *Inventory) Keys() []ops.Key { return n.keys }

// KeyTexts are the texts of Keys.
func (n *Inventory) KeyTexts() []string {
	texts := make([]string, len(n.keys))
	for i, k := range n.keys {
		texts[i] = k.String()
	}
	return texts
}

// Counts returns the operations of the network of a choice, or arch.ErrDead if
// the choice is no network. They must not be changed.
func (n *Inventory) Counts(c arch.Choice) (map[ops.Key]int, error) {
	c = n.space.Canonical(c)
	if err := n.build([]arch.Choice{c}); err != nil {
		return nil, err
	}
	if counts := n.known[n.space.Notation(c)]; counts != nil {
		return counts, nil
	}
	return nil, arch.ErrDead
}

// Cache keeps inventories for as long as a program runs. The zero value is
// empty.
type Cache struct{ all map[string]*Inventory }

// Of returns the inventory of a space, which is built once.
func (c *Cache) Of(space arch.Space, threads int) (*Inventory, error) {
	name := fmt.Sprint(space.Name(), space.Size())
	if n := c.all[name]; n != nil {
		return n, nil
	}
	n, err := New(space, threads)
	if err != nil {
		return nil, err
	}
	if c.all == nil {
		c.all = map[string]*Inventory{}
	}
	c.all[name] = n
	return n, nil
}

// SPDX-License-Identifier: Apache-2.0

package oracle

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"

	"github.com/edgenas/edgenas/internal/units"
	"github.com/edgenas/edgenas/search"
)

// Budget is a limit of the latency on a device of the table. The zero value is
// none.
type Budget struct {
	Device string
	LimitS float64
}

func (b Budget) String() string {
	if b.Device == "" {
		return "none"
	}
	return b.Device + " " + units.Seconds(b.LimitS)
}

// Set is a number of budgets under one name.
type Set struct {
	Name     string
	Budgets  []Budget
	Measures []Measure // that networks are judged by
}

// Sets lists the sets of budgets: everything is chosen under the first, and
// judged under the second.
var Sets = []Set{
	{"tuning", []Budget{{"pi5", 1.5e-3}, {"pi5", 2.5e-3}, {"pi5", 4.5e-3}, {"pi4", 10e-3}, {"pi4", 40e-3}},
		[]Measure{C10Val12, C100Test200}},
	{"held-out", []Budget{{"pi5", 3.5e-3}, {"pi5", 6e-3}, {"pi4", 20e-3}, {"pi4", 28e-3}, {}},
		[]Measure{C10Test200}},
}

// NewSet returns the set of this name.
func NewSet(name string) (Set, error) {
	var names []string
	for _, s := range Sets {
		if s.Name == name {
			return s, nil
		}
		names = append(names, s.Name)
	}
	return Set{}, fmt.Errorf("oracle: budgets %q: want %s", name, strings.Join(names, " or "))
}

// between lists the networks that take from low to high on the budget's device.
func (t *Table) between(b Budget, low, high float64) ([]int, error) {
	d := slices.Index(t.Devices, b.Device)
	if d < 0 {
		return nil, fmt.Errorf("oracle: %s: device %q: the table has %q", t.Name, b.Device, t.Devices)
	}
	var found []int
	for i, n := range t.Networks {
		if s := n.latencyS[d]; s >= low && s <= high {
			found = append(found, i)
		}
	}
	return found, nil
}

// Fitting lists the networks that keep the budget.
func (t *Table) Fitting(b Budget) ([]int, error) {
	if b.Device == "" {
		all := make([]int, len(t.Networks))
		for i := range all {
			all[i] = i
		}
		return all, nil
	}
	return t.between(b, 0, b.LimitS)
}

// Window lists the networks that use the budget: at least 0.85 of it, or where
// those are fewer than eight, the first of 0.7, 0.5, 0.25 and 0 of which there
// are as many. Without a limit, all do.
func (t *Table) Window(b Budget) ([]int, error) {
	if b.Device == "" {
		return t.Fitting(b)
	}
	var window []int
	for _, share := range search.Shares {
		var err error
		if window, err = t.between(b, share*b.LimitS, b.LimitS); err != nil || len(window) >= search.Fewest {
			return window, err
		}
	}
	if len(window) == 0 {
		return nil, fmt.Errorf("oracle: %s: no network takes at most %s", t.Name, b)
	}
	return window, nil
}

// among lists those of the networks that are in the budget's window.
func (t *Table) among(b Budget, networks []int) ([]int, error) {
	window, err := t.Window(b)
	return slices.DeleteFunc(slices.Clone(networks), func(n int) bool { return !slices.Contains(window, n) }), err
}

// Draw draws n different networks at random from the windows of the budgets, one
// of each in turn. A larger number of them begins with the same. Where the
// windows have fewer, it is all of them.
func (t *Table) Draw(budgets []Budget, n int, seed uint64) ([]int, error) {
	var windows [][]int
	for i, b := range budgets {
		window, err := t.Window(b)
		if err != nil {
			return nil, err
		}
		rng := rand.New(rand.NewPCG(seed, uint64(i)))
		rng.Shuffle(len(window), func(i, j int) { window[i], window[j] = window[j], window[i] })
		windows = append(windows, window)
	}
	var drawn []int
	seen := map[int]bool{}
	for left := true; left; {
		left = false
		for i := range windows {
			for len(windows[i]) > 0 && seen[windows[i][0]] {
				windows[i] = windows[i][1:]
			}
			if len(windows[i]) == 0 {
				continue
			}
			if len(drawn) == n {
				return drawn, nil
			}
			drawn, left = append(drawn, windows[i][0]), true
			seen[windows[i][0]] = true
		}
	}
	return drawn, nil
}

// SPDX-License-Identifier: Apache-2.0

// Package compare runs whole searches beside the simple things that could be done
// without one, under the same budgets and with the same final training. What has
// been done is recorded, so that it goes on where it was interrupted.
package compare

import (
	"fmt"

	"github.com/edgenas/edgenas/arch"
	"github.com/edgenas/edgenas/internal/units"
)

// Setting is what results must have in common to be compared.
type Setting struct {
	Space   string `json:"space"`
	Effort  string `json:"effort"`
	Data    string `json:"data"`
	Device  string `json:"device"`
	Runtime string `json:"runtime"`
}

// The kinds of steps.
const (
	Latency = "latency" // a simple network is measured without training
	Search  = "search"  // the whole job
	Simple  = "simple"  // a simple network is trained
)

// Step is a part of a comparison that is done as a whole.
type Step struct {
	Setting
	Kind    string    `json:"kind"`
	BudgetS float64   `json:"budget_s,omitempty"` // of a search
	Cell    string    `json:"cell,omitempty"`     // of a simple network
	Size    arch.Size `json:"size"`               // of a simple network; in a line, also of what a search has found
	Seed    uint64    `json:"seed,omitempty"`     // of a search or a training
}

func (s Step) String() string {
	switch s.Kind {
	case Search:
		return fmt.Sprintf("search within %s, seed %d", units.Seconds(s.BudgetS), s.Seed)
	case Simple:
		return fmt.Sprintf("training of %s, seed %d", network(s.Cell, s.Size), s.Seed)
	}
	return "latency of " + network(s.Cell, s.Size)
}

// network names a simple network.
func network(cell string, size arch.Size) string {
	return fmt.Sprintf("%s, %d channels, %d cells", cell, size.Channels, size.Cells)
}

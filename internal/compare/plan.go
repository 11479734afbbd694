// SPDX-License-Identifier: Apache-2.0

package compare

import (
	"context"
	"fmt"
	"slices"

	"github.com/edgenas/edgenas/arch"
)

// Plan is what is to be compared.
type Plan struct {
	Setting
	Budgets []float64 // in seconds
	Seeds   []uint64

	usual   arch.Size // the space's default
	cells   []cell
	ladders [][]rung // of each cell
}

// NewPlan plans a comparison. Of a size, cells and channels that are not 0 are
// those of all simple networks; the rest is what the images have.
func NewPlan(s Setting, size arch.Size, budgets []float64, seeds []uint64) (*Plan, error) {
	p := &Plan{Setting: s, Budgets: budgets, Seeds: seeds, usual: arch.Usual(s.Space, size)}
	var err error
	if p.cells, err = cellsOf(s.Space); err != nil {
		return nil, err
	}
	for _, c := range p.cells {
		rungs, err := c.ladder(s.Space, size)
		if err != nil {
			return nil, fmt.Errorf("compare: %w", err)
		}
		p.ladders = append(p.ladders, rungs)
	}
	return p, nil
}

// latency is the step that measures a cell's network of a size.
func (p *Plan) latency(c cell, size arch.Size) Step {
	return Step{Setting: p.Setting, Kind: Latency, Cell: c.name, Size: size}
}

// Missing lists the steps that are left to do and known, in their order: what
// needs the machine alone comes before trainings. Which sizes are measured next,
// and which are trained, follows from measurements.
func (p *Plan) Missing(lines *Lines) []Step {
	var missing []Step
	add := func(s Step) {
		if !lines.has(s) && !slices.Contains(missing, s) {
			missing = append(missing, s)
		}
	}
	trained := make([][]arch.Size, len(p.cells))
	for i, c := range p.cells {
		known := func(size arch.Size) (float64, bool) {
			l, ok := lines.of[p.latency(c, size)]
			return l.MeasuredS, ok
		}
		for _, budget := range p.Budgets {
			switch found, next := largest(p.ladders[i], known, budget); {
			case next >= 0:
				add(p.latency(c, p.ladders[i][next].size))
			case found >= 0:
				trained[i] = append(trained[i], p.ladders[i][found].size)
			}
		}
		s, ok := known(p.usual)
		if !ok {
			add(p.latency(c, p.usual))
		} else if s <= slices.Max(p.Budgets) {
			trained[i] = append(trained[i], p.usual)
		}
	}
	for _, seed := range p.Seeds {
		for _, budget := range p.Budgets {
			add(Step{Setting: p.Setting, Kind: Search, BudgetS: budget, Seed: seed})
		}
	}
	for _, seed := range p.Seeds {
		for i, c := range p.cells {
			for _, size := range trained[i] {
				add(Step{Setting: p.Setting, Kind: Simple, Cell: c.name, Size: size, Seed: seed})
			}
		}
	}
	return missing
}

// Do does one step.
type Do func(ctx context.Context, s Step) (Line, error)

// Run does all steps that are left and records each when it is over. It tells
// what is left before each of them.
func (p *Plan) Run(ctx context.Context, r *Record, do Do, tell func(missing []Step)) error {
	for {
		missing := p.Missing(r.Lines)
		if len(missing) == 0 {
			return nil
		}
		tell(missing)
		line, err := do(ctx, missing[0])
		if err != nil {
			return fmt.Errorf("compare: %s: %w", missing[0], err)
		}
		if line.Kind == Simple {
			latency := line.step()
			latency.Kind, latency.Seed = Latency, 0
			line.MeasuredS = r.of[latency].MeasuredS
		}
		if err := r.Add(line); err != nil {
			return err
		}
	}
}

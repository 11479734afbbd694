// SPDX-License-Identifier: Apache-2.0

package compare

import (
	"math"
	"slices"

	"github.com/edgenas/edgenas/arch"
	"github.com/edgenas/edgenas/internal/stats"
)

// Figure is a mean of some values.
type Figure struct {
	Mean  float64  `json:"mean"`
	Error *float64 `json:"standard_error"` // of the mean; null: of one value
}

// mean is nil for no values.
func mean(x []float64) *Figure {
	if len(x) == 0 {
		return nil
	}
	m, deviation := stats.MeanStdDev(x)
	f := &Figure{Mean: m}
	if len(x) > 1 {
		e := deviation / math.Sqrt(float64(len(x)))
		f.Error = &e
	}
	return f
}

// Table is what a comparison comes to, as far as its steps are over.
type Table struct {
	Rows       []Row   `json:"rows"`
	Runs       int     `json:"runs"`              // searches that have a simple thing beside them
	Difference *Figure `json:"difference_points"` // mean over these; the error is that of the seeds' means
}

// Row is a budget.
type Row struct {
	BudgetS    float64     `json:"budget_s"`
	Found      *Figure     `json:"found_pct"` // accuracy over seeds; null: nothing has been found yet
	Seeds      []Found     `json:"seeds"`
	Simple     *Standing   `json:"simple"`            // the best one; null: none keeps the budget and has all seeds
	Difference *Figure     `json:"difference_points"` // found less simple, mean over seeds
	WallS      *[3]float64 `json:"wall_s"`            // of a search: mean, least, most
	WorstUse   *float64    `json:"worst_use"`         // greatest measured latency, relative to the budget
}

// Found is what a search has found.
type Found struct {
	Seed        uint64  `json:"seed"`
	AccuracyPct float64 `json:"accuracy_pct"`
	Use         float64 `json:"use"` // measured latency, relative to the budget
	WallS       float64 `json:"wall_s"`
}

// Standing is a simple network that was trained with every seed.
type Standing struct {
	Cell        string    `json:"cell"`
	Size        arch.Size `json:"size"`
	MeasuredS   float64   `json:"latency_measured_s"`
	AccuracyPct Figure    `json:"accuracy_pct"`
	bySeed      []float64 // accuracies, in the order of the plan
}

// Table draws the comparison up.
func (p *Plan) Table(lines *Lines) *Table {
	t := &Table{Rows: []Row{}}
	simple := p.standings(lines)
	bySeed := make([][]float64, len(p.Seeds)) // differences
	for _, budget := range p.Budgets {
		row := Row{BudgetS: budget, Seeds: []Found{}, Simple: best(simple, budget)}
		var accuracies, differences, walls, uses []float64
		for i, seed := range p.Seeds {
			l, ok := lines.of[Step{Setting: p.Setting, Kind: Search, BudgetS: budget, Seed: seed}]
			if !ok {
				continue
			}
			f := Found{Seed: seed, AccuracyPct: 100 * l.TestAccuracy, Use: l.MeasuredS / budget, WallS: l.WallS}
			row.Seeds = append(row.Seeds, f)
			accuracies, walls, uses = append(accuracies, f.AccuracyPct), append(walls, f.WallS), append(uses, f.Use)
			if row.Simple != nil {
				d := f.AccuracyPct - row.Simple.bySeed[i]
				differences, bySeed[i] = append(differences, d), append(bySeed[i], d)
			}
		}
		row.Found, row.Difference = mean(accuracies), mean(differences)
		if len(row.Seeds) > 0 {
			row.WallS = &[3]float64{mean(walls).Mean, slices.Min(walls), slices.Max(walls)}
			worst := slices.Max(uses)
			row.WorstUse = &worst
		}
		t.Rows = append(t.Rows, row)
	}
	t.overall(bySeed)
	return t
}

// overall is the mean over all runs. Budgets share trainings of simple networks,
// seeds do not: so the error is that of the seeds' means.
func (t *Table) overall(bySeed [][]float64) {
	var all, means []float64
	for _, differences := range bySeed {
		if len(differences) > 0 {
			all, means = append(all, differences...), append(means, mean(differences).Mean)
		}
	}
	t.Runs, t.Difference = len(all), mean(means)
	if t.Difference != nil {
		t.Difference.Mean = mean(all).Mean
	}
}

// standings lists the simple networks that were trained with every seed, in the
// order of the file.
func (p *Plan) standings(lines *Lines) []Standing {
	var all []Standing
	for _, l := range lines.all {
		if l.Kind != Simple || l.Setting != p.Setting || l.Seed != p.Seeds[0] {
			continue
		}
		s := Standing{Cell: l.Cell, Size: l.Size, MeasuredS: l.MeasuredS}
		for _, seed := range p.Seeds {
			step := l.step()
			step.Seed = seed
			if trained, ok := lines.of[step]; ok {
				s.bySeed = append(s.bySeed, 100*trained.TestAccuracy)
			}
		}
		if len(s.bySeed) == len(p.Seeds) {
			s.AccuracyPct = *mean(s.bySeed)
			all = append(all, s)
		}
	}
	return all
}

// best is the most accurate of those that keep the budget; nil if none does.
func best(simple []Standing, budgetS float64) (chosen *Standing) {
	for _, s := range simple {
		if s.MeasuredS <= budgetS && (chosen == nil || s.AccuracyPct.Mean > chosen.AccuracyPct.Mean) {
			chosen = &s
		}
	}
	return chosen
}

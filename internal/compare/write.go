// SPDX-License-Identifier: Apache-2.0

package compare

import (
	"fmt"
	"io"
	"text/tabwriter"

	"github.com/edgenas/edgenas/internal/units"
)

// Write writes the table for people.
func (t *Table) Write(w io.Writer) {
	fmt.Fprintln(w, "accuracy on test images in percent, mean ± standard error over seeds; each seed's in brackets")
	tab := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(tab, "budget\tfound\tbest simple thing\tdifference\tseconds of a search\tslowest, of the budget")
	for _, r := range t.Rows {
		found, simple, wall, slowest := "–", "none", "–", "–"
		if r.Found != nil {
			found = r.Found.text("%.2f") + " ["
			for i, s := range r.Seeds {
				if i > 0 {
					found += " "
				}
				found += fmt.Sprintf("%.2f", s.AccuracyPct)
			}
			found += "]"
		}
		if s := r.Simple; s != nil {
			simple = fmt.Sprintf("%s %s", s.AccuracyPct.text("%.2f"), network(s.Cell, s.Size))
		}
		if r.WallS != nil {
			wall = fmt.Sprintf("%.0f (%.0f to %.0f)", r.WallS[0], r.WallS[1], r.WallS[2])
			slowest = fmt.Sprintf("%.1f %%", 100**r.WorstUse)
		}
		fmt.Fprintf(tab, "%s\t%s\t%s\t%s\t%s\t%s\n", units.Seconds(r.BudgetS), found, simple, r.Difference.text("%+.2f"),
			wall, slowest)
	}
	tab.Flush()
	fmt.Fprintf(w, "mean difference over %d runs: %s points\n", t.Runs, t.Difference.text("%+.2f"))
}

// text writes a figure; a dash for none.
func (f *Figure) text(format string) string {
	switch {
	case f == nil:
		return "–"
	case f.Error == nil:
		return fmt.Sprintf(format, f.Mean)
	}
	return fmt.Sprintf(format+" ± %.2f", f.Mean, *f.Error)
}

// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/edgenas/edgenas/internal/fault"
	"github.com/edgenas/edgenas/internal/runfile"
	"github.com/edgenas/edgenas/report"
)

func (a *app) reportCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "report DIR...",
		Short:   "Write report.html of finished or running searches",
		Example: "  edgenas report out/first",
		Args:    arguments(1, 1000),
		RunE:    func(_ *cobra.Command, dirs []string) error { return a.runReport(dirs) },
	}
}

// runReport writes the report of each folder.
func (a *app) runReport(dirs []string) error {
	var res struct {
		Reports []string `json:"reports"`
	}
	for _, dir := range dirs {
		r, err := report.Read(dir)
		switch {
		case errors.Is(err, report.ErrNoRun):
			return fault.New(fault.Usage, err)
		case err != nil:
			return fault.New(fault.Data, err)
		}
		if err := r.WriteFile(dir); err != nil {
			return err
		}
		res.Reports = append(res.Reports, runfile.Dir(dir).Path(runfile.ReportName))
	}
	return a.result(res, func(w io.Writer) {
		for _, f := range res.Reports {
			fmt.Fprintln(w, f)
		}
	})
}

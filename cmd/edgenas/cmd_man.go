// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"
	"github.com/spf13/cobra/doc"

	"github.com/edgenas/edgenas/internal/version"
)

func (a *app) manCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "man DIR",
		Short: "Write the manual pages, one for each command",
		Long: `man writes the manual pages into a folder, one for each command. The date in
them is today's, or that of SOURCE_DATE_EPOCH.`,
		Example: "  edgenas man share/man/man1",
		Args:    arguments(1, 1),
		RunE:    func(c *cobra.Command, args []string) error { return a.runMan(c.Root(), args[0]) },
	}
}

// runMan writes the pages of a command and of all below it.
func (a *app) runMan(root *cobra.Command, dir string) error {
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return err
	}
	root.DisableAutoGenTag = true
	root.PersistentFlags().Lookup("threads").DefValue = "all processors" // not those of this machine
	err := doc.GenManTree(root, &doc.GenManHeader{Source: "edgenas " + version.String(), Manual: "edgenas"}, dir)
	if err != nil {
		return err
	}
	var res struct {
		Pages []string `json:"pages"`
	}
	if res.Pages, err = filepath.Glob(filepath.Join(dir, "edgenas*.1")); err != nil {
		return err
	}
	return a.result(res, func(w io.Writer) { fmt.Fprintf(w, "%s: %d pages\n", dir, len(res.Pages)) })
}

// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/edgenas/edgenas/arch"
	"github.com/edgenas/edgenas/internal/dataset"
	"github.com/edgenas/edgenas/internal/run"
	"github.com/edgenas/edgenas/train"
)

func (a *app) dataCommand() *cobra.Command {
	c := &cobra.Command{
		Use:     "data",
		Short:   "Look at images before training on them",
		Example: "  edgenas data info embedded",
		Args:    subcommand,
		RunE:    showHelp,
	}
	c.AddCommand(
		&cobra.Command{
			Use:     "list",
			Short:   "List the kinds of data sets",
			Example: "  edgenas data list",
			Args:    arguments(0, 0),
			RunE:    func(*cobra.Command, []string) error { return a.runDataList() },
		},
		&cobra.Command{
			Use:     "check SPEC",
			Short:   "Read a data set completely and say whether it can be trained on",
			Example: "  edgenas data check images:flowers",
			Args:    arguments(1, 1),
			RunE:    func(_ *cobra.Command, args []string) error { return a.runDataCheck(args[0]) },
		},
		&cobra.Command{
			Use:     "info [SPEC]",
			Short:   "Show classes, sizes, mean and digest of a data set",
			Example: "  edgenas data info embedded",
			Args:    arguments(0, 1),
			RunE:    func(_ *cobra.Command, args []string) error { return a.runDataInfo(append(args, "embedded")[0]) },
		})
	return c
}

// runDataList prints the kinds of data sets.
func (a *app) runDataList() error {
	type kind struct {
		Spec    string `json:"spec"`
		Summary string `json:"summary"`
	}
	var res struct {
		Kinds []kind `json:"kinds"`
	}
	for _, k := range dataset.Kinds() {
		res.Kinds = append(res.Kinds, kind{k.Spec(), k.Summary})
	}
	return a.result(res, func(w io.Writer) {
		for _, k := range res.Kinds {
			fmt.Fprintf(w, "%-14s %s\n", k.Spec, k.Summary)
		}
	})
}

// runDataCheck reads a data set and says whether it can be trained on.
func (a *app) runDataCheck(spec string) error {
	set, err := run.OpenImages(spec, a.seed)
	if err != nil {
		return err
	}
	if _, err := spaceFor(arch.Spaces[0].Name, arch.Spaces[0].Default, set); err != nil {
		return err
	}
	if err := run.Enough(set, train.DefaultConfig().Batch); err != nil {
		return err
	}
	return a.result(set.Info(), func(w io.Writer) {
		fmt.Fprintf(w, "%s: good: %d training and %d test images of %d classes\n", set.Name, set.Train.Len(),
			set.Test.Len(), len(set.Classes))
	})
}

// runDataInfo prints what is known of a data set.
func (a *app) runDataInfo(spec string) error {
	set, err := run.OpenImages(spec, a.seed)
	if err != nil {
		return err
	}
	i := set.Info()
	return a.result(i, func(w io.Writer) {
		fmt.Fprintf(w, "%s: %d×%d, %d channel(s), digest %.16s\nmean %.4f  std %.4f\n", i.Name, i.Width, i.Height,
			i.Channels, i.Digest, i.Mean, i.Std)
		for _, c := range i.Classes {
			fmt.Fprintf(w, "%8d %8d  %s\n", c.Train, c.Test, c.Name)
		}
	})
}

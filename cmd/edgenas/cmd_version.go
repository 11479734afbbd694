// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"io"
	"runtime"

	"github.com/spf13/cobra"

	"github.com/edgenas/edgenas/internal/version"
)

func (a *app) versionCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "version",
		Short:   "Print the version",
		Example: "  edgenas version --json",
		Args:    arguments(0, 0),
		RunE:    func(*cobra.Command, []string) error { return a.runVersion() },
	}
}

// runVersion prints the version of the program and what it was built for.
func (a *app) runVersion() error {
	v := struct {
		Version string `json:"version"`
		Go      string `json:"go"`
		OS      string `json:"os"`
		Arch    string `json:"arch"`
	}{version.String(), runtime.Version(), runtime.GOOS, runtime.GOARCH}
	return a.result(v, func(w io.Writer) {
		fmt.Fprintf(w, "edgenas %s %s %s/%s\n", v.Version, v.Go, v.OS, v.Arch)
	})
}

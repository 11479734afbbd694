// SPDX-License-Identifier: Apache-2.0

package main

import "github.com/spf13/cobra"

// addCompletion adds cobra's command that writes completion scripts for shells,
// with the usage errors and examples of the other commands.
func addCompletion(root *cobra.Command) {
	root.InitDefaultCompletionCmd()
	for _, c := range root.Commands() {
		if c.Name() != "completion" {
			continue
		}
		c.Short = "Write a script that completes commands and flags in a shell"
		c.Args, c.RunE = subcommand, showHelp
		c.Example = "  edgenas completion bash"
		for _, shell := range c.Commands() {
			shell.Args = arguments(0, 0)
			shell.Example = "  " + shell.CommandPath()
		}
	}
}

// completes says whether a completion script asks what could stand on a command
// line: cobra has commands for it that only execution adds.
func completes(args []string) bool {
	return len(args) > 0 && (args[0] == cobra.ShellCompRequestCmd || args[0] == cobra.ShellCompNoDescRequestCmd)
}

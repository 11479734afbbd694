// SPDX-License-Identifier: Apache-2.0

// Command edgenas finds a neural network that is as accurate as possible and
// runs within a latency budget on your own ARM board, phone or computer, and
// hands it over as ONNX:
//
//	edgenas search --latency-budget 2ms
//
// See README.md, or edgenas -h.
package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/edgenas/edgenas/internal/kernels"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// run is the program: it returns the exit code (exit.go).
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	a := &app{stdout: stdout, stderr: stderr}
	root := a.command()
	root.SetArgs(args)
	root.SetOut(stdout)
	root.SetErr(stderr)
	err := root.ExecuteContext(ctx)
	if a.pool != nil {
		a.pool.Close()
	}
	if err != nil {
		fmt.Fprintln(stderr, "edgenas:", oneLine(err))
	}
	return exitCode(err)
}

// app holds what all commands share: the global flags, and where text goes.
type app struct {
	stdout, stderr io.Writer
	json, quiet    bool
	threads        int
	seed           uint64
	pool           *kernels.Pool
}

// workers is the pool of this machine's worker threads.
func (a *app) workers() *kernels.Pool {
	if a.pool == nil {
		a.pool = kernels.NewPool(a.threads)
	}
	return a.pool
}

func (a *app) command() *cobra.Command {
	root := &cobra.Command{
		Use:   "edgenas",
		Short: "Neural architecture search within a latency budget on your own device",
		Long: `edgenas finds a neural network that is as accurate as possible and runs within
a latency budget on your own ARM board, phone or computer: it measures the
operations there, searches, trains, exports ONNX and verifies it there.

` + exitCodesHelp,
		SilenceUsage:  true,
		SilenceErrors: true,
		Args:          cobra.NoArgs,
		RunE:          func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	f := root.PersistentFlags()
	f.BoolVar(&a.json, "json", false, "one JSON object on stdout (progress as JSON lines); text goes to stderr")
	f.BoolVar(&a.quiet, "quiet", false, "no progress")
	f.IntVar(&a.threads, "threads", runtime.NumCPU(), "this machine's worker threads; never changes a result")
	f.Uint64Var(&a.seed, "seed", 1, "seed of every random choice")
	root.SetFlagErrorFunc(func(c *cobra.Command, err error) error {
		return usageError{fmt.Errorf("%w; see %s -h", err, c.CommandPath())}
	})
	root.CompletionOptions.HiddenDefaultCmd = true
	root.PersistentPreRunE = func(*cobra.Command, []string) error {
		if a.threads < 1 || a.threads > 1024 {
			return usagef("--threads %d: want 1 to 1024", a.threads)
		}
		return nil
	}
	root.AddCommand(a.profileCommand(), a.searchCommand(), a.trainCommand(), a.exportCommand(), a.verifyCommand(),
		a.predictCommand(), a.lutCommand(), a.dataCommand(), a.reportCommand(), a.versionCommand())
	return root
}

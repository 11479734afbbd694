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
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/edgenas/edgenas/internal/agent"
	"github.com/edgenas/edgenas/internal/kernels"
)

func main() {
	ctx, stop := untilSignal()
	code := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// untilSignal is a context that ends with the first Ctrl-C or SIGTERM. The
// second one ends the program at once.
func untilSignal() (ctx context.Context, stop context.CancelFunc) {
	ctx, stop = signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop)
	return ctx, stop
}

// run is the program: it returns the exit code (exit.go).
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	return newApp(args, stdout, stderr).run(ctx)
}

// app holds what all commands share: the command line with its global flags,
// and where text goes.
type app struct {
	args           []string
	stdout, stderr io.Writer
	json, quiet    bool
	threads        int
	seed           uint64

	self            []string      // the command that runs this program again
	lineEvery       time.Duration // between two plain lines of progress
	checkpointEvery time.Duration // the most work that a crash can lose

	agent    func(context.Context, agent.Platform) ([]byte, error) // the program for devices
	patience time.Duration                                         // with a device that was lost
	pause    time.Duration                                         // before the second attempt

	pool    *kernels.Workers
	spaces  map[string]*networks // of the spaces so far
	targets []placed             // those used so far
}

func newApp(args []string, stdout, stderr io.Writer) *app {
	self, err := os.Executable()
	if err != nil {
		self = os.Args[0]
	}
	a := &app{args: args, stdout: stdout, stderr: stderr, self: []string{self}, lineEvery: 5 * time.Second, checkpointEvery: 10 * time.Second,
		patience: 5 * time.Minute, pause: time.Second, spaces: map[string]*networks{}}
	a.agent = a.findAgent
	return a
}

func (a *app) run(ctx context.Context) int {
	root := a.command()
	root.SetArgs(a.args)
	root.SetOut(a.stdout)
	root.SetErr(a.stderr)
	_, _, err := root.Find(a.args)
	if err != nil {
		err = usageError{fmt.Errorf("%w; see %s -h", err, root.Name())}
	} else {
		err = root.ExecuteContext(ctx)
	}
	for _, t := range a.targets {
		if e := t.leave(); e != nil {
			a.note("warning: %s", oneLine(e))
		}
	}
	if a.pool != nil {
		a.pool.Close()
	}
	if err != nil {
		fmt.Fprintln(a.stderr, "edgenas:", oneLine(err))
	}
	return exitCode(err)
}

// workers is the pool of this machine's worker threads.
func (a *app) workers() *kernels.Workers {
	if a.pool == nil {
		a.pool = kernels.NewWorkers(a.threads)
	}
	return a.pool
}

// findAgent is the agent for a device.
func (a *app) findAgent(ctx context.Context, p agent.Platform) ([]byte, error) {
	program, _, err := agent.Find(ctx, p)
	return program, err
}

func (a *app) command() *cobra.Command {
	root := &cobra.Command{
		Use:   "edgenas",
		Short: "Neural architecture search within a latency budget on your own device",
		Long: `edgenas finds a neural network that is as accurate as possible and runs within
a latency budget on your own ARM board, phone or computer: it measures the
operations there, searches, trains, exports ONNX and verifies it there.

` + exitCodesHelp,
		Example:            "  edgenas search --latency-budget 2ms",
		SilenceUsage:       true,
		SilenceErrors:      true,
		DisableSuggestions: true, // they take lines of their own
		RunE:               showHelp,
	}
	f := root.PersistentFlags()
	f.BoolVar(&a.json, "json", false, "one JSON object on stdout; all text goes to stderr")
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
		a.predictCommand(), a.lutCommand(), a.devicesCommand(), a.dataCommand(), a.benchCommand(), a.reportCommand(), a.versionCommand())
	return root
}

// showHelp is what a command does that only has commands below it.
func showHelp(c *cobra.Command, _ []string) error { return c.Help() }

// subcommand refuses arguments of such a command.
func subcommand(c *cobra.Command, args []string) error {
	if len(args) > 0 {
		return usagef("unknown command %q for %q; see %s -h", args[0], c.CommandPath(), c.CommandPath())
	}
	return nil
}

// arguments is a usage error unless there are least to most arguments.
func arguments(least, most int) cobra.PositionalArgs {
	return func(c *cobra.Command, args []string) error {
		if n := len(args); n < least || n > most {
			return usagef("%d arguments: want %s %s; see %s -h", n, c.Root().Name(), strings.TrimPrefix(c.UseLine(), c.Root().Name()+" "), c.CommandPath())
		}
		return nil
	}
}

// commandLine is the command as a shell takes it.
func (a *app) commandLine() string {
	words := []string{"edgenas"}
	for _, w := range a.args {
		words = append(words, quote(w))
	}
	return strings.Join(words, " ")
}

// quote makes a word safe to paste into a shell.
func quote(word string) string {
	if word == "" || strings.ContainsAny(word, " \t\n'\"\\|&;<>()$`*?[#~!{}") {
		return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
	}
	return word
}

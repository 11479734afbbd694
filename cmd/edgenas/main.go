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
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/edgenas/edgenas/internal/agent"
	"github.com/edgenas/edgenas/internal/fault"
	"github.com/edgenas/edgenas/internal/inventory"
	"github.com/edgenas/edgenas/internal/kernels"
	"github.com/edgenas/edgenas/internal/run"
	"github.com/edgenas/edgenas/internal/target"
	"github.com/edgenas/edgenas/internal/wording"
)

func main() {
	ctx, stop := untilSignal()
	code := newApp(os.Args[1:], os.Stdout, os.Stderr).run(ctx)
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

// app holds what all commands share: the command line with its global flags,
// and where text goes.
type app struct {
	args           []string
	stdout, stderr *printer
	json, quiet    bool
	threads        int
	seed           uint64

	host run.Host // what a run needs of this program; its pool is made when it is first used
	pace pace     // of the plain lines of progress

	measuring *target.Targets // those used so far
	shown     shown           // the stage that is shown, and what was said of it
}

func newApp(args []string, stdout, stderr io.Writer) *app {
	self, err := os.Executable()
	if err != nil {
		self = os.Args[0]
	}
	a := &app{args: args, stdout: &printer{w: stdout}, stderr: &printer{w: stderr}, pace: usualPace}
	a.host = run.Host{Inventories: &inventory.Cache{}, CheckpointEvery: 10 * time.Second,
		Host: target.Host{Self: []string{self}, Agent: findAgent, Ask: a.ask, Patience: 5 * time.Minute, Pause: time.Second}}
	return a
}

func (a *app) run(ctx context.Context) int {
	root := a.command()
	root.SetArgs(a.args)
	_, _, err := root.Find(a.args)
	if err != nil && !completes(a.args) {
		err = fault.Usagef("%w; see %s -h", err, root.Name())
	} else {
		err = root.ExecuteContext(ctx)
	}
	if a.measuring != nil {
		if e := a.measuring.Leave(); e != nil {
			a.note("warning: %s", wording.OneLine(e))
		}
	}
	if a.host.Pool != nil {
		a.host.Pool.Close()
	}
	code := fault.Code(err)
	if err != nil {
		a.fail(wording.OneLine(err), code)
	}
	return code
}

// fail says why the command failed; with --json also on stdout, unless it has
// written its result there.
func (a *app) fail(text string, code int) {
	fmt.Fprintln(a.stderr, "edgenas:", text)
	asked := a.json || slices.Contains(a.args, "--json") // flags after a wrong one are not read
	if !asked || a.stdout.written {
		return
	}
	a.json = true
	if err := a.result(failed{text, code}, nil); err != nil {
		fmt.Fprintln(a.stderr, "edgenas: stdout:", err)
	}
}

// workers is the pool of this machine's worker threads.
func (a *app) workers() *kernels.Workers {
	if a.host.Pool == nil {
		a.host.Pool = kernels.NewWorkers(a.threads)
	}
	return a.host.Pool
}

// runHost is what a run needs of this program.
func (a *app) runHost() run.Host {
	a.workers()
	return a.host
}

// targets are those that a command measures on by itself.
func (a *app) targets() *target.Targets {
	if a.measuring == nil {
		a.measuring = target.New(a.host.Host, a.seed, a.show)
	}
	return a.measuring
}

// findAgent is the agent for a device.
func findAgent(ctx context.Context, p agent.Platform) ([]byte, error) {
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
	root.SetOut(a.stdout)
	root.SetErr(a.stderr)
	f := root.PersistentFlags()
	f.BoolVar(&a.json, "json", false, "one JSON object on stdout; all text goes to stderr")
	f.BoolVar(&a.quiet, "quiet", false, "no progress")
	f.IntVar(&a.threads, "threads", runtime.NumCPU(), "this machine's worker threads; never changes a result")
	f.Uint64Var(&a.seed, "seed", 1, "seed of every random choice")
	root.SetFlagErrorFunc(func(c *cobra.Command, err error) error {
		return fault.Usagef("%w; see %s -h", err, c.CommandPath())
	})
	root.PersistentPreRunE = func(*cobra.Command, []string) error {
		if a.threads < 1 || a.threads > 1024 {
			return fault.Usagef("--threads %d: want 1 to 1024", a.threads)
		}
		return nil
	}
	root.AddCommand(a.profileCommand(), a.searchCommand(), a.trainCommand(), a.exportCommand(), a.verifyCommand(),
		a.predictCommand(), a.lutCommand(), a.devicesCommand(), a.dataCommand(), a.benchCommand(),
		a.reportCommand(), a.manCommand(), a.versionCommand())
	addCompletion(root)
	return root
}

// showHelp is what a command does that only has commands below it.
func showHelp(c *cobra.Command, _ []string) error { return c.Help() }

// subcommand refuses arguments of such a command.
func subcommand(c *cobra.Command, args []string) error {
	if len(args) > 0 {
		return fault.Usagef("unknown command %q for %q; see %s -h", args[0], c.CommandPath(), c.CommandPath())
	}
	return nil
}

// arguments is a usage error unless there are least to most arguments.
func arguments(least, most int) cobra.PositionalArgs {
	return func(c *cobra.Command, args []string) error {
		if n := len(args); n < least || n > most {
			return fault.Usagef("%d arguments: want %s %s; see %s -h", n, c.Root().Name(),
				strings.TrimPrefix(c.UseLine(), c.Root().Name()+" "), c.CommandPath())
		}
		return nil
	}
}

// commandLine is the command as a shell takes it.
func (a *app) commandLine() string {
	words := []string{"edgenas"}
	for _, w := range a.args {
		words = append(words, wording.Quote(w))
	}
	return strings.Join(words, " ")
}

const exitCodesHelp = `Exit codes: 0 done · 1 unexpected (a full disk, a read-only folder) · 2 usage ·
3 device unreachable or lost · 4 profile unreadable, incomplete or for another
device or runtime than asked for · 5 budget infeasible · 6 verification failed ·
7 bad data or model file · 130 interrupted`

// SPDX-License-Identifier: Apache-2.0

// Command edgenas-agent measures on the device that it runs on. edgenas puts
// it there; edgenas-agent -h tells how to run it by hand.
//
// It is small and static: no training, no data, no command-line framework.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/edgenas/edgenas/internal/wire"
)

const usage = `edgenas-agent measures on the device that it runs on, for edgenas.

  edgenas-agent info [-load]                          what this device is, and what else it does
  edgenas-agent profile [-o FILE] < REQUEST           measure operations and networks into a profile
  edgenas-agent stream NAME < REQUEST                 the same, written out round by round
  edgenas-agent verify [-infer-threads N] [-cluster C] [-mode M] [-seed N] MODEL.onnx
                                                      time a model

Results are JSON on standard output, or in FILE; an interrupted profile goes on
from what FILE and FILE.partial have. Its progress goes to standard error, a
JSON object a line. Exit codes: 0 done · 1 unexpected · 2 usage or bad request · 4 FILE
is no profile of this device · 7 bad model · 130 interrupted
`

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr)
	stop()
	if err != nil {
		fmt.Fprintf(os.Stderr, "edgenas-agent: %v\n", err)
	}
	os.Exit(wire.ExitStatus(err))
}

// run does what the arguments say. When ctx ends, it keeps what is done and
// returns soon.
func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) error {
	if len(args) == 0 {
		args = []string{"-h"}
	}
	flags := flag.NewFlagSet(args[0], flag.ContinueOnError)
	flags.SetOutput(io.Discard) // main prints errors, once
	var err error
	switch args[0] {
	case "-h", "--help", "help":
		_, err = io.WriteString(stdout, usage)
		return err
	case "info":
		load := flags.Bool("load", false, "")
		if err = parse(flags, args[1:], 0); err == nil {
			err = info(ctx, *load, stdout)
		}
	case "profile":
		out := flags.String("o", "", "")
		if err = parse(flags, args[1:], 0); err == nil {
			err = profile(ctx, *out, stdin, stdout, stderr)
		}
	case "stream":
		if err = parse(flags, args[1:], 1); err == nil {
			err = stream(ctx, flags.Arg(0), stdin, stdout)
		}
	case "verify":
		threads, cluster := flags.Int("infer-threads", 1, ""), flags.String("cluster", "", "")
		mode, seed := flags.String("mode", "", ""), flags.Uint64("seed", 1, "")
		if err = parse(flags, args[1:], 1); err == nil {
			err = verify(ctx, flags.Arg(0), *threads, *cluster, *mode, *seed, stdout)
		}
	default:
		err = wire.Fail(wire.ExitUsage, fmt.Errorf("unknown command %q; see edgenas-agent -h", args[0]))
	}
	if errors.Is(err, flag.ErrHelp) {
		_, err = io.WriteString(stdout, usage)
	}
	return err
}

// parse reads the flags of a command, after which want arguments stand.
func parse(flags *flag.FlagSet, args []string, want int) error {
	if err := flags.Parse(args); err != nil {
		return wire.Fail(wire.ExitUsage, err)
	}
	if flags.NArg() != want {
		return wire.Fail(wire.ExitUsage, fmt.Errorf("%s: %d arguments: want %d; see edgenas-agent -h", flags.Name(),
			flags.NArg(), want))
	}
	return nil
}

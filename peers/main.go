// SPDX-License-Identifier: Apache-2.0

// Command peers measures edgenas beside PyTorch on this machine, run by run in
// turn, and writes the tables of docs/PERFORMANCE.md:
//
//	go run ./peers            what is missing of the comparison, then its tables
//	go run ./peers growth     how the cost of a step grows with its extents
//	go run ./peers -list      what is missing
//
// Each finished run is a line of a file in the cache folder, so that an
// interrupted measurement goes on where it was. Runs of another build of
// edgenas, another PyTorch or another processor do not count.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/edgenas/edgenas/internal/atomicfile"
	"github.com/edgenas/edgenas/internal/hostinfo"
)

const document = "docs/PERFORMANCE.md"

// settings are the command line.
type settings struct {
	dir     string // cache folder
	rounds  int
	steps   int
	threads int
	seconds float64
	limit   time.Duration
	modes   []string // of PyTorch
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	var s settings
	flag.StringVar(&s.dir, "dir", ".peers", "cache folder: PyTorch, edgenas, finished runs")
	flag.IntVar(&s.rounds, "rounds", 3, "processes for each program, in turn with the others")
	flag.IntVar(&s.steps, "steps", 5, "timed steps of each process")
	flag.IntVar(&s.threads, "threads", 2, "threads of all programs")
	flag.Float64Var(&s.seconds, "seconds", 1, "time for each measurement of a single operation")
	flag.DurationVar(&s.limit, "limit", 10*time.Minute, "time after which a process counts as not finished")
	only := flag.String("modes", strings.Join(modes, ","), "PyTorch's modes that are run")
	list := flag.Bool("list", false, "print what is missing and run nothing")
	fresh := flag.Bool("fresh", false, "forget all finished runs first")
	flag.Parse()
	s.modes = strings.Split(*only, ",")
	if err := run(ctx, s, flag.Arg(0), *list, *fresh); err != nil {
		fmt.Fprintln(os.Stderr, "peers:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, s settings, what string, list, fresh bool) error {
	for _, mode := range s.modes {
		if !slices.Contains(modes, mode) {
			return fmt.Errorf("-modes %q: want some of %q", mode, modes)
		}
	}
	var jobs []job
	var write func([]record, setup) error
	switch what {
	case "":
		jobs, write = comparison(s), func(records []record, u setup) error {
			return replace(document, "comparison", comparisonText(jobs, records, u))
		}
	case "growth":
		jobs, write = growth(s), func(records []record, u setup) error {
			if err := atomicfile.Write(filepath.Join(filepath.Dir(document), growthPicture), growthSVG(records)); err != nil {
				return err
			}
			return replace(document, "growth", growthText(jobs, records, u))
		}
	default:
		return fmt.Errorf("unknown argument %q: want none, or growth", what)
	}
	if err := makeCache(s.dir); err != nil {
		return err
	}
	file := filepath.Join(s.dir, "runs.jsonl")
	if fresh {
		if err := os.Remove(file); err != nil && !os.IsNotExist(err) {
			return err
		}
	}
	u := setup{cpu: hostinfo.Local().CPU, cores: hostinfo.Local().Cores,
		python: filepath.Join(s.dir, "venv", "bin", "python")}
	var err error
	if u.edgenas, u.build, err = build(ctx, s.dir); err != nil {
		return err
	}
	if u.torch, err = digestOf(requirements); err != nil {
		return err
	}
	records, err := readRecords(file)
	if err != nil {
		return err
	}
	records = u.valid(records)
	todo := missing(jobs, records)
	fmt.Fprintf(os.Stderr, "%d of %d runs are missing\n", len(todo), len(jobs))
	if list {
		for _, j := range todo {
			fmt.Println(j)
		}
		return nil
	}
	for _, j := range todo {
		if j.mode != edgenasMode {
			if err := install(ctx, s.dir, u.torch); err != nil {
				return err
			}
			break
		}
	}
	for len(todo) > 0 {
		j := todo[0]
		fmt.Fprintf(os.Stderr, "%s %v (%d to go)\n", time.Now().Format(time.TimeOnly), j, len(todo))
		r := j.run(ctx, u, s.limit)
		if ctx.Err() != nil {
			return fmt.Errorf("interrupted: run it again to go on")
		}
		if err := appendRecord(file, r); err != nil {
			return err
		}
		records = append(records, r)
		todo = missing(jobs, records)
	}
	return write(records, u)
}

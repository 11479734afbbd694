// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"time"
)

// edgenasMode is the mode of edgenas; the others are PyTorch's.
const edgenasMode = "edgenas"

// job is a process to be run: a piece of work in a mode of a program.
type job struct {
	work  string // what is measured: a row of a table
	mode  string
	round int
	args  []string
}

func (j job) String() string { return fmt.Sprintf("%s: %s, round %d", j.work, j.mode, j.round+1) }

// record is a finished run: a line of the file.
type record struct {
	Work    string            `json:"work"`
	Mode    string            `json:"mode"`
	Round   int               `json:"round"`
	Args    []string          `json:"args"`
	Date    time.Time         `json:"date"`
	CPU     string            `json:"cpu"`
	Version string            `json:"version"` // digest of edgenas, or of PyTorch's requirements
	Failed  string            `json:"failed,omitempty"`
	Results []json.RawMessage `json:"results,omitempty"` // the lines that the program printed
}

// done says whether r is the outcome of j. A mode that failed is not tried
// again in later rounds.
func (r record) done(j job) bool {
	return r.Work == j.work && r.Mode == j.mode && (r.Round == j.round || r.Failed != "") && slices.Equal(r.Args, j.args)
}

// missing are the jobs without a record, in order.
func missing(jobs []job, records []record) []job {
	return slices.DeleteFunc(slices.Clone(jobs), func(j job) bool {
		return slices.ContainsFunc(records, func(r record) bool { return r.done(j) })
	})
}

// pythonEnv lets PyTorch keep freed memory, else most of its time goes into
// pages that the kernel has to clear again; and no files beside the programs.
var pythonEnv = []string{"MALLOC_MMAP_THRESHOLD_=4294967296", "MALLOC_TRIM_THRESHOLD_=4294967296",
	"MALLOC_TOP_PAD_=268435456", "PYTHONDONTWRITEBYTECODE=1"}

// run runs the process. That it fails or does not finish is an outcome too.
func (j job) run(ctx context.Context, u setup, limit time.Duration) record {
	r := record{Work: j.work, Mode: j.mode, Round: j.round, Args: j.args, Date: time.Now().UTC().Truncate(time.Second),
		CPU: u.cpu, Version: u.version(j.mode)}
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	program := u.python
	if j.mode == edgenasMode {
		program = u.edgenas
	}
	var stdout, stderr bytes.Buffer
	c := exec.CommandContext(ctx, program, j.args...)
	c.Stdout, c.Stderr, c.WaitDelay = &stdout, &stderr, time.Second
	ownGroup(c) // compiling starts processes: they end with it
	if j.mode != edgenasMode {
		c.Env = append(os.Environ(), pythonEnv...)
	}
	err := c.Run()
	for line := range bytes.Lines(stdout.Bytes()) {
		if line = bytes.TrimSpace(line); err == nil && !json.Valid(line) {
			err = fmt.Errorf("printed %.80q", line)
		}
		r.Results = append(r.Results, line)
	}
	switch {
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		r.Failed = fmt.Sprintf("did not finish within %v", limit)
	case err != nil:
		r.Failed = strings.TrimSpace(err.Error() + ": " + lastLine(stderr.String()))
	case len(r.Results) == 0:
		r.Failed = "printed nothing"
	}
	if r.Failed != "" {
		r.Results = nil
	}
	return r
}

func lastLine(text string) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	return lines[len(lines)-1]
}

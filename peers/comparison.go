// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"strconv"
)

// modes are PyTorch's; blocks are compiled one by one.
var modes = []string{"default", "channels-last", "compile", "compile-channels-last"}

// training is a step that is compared.
type training struct {
	name, space, path string
	batch             int
	alone             []string // nil, or more arguments of edgenas, which PyTorch has no counterpart for
}

const (
	dartsMixture = "darts supernet, mixture"
	dartsOne     = "darts supernet, mixture, 1 thread"
	dartsPaths   = "darts supernet, 50 random paths"
)

var trainings = []training{
	{dartsMixture, "darts", "mixture", 64, nil},
	{"darts supernet, GDAS", "darts", "gdas", 64, nil},
	{"nb201 supernet, mixture", "nb201", "mixture", 64, nil},
	{"nb201 supernet, GDAS", "nb201", "gdas", 64, nil},
	{"DARTS_V2, retraining", "darts", "retrain", 32, nil},
	{"nb201 cell of three 3×3, retraining", "nb201", "retrain", 64, nil},
	{dartsPaths, "darts", "gdas", 64, []string{"--paths", "50"}},
	{dartsOne, "darts", "mixture", 64, []string{"--threads", "1"}},
}

const operationsWork = "single operations"

func limitsWork(threads int) string { return fmt.Sprintf("limits, %d threads", threads) }

// comparison lists all runs, so that programs take turns: a round has each of
// them once.
func comparison(s settings) (jobs []job) {
	threads := strconv.Itoa(s.threads)
	seconds := strconv.FormatFloat(s.seconds, 'g', -1, 64)
	for round := range s.rounds {
		add := func(work, mode string, args ...string) {
			jobs = append(jobs, job{work, mode, round, args})
		}
		for n := 1; n <= s.threads; n++ {
			add(limitsWork(n), edgenasMode, "bench", "limits", "--json", "--seconds", seconds, "--threads", strconv.Itoa(n))
		}
		for _, t := range trainings {
			args := []string{"--path", t.path, "--batch", strconv.Itoa(t.batch),
				"--steps", strconv.Itoa(s.steps), "--threads", threads}
			step := []string{"bench", "step", "--json", "--space", t.space}
			add(t.name, edgenasMode, append(append(step, args...), t.alone...)...)
			if t.alone != nil {
				continue
			}
			for _, mode := range s.modes {
				add(t.name, mode, append([]string{"peers/pytorch/" + t.space + ".py", "--mode", mode}, args...)...)
			}
		}
		add(operationsWork, edgenasMode, "bench", "ops", "--json", "--seconds", seconds, "--threads", threads)
		add(operationsWork, "PyTorch", "peers/pytorch/ops.py", "--seconds", seconds, "--threads", threads)
	}
	return jobs
}

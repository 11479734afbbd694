// SPDX-License-Identifier: Apache-2.0

//go:build !race

package main

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"testing"

	"github.com/edgenas/edgenas/internal/fault"
	"github.com/edgenas/edgenas/search"
)

// TestMemoryUsed compares what a search says that it takes with the greatest
// part of its process that was in memory at once: within 15 %. It ends while α
// learns, or with the first short training. The race detector takes memory of
// its own, and so does an emulator.
func TestMemoryUsed(t *testing.T) {
	if emulated() {
		t.Log("emulated: the process's memory is the emulator's")
		return
	}
	images := t.TempDir()
	writeTiny(t, images, 32) // a search of them takes much more than the program itself
	fixture(t, "")
	cases := []struct {
		space, method string
		cells         int
		batch         string // so large that the supernet takes much more than the program
		until         string // the steps of α allocate nothing that the first have not; one goes on to the contest
		board         string
	}{
		{space: "nb201", method: search.Reinforce, cells: 1, batch: "1024", until: "search 3"},
		{space: "nb201", method: "darts", cells: 1, batch: "512", until: "search 3"}, // all operations at once
		{space: "darts", method: search.Reinforce, cells: 3, batch: "384", until: "search 3"},
		{space: "mbconv", method: "darts", cells: 1, batch: "96", until: "contest 1"},
	}
	for i, tt := range cases {
		size := tinySize
		size.Cells, size.Image = tt.cells, 32
		cases[i].board = save(t, tinyProfile(t, tt.space, size), filepath.Join(t.TempDir(), "board.json"))
	}
	t.Parallel() // from here on all work is in other processes
	for _, tt := range cases {
		t.Run(tt.space+"/"+tt.method, func(t *testing.T) {
			var stderr bytes.Buffer
			cmd := command(t, "search", "--space", tt.space, "--method", tt.method, "--latency-budget", "1s",
				"--profile", tt.board, "--data", "idx:"+images,
				"--cells", strconv.Itoa(tt.cells), "--channels", "4",
				"--search-batch", tt.batch,
				"--epochs", "0.1", "--out", filepath.Join(t.TempDir(), "run"))
			cmd.Env, cmd.Stderr = append(os.Environ(), stopEnv+"="+tt.until), &stderr
			if err := cmd.Run(); cmd.ProcessState.ExitCode() != fault.Interrupted {
				t.Fatalf("%v: %s", err, stderr.String())
			}
			said := figure(t, `the search takes about ([\d.]+) MB`, stderr.String())
			used := figure(t, `VmHWM:\s*(\d+) kB`, stderr.String()) * 1024 / 1e6
			t.Logf("said %.0f MB, used %.0f MB: %+.1f %%", said, used, 100*(said/used-1))
			if said < used*0.85 || said > used*1.15 {
				t.Errorf("said %.0f MB, used %.0f MB:\n%s", said, used, stderr.String())
			}
		})
	}
}

// figure is the number that a pattern's group finds.
func figure(t *testing.T, pattern, text string) float64 {
	t.Helper()
	m := regexp.MustCompile(pattern).FindStringSubmatch(text)
	if m == nil {
		t.Fatalf("%s: want %s", text, pattern)
	}
	v, err := strconv.ParseFloat(m[1], 64)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

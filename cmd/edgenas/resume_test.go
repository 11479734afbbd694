// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/edgenas/edgenas/internal/fault"
	"github.com/edgenas/edgenas/internal/runfile"
	"github.com/edgenas/edgenas/internal/target"
)

// The same seed and profile give the same bytes for any number of threads.
func TestDeterminism(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "run")
	edgenas(t, searchArgs(t, dir, "--threads", "2")...).want(t, fault.Done)
	same(t, dir)
}

// A run that is interrupted again and again, and never asked again for what it
// was asked, ends as one that was not.
func TestInterruptAndResume(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "run")
	args := searchArgs(t, dir)
	for _, stop := range []struct {
		line string
		n    int
	}{
		{"search", 3},
		{"search", 4}, // the last step but one
		{"search", 1}, // the last step
		{"train", 1},
		{"train", 2}, // the end
	} {
		o := interrupted(t, stop.line, stop.n, args...).want(t, fault.Interrupted)
		if want := "go on with: edgenas search --resume " + dir; !strings.Contains(o.stderr, want) ||
			o.lines()[len(o.lines())-1] != "edgenas: interrupted" {
			t.Errorf("stderr %s: want %q", o.stderr, want)
		}
		args = []string{"search", "--resume", dir, "--threads", "2"}
	}
	edgenas(t, args...).want(t, fault.Done)
	same(t, dir)
}

// kill runs edgenas in a process of its own, which kills itself at the n-th
// line of progress with the prefix, whatever it is doing.
func kill(t *testing.T, at string, args ...string) {
	t.Helper()
	cmd := command(t, args...)
	cmd.Env = append(os.Environ(), killEnv+"="+at)
	out, err := cmd.CombinedOutput()
	if status, ok := cmd.ProcessState.Sys().(syscall.WaitStatus); !ok || !status.Signaled() ||
		status.Signal() != syscall.SIGKILL {
		t.Fatalf("%q at %s: %v, %s: want it killed", args, at, err, out)
	}
}

// childTime is far more than any process of a test takes, emulated or not.
const childTime = 5 * time.Minute

// command is edgenas in a process of its own.
func command(t *testing.T, args ...string) *exec.Cmd {
	words := append(self(), args...)
	return bounded(t, words[0], words[1:]...)
}

// bounded is a program that gets SIGQUIT after childTime, so that one in Go
// says on its stderr where it hangs, and is killed if that does not help.
func bounded(t *testing.T, name string, args ...string) *exec.Cmd {
	ctx, cancel := context.WithTimeout(t.Context(), childTime)
	t.Cleanup(cancel)
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Cancel = func() error {
		t.Errorf("%q still runs after %v", args, childTime)
		return cmd.Process.Signal(syscall.SIGQUIT)
	}
	cmd.WaitDelay = 10 * time.Second
	return cmd
}

// A run that is killed goes on from its last checkpoint.
func TestKillAndResume(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "run")
	resume := []string{"search", "--resume", dir}
	kill(t, "search 5", searchArgs(t, dir)...)
	kill(t, "train 2", resume...)
	edgenas(t, resume...).want(t, fault.Done)
	same(t, dir)
}

// SIGTERM and Ctrl-C keep what was done.
func TestSignal(t *testing.T) {
	for name, signal := range map[string]os.Signal{"SIGTERM": syscall.SIGTERM, "SIGINT": os.Interrupt} {
		t.Run(name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "run")
			var stderr strings.Builder
			cmd := command(t, searchArgs(t, dir)...)
			cmd.Stderr = &watcher{w: &stderr, prefix: "search", n: 2, then: func() { cmd.Process.Signal(signal) }}
			if err := cmd.Run(); cmd.ProcessState.ExitCode() != fault.Interrupted ||
				!strings.Contains(stderr.String(), "--resume "+dir) {
				t.Errorf("%v, stderr %s: want exit %d and how to resume", err, stderr.String(), fault.Interrupted)
			}
		})
	}
}

// Whatever file of a run is missing, it is made again, the same.
func TestResumeRepairs(t *testing.T) {
	for _, missing := range [][]string{
		{runfile.ResultName, runfile.ModelName},
		{runfile.ResultName, runfile.WeightsName},
		{runfile.ResultName, runfile.ArchitectureName},
		{runfile.ResultName, runfile.WeightsName, runfile.TrainCheckpoint},
	} {
		t.Run(strings.Join(missing, " "), func(t *testing.T) {
			dir := copyRun(t, missing...)
			edgenas(t, "search", "--resume", dir).want(t, fault.Done)
			same(t, dir)
		})
	}
}

// A finished run tells its result again and does nothing.
func TestResumeFinished(t *testing.T) {
	before := tree(t, baseline(t))
	o := edgenas(t, "search", "--resume", baseline(t)).want(t, fault.Done)
	if !strings.Contains(o.stdout, "accuracy") || !strings.Contains(o.stderr, "is finished") {
		t.Errorf("stdout %s, stderr %s", o.stdout, o.stderr)
	}
	if tree(t, baseline(t)) != before {
		t.Error("files have changed")
	}
}

// A run goes on in any folder, though its paths were relative.
func TestResumeElsewhere(t *testing.T) {
	base := t.TempDir()
	t.Chdir(fixture(t, ""))
	interrupted(t, "search", 3, searchIn("", "board.json", filepath.Join(base, "run"))...).want(t, fault.Interrupted)
	t.Chdir(base)
	edgenas(t, "search", "--resume", "run").want(t, fault.Done)
	same(t, filepath.Join(base, "run"))
}

// A training by itself goes on with the same command.
func TestTrainResumes(t *testing.T) {
	dir := t.TempDir()
	args := func(out string) []string {
		return []string{"train", "--arch", filepath.Join(baseline(t), runfile.ArchitectureName),
			"--data", "idx:" + fixture(t, "tiny"), "--epochs", "3", "--out", out}
	}
	whole, torn := filepath.Join(dir, "whole"), filepath.Join(dir, "torn")
	edgenas(t, args(whole)...).want(t, fault.Done)
	o := interrupted(t, "train", 1, args(torn)...).want(t, fault.Interrupted)
	if !strings.Contains(o.stderr, "the same command goes on from there: edgenas train") {
		t.Errorf("stderr %s", o.stderr)
	}
	edgenas(t, args(torn)...).want(t, fault.Done)
	for _, name := range []string{runfile.WeightsName, runfile.HistoryName} {
		if got, want := string(read(t, filepath.Join(torn, name))), string(read(t, filepath.Join(whole, name))); got != want {
			t.Errorf("%s differs from that of the uninterrupted training", name)
		}
	}
	before := tree(t, torn)
	edgenas(t, args(torn)...).want(t, fault.Done)
	if tree(t, torn) != before {
		t.Error("a finished training was changed by the same command")
	}
}

// An interrupted measurement is continued by the same command.
func TestProfileResumes(t *testing.T) {
	p := load(t, fixture(t, "here.json"))
	removed := p.Entries[:2]
	p.Entries = p.Entries[2:]
	path := save(t, p, filepath.Join(t.TempDir(), "here.json"))
	args := append(append([]string{"profile"}, tinyFlags...), "--rounds", "2", "--only-missing", "-o", path)
	o := interrupted(t, "measure", 3, args...).want(t, fault.Interrupted)
	if !strings.Contains(o.stderr, path+".partial: the same command goes on from there") {
		t.Errorf("stderr %s", o.stderr)
	}
	edgenas(t, args...).want(t, fault.Done)
	p = load(t, path)
	for _, e := range removed {
		if _, err := p.Lookup(e.Key); err != nil {
			t.Error(err)
		}
	}
	if _, err := os.Stat(path + ".partial"); err == nil {
		t.Error("what the interruption had left is still there")
	}
}

// tinyFlags name the space of the fixtures.
var tinyFlags = []string{"--cells", "1", "--channels", "4", "--image", "8", "--classes", "3"}

// A search that is interrupted while it measures goes on measuring.
func TestMeasuringResumes(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "run")
	args := append(at(t, "search --latency-budget 1s --rounds 1 --data idx:@tiny --cells 1 --channels 4 @allow"),
		"--out", dir)
	interrupted(t, "measure", 60, args...).want(t, fault.Interrupted)
	o := interrupted(t, "search", 1, "search", "--resume", dir).want(t, fault.Interrupted)
	if !strings.Contains(o.stderr, "continuing the measurement in "+filepath.Join(dir, runfile.ProfileName)+".partial") {
		t.Errorf("stderr %s", o.stderr)
	}
	if p := load(t, filepath.Join(dir, runfile.ProfileName)); p.Protocol.Rounds != 1 ||
		len(p.Networks) != target.CalibrationNetworks {
		t.Errorf("%d rounds, %d networks: want 1 and %d", p.Protocol.Rounds, len(p.Networks), target.CalibrationNetworks)
	}
}

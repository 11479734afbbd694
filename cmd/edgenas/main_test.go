// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/edgenas/edgenas/arch"
	"github.com/edgenas/edgenas/internal/agent"
	"github.com/edgenas/edgenas/internal/fault"
	"github.com/edgenas/edgenas/internal/hostinfo"
	"github.com/edgenas/edgenas/internal/inventory"
	"github.com/edgenas/edgenas/internal/kernels"
	"github.com/edgenas/edgenas/internal/native"
	"github.com/edgenas/edgenas/internal/runfile"
	"github.com/edgenas/edgenas/internal/target"
	"github.com/edgenas/edgenas/latency"
	"github.com/edgenas/edgenas/ops"
	"github.com/edgenas/edgenas/profiles"
)

const (
	programEnv  = "EDGENAS_TEST_PROGRAM" // the test binary is to be edgenas itself
	killEnv     = "EDGENAS_TEST_KILL"    // "search 3": SIGKILL at the third line of progress that begins so
	emulatorEnv = "EDGENAS_EMULATOR"     // what runs the test binary, if this processor cannot
	agentEnv    = "EDGENAS_TEST_AGENT"   // file of the agent for devices
	stopEnv     = "EDGENAS_TEST_STOP"    // "train 2": it is interrupted there, and what Linux knows of it goes to stderr
)

func TestMain(m *testing.M) {
	if os.Getenv(stopEnv) == "" { // whose test looks at the memory that a search takes
		debug.SetGCPercent(400)
	}
	if os.Getenv(programEnv) != "" {
		os.Exit(program())
	}
	os.Setenv(programEnv, "1") // for the processes that edgenas starts
	code := m.Run()
	if fixtures.dir != "" {
		os.RemoveAll(fixtures.dir)
	}
	os.Exit(code)
}

// program is edgenas in a process of its own.
func program() int {
	ctx, stop := untilSignal()
	defer stop()
	a := newTestApp(os.Args[1:], os.Stdout, os.Stderr)
	a.host.CheckpointEvery = 0
	if path := os.Getenv(agentEnv); path != "" {
		a.host.Agent = func(context.Context, agent.Platform) ([]byte, error) { return os.ReadFile(path) }
	}
	for env, then := range map[string]func(){
		stopEnv: stop,
		killEnv: func() {
			self, _ := os.FindProcess(os.Getpid())
			self.Kill()
			select {} // until it comes
		},
	} {
		if prefix, count, ok := strings.Cut(os.Getenv(env), " "); ok {
			n, _ := strconv.Atoi(count)
			a.stderr.w = &watcher{w: os.Stderr, prefix: prefix, n: n, then: then}
		}
	}
	code := a.run(ctx)
	if os.Getenv(stopEnv) != "" {
		status, _ := os.ReadFile("/proc/self/status") // nothing is a failure of the test that wants it
		os.Stderr.Write(status)
	}
	return code
}

// newTestApp is edgenas whose own program is the test binary and which tells
// every step. It works on one thread, unless asked for more: the tests share
// the processors, and threads that wait for one another there are slow.
func newTestApp(args []string, stdout, stderr io.Writer) *app {
	a := newApp(args, stdout, stderr)
	a.host.Self, a.pace = self(), pace{}
	if !slices.Contains(args, "--threads") {
		a.host.Pool = kernels.NewWorkers(1)
	}
	return a
}

// self runs the test binary as edgenas.
func self() []string {
	exe, err := os.Executable()
	if err != nil {
		panic(err)
	}
	return append(strings.Fields(os.Getenv(emulatorEnv)), exe)
}

var emulated = sync.OnceValue(func() bool { return hostinfo.Local().Emulation == hostinfo.Qemu })

// watcher passes text on and does something at the n-th line with a prefix.
type watcher struct {
	w      io.Writer
	prefix string
	n      int
	then   func()
}

func (w *watcher) Write(p []byte) (int, error) {
	if strings.HasPrefix(string(p), w.prefix) {
		if w.n--; w.n == 0 {
			w.then()
		}
	}
	return w.w.Write(p)
}

// outcome is what a command did.
type outcome struct {
	code           int
	stdout, stderr string
}

// lines are those of stderr.
func (o outcome) lines() []string { return strings.Split(strings.TrimSuffix(o.stderr, "\n"), "\n") }

// edgenas runs a command in this process.
func edgenas(t *testing.T, args ...string) outcome {
	t.Helper()
	return interrupted(t, "", 0, args...)
}

// interrupted runs a command and interrupts it at the n-th line of progress
// with the prefix.
func interrupted(t *testing.T, prefix string, n int, args ...string) outcome {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var stdout, stderr bytes.Buffer
	a := newTestApp(args, &stdout, &watcher{w: &stderr, prefix: prefix, n: n, then: cancel})
	a.host.Inventories = &fixtures.spaces
	code := a.run(ctx)
	return outcome{code, stdout.String(), stderr.String()}
}

// apart runs a command in a process of its own, so that other tests may run
// beside it.
func apart(t *testing.T, args ...string) outcome {
	t.Helper()
	return ended(t, command(t, args...))
}

// ended runs a process to its end.
func ended(t *testing.T, cmd *exec.Cmd) outcome {
	t.Helper()
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); cmd.ProcessState == nil {
		t.Fatal(err)
	}
	return outcome{cmd.ProcessState.ExitCode(), stdout.String(), stderr.String()}
}

// want fails the test unless the command ended with this code.
func (o outcome) want(t *testing.T, code int) outcome {
	t.Helper()
	if o.code != code {
		t.Fatalf("exit %d: want %d\nstdout %s\nstderr %s", o.code, code, o.stdout, o.stderr)
	}
	return o
}

// fixtures are made once, when they are first needed.
var fixtures struct {
	once   sync.Once
	dir    string
	spaces inventory.Cache

	baseline sync.Once
}

var tinySize = arch.Size{Cells: 1, Channels: 4, Image: 8, Colours: 1, Classes: 3}

// fixture is a path in the folder that holds
//
//	tiny        images, as idx:
//	board.json  a profile of a device that is not this one
//	here.json   the same times as if they were this device's
func fixture(t *testing.T, name string) string {
	t.Helper()
	fixtures.once.Do(func() {
		dir, err := os.MkdirTemp("", "edgenas-test-")
		if err != nil {
			t.Fatal(err)
		}
		fixtures.dir = dir
		writeTiny(t, filepath.Join(dir, "tiny"), tinySize.Image)
		board := tinyProfile(t, "nb201", tinySize)
		save(t, board, filepath.Join(dir, "board.json"))
		board.Device = latency.ThisDevice()
		save(t, board, filepath.Join(dir, "here.json"))
	})
	return filepath.Join(fixtures.dir, name)
}

func save(t *testing.T, p *profiles.Profile, path string) string {
	t.Helper()
	if err := p.Save(path); err != nil {
		t.Fatal(err)
	}
	return path
}

func load(t *testing.T, path string) *profiles.Profile {
	t.Helper()
	p, err := profiles.Load(path)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func write(t *testing.T, path string, data []byte) string {
	t.Helper()
	if err := os.WriteFile(path, data, 0o666); err != nil {
		t.Fatal(err)
	}
	return path
}

func read(t *testing.T, path string) []byte {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// writeTiny writes images of three classes: the left half is bright, the upper
// half, the diagonal.
func writeTiny(t *testing.T, dir string, side int) {
	t.Helper()
	if err := os.MkdirAll(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	rng := rand.New(rand.NewPCG(1, 0))
	for part, count := range map[string]int{"train": 256, "t10k": 64} {
		images := idxHeader(count, side, side)
		labels := idxHeader(count)
		for i := range count {
			label := i % tinySize.Classes
			labels = append(labels, byte(label))
			for y := range side {
				for x := range side {
					v := rng.IntN(60)
					if [...]bool{x < side/2, y < side/2, x == y}[label] {
						v += 120
					}
					images = append(images, byte(v))
				}
			}
		}
		write(t, filepath.Join(dir, part+"-images-idx3-ubyte"), images)
		write(t, filepath.Join(dir, part+"-labels-idx1-ubyte"), labels)
	}
}

func idxHeader(dims ...int) []byte {
	head := []byte{0, 0, 8, byte(len(dims))}
	for _, d := range dims {
		head = binary.BigEndian.AppendUint32(head, uint32(d))
	}
	return head
}

// tinyProfile makes up the times of a board, by the work of each operation.
func tinyProfile(t *testing.T, space string, size arch.Size) *profiles.Profile {
	t.Helper()
	s, err := arch.NewSpace(space, size)
	if err != nil {
		t.Fatal(err)
	}
	n, err := fixtures.spaces.Of(s, 2)
	if err != nil {
		t.Fatal(err)
	}
	timing := func(s float64) profiles.Timing {
		return profiles.Timing{Status: profiles.OK, N: 15, MedianS: s, LoS: 0.999 * s, HiS: 1.001 * s}
	}
	p := &profiles.Profile{
		Device:   profiles.Device{Model: "Test Board 1", SoC: "soc,1", Cores: 3, MemoryBytes: 1 << 32, Emulation: "none"},
		Runtime:  native.Info(1),
		Protocol: profiles.Protocol{Date: "2026-01-01T00:00:00Z", Rounds: 15},
	}
	times := map[string]float64{}
	for _, k := range n.Keys() {
		g, err := k.Chain(1)
		if err != nil {
			t.Fatal(err)
		}
		times[k.String()] = 1e-6 + 1e-9*float64(g.Count().MACs)
		p.Entries = append(p.Entries, profiles.Entry{Key: k.String(), Timing: timing(times[k.String()])})
	}
	rng := rand.New(rand.NewPCG(1, 0))
	whole, err := n.Sample(target.CalibrationNetworks, rng)
	if err != nil {
		t.Fatal(err)
	}
	for _, w := range whole {
		counts, sum := map[string]int{}, 2e-6
		for k, c := range ops.Keys(w.Graph) {
			counts[k.String()] = c
		}
		for _, k := range slices.Sorted(maps.Keys(counts)) {
			sum += float64(counts[k]) * times[k]
		}
		p.Networks = append(p.Networks,
			profiles.Network{Arch: w.Arch, Counts: counts, Timing: timing(sum * (1 + 0.01*rng.Float64()))})
	}
	return p
}

// searchArgs are a search of a second for the made-up board.
func searchArgs(t *testing.T, out string, more ...string) []string {
	t.Helper()
	return searchIn(fixture(t, ""), "board.json", out, more...)
}

// searchIn is that search with the fixtures in a folder, for the device of one
// of its profiles.
func searchIn(folder, profile, out string, more ...string) []string {
	return append([]string{"search", "--latency-budget", "65us", "--profile", filepath.Join(folder, profile),
		"--data", "idx:" + filepath.Join(folder, "tiny"),
		"--cells", "1", "--channels", "4", "--epochs", "3", "--out", out}, more...)
}

// baseline is the folder of an uninterrupted search, not to be changed.
func baseline(t *testing.T) string {
	t.Helper()
	dir := fixture(t, "baseline")
	fixtures.baseline.Do(func() { edgenas(t, searchArgs(t, dir)...).want(t, fault.Done) })
	return dir
}

// same fails the test unless the run in dir ended as the baseline did.
func same(t *testing.T, dir string) {
	t.Helper()
	for _, name := range []string{runfile.ArchitectureName, runfile.WeightsName, runfile.HistoryName,
		runfile.ProfileName} {
		got, want := read(t, filepath.Join(dir, name)), read(t, filepath.Join(baseline(t), name))
		if !bytes.Equal(got, want) {
			t.Errorf("%s is not that of the uninterrupted run:\n%.2000s\nwant\n%.2000s", name, got, want)
		}
	}
}

// copyRun copies the baseline's folder, less some files.
func copyRun(t *testing.T, without ...string) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "run")
	if err := os.CopyFS(dir, os.DirFS(baseline(t))); err != nil {
		t.Fatal(err)
	}
	for _, name := range without {
		if err := os.Remove(filepath.Join(dir, filepath.FromSlash(name))); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// tree is every file below dir with what is in it.
func tree(t *testing.T, dir string) string {
	t.Helper()
	var all strings.Builder
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			fmt.Fprintf(&all, "%s %x\n", path, read(t, path))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all.String()
}

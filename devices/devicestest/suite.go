// SPDX-License-Identifier: Apache-2.0

//go:build unix

package devicestest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/edgenas/edgenas/devices"
)

// Target is a device to be tested. It is this machine, by whatever way: the
// suite looks at its files and processes.
type Target struct {
	Address string
	Options devices.Options
	// Cut breaks the connections that there are; new ones can be made soon.
	// Nil: the device is not remote.
	Cut func()
	// Restore does what a user would do then; nil: there is nothing to do.
	Restore func()
	// Faults are of the device; nil: it has none that can be chosen.
	Faults *Faults
}

// limit is far more than any step should take, on a machine that is busy.
const limit = 20 * time.Second

// suite is every test, in order. Those that are not alone come first and share
// one device.
var suite = []struct {
	name  string
	alone bool // opens devices itself
	test  func(*testing.T, Target, devices.Device)
}{
	{"info", false, testInfo},
	{"push and pull", false, testPush},
	{"names", false, testNames},
	{"exit status", false, testExit},
	{"output", false, testOutput},
	{"arguments", false, testArguments},
	{"input", false, testInput},
	{"streams", false, testStreams},
	{"cancel", false, testCancel},
	{"too much output", false, testTooMuch},
	{"unwanted output", false, testUnwanted},
	{"pull limit", false, testPullLimit},
	{"remove", false, testRemove},
	{"at once", false, testParallel},
	{"corrupted", false, testCorrupted},
	{"disk full", false, testFull},
	{"close", true, testClose},
	{"keep", true, testKeep},
	{"busy", true, testBusy},
	{"cut", true, testCut},
	{"cut at random", true, testRandomCuts},
	{"declared lost", true, testDeclaredLost},
}

// Run runs the suite, or only the tests of it that are named.
func Run(t *testing.T, target Target, only ...string) {
	var shared devices.Device
	done := func() {
		if shared == nil {
			return
		}
		if err := shared.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
		gone(t, shared.Info().Dir)
		shared = nil
	}
	for _, s := range suite {
		if len(only) > 0 && !slices.Contains(only, s.name) {
			continue
		}
		if s.alone {
			done()
		} else if shared == nil {
			shared = target.open(t)
		}
		t.Run(s.name, func(t *testing.T) { s.test(t, target, shared) })
	}
	done()
}

// open opens the device for the time of a test.
func (target Target) open(t *testing.T) devices.Device {
	t.Helper()
	d, err := devices.Open(timed(t), target.Address, target.Options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close() })
	return d
}

// timed is a context for one step.
func timed(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	t.Cleanup(cancel)
	return ctx
}

// program pushes a shell script.
func program(t *testing.T, d devices.Device, script string) string {
	t.Helper()
	name, err := d.Push(timed(t), "program", []byte("#!/bin/sh\n"+script+"\n"))
	if err != nil {
		t.Fatal(err)
	}
	return name
}

// run runs a program that should end well.
func run(t *testing.T, d devices.Device, c devices.Command) (stdout, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	c.Stdout, c.Stderr = &out, &errs
	if err := d.Run(timed(t), c); err != nil {
		t.Fatal(err)
	}
	return out.String(), errs.String()
}

// gone waits for a folder to be removed.
func gone(t *testing.T, dir string) {
	t.Helper()
	eventually(t, dir+" is still there", func() bool {
		left, err := filepath.Glob(filepath.Join(filepath.Dir(dir), "edgenas-device*"))
		_, stat := os.Lstat(dir)
		return err == nil && left == nil && errors.Is(stat, fs.ErrNotExist)
	})
}

// dead waits for a process to end.
func dead(t *testing.T, pid int) {
	t.Helper()
	eventually(t, fmt.Sprintf("process %d still runs", pid), func() bool { return !running(pid) })
}

// running says whether there is such a process that is no zombie.
func running(pid int) bool {
	if syscall.Kill(pid, 0) != nil {
		return false
	}
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	return err != nil || !bytes.Contains(stat, []byte(") Z "))
}

func eventually(t *testing.T, otherwise string, ok func() bool) {
	t.Helper()
	for started := time.Now(); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Since(started) > limit {
			t.Fatal(otherwise)
		}
	}
}

func testInfo(t *testing.T, target Target, d devices.Device) {
	i := d.Info()
	if a, err := devices.Parse(i.Address); err != nil || a.Kind == "" {
		t.Errorf("address %q: %v", i.Address, err)
	}
	if i.OS == "" || i.Arch == "" || i.Machine == "" || i.Capabilities.Transfer == "" || i.Capabilities.Remote != (target.Cut != nil) {
		t.Errorf("%+v", i)
	}
	info, err := os.Stat(i.Dir)
	if err != nil {
		t.Fatal(err)
	}
	if !info.IsDir() || info.Mode().Perm() != 0o700 {
		t.Errorf("%s has mode %v", i.Dir, info.Mode())
	}
}

func testPush(t *testing.T, _ Target, d devices.Device) {
	all := make([]byte, 300<<10)
	for i := range all {
		all[i] = byte(i * i >> 3)
	}
	var names []string
	for _, data := range [][]byte{nil, []byte("x"), []byte("y\n"), all, all[1:]} {
		name, err := d.Push(timed(t), "data.bin", data)
		if err != nil {
			t.Fatalf("%d bytes: %v", len(data), err)
		}
		if !strings.HasPrefix(name, "data.bin-") || len(name) != len("data.bin-")+32 {
			t.Errorf("name %q", name)
		}
		if slices.Contains(names, name) {
			t.Errorf("two contents are called %q", name)
		}
		names = append(names, name)
		for range 2 { // as it was pushed, and pushed again
			got, err := d.Pull(timed(t), name, int64(len(data)))
			if err != nil || !bytes.Equal(got, data) {
				t.Errorf("%d bytes came back as %d: %v", len(data), len(got), err)
			}
			if again, err := d.Push(timed(t), "data.bin", data); err != nil || again != name {
				t.Errorf("pushed again: %q, %v", again, err)
			}
		}
	}
	// A file that has changed there is pushed anew.
	path := filepath.Join(d.Info().Dir, names[1])
	if err := os.WriteFile(path, []byte("another"), 0o700); err != nil {
		t.Fatal(err)
	}
	if _, err := d.Push(timed(t), "data.bin", []byte("x")); err != nil {
		t.Fatal(err)
	}
	if got, err := os.ReadFile(path); err != nil || string(got) != "x" {
		t.Errorf("%q, %v", got, err)
	}
}

func testNames(t *testing.T, _ Target, d devices.Device) {
	long := strings.Repeat("a", 101)
	for _, name := range []string{"", ".", "..", ".lock", "-rf", "a/b", "/etc/passwd", "../x", "a b", "a\nb", "a;b", "$HOME", "a\x00b", "ä", long} {
		ctx := timed(t)
		if _, err := d.Push(ctx, name, []byte("x")); err == nil {
			t.Errorf("push %q", name)
		}
		if _, err := d.Pull(ctx, name, 10); err == nil || errors.Is(err, fs.ErrNotExist) {
			t.Errorf("pull %q: %v", name, err)
		}
		if err := d.Run(ctx, devices.Command{Name: name}); err == nil {
			t.Errorf("run %q", name)
		}
		if err := d.Remove(ctx, name); err == nil {
			t.Errorf("remove %q", name)
		}
	}
	if err := d.Run(timed(t), devices.Command{Name: "x", Args: []string{"a\x00b"}}); err == nil {
		t.Error("NUL in an argument")
	}
}

func testExit(t *testing.T, _ Target, d devices.Device) {
	exit := program(t, d, `echo "in trouble" >&2; [ "$1" = kill ] && kill -"$2" $$; exit "$1"`)
	notProgram, err := d.Push(timed(t), "text", []byte("\x00\x01 no program"))
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name string
		args []string
		want int
	}{
		{exit, []string{"0"}, 0},
		{exit, []string{"1"}, 1},
		{exit, []string{"3"}, 3},
		{exit, []string{"44"}, 44},
		{exit, []string{"126"}, 126},
		{exit, []string{"255"}, 255},
		{exit, []string{"kill", "KILL"}, 128 + 9},
		{exit, []string{"kill", "TERM"}, 128 + 15},
		{"absent", nil, 127},
		{notProgram, nil, 126},
	} {
		err := d.Run(timed(t), devices.Command{Name: tt.name, Args: tt.args})
		code := 0
		var e *devices.ExitError
		if errors.As(err, &e) {
			code = e.Code
			if tt.name == exit && e.Stderr != "in trouble" {
				t.Errorf("%v: stderr %q", tt.args, e.Stderr)
			}
		} else if err != nil {
			t.Errorf("%s %v: %v", tt.name, tt.args, err)
		}
		if code != tt.want && !(tt.name == notProgram && code == 127) { // some shells read it as a script
			t.Errorf("%s %v: exit status %d, want %d", tt.name, tt.args, code, tt.want)
		}
	}
}

func testOutput(t *testing.T, _ Target, d devices.Device) {
	stdout, stderr := run(t, d, devices.Command{Name: program(t, d, `printf 'a\000\377\r\n\033[1mb'; printf 'err\n\n' >&2`)})
	if want := "a\x00\xff\r\n\x1b[1mb"; stdout != want {
		t.Errorf("stdout %q, want %q", stdout, want)
	}
	if want := "err\n\n"; stderr != want {
		t.Errorf("stderr %q, want %q", stderr, want)
	}
	if stdout, stderr = run(t, d, devices.Command{Name: program(t, d, `:`)}); stdout+stderr != "" {
		t.Errorf("of nothing: %q, %q", stdout, stderr)
	}
	stdout, _ = run(t, d, devices.Command{Name: program(t, d, `i=0; while [ $i -lt 2000 ]; do echo "line $i of many, so that buffers fill"; i=$((i+1)); done; pwd`)})
	lines := strings.Split(stdout, "\n")
	if len(lines) != 2002 || lines[1999] != "line 1999 of many, so that buffers fill" {
		t.Errorf("%d lines", len(lines))
	}
	if !sameDir(lines[len(lines)-2], d.Info().Dir) {
		t.Errorf("ran in %q, not in %q", lines[len(lines)-2], d.Info().Dir)
	}
}

func sameDir(a, b string) bool {
	x, errX := os.Stat(a)
	y, errY := os.Stat(b)
	return errX == nil && errY == nil && os.SameFile(x, y)
}

func testArguments(t *testing.T, _ Target, d devices.Device) {
	args := []string{"", " ", "a b", "'", "''", `"`, `\`, `\\`, `\'`, "a\nb", "\t", "$HOME", "$(touch hacked)", "`touch hacked`", "; touch hacked;", "&& touch hacked",
		"*", "?", "[a]", "~", "#", "!x", "-n", "--", "é漢🙂", "\xff\xfe", "\x1b[31m", "%s", "a=b", ">hacked", "{1,2}", "\r", "'\\''"}
	stdout, _ := run(t, d, devices.Command{Name: program(t, d, `for a; do printf '%s\000' "$a"; done`), Args: args})
	if got := strings.Split(strings.TrimSuffix(stdout, "\x00"), "\x00"); !slices.Equal(got, args) {
		t.Errorf("arguments arrive as\n%q, want\n%q", got, args)
	}
	if _, err := d.Pull(timed(t), "hacked", 10); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("an argument was run: %v", err)
	}
}

func testInput(t *testing.T, _ Target, d devices.Device) {
	cat := program(t, d, "cat")
	input := strings.Repeat("a request\x00\xff\n", 50000)
	if stdout, _ := run(t, d, devices.Command{Name: cat, Stdin: strings.NewReader(input)}); stdout != input {
		t.Errorf("%d bytes come back as %d", len(input), len(stdout))
	}
	if stdout, _ := run(t, d, devices.Command{Name: cat}); stdout != "" {
		t.Errorf("of no input: %q", stdout)
	}
	// One that does not read its input, and an input that never ends.
	blocked, w := io.Pipe()
	defer w.Close()
	run(t, d, devices.Command{Name: program(t, d, ":"), Stdin: strings.NewReader(input)})
	run(t, d, devices.Command{Name: program(t, d, ":"), Stdin: blocked})
}

func testStreams(t *testing.T, _ Target, d devices.Device) {
	// It goes on only when its first line has been seen.
	answer, w := io.Pipe()
	var got bytes.Buffer
	saw := writeFunc(func(p []byte) (int, error) {
		if got.Write(p); got.String() == "first\n" {
			go io.WriteString(w, "go on\n")
		}
		return len(p), nil
	})
	if err := d.Run(timed(t), devices.Command{Name: program(t, d, `echo first; read -r x; echo "then: $x"`), Stdin: answer, Stdout: saw}); err != nil {
		t.Fatal(err)
	}
	if want := "first\nthen: go on\n"; got.String() != want {
		t.Errorf("%q, want %q", got.String(), want)
	}
}

// lasting starts a program that never ends by itself, and returns the ids of
// its process and of one that it has started.
func lasting(t *testing.T, ctx context.Context, d devices.Device) (pids []int, ended <-chan error) {
	t.Helper()
	name := program(t, d, `sleep 1000 & echo $$ $!; wait`)
	line := make(chan string, 1)
	result := make(chan error, 1)
	var got bytes.Buffer
	var once sync.Once
	go func() {
		result <- d.Run(ctx, devices.Command{Name: name, Stdout: writeFunc(func(p []byte) (int, error) {
			if got.Write(p); bytes.HasSuffix(got.Bytes(), []byte("\n")) {
				once.Do(func() { line <- got.String() })
			}
			return len(p), nil
		})})
	}()
	select {
	case l := <-line:
		for _, f := range strings.Fields(l) {
			pid, err := strconv.Atoi(f)
			if err != nil {
				t.Fatal(err)
			}
			pids = append(pids, pid)
		}
	case err := <-result:
		t.Fatalf("it ended: %v", err)
	case <-time.After(limit):
		t.Fatal("it does not start")
	}
	return pids, result
}

// soon waits for a result.
func soon(t *testing.T, result <-chan error) error {
	t.Helper()
	select {
	case err := <-result:
		return err
	case <-time.After(limit):
		t.Fatal("it does not return")
		return nil
	}
}

func testCancel(t *testing.T, _ Target, d devices.Device) {
	ctx, cancel := context.WithCancel(context.Background())
	pids, ended := lasting(t, ctx, d)
	cancel()
	if err := soon(t, ended); !errors.Is(err, context.Canceled) {
		t.Errorf("ended with %v", err)
	}
	for _, pid := range pids {
		dead(t, pid)
	}
	// The device is good for more, but not with that context.
	if _, err := d.Push(ctx, "x", []byte("never before")); !errors.Is(err, context.Canceled) {
		t.Errorf("push: %v", err)
	}
	if err := d.Run(ctx, devices.Command{Name: "x"}); !errors.Is(err, context.Canceled) {
		t.Errorf("run: %v", err)
	}
	run(t, d, devices.Command{Name: program(t, d, ":")})
}

func testTooMuch(t *testing.T, _ Target, d devices.Device) {
	yes := program(t, d, `while :; do echo "again and again and again and again and again" >&2; echo no; done`)
	var stdout, stderr bytes.Buffer
	err := d.Run(timed(t), devices.Command{Name: yes, Stdout: &stdout, Stderr: &stderr, MaxOutput: 10000})
	if n := stdout.Len() + stderr.Len(); !errors.Is(err, devices.ErrTooMuch) || n > 10000 {
		t.Errorf("%d bytes, %v", n, err)
	}
}

func testUnwanted(t *testing.T, _ Target, d devices.Device) {
	refused := errors.New("that is no entry")
	name := program(t, d, `echo $$; while :; do echo rubbish; done`)
	pid := 0
	err := d.Run(timed(t), devices.Command{Name: name, Stdout: writeFunc(func(p []byte) (int, error) {
		pid, _ = strconv.Atoi(strings.Fields(string(p))[0])
		return 0, refused
	})})
	if !errors.Is(err, refused) {
		t.Errorf("%v, want %v", err, refused)
	}
	if pid == 0 {
		t.Fatal("no process id")
	}
	dead(t, pid)
}

func testPullLimit(t *testing.T, _ Target, d devices.Device) {
	name, err := d.Push(timed(t), "big", make([]byte, 100<<10))
	if err != nil {
		t.Fatal(err)
	}
	if data, err := d.Pull(timed(t), name, 100<<10-1); !errors.Is(err, devices.ErrTooMuch) || data != nil {
		t.Errorf("%d bytes, %v", len(data), err)
	}
	if data, err := d.Pull(timed(t), name, 100<<10); err != nil || len(data) != 100<<10 {
		t.Errorf("%d bytes, %v", len(data), err)
	}
	if _, err := d.Pull(timed(t), "absent", 10); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("absent: %v", err)
	}
	if err := os.Mkdir(filepath.Join(d.Info().Dir, "folder"), 0o700); err != nil {
		t.Fatal(err)
	}
	if _, err := d.Pull(timed(t), "folder", 10); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a folder: %v", err)
	}
}

func testRemove(t *testing.T, _ Target, d devices.Device) {
	name, err := d.Push(timed(t), "brief", []byte("x"))
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := d.Remove(timed(t), name, "absent"); err != nil {
			t.Error(err)
		}
	}
	if _, err := d.Pull(timed(t), name, 10); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("removed: %v", err)
	}
}

func testParallel(t *testing.T, _ Target, d devices.Device) {
	name := program(t, d, `echo "$1" >"out$1"; cat "out$1"`)
	var wg sync.WaitGroup
	for i := range 4 {
		wg.Go(func() {
			var out bytes.Buffer
			if err := d.Run(timed(t), devices.Command{Name: name, Args: []string{strconv.Itoa(i)}, Stdout: &out}); err != nil || out.String() != fmt.Sprintln(i) {
				t.Errorf("%q, %v", out.String(), err)
			}
			if data, err := d.Pull(timed(t), "out"+strconv.Itoa(i), 10); err != nil || string(data) != fmt.Sprintln(i) {
				t.Errorf("%q, %v", data, err)
			}
		})
	}
	wg.Wait()
}

func testCorrupted(t *testing.T, target Target, d devices.Device) {
	if target.Faults == nil {
		return
	}
	data := []byte("#!/bin/sh\necho whole\n")
	target.Faults.Corrupt.Store(1)
	if name, err := d.Push(timed(t), "corrupt", data); !errors.Is(err, devices.ErrCorrupt) {
		t.Errorf("%q, %v", name, err)
	}
	if left := leftovers(t, d, "corrupt-", ".push-"); left != nil {
		t.Errorf("left are %q", left)
	}
	name, err := d.Push(timed(t), "corrupt", data)
	if err != nil {
		t.Fatal(err)
	}
	if out, _ := run(t, d, devices.Command{Name: name}); out != "whole\n" {
		t.Errorf("%q", out)
	}
}

func testFull(t *testing.T, target Target, d devices.Device) {
	if target.Faults == nil {
		return
	}
	target.Faults.Full.Store(true)
	defer target.Faults.Full.Store(false)
	_, err := d.Push(timed(t), "large", make([]byte, 1<<20))
	if !errors.Is(err, devices.ErrNoSpace) || !strings.Contains(err.Error(), "1024 KiB are needed") || !strings.Contains(err.Error(), "16 are free") {
		t.Errorf("%v", err)
	}
	if left := leftovers(t, d, "large-", ".push-"); left != nil {
		t.Errorf("left are %q", left)
	}
	if _, err := d.Push(timed(t), "small", make([]byte, 1<<10)); err != nil {
		t.Errorf("a small one: %v", err)
	}
}

// leftovers are the files there that begin so.
func leftovers(t *testing.T, d devices.Device, prefixes ...string) (left []string) {
	t.Helper()
	files, err := os.ReadDir(d.Info().Dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		for _, p := range prefixes {
			if strings.HasPrefix(f.Name(), p) {
				left = append(left, f.Name())
			}
		}
	}
	return left
}

func testClose(t *testing.T, target Target, _ devices.Device) {
	d := target.open(t)
	pids, ended := lasting(t, context.Background(), d)
	if err := d.Close(); err != nil {
		t.Error(err)
	}
	if err := soon(t, ended); !errors.Is(err, devices.ErrClosed) {
		t.Errorf("what ran ended with %v", err)
	}
	for _, pid := range pids {
		dead(t, pid)
	}
	gone(t, d.Info().Dir)
	if err := d.Close(); err != nil {
		t.Errorf("close again: %v", err)
	}
	ctx := timed(t)
	_, pushed := d.Push(ctx, "x", nil)
	_, pulled := d.Pull(ctx, "x", 1)
	for _, err := range []error{pushed, pulled, d.Run(ctx, devices.Command{Name: "x"}), d.Remove(ctx, "x")} {
		if !errors.Is(err, devices.ErrClosed) {
			t.Errorf("after close: %v", err)
		}
	}
}

func testKeep(t *testing.T, target Target, _ devices.Device) {
	kept := target
	kept.Options.Keep = true
	d := kept.open(t)
	name := program(t, d, "echo kept")
	path := filepath.Join(d.Info().Dir, name)
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(path); err != nil {
		t.Error(err)
	}
	if target.Cut == nil {
		os.RemoveAll(d.Info().Dir) // a folder of its own each time
		return
	}
	d = target.open(t)
	if out, _ := run(t, d, devices.Command{Name: name}); out != "kept\n" {
		t.Errorf("%q", out)
	}
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	gone(t, d.Info().Dir)
}

func testBusy(t *testing.T, target Target, _ devices.Device) {
	d := target.open(t)
	if !d.Info().Capabilities.Locked {
		return
	}
	var busy *devices.BusyError
	_, err := devices.Open(timed(t), target.Address, target.Options)
	if !errors.As(err, &busy) || !errors.Is(err, devices.ErrUnreachable) || !strings.Contains(busy.Owner, fmt.Sprintf("process %d", os.Getpid())) {
		t.Fatalf("opened twice: %v", err)
	}
	run(t, d, devices.Command{Name: program(t, d, ":")}) // the owner is not disturbed
	// A host that is gone without a word leaves its lock: it holds while the
	// process on the device lives.
	lock := filepath.Join(d.Info().Dir, ".lock")
	text, err := os.ReadFile(lock)
	if err != nil {
		t.Fatal(err)
	}
	d.Close()
	for _, tt := range []struct {
		name, lock string
		busy       bool
	}{
		{"process gone", replaceLine(string(text), 0, "999999999"), false},
		{"no number", replaceLine(string(text), 0, "-1"), false},
		{"another boot", replaceLine(replaceLine(string(text), 0, "1"), 1, "an older boot"), false},
		{"empty", "", false},
		{"another host", replaceLine(replaceLine(string(text), 0, strconv.Itoa(os.Getpid())), 2, "eve on another"), true},
	} {
		if err := os.MkdirAll(filepath.Dir(lock), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(lock, []byte(tt.lock), 0o600); err != nil {
			t.Fatal(err)
		}
		d, err := devices.Open(timed(t), target.Address, target.Options)
		if tt.busy != errors.As(err, &busy) || tt.busy && busy.Owner != "eve on another" {
			t.Errorf("%s: %v", tt.name, err)
		}
		if err == nil {
			d.Close()
		}
	}
	os.RemoveAll(filepath.Dir(lock))
}

// replaceLine changes one line of a text.
func replaceLine(text string, n int, line string) string {
	lines := strings.Split(text, "\n")
	lines[n] = line
	return strings.Join(lines, "\n")
}

func testCut(t *testing.T, target Target, _ devices.Device) {
	if target.Cut == nil {
		return
	}
	d := target.open(t)
	name := program(t, d, `echo again`)
	pids, ended := lasting(t, context.Background(), d)
	target.Cut()
	if err := soon(t, ended); !errors.Is(err, devices.ErrLost) {
		t.Errorf("what ran ended with %v", err)
	}
	ctx := timed(t)
	_, pushed := d.Push(ctx, "x", nil)
	_, pulled := d.Pull(ctx, "x", 1)
	for _, err := range []error{pushed, pulled, d.Run(ctx, devices.Command{Name: name}), d.Remove(ctx, name)} {
		if !errors.Is(err, devices.ErrLost) {
			t.Errorf("after the cut: %v", err)
		}
	}
	if err := d.Close(); !errors.Is(err, devices.ErrLost) {
		t.Errorf("close: %v", err)
	}
	d = target.reopen(t)
	for _, pid := range pids {
		dead(t, pid)
	}
	if out, _ := run(t, d, devices.Command{Name: name}); out != "again\n" { // without a push
		t.Errorf("%q", out)
	}
	if err := d.Close(); err != nil {
		t.Error(err)
	}
	gone(t, d.Info().Dir)
}

// reopen opens a device as soon as it is there again.
func (target Target) reopen(t *testing.T) devices.Device {
	t.Helper()
	var d devices.Device
	eventually(t, "it does not come back", func() (ok bool) {
		var err error
		if d, err = devices.Open(timed(t), target.Address, target.Options); err != nil && !errors.Is(err, devices.ErrUnreachable) {
			t.Fatal(err)
		}
		if err != nil && target.Restore != nil {
			target.Restore()
		}
		return err == nil
	})
	t.Cleanup(func() { d.Close() })
	return d
}

// testRandomCuts lets a program make entries, which it appends to its own file
// and says, while the connection is cut at 20 moments. In the end each entry
// is there once, here and on the device.
func testRandomCuts(t *testing.T, target Target, _ devices.Device) {
	if target.Cut == nil {
		return
	}
	entries, cuts := 30, 20
	if testing.Short() {
		cuts = 5
	}
	script := []byte("#!/bin/sh\n" + `for e; do echo "$e" >>entries; echo "$e"; sleep 0.01; done` + "\n" + strings.Repeat("# padding\n", 2000))
	rng := rand.New(rand.NewPCG(20, 6))
	var d devices.Device
	defer func() {
		if d != nil {
			d.Close()
		}
	}()
	have := map[string]int{}
	lost := 0
	for len(have) < entries || lost < cuts {
		if d == nil {
			d = target.reopen(t)
		}
		if lost < cuts {
			timer := time.AfterFunc(time.Duration(rng.IntN(100))*time.Millisecond, target.Cut)
			defer timer.Stop()
		}
		err := collect(timed(t), d, script, entries, have)
		if errors.Is(err, devices.ErrLost) {
			lost++
			d.Close()
			d = nil
		} else if err != nil {
			t.Fatal(err)
		}
	}
	if d == nil {
		d = target.reopen(t)
	}
	data, err := d.Pull(timed(t), "entries", 1<<16)
	for errors.Is(err, devices.ErrLost) { // by a last cut
		d.Close()
		d = target.reopen(t)
		data, err = d.Pull(timed(t), "entries", 1<<16)
	}
	if err != nil {
		t.Fatal(err)
	}
	there := map[string]int{}
	for _, e := range strings.Fields(string(data)) {
		there[e]++
	}
	for i := range entries {
		if e := strconv.Itoa(i); have[e] != 1 || there[e] != 1 {
			t.Errorf("entry %s: %d times here, %d times on the device", e, have[e], there[e])
		}
	}
}

// collect does what a caller does after a loss: it merges what the device has,
// and asks for what is missing.
func collect(ctx context.Context, d devices.Device, script []byte, entries int, have map[string]int) error {
	data, err := d.Pull(ctx, "entries", 1<<16)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	for _, e := range strings.Fields(string(data)) {
		have[e] = 1
	}
	var missing []string
	for i := range entries {
		if e := strconv.Itoa(i); have[e] == 0 {
			missing = append(missing, e)
		}
	}
	name, err := d.Push(ctx, "program", script)
	if err != nil {
		return err
	}
	var got bytes.Buffer
	err = d.Run(ctx, devices.Command{Name: name, Args: missing, Stdout: &got})
	lines := strings.Split(got.String(), "\n")
	for _, e := range lines[:len(lines)-1] { // whole ones
		have[e]++
	}
	return err
}

// testDeclaredLost checks that a device that its user gives up keeps its files.
func testDeclaredLost(t *testing.T, target Target, _ devices.Device) {
	if target.Cut == nil {
		return
	}
	d := target.open(t)
	name := program(t, d, `echo still here`)
	ctx, cancel := context.WithCancelCause(context.Background())
	pids, ended := lasting(t, ctx, d)
	cancel(fmt.Errorf("%w: it is silent", devices.ErrLost))
	if err := soon(t, ended); !errors.Is(err, devices.ErrLost) {
		t.Errorf("what ran ended with %v", err)
	}
	if err := d.Close(); !errors.Is(err, devices.ErrLost) {
		t.Errorf("close: %v", err)
	}
	d = target.open(t) // at once: its lock is no obstacle
	for _, pid := range pids {
		dead(t, pid)
	}
	if out, _ := run(t, d, devices.Command{Name: name}); out != "still here\n" {
		t.Errorf("%q", out)
	}
}

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
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/edgenas/edgenas/devices"
)

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
	stdout, stderr := run(t, d, devices.Command{Name: program(t, d,
		`printf 'a\000\377\r\n\033[1mb'; printf 'err\n\n' >&2`)})
	if want := "a\x00\xff\r\n\x1b[1mb"; stdout != want {
		t.Errorf("stdout %q, want %q", stdout, want)
	}
	if want := "err\n\n"; stderr != want {
		t.Errorf("stderr %q, want %q", stderr, want)
	}
	if stdout, stderr = run(t, d, devices.Command{Name: program(t, d, `:`)}); stdout+stderr != "" {
		t.Errorf("of nothing: %q, %q", stdout, stderr)
	}
	stdout, _ = run(t, d, devices.Command{Name: program(t, d,
		`i=0; while [ $i -lt 2000 ]; do echo "line $i of many, so that buffers fill"; i=$((i+1)); done; pwd`)})
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
	args := []string{"", " ", "a b", "'", "''", `"`, `\`, `\\`, `\'`, "a\nb", "\t", "$HOME", "$(touch hacked)",
		"`touch hacked`", "; touch hacked;", "&& touch hacked",
		"*", "?", "[a]", "~", "#", "!x", "-n", "--", "é漢🙂", "\xff\xfe", "\x1b[31m", "%s", "a=b", ">hacked", "{1,2}", "\r",
		"'\\''"}
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
	if err := d.Run(timed(t), devices.Command{Name: program(t, d, `echo first; read -r x; echo "then: $x"`), Stdin: answer,
		Stdout: saw}); err != nil {
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

func testParallel(t *testing.T, _ Target, d devices.Device) {
	name := program(t, d, `echo "$1" >"out$1"; cat "out$1"`)
	var wg sync.WaitGroup
	for i := range 4 {
		wg.Go(func() {
			var out bytes.Buffer
			if err := d.Run(timed(t), devices.Command{Name: name, Args: []string{strconv.Itoa(i)}, Stdout: &out}); err != nil ||
				out.String() != fmt.Sprintln(i) {
				t.Errorf("%q, %v", out.String(), err)
			}
			if data, err := d.Pull(timed(t), "out"+strconv.Itoa(i), 10); err != nil || string(data) != fmt.Sprintln(i) {
				t.Errorf("%q, %v", data, err)
			}
		})
	}
	wg.Wait()
}

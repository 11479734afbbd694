// SPDX-License-Identifier: Apache-2.0

package main

import (
	"io"
	"os"
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

// The longest trainings have more nanoseconds times steps than an int64 holds.
func TestRemaining(t *testing.T) {
	for _, c := range []struct {
		spent       time.Duration
		done, total int64
		want        time.Duration
	}{
		{10 * time.Second, 1, 4, 30 * time.Second},
		{3 * time.Hour, 10_000, 937_500, 278*time.Hour + 15*time.Minute},
		{time.Hour, 5, 5, 0},
	} {
		if got := remaining(c.spent, c.done, c.total); got != c.want {
			t.Errorf("%d of %d steps after %v: %v left, want %v", c.done, c.total, c.spent, got, c.want)
		}
	}
}

// Bars are drawn on terminals, and /dev/null is none.
func TestNullIsNoTerminal(t *testing.T) {
	null, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer null.Close()
	if isTerminal(null) {
		t.Errorf("%s is a terminal", os.DevNull)
	}
}

// TestPlainLines checks that a log has few and short lines: the first and the
// last, and between them one for each tenth of a stage, 10 s apart.
func TestPlainLines(t *testing.T) {
	var log strings.Builder
	a := newApp(nil, io.Discard, &log)
	a.pace.time = 0 // the time of the test
	key := strings.Repeat("+bn", 150)
	s := a.stage("measure", 1000)
	for done := range 1001 {
		s.foresee(time.Minute)
		s.update(done, key)
	}
	s.end("1001 operations " + key)
	lines := strings.Split(strings.TrimSuffix(log.String(), "\n"), "\n")
	if len(lines) != 12 || !strings.HasPrefix(lines[0], "measure      0 %") ||
		!strings.HasPrefix(lines[11], "measure    done in ") {
		t.Errorf("%d lines, want 12, the first and the last with them:\n%s", len(lines), log.String())
	}
	for _, line := range lines {
		if n := utf8.RuneCountInString(line); n != maxLine || !strings.HasSuffix(line, "…") {
			t.Errorf("%d characters, want %d and a mark where it was cut: %s", n, maxLine, line)
		}
	}
	for _, c := range []struct {
		passed  time.Duration
		percent int
		want    bool
	}{
		{9 * time.Second, 90, false},
		{time.Minute, 9, false},
		{10 * time.Second, 10, true},
	} {
		s := &stage{pace: usualPace, last: time.Now()}
		if got := s.due(s.last.Add(c.passed), c.percent); got != c.want {
			t.Errorf("a line after %v and %d %%: %t, want %t", c.passed, c.percent, got, c.want)
		}
	}
}

// TestLeftAfterResume checks that steps of a run before it was interrupted are
// not taken for steps of this process.
func TestLeftAfterResume(t *testing.T) {
	s := newApp(nil, io.Discard, io.Discard).stage("search", 1000)
	s.start = time.Now().Add(-time.Hour)
	s.update(500, "")
	if got := s.left(500, 1000); got != "estimating" {
		t.Errorf("after one step: %s, want no estimate", got)
	}
	if got := s.left(600, 1000); got != "about 4h0m0s left" {
		t.Errorf("after 100 of 500 steps in an hour: %s, want four hours", got)
	}
}

// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"
)

// stage shows how far a part of the work is: a bar on a terminal, a plain line
// every few seconds elsewhere, nothing with --quiet.
type stage struct {
	name  string
	total int
	text  string
	start time.Time

	bars *mpb.Progress // nil: plain lines
	bar  *mpb.Bar
	out  io.Writer // nil: quiet
	last time.Time
}

// plainEvery is the time between two plain lines.
const plainEvery = 5 * time.Second

// stage starts a part of total steps.
func (a *app) stage(name string, total int) *stage {
	s := &stage{name: name, total: total, start: time.Now(), last: time.Now()}
	if a.quiet {
		return s
	}
	s.out = a.stderr
	if f, ok := a.stderr.(*os.File); ok && isTerminal(f) {
		s.bars = mpb.New(mpb.WithOutput(f), mpb.WithRefreshRate(200*time.Millisecond))
		s.bar = s.bars.AddBar(int64(total),
			mpb.PrependDecorators(decor.Name(fmt.Sprintf("%-10s", name))),
			mpb.AppendDecorators(
				decor.Percentage(decor.WC{W: 5}),
				decor.Any(func(decor.Statistics) string { return "  " + s.left(s.bar.Current()) + "  " + s.text })))
	}
	return s
}

func isTerminal(f *os.File) bool {
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0 && os.Getenv("TERM") != "dumb"
}

// left estimates the remaining time.
func (s *stage) left(done int64) string {
	if done == 0 {
		return "estimating"
	}
	spent := time.Since(s.start)
	return "about " + (spent * time.Duration(int64(s.total)-done) / time.Duration(done)).Round(time.Second).String() + " left"
}

// update says that done steps are done, and what they tell.
func (s *stage) update(done int, text string) {
	s.text = text
	switch {
	case s.bar != nil:
		s.bar.SetCurrent(int64(done))
	case s.out != nil && time.Since(s.last) >= plainEvery:
		s.last = time.Now()
		fmt.Fprintf(s.out, "%-10s %3d %%  %s  %s\n", s.name, 100*done/max(1, s.total), s.left(int64(done)), text)
	}
}

// resize changes the number of steps: a measurement repeats what was unsteady.
func (s *stage) resize(total int) {
	s.total = total
	if s.bar != nil {
		s.bar.SetTotal(int64(total), false)
	}
}

// end closes the stage with a last word.
func (s *stage) end(text string) {
	if s.bar != nil {
		s.text = text
		s.bar.SetTotal(int64(s.total), false)
		s.bar.Abort(false)
		s.bars.Wait()
	}
	if s.out != nil {
		fmt.Fprintf(s.out, "%-10s done in %s: %s\n", s.name, time.Since(s.start).Round(100*time.Millisecond), text)
	}
}

// note prints a line for people, unless --quiet.
func (a *app) note(format string, args ...any) {
	if !a.quiet {
		fmt.Fprintf(a.stderr, format+"\n", args...)
	}
}

// result prints v as one JSON object with --json, and otherwise calls text.
func (a *app) result(v any, text func(w io.Writer)) error {
	if !a.json {
		text(a.stdout)
		return nil
	}
	e := json.NewEncoder(a.stdout)
	e.SetIndent("", "  ")
	return e.Encode(v)
}

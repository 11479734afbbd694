// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"io"
	"os"
	"sync/atomic"
	"time"

	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"
	"golang.org/x/term"

	"github.com/edgenas/edgenas/internal/wording"
)

// pace says how much lies between two lines of progress where no bar is drawn:
// at least this time and this much of the stage.
type pace struct {
	time    time.Duration
	percent int
}

// usualPace keeps a log short: a stage leaves a dozen lines at most.
var usualPace = pace{10 * time.Second, 10}

// maxLine is the length of a line of progress, in characters.
const maxLine = 120

// stage shows how far a part of the work is: a bar on a terminal, a plain line
// now and then elsewhere, nothing with --quiet.
type stage struct {
	name  string
	total int
	text  atomic.Value // string, which the bar's own goroutine reads
	start time.Time
	first atomic.Int64 // steps of the first update: what a run did before it was interrupted is among them
	over  atomic.Int64 // when it will be, in nanoseconds from the start; 0: as the steps so far say

	bars *mpb.Progress // nil: plain lines
	bar  *mpb.Bar

	out     io.Writer // of plain lines; nil: quiet or over
	pace    pace
	last    time.Time // of the last plain line; zero: there was none
	percent int       // in it
}

// stage starts a part of total steps.
func (a *app) stage(name string, total int) *stage {
	s := &stage{name: name, total: total, start: time.Now(), pace: a.pace}
	s.text.Store("")
	s.first.Store(-1)
	if a.quiet {
		return s
	}
	s.out = a.stderr
	if f, ok := a.stderr.w.(*os.File); ok && isTerminal(f) {
		s.bars = mpb.New(mpb.WithOutput(f), mpb.WithRefreshRate(200*time.Millisecond))
		s.bar = s.bars.AddBar(int64(total),
			mpb.PrependDecorators(decor.Name(fmt.Sprintf("%-10s", name))),
			mpb.AppendDecorators(
				decor.Percentage(decor.WC{W: 5}),
				decor.Any(func(st decor.Statistics) string {
					return "  " + s.left(st.Current, st.Total) + "  " + s.text.Load().(string)
				})))
	}
	return s
}

// isTerminal says whether bars can be drawn there.
func isTerminal(f *os.File) bool { return term.IsTerminal(int(f.Fd())) && os.Getenv("TERM") != "dumb" }

// foresee takes the estimate of the work itself: it still takes so long.
func (s *stage) foresee(left time.Duration) { s.over.Store(int64(time.Since(s.start) + left)) }

// left estimates the remaining time.
func (s *stage) left(done, total int64) string {
	spent, first := time.Since(s.start), s.first.Load()
	left := max(0, time.Duration(s.over.Load())-spent)
	switch {
	case s.over.Load() != 0 && done > 0:
	case s.over.Load() == 0 && done > first:
		left = remaining(spent, done-first, total-first)
	default:
		return "estimating"
	}
	return "about " + left.Round(time.Second).String() + " left"
}

// remaining is how long the rest takes if each step takes as long as those so
// far. Nanoseconds times steps are too many for integers.
func remaining(spent time.Duration, done, total int64) time.Duration {
	return time.Duration(float64(spent) * float64(total-done) / float64(done))
}

// update says that done steps are done, and what they tell.
func (s *stage) update(done int, text string) {
	s.first.CompareAndSwap(-1, int64(done))
	s.text.Store(wording.Printable(text)) // a bar goes to the terminal as it is
	if s.bar != nil {
		s.bar.SetCurrent(int64(done))
		return
	}
	if percent := 100 * done / max(1, s.total); s.due(time.Now(), percent) {
		s.last, s.percent = time.Now(), percent
		s.line("%3d %%  %s  %s", percent, s.left(int64(done), int64(s.total)), text)
	}
}

// due says whether it is time for a plain line. The first update always is.
func (s *stage) due(now time.Time, percent int) bool {
	return s.last.IsZero() || now.Sub(s.last) >= s.pace.time && percent-s.percent >= s.pace.percent
}

// line prints a plain line, no longer than maxLine.
func (s *stage) line(format string, args ...any) {
	if s.out == nil {
		return
	}
	text := []rune(fmt.Sprintf("%-10s "+format, append([]any{s.name}, args...)...))
	if len(text) > maxLine {
		text = append(text[:maxLine-1], '…')
	}
	fmt.Fprintln(s.out, string(text))
}

// end closes the stage with a last word.
func (s *stage) end(text string) { s.close("done in", text) }

// stop closes the stage, unless it has come to its end.
func (s *stage) stop() { s.close("stopped after", s.text.Load().(string)) }

func (s *stage) close(how, text string) {
	if s.bar != nil {
		s.text.Store(wording.Printable(text))
		s.bar.SetTotal(int64(s.total), false)
		s.bar.Abort(false)
		s.bars.Wait()
		s.bar = nil
	}
	s.line("%s %s: %s", how, time.Since(s.start).Round(100*time.Millisecond), text)
	s.out = nil
}

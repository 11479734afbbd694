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

// stage shows how far a part of the work is: a bar on a terminal, a plain line
// every few seconds elsewhere, nothing with --quiet.
type stage struct {
	name  string
	total int
	text  atomic.Value // string, which the bar's own goroutine reads
	start time.Time
	over  atomic.Int64 // when it will be, in nanoseconds from the start; 0: as the steps so far say

	bars  *mpb.Progress // nil: plain lines
	bar   *mpb.Bar
	out   io.Writer     // nil: quiet or over
	every time.Duration // between plain lines
	last  time.Time
}

// stage starts a part of total steps.
func (a *app) stage(name string, total int) *stage {
	s := &stage{name: name, total: total, start: time.Now(), last: time.Now(), every: a.lineEvery}
	s.text.Store("")
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
	spent := time.Since(s.start)
	left := max(0, time.Duration(s.over.Load())-spent)
	switch {
	case done == 0:
		return "estimating"
	case s.over.Load() == 0:
		left = remaining(spent, done, total)
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
	s.text.Store(wording.Printable(text)) // a bar goes to the terminal as it is
	switch {
	case s.bar != nil:
		s.bar.SetCurrent(int64(done))
	case s.out != nil && time.Since(s.last) >= s.every:
		s.last = time.Now()
		fmt.Fprintf(s.out, "%-10s %3d %%  %s  %s\n", s.name, 100*done/max(1, s.total), s.left(int64(done), int64(s.total)),
			text)
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
	if s.out != nil {
		fmt.Fprintf(s.out, "%-10s %s %s: %s\n", s.name, how, time.Since(s.start).Round(100*time.Millisecond), text)
		s.out = nil
	}
}

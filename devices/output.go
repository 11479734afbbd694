// SPDX-License-Identifier: Apache-2.0

package devices

import (
	"fmt"
	"io"
	"sync"
)

const (
	defaultMaxOutput = 64 << 20
	tailSize         = 1 << 10 // of stderr, for the message
)

// output hands a program's output on, and stops the program when it is too
// much or nobody wants it. Its writers never fail: what comes after the end is
// thrown away, so that the transport can go on reading until the program is
// dead.
type output struct {
	name string
	stop func() // kills the program

	mu   sync.Mutex
	left int64
	err  error      // why the program was stopped
	tail tailWriter // of stderr
}

// newOutput is the output of c; stop is called once, when it must end early,
// and must not wait.
func newOutput(c Command, stop func()) *output {
	left := c.MaxOutput
	if left == 0 {
		left = defaultMaxOutput
	}
	return &output{name: c.Name, stop: stop, left: left}
}

// stdout and stderr wrap the command's writers.
func (o *output) stdout(w io.Writer) io.Writer { return &outputWriter{o: o, w: w} }
func (o *output) stderr(w io.Writer) io.Writer { return &outputWriter{o: o, w: w, keep: true} }

// failure is why the program was stopped; nil: it was not.
func (o *output) failure() error {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.err
}

// exit is a program's end with that status.
func (o *output) exit(code int) error {
	if code == 0 {
		return nil
	}
	return &ExitError{Name: o.name, Code: code, Stderr: printable(o.tail.String())}
}

// take counts n bytes and says how many of them may be handed on.
func (o *output) take(n int) int {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.err != nil {
		return 0
	}
	if int64(n) <= o.left {
		o.left -= int64(n)
		return n
	}
	n = int(o.left)
	o.left = 0
	o.failLocked(fmt.Errorf("devices: %s: output: %w", o.name, ErrTooMuch))
	return n
}

func (o *output) fail(err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.err == nil {
		o.failLocked(err)
	}
}

func (o *output) failLocked(err error) {
	o.err = err
	o.stop()
}

type outputWriter struct {
	o    *output
	w    io.Writer // nil: discards
	keep bool
}

func (w *outputWriter) Write(p []byte) (int, error) {
	n := w.o.take(len(p))
	if w.keep {
		w.o.tail.Write(p[:n])
	}
	if w.w != nil && n > 0 {
		if _, err := w.w.Write(p[:n]); err != nil {
			w.o.fail(err)
		}
	}
	return len(p), nil
}

// tailWriter keeps the end of what is written.
type tailWriter struct {
	mu   sync.Mutex
	tail []byte
}

func (w *tailWriter) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.tail = append(w.tail, p[max(0, len(p)-tailSize):]...)
	w.tail = w.tail[max(0, len(w.tail)-tailSize):]
	return len(p), nil
}

func (w *tailWriter) String() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return string(w.tail)
}

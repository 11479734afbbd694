// SPDX-License-Identifier: Apache-2.0

package devices

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
)

const (
	firstWait = 250 * time.Millisecond // between attempts; doubles
	lastWait  = 15 * time.Second
)

// Retry opens a device that opens itself again after it was lost, for at most
// patience at a time: long enough for a reboot. open is [Open] with its
// arguments; logf, which may be nil, is told of each attempt, by one goroutine
// at a time, and must return soon.
//
// Push, Pull and Remove are repeated, also after a transfer that was corrupted.
// Run is not: nobody but the caller knows how far the program came. It returns
// [ErrLost], and the next call of any method opens the device. An error that is
// [Permanent] is returned at once.
//
// Several goroutines that wait for the device wait for one opening. It goes on
// until the last of them gives up or the device is closed.
func Retry(ctx context.Context, patience time.Duration,
	open func(context.Context) (Device, error), logf func(format string, args ...any)) (Device, error) {
	return retry(ctx, patience, firstWait, open, logf)
}

func retry(ctx context.Context, patience, wait time.Duration,
	open func(context.Context) (Device, error), logf func(string, ...any)) (Device, error) {
	d, err := open(ctx)
	if err != nil {
		return nil, err
	}
	if logf == nil {
		logf = func(string, ...any) {}
	}
	r := &retrying{open: open, patience: patience, wait: wait, logf: logf, info: d.Info(),
		closing: make(chan struct{}), idle: make(chan struct{}), d: d}
	close(r.idle)
	return r, nil
}

type retrying struct {
	open           func(context.Context) (Device, error)
	patience, wait time.Duration
	logf           func(string, ...any)
	info           Info
	closing        chan struct{} // closed by Close

	mu      sync.Mutex    // is held for moments only: never while the device is waited for
	d       Device        // nil: lost, to be opened again
	opening *opening      // nil: none is in progress
	idle    chan struct{} // closed when the last background call has returned
	closed  bool
}

// An opening is the attempt of one goroutine to open the lost device for all
// callers that wait for it.
type opening struct {
	cancel    context.CancelFunc
	done      <-chan struct{}
	waiting   int  // callers
	abandoned bool // by the last of them, before it was done

	d   Device // when it is done
	err error
}

func (r *retrying) Info() Info { return r.info }

// device returns the open device. It opens a lost one again, or waits for the
// opening that is in progress.
func (r *retrying) device(ctx context.Context) (Device, error) {
	for {
		r.mu.Lock()
		if r.closed || r.d != nil {
			defer r.mu.Unlock()
			return r.d, r.closedError()
		}
		if r.opening == nil {
			r.opening = r.reopen(ctx)
		}
		o := r.opening
		o.waiting++
		r.mu.Unlock()
		d, err, again := r.await(ctx, o)
		if !again {
			return d, err
		}
	}
}

// await waits for an opening, a caller's context or Close. again says that the
// opening came to nothing because others had abandoned it.
func (r *retrying) await(ctx context.Context, o *opening) (d Device, err error, again bool) {
	done := false
	select {
	case <-o.done:
		done = true
	case <-ctx.Done():
	case <-r.closing:
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	abandoned := o.abandoned
	if o.waiting--; o.waiting == 0 && !done {
		o.abandoned = true
		o.cancel()
	}
	switch {
	case r.closed:
		return nil, r.closedError(), false
	case ctx.Err() != nil:
		return nil, fmt.Errorf("devices: %s: %w", r.info.Address, context.Cause(ctx)), false
	}
	return o.d, o.err, o.err != nil && abandoned
}

// closedError returns what every method returns after Close. r.mu is held.
func (r *retrying) closedError() error {
	if !r.closed {
		return nil
	}
	return fmt.Errorf("devices: %s: %w", r.info.Address, ErrClosed)
}

// reopen starts an opening, whose end does not depend on the caller's context.
// r.mu is held.
func (r *retrying) reopen(ctx context.Context) *opening {
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	o := &opening{cancel: cancel}
	o.done = r.background(func() {
		defer cancel()
		d, err := r.attempts(ctx, o)
		r.mu.Lock()
		r.opening, r.d = nil, d
		o.d, o.err = d, err
		closed := r.closed
		r.mu.Unlock()
		if closed && err == nil {
			d.Close()
		}
	})
	return o
}

// background runs f in a goroutine as soon as the background call before it has
// returned: the device has one owner at a time, and an opening would be refused
// while the lost connection is still being closed. r.mu is held.
func (r *retrying) background(f func()) (done chan struct{}) {
	before := r.idle
	done = make(chan struct{})
	r.idle = done
	go func() {
		defer close(done)
		<-before
		f()
	}()
	return done
}

// attempts opens the device, with pauses that grow, until that succeeds, cannot
// succeed or has taken too long.
func (r *retrying) attempts(ctx context.Context, o *opening) (Device, error) {
	started := time.Now()
	for wait := r.wait; ; wait = min(2*wait, lastWait) {
		d, err := r.open(ctx)
		if err == nil {
			r.say(o, "%s: connected again", r.info.Address)
			return d, nil
		}
		if ctx.Err() != nil || Permanent(err) || !errors.Is(err, ErrUnreachable) || time.Since(started)+wait > r.patience {
			return nil, err
		}
		r.say(o, "%v; again in %v", err, wait)
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
}

// say logs for those who wait for an opening; nil: for a caller itself. When
// nobody waits any more, nobody expects calls of logf.
func (r *retrying) say(o *opening, format string, args ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.closed && (o == nil || !o.abandoned) {
		r.logf(format, args...)
	}
}

// lost lets go of a device that was lost.
func (r *retrying) lost(d Device) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.d == d {
		r.d = nil
		r.background(func() { d.Close() })
	}
}

// do repeats f, with pauses that grow, until it is not the connection that
// failed.
func (r *retrying) do(ctx context.Context, f func(Device) error) error {
	started := time.Now()
	for wait := r.wait; ; wait = min(2*wait, lastWait) {
		d, err := r.device(ctx)
		if err != nil {
			return err
		}
		if err = f(d); errors.Is(err, ErrLost) {
			r.lost(d)
		} else if !errors.Is(err, ErrCorrupt) {
			return err
		}
		if ctx.Err() != nil || Permanent(err) || time.Since(started)+wait > r.patience {
			return err
		}
		r.say(nil, "%v; again in %v", err, wait)
		select {
		case <-time.After(wait):
		case <-ctx.Done(): // device says so
		case <-r.closing:
		}
	}
}

func (r *retrying) Push(ctx context.Context, base string, data []byte) (name string, err error) {
	err = r.do(ctx, func(d Device) (err error) {
		name, err = d.Push(ctx, base, data)
		return err
	})
	return name, err
}

func (r *retrying) Run(ctx context.Context, c Command) error {
	d, err := r.device(ctx)
	if err != nil {
		return err
	}
	if err = d.Run(ctx, c); errors.Is(err, ErrLost) {
		r.lost(d)
	}
	return err
}

func (r *retrying) Pull(ctx context.Context, name string, limit int64) (data []byte, err error) {
	err = r.do(ctx, func(d Device) (err error) {
		data, err = d.Pull(ctx, name, limit)
		return err
	})
	return data, err
}

func (r *retrying) Remove(ctx context.Context, names ...string) error {
	return r.do(ctx, func(d Device) error { return d.Remove(ctx, names...) })
}

// Close opens a lost device once more, so that nothing stays there.
func (r *retrying) Close() error {
	ctx, cancel := context.WithTimeout(context.Background(), closingTime)
	defer cancel()
	r.mu.Lock()
	if r.closed {
		r.mu.Unlock()
		return nil
	}
	r.closed = true
	close(r.closing)
	d := r.d
	r.d = nil
	if r.opening != nil {
		r.opening.cancel()
	}
	idle := r.idle
	r.mu.Unlock()
	if d != nil {
		if err := d.Close(); !errors.Is(err, ErrLost) {
			return err
		}
	}
	return r.remove(ctx, idle)
}

// remove opens the device after the background calls have returned, and closes
// it, which removes its folder.
func (r *retrying) remove(ctx context.Context, idle <-chan struct{}) error {
	var d Device
	err := context.DeadlineExceeded
	select {
	case <-idle:
		d, err = r.open(ctx)
	case <-ctx.Done():
	}
	if err != nil {
		return fmt.Errorf("devices: %s: its folder %s could not be removed: %w", r.info.Address, r.info.Dir, err)
	}
	return d.Close()
}
